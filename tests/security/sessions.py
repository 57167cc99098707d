"""Sessions: what leaks between them, what a kernel can forge, and what a cell leaves to the next."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from polyport_sandbox import (
    Limits,
    RunResult,
    SandboxBusyError,
    SandboxError,
    SessionClosedError,
    SessionNotFoundError,
    SyncSandbox,
    SyncSession,
)

from .case import MIB, Attack, Target
from .targets import OursTarget

__all__ = ["SESSIONS"]

SESSION = frozenset({"session"})
KERNEL = frozenset({"session", "kernel"})
UP = 1100  # where a kernel speaks to its supervisor
FRAME = f"import os, struct\ndef frame(kind, body): return struct.pack('>Ic', len(body), kind) + body\nUP = {UP}\n"


@contextlib.contextmanager
def _session(target: Target, **options: Any) -> Iterator[SyncSession]:
    assert isinstance(target, OursTarget)
    with target.box.session(**options) as session:
        yield session


def _good(session: SyncSession, said: bytes = b"42\n", code: str = "print(6*7)") -> RunResult:
    """The session is as good as ever."""
    began = time.monotonic()
    result = session.run(code, limits=Limits(wall_s=10))
    assert (result.status, result.stdout) == ("ok", said), f"afterwards: {result}"
    assert time.monotonic() - began < 6, "the next cell was held up"
    return result


def _good_or_lost(target: Target, session: SyncSession, result: RunResult) -> bool:
    """Under gVisor what floods the container ends it as a whole: the session is lost then, and says so."""
    try:
        _good(session)
    except SessionClosedError:
        assert target.runtime == "runsc", "the session was lost"
        assert result.status in ("out_of_memory", "sandbox_error", "killed"), result
        return False
    return True


def _leak(target: Target) -> None:
    marker = secrets.token_hex(8)
    with target.place() as first:
        left = first.run(
            f"import os, builtins\nsecret_{marker} = builtins.secret_{marker} = 1\nos.environ['S_{marker}'] = '1'\n"
            f"for d in ('.', '/tmp', '/dev/shm'): open(d + '/left-{marker}', 'w').write('x')\nprint('left')"
        )
        assert left.stdout.strip() == b"left", left
        with target.place() as second:
            found = second.run(
                f"import os\nprint('secret_{marker}' in dir(__builtins__), 'secret_{marker}' in globals(), 'S_{marker}' in os.environ,\n"
                f"    [f for f, _, names in os.walk('/') if 'left-{marker}' in names and not f.startswith('/proc')])"
            )
    assert found.stdout.strip() == b"False False False []", f"BREACH: {found.stdout_text}"


def _contexts(target: Target) -> None:
    with _session(target) as session:
        session.run("import builtins, json\nsecret = 1\nbuiltins.secret = 2\njson.dumps = None", context="a")
        other = session.run(
            "import json\nprint('secret' in globals(), json.dumps(1))\ntry: secret\nexcept NameError: print('none')",
            context="b",
        )
        assert other.stdout == b"False 1\nnone\n", other


def _callers(target: Target) -> None:
    assert isinstance(target, OursTarget)
    with _session(target, caller="owner") as session:
        assert target.box.get_session(session.id, caller="owner").id == session.id
        for caller in ("another", "", "owner ", "OWNER"):
            with pytest.raises(SessionNotFoundError):
                target.box.get_session(session.id, caller=caller)
            assert session.id not in [other.id for other in target.box.sessions(caller=caller)]
        with pytest.raises(SandboxBusyError):  # one caller can't take every place
            _open_many(target.box, 17)
        for mine in target.box.sessions(caller="owner"):
            if mine.id != session.id:
                mine.close()


def _open_many(box: SyncSandbox, count: int) -> None:
    for _ in range(count):
        box.open_session(caller="owner")


def _forged_frames(target: Target) -> None:
    """Whatever a kernel writes where it speaks to its supervisor, the session goes on and nothing grows."""
    rubbish = (
        "os.write(UP, b'\\xff' * 4096)",
        "os.write(UP, struct.pack('>Ic', 0xFFFFFFFF, b'V') + b'x')",
        "os.write(UP, frame(b'D', b'{}') + frame(b'X', b'\"x\"') + frame(b'F', b'[\"main.py\", 3]') + frame(b'B', b'abc'))",
        "os.write(UP, frame(b'V', b'not json') * 10)",
        "os.write(UP, frame(b'V', b'[]') + frame(b'V', b'{\"data\": 1}') + frame(b'V', b'[' * 20000))",
        "os.write(UP, frame(b'T', b'\\xff\\xfe') + frame(b'T', b'[1]') + frame(b'K', b'999999999999'))",
        "os.write(UP, frame(b'K', b'0') * 1000)",
        "os.closerange(3, 4096)",
        "os.dup2(1, UP); os.dup2(0, UP + 1)",
    )
    for code in rubbish:
        with _session(target) as session:
            result = session.run(FRAME + code, limits=Limits(wall_s=3))
            assert result.status in ("ok", "error", "timeout", "killed", "sandbox_error"), result
            assert not result.files
            assert result.stdout == b"", f"{code}: {result}"
            if not session.closed:
                again = session.run("print(6*7)", limits=Limits(wall_s=5))
                assert again.status in ("ok", "error", "timeout", "killed"), f"{code}: {again}"


def _forged_for_another(target: Target) -> None:
    """A kernel that goes on forging while another's cell runs does not speak for it."""
    with _session(target) as session:
        session.run(
            FRAME + "import threading\ndef spam():\n    while True:\n"
            "        os.write(UP, frame(b'V', b'{\"data\": {\"text/plain\": \"FORGED\"}}') + frame(b'T', b'{}') + frame(b'K', b'0'))\n"
            "threading.Thread(target=spam, daemon=True).start()",
            context="bad",
        )
        for _ in range(3):
            result = session.run("import time\ntime.sleep(0.3)\nprint(6*7)", context="good")
            assert (result.status, result.stdout, result.displays) == ("ok", b"42\n", ()), f"BREACH: {result}"


