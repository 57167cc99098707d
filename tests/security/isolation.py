"""What one run leaves for the next: nothing."""

from __future__ import annotations

import json
import secrets

from polyport_sandbox import Limits
from tests.support.sandbox import docker

from .case import Attack, Target

__all__ = ["ISOLATION"]

LEAVE = (
    "import os\nfor d in ('/work', '/tmp', '/dev/shm', '/var/tmp', '/usr/lib', '/root', '/', '/sandbox'):\n"
    "    try: open(d + '/left-{0}', 'w').write('secret')\n    except OSError: pass\nprint('TRIED', os.getuid())"
)
LOOK = (
    "import os\nprint('TRIED', os.getuid())\nfor folder, _, names in os.walk('/'):\n"
    "    if folder.startswith(('/proc', '/sys')): continue\n"
    "    for name in names:\n        if name == 'left-{0}': print('BREACH', folder)"
)


def _files_left(target: Target) -> None:
    marker = secrets.token_hex(8)
    first = target.run(LEAVE.format(marker))
    assert b"TRIED" in first.stdout, first
    for _ in range(4):
        later = target.run(LOOK.format(marker))
        assert b"TRIED" in later.stdout, later
        assert b"BREACH" not in later.stdout, later.stdout_text


def _one_user_each(target: Target) -> None:
    """What the kernel counts per user (watches, pipe pages, pending signals) is not shared either."""
    users = [target.run("import os; print(os.getuid())").stdout_text for _ in range(4)]
    assert len(set(users)) == 4, f"two runs share a user id: {users}"


def _poisoned_interpreter(target: Target) -> None:
    """A run changes whatever the interpreter would read at its next start; the next run's starts clean."""
    poison = (
        "import builtins, os, site, sys\nbuiltins.print = lambda *a, **k: None\n"
        "for path in {*sys.path, site.getusersitepackages(), os.path.expanduser('~'), '/work', '/tmp'}:\n"
        "    for name in ('sitecustomize.py', 'usercustomize.py', 'json.py', 'random.py'):\n"
        "        try:\n            os.makedirs(path or '.', exist_ok=True)\n"
        "            open(os.path.join(path or '.', name), 'w').write('raise SystemExit(\"BREACH\")')\n"
        "        except OSError: pass\nos.write(1, b'TRIED')"
    )
    for _ in range(3):
        first = target.run(poison)
        assert b"TRIED" in first.stdout, first
        later = target.run("import json, random, builtins\nprint('clean', type(print).__name__)")
        assert later.stdout == b"clean builtin_function_or_method\n", later


def _image_unchanged(target: Target) -> None:
    """Nothing a run writes becomes part of the image that the next one starts from."""

    def layers() -> object:
        return json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", "polyport/sandbox:minimal"))

    marker = secrets.token_hex(8)
    before = layers()
    target.run(LEAVE.format(marker))
    assert layers() == before
    assert b"BREACH" not in target.run(LOOK.format(marker)).stdout


def _odd_limits(target: Target) -> None:
    """A run with larger limits doesn't leave them to the next."""
    target.run("pass", limits=Limits(memory_mb=1024, pids=200))
    result = target.run("x = []\nfor _ in range(80): x.append(bytearray(b'x') * (8 << 20))\nprint('BREACH')")
    assert b"BREACH" not in result.stdout
    # Where gVisor itself is what the kernel ends, Docker does not always say why.
    assert result.status in ("out_of_memory", *(["killed"] if target.runtime == "runsc" else [])), result


ISOLATION = [
    Attack("files left for the next run", "it finds none of them", play=_files_left, at_most_s=60),
    Attack("the interpreter poisoned for the next run", "the next one's is clean", play=_poisoned_interpreter, at_most_s=60),
    Attack("the image changed for the next run", "it is what it was", play=_image_unchanged, at_most_s=60),
    Attack("one user id for two runs", "each has its own", play=_one_user_each, at_most_s=60),
    Attack(
        "larger limits left to the next run", "it has its own", play=_odd_limits, at_most_s=40,
        needs=frozenset({"limits of a run"}),
    ),
]  # fmt: skip
