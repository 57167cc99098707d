"""``polyport sandbox`` against a real Docker daemon; the shell on a real terminal, Ctrl-C and all."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyport_sandbox.docker.engine import DEFAULT_SOCKET

pytestmark = pytest.mark.requires("docker", "sandbox")

POLYPORT = [sys.executable, "-m", "polyport_gateway.cli", "sandbox"]
ALONE = [sys.executable, "-m", "polyport_sandbox"]


def run(
    *arguments: str, command: list[str] = POLYPORT, stdin: bytes = b"", folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*command, *arguments], input=stdin, capture_output=True, timeout=100, cwd=folder, check=False
    )


@pytest.mark.parametrize("command", [POLYPORT, ALONE], ids=["polyport", "module"])
def test_a_program_s_output_files_and_status_come_out(tmp_path: Path, command: list[str]):
    program = (
        b"import sys; sys.stdout.buffer.write(b'\\xff\\n'); open('/mnt/data/a.txt', 'w').write(input()); sys.exit(7)"
    )
    (tmp_path / "main.py").write_bytes(program)
    done = run("run", "main.py", "--stdin", "-", "--out", "out", command=command, stdin=b"typed\n", folder=tmp_path)
    assert (done.returncode, done.stdout) == (7, b"\xff\n"), done
    assert (tmp_path / "out/a.txt").read_bytes() == b"typed"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("--language", "bash"), b"exit 3", 3),
        (("--language", "bash"), b"kill -SEGV $$", 139),
        (("--wall-s", "0.5"), b"while True: pass", 124),
        (("--memory-mb", "64"), b"x = bytearray(1 << 28)", 137),
        ((), b"while True: print('x' * 9999)", 126),
    ],
)
def test_how_it_ended_is_the_exit_status(arguments: tuple[str, ...], code: bytes, status: int):
    done = run("run", "-", *arguments, stdin=code)
    assert done.returncode == status, done.stderr


def test_output_comes_while_it_runs():
    code = b"import time; print('first', flush=True); time.sleep(60)"
    with subprocess.Popen([*POLYPORT, "run", "-", "--wall-s", "90"], stdin=-1, stdout=-1, stderr=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(code)
        process.stdin.close()
        began = time.monotonic()
        assert process.stdout.readline() == b"first\n"
        assert time.monotonic() - began < 40
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_doctor_and_ps_and_dry_run():
    shown = json.loads(run("doctor", "--json").stdout)
    assert shown["ok"], shown
    assert {"socket", "daemon", "seccomp", "memory limit", "image", "containers"} <= {
        f["subject"] for f in shown["findings"]
    }
    assert run("doctor", command=ALONE).returncode == 0
    assert isinstance(json.loads(run("ps", "--json").stdout), list)


def test_an_image_that_is_up_to_date_is_made_of_nothing_again():
    from polyport_sandbox.images.build import is_up_to_date

    inspected = subprocess.run(
        ["docker", "image", "inspect", "polyport/sandbox:minimal"], capture_output=True, timeout=60, check=True
    )
    (image,) = json.loads(inspected.stdout)
    if not is_up_to_date(image):
        pytest.skip("the image here is by an older recipe")
    began = time.monotonic()
    done = json.loads(run("build", "--json").stdout)
    assert (done["made"], done["id"]) == (False, image["Id"])
    assert time.monotonic() - began < 30


def test_the_image_has_no_set_id_bit_and_nothing_of_the_machine_that_made_it():
    host = {line for line in Path("/etc/resolv.conf").read_text().split() if line[:1].isdigit()}
    code = """
import os, json
found = {"setid": [], "names": os.listdir("/etc"), "text": ""}
for folder, _, names in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev", "/work", "/tmp")):
        continue
    for name in names:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if mode & 0o6000 and not os.path.islink(path):
            found["setid"].append(path)
for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/apt/sources.list"):
    if os.path.exists(name):
        found["text"] += open(name).read()