def _display_flood(target: Target) -> None:
    limits = Limits(displays=10, display_bytes=MIB, wall_s=20)
    many = (
        "class D:\n    def _repr_html_(self): return 'x' * {size}\n    def __repr__(self): return 'd'\n"
        "for _ in range({count}): display(D())\nprint('over')"
    )
    with _session(target, limits=limits) as session:
        for size, count in ((10, 5000), (200_000, 50), (30 << 20, 1)):
            result = session.run(many.format(size=size, count=count), limits=limits)
            told = sum(len(display.html or "") for display in result.displays)
            assert len(result.displays) <= 10, len(result.displays)
            assert told <= MIB, f"BREACH: {told} bytes of displays"
            assert result.status == "ok", result.status
            assert b"left out" in result.stderr, result.stderr[-300:]
        _good(session)


def _noise_between(target: Target) -> None:
    """Threads and daemons of one cell flood stdout between cells and into the next."""
    with _session(target, limits=Limits(output_bytes=MIB)) as session:
        session.run(
            "import os, subprocess, threading\ndef flood():\n    while True: os.write(1, b'noise' * 1000)\n"
            "threading.Thread(target=flood, daemon=True).start()\n"
            "subprocess.Popen(['sh', '-c', 'while :; do echo daemon; done'], start_new_session=True)",
            context="noisy",
        )
        time.sleep(1.5)
        for _ in range(3):
            _good(session)
        again = session.run("print('own')", context="noisy", limits=Limits(wall_s=5, output_bytes=MIB))
        assert again.status in ("ok", "output_limit"), again.status
        assert len(again.stdout) <= MIB
        session.restart()
        _good(session)


def _interrupts_ignored(target: Target) -> None:
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nend = time.monotonic() + 60\n"
        "while time.monotonic() < end:\n    try: time.sleep(1)\n    except BaseException: pass"
    )
    with _session(target) as session:
        began = time.monotonic()
        result = session.run(stubborn, limits=Limits(wall_s=1))
        assert result.status == "timeout", result
        assert time.monotonic() - began < 8
        _good(session)
        gives_way = session.run(
            "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: pass\ntime.sleep(60)", limits=Limits(wall_s=1)
        )
        assert gives_way.status == "timeout", gives_way
        _good(session)