print(json.dumps(found))
"""
    done = run("run", "-", "--wall-s", "60", stdin=code.encode())
    found = json.loads(done.stdout)
    assert found["setid"] == []
    assert "apt" not in found["names"]
    assert not [address for address in host if address in found["text"]]


@pytest.mark.requires("sandbox-data")
def test_figures_with_chinese_labels_come_out_without_a_complaint(tmp_path: Path):
    code = """
import warnings; warnings.simplefilter("error")
import numpy, pandas, scipy.stats, sklearn.linear_model, PIL.Image, openpyxl, sympy
import matplotlib.pyplot as plt
pandas.DataFrame({"销售额": [1, 2, 3]}).plot(title="各地区销售额 −1")
plt.savefig("/mnt/data/figure.png")
"""
    done = run(
        "run", "-", "--image", "polyport/sandbox:data", "--memory-mb", "1024", "--wall-s", "90", "--out", str(tmp_path),
        stdin=code.encode(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Warning" not in done.stderr
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self.main, other = pty.openpty()
        self.process = subprocess.Popen(
            [*POLYPORT, "shell", *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(other)
        self.said = ""

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())

    def expect(self, text: str, *, within_s: float = 40) -> str:
        """Read until `text` has come; return what came since the last one."""
        deadline = time.monotonic() + within_s
        while text not in self.said:
            rest = deadline - time.monotonic()
            assert rest > 0, f"{text!r} did not come, but {self.said!r}"
            if select.select([self.main], [], [], min(rest, 1))[0]:
                self.said += os.read(self.main, 65536).decode(errors="replace")
        before, _, self.said = self.said.partition(text)
        return before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.main)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal("--out", "out", "--wall-s", "60", folder=tmp_path)
    yield terminal
    terminal.close()


def test_the_shell_at_a_terminal(terminal: Terminal, tmp_path: Path):
    (tmp_path / "in.txt").write_text("brought")
    terminal.expect(">>> ")
    terminal.type("x = 20 + 1\r")
    terminal.type("for i in range(2):\r    print('row', i)\r\r")
    terminal.expect("row 1")
    terminal.expect(">>> ")
    terminal.type("import time; print('wait' + 'ing', flush=True); time.sleep(50)\r")
    terminal.expect("waiting")
    began = time.monotonic()
    terminal.type("\x03")
    terminal.expect(">>> ")
    assert time.monotonic() - began < 20
    # Whether variables outlive it is the session's matter: a busy machine's kernel may not give way in time.
    terminal.type("print('still', 'here')\r")
    terminal.expect("still here")
    terminal.type("%upload in.txt\r!cat in.txt; echo made > out.txt\r")
    terminal.expect("brought")
    terminal.type("%download out.txt\r")
    terminal.expect("saved out.txt")
    assert (tmp_path / "out.txt").read_text() == "made\n"
    terminal.type("print('\\x1b]0;evil\\x07')\r")
    terminal.expect("␛]0;evil␇")
    terminal.expect(">>> ")
    terminal.type("unfinished(\x03")
    terminal.expect(">>> ")
    terminal.type("%restart\rx\r")
    terminal.expect("NameError")
    terminal.expect(">>> ")
    terminal.type("\x04")
    assert terminal.process.wait(30) == 0


def test_a_killed_shell_leaves_no_container_that_prune_does_not_find(terminal: Terminal):
    terminal.expect(">>> ")
    terminal.type("print('re' + 'ady')\r")
    terminal.expect("ready")
    mine = [found for found in json.loads(run("ps", "--json").stdout) if found["pid"] == terminal.process.pid]
    assert mine
    terminal.process.kill()
    terminal.process.wait(10)
    run("prune", "--socket", DEFAULT_SOCKET)
    left = {found["id"] for found in json.loads(run("ps", "--json").stdout)}
    assert not left & {found["id"] for found in mine}