def _ends_badly(target: Target) -> None:
    """However a cell ends its kernel, that is told as what it is, and the next cell runs."""
    endings: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("import os\nos._exit(0)", ("ok",)),
        ("import os\nos._exit(3)", ("error",)),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", ("killed",)),
        ("import ctypes\nctypes.string_at(0)", ("killed",)),
        ("import os, signal\nos.kill(-1, signal.SIGKILL)", ("killed", "error", "ok")),
        ("x = []\nfor _ in range(128): x.append(bytearray(b'x') * (8 << 20))\nprint('BREACH')", ("out_of_memory",)),
        ("import sys\nfor _ in range(300): sys.stdout.write('x' * MIB)".replace("MIB", str(MIB)), ("output_limit",)),
        ("import os\nfor _ in range(500):\n    try:\n        if os.fork() == 0: os.pause() if hasattr(os, 'pause') else __import__('signal').pause()\n"
         "    except OSError: break\nraise SystemExit(0)", ("ok",)),
        # Both have said it before either ends the cell: said later, it would be the next one's output.
        ("import os\na, b = os.pipe()\nc, d = os.pipe()\nchild = os.fork()\nprint('twice', flush=True)\n"
         "os.write(d if child else b, b'.')\nos.read(a if child else c, 1)", ("ok",)),
        ("raise SystemExit('bye')", ("error",)),
        ("def f(): return f()\nf()", ("error",)),
    )  # fmt: skip
    for code, expected in endings:
        with _session(target) as session:
            result = session.run(code, limits=Limits(wall_s=8))
            allowed = (
                (*expected, "sandbox_error", "killed", "timeout", "out_of_memory")
                if target.runtime == "runsc"
                else expected
            )
            assert result.status in allowed, (
                f"{code[:60]!r}: {result.status} {result.detail} {result.stderr_text[-200:]}"
            )
            assert b"BREACH" not in result.stdout
            _good_or_lost(target, session, result)


def _hostile_values(target: Target) -> None:
    """Results whose repr lies, raises, never ends or is endless."""
    values = {
        "raise SystemExit": ("ok", "error"),
        "raise KeyboardInterrupt": ("ok", "error"),
        "return 'x' * (200 << 20)": ("ok", "error", "out_of_memory"),
        "return 5": ("ok", "error"),
        "return '\\ud800\\0\\x1b]0;title\\x07'": ("ok", "error"),
        "import os; os._exit(7)": ("error",),
        "while True: pass": ("timeout",),
        "return repr(self)": ("ok", "error"),
    }
    lost = ("sandbox_error", "killed") if target.runtime == "runsc" else ()
    for body, expected in values.items():
        with _session(target) as session:
            for method in ("__repr__", "_repr_html_", "_repr_json_"):
                result = session.run(f"class H:\n    def {method}(self):\n        {body}\nH()", limits=Limits(wall_s=3))
                assert result.status in (*expected, *lost), f"{method}: {body}: {result.status} {result.detail}"
                assert sum(len(str(display.data)) for display in result.displays) <= 17 * MIB
                if not _good_or_lost(target, session, result):
                    break


def _poisoned(target: Target) -> None:
    """A cell breaks what the kernel itself stands on: the session answers, or is mended by a restart."""
    poisons = (
        "import builtins\nbuiltins.compile = builtins.exec = builtins.eval = None",
        "import os\nos.read = os.write = os.getpid = None",
        "import sys\nsys.stdout = sys.stderr = sys.stdin = sys.displayhook = sys.excepthook = None\nsys.modules.clear()",
        "import gc\nfor o in gc.get_objects():\n    if isinstance(o, dict) and o.get('__name__') == '__main__': o.clear()",
        "import threading, sys\nsys.settrace(lambda *a: (_ for _ in ()).throw(RuntimeError))",
        "import builtins\nclass E(BaseException): pass\nbuiltins.BaseException = builtins.Exception = E",
    )
    for code in poisons:
        with _session(target) as session:
            session.run(code, limits=Limits(wall_s=3))
            after = session.run("6*7", limits=Limits(wall_s=3))
            assert after.status in ("ok", "error", "timeout", "killed"), after
            session.restart()
            _good(session)


def _too_many_kernels(target: Target) -> None:
    with _session(target) as session:
        refused = 0
        for number in range(20):
            try:
                session.run("x = 1", context=f"c{number}")
            except SandboxError:
                refused += 1
        assert refused, "BREACH: twenty kernels"
        session.restart()
        _good(session)


def _nonce(target: Target) -> None:
    """The kernel searches all of its own memory for the nonce, of which it is given a digest only."""
    with _session(target) as session:
        nonce: bytes = session._session._place._nonce  # type: ignore[attr-defined]
        digest = hashlib.sha256(nonce).hexdigest()
        result = session.run(
            f"import hashlib, re\nfound = looked = 0\nwith open('/proc/self/mem', 'rb', 0) as memory:\n"
            "    for line in open('/proc/self/maps'):\n        span, rights = line.split()[:2]\n"
            "        if 'r' not in rights or 'vvar' in line or 'vsyscall' in line: continue\n"
            "        low, high = (int(x, 16) for x in span.split('-'))\n        try:\n            memory.seek(low)\n"
            f"            data = memory.read(high - low)\n        except (OSError, ValueError, OverflowError): continue\n        looked += len(data)\n"
            f"        for m in re.finditer(re.escape(bytes([{nonce[0]}, {nonce[1]}])), data):\n"
            f"            found += hashlib.sha256(data[m.start():m.start() + 16]).hexdigest() == {digest!r}\n"
            "print(looked > 1 << 20, found)",
            limits=Limits(wall_s=30),
        )
        assert result.stdout == b"True 0\n", f"BREACH: {result}"


def _grown(target: Target) -> None:
    """A session that was told to end leaves no container."""
    assert isinstance(target, OursTarget)
    with _session(target) as session:
        session.run("import subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True)")
        uid = int(session.run("import os\nprint(os.getuid())").stdout)
        assert target.container_of(uid)
    deadline = time.monotonic() + 10
    while target.container_of(uid):
        assert time.monotonic() < deadline, "its container still runs"
        time.sleep(0.1)


def _attack(name: str, must_hold: str, play: Callable[[Target], None], at_most_s: float = 60.0) -> Attack:
    return Attack(name, must_hold, play=play, needs=KERNEL, at_most_s=at_most_s)


SESSIONS = [
    Attack("state of one session in another", "variables, environment and files stay in theirs", play=_leak, needs=SESSION, at_most_s=40),
    _attack("state of one context in another", "each has variables and modules of its own", _contexts),
    _attack("another caller's session, and every place taken", "not found; a caller has a share only", _callers),
    _attack("frames forged by a kernel", "they are no result of the host's; the session goes on", _forged_frames, 150),
    _attack("frames forged for another context's cell", "they are not that cell's", _forged_for_another),
    _attack("display floods", "within their limits, the rest left out and said so", _display_flood, 90),
    _attack("threads and daemons that write between cells", "the next cell is not held up, nor flooded", _noise_between),
    _attack("interrupts ignored", "the kernel is ended, and the next cell runs", _interrupts_ignored),
    _attack("kernels that end in every way", "each is told as what it is; the next cell runs", _ends_badly, 150),
    _attack("values with a hostile repr", "bounded in size and time", _hostile_values, 150),
    _attack("the kernel's own functions poisoned", "the session answers, and a restart mends it", _poisoned, 120),
    _attack("kernels without end", "refused after a few", _too_many_kernels),
    _attack("the nonce sought in the kernel's memory", "it was never there", _nonce),
    _attack("outliving its session", "the container is gone, with all that ran in it", _grown),
]  # fmt: skip
