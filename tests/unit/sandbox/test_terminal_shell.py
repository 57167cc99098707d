from __future__ import annotations

import io
from pathlib import Path

import pytest

from polyport_sandbox import SandboxError, SyncSandbox
from polyport_sandbox.terminal import Shell
from polyport_sandbox.terminal.complete import is_complete
from polyport_sandbox.terminal.screen import Screen
from tests.support.scripted_sandbox import ScriptedProvider


class Bench:
    """A shell whose lines are given at once, and what it wrote."""

    def __init__(self) -> None:
        self.provider = ScriptedProvider()
        self.out, self.err = io.StringIO(), io.StringIO()

    def type(self, *lines: str | type[BaseException], **options: object) -> int:
        waiting = iter(lines)

        def read_line(prompt: str) -> str:
            line = next(waiting, EOFError)
            if isinstance(line, type):
                raise line
            return line

        with SyncSandbox(self.provider) as box:
            return Shell(box, read_line=read_line, screen=Screen(out=self.out, err=self.err), **options).run()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    # The scripts of the provider in memory are complete line by line.
    monkeypatch.setattr("polyport_sandbox.terminal.shell.is_complete", lambda text, language: True)
    return Bench()


def test_variables_live_on_and_the_session_is_closed_at_the_end(bench: Bench):
    assert bench.type("set x 1", "", "get x", "result 42") == 0
    assert bench.out.getvalue() == "1\n42\n"
    assert len(bench.provider.sessions) == 1
    assert bench.provider.sessions[0].closed == 1
    assert bench.provider.closed == 1


def test_files_come_and_go(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("hello")
    status = bench.type(
        "%upload in.txt", "%upload in.txt 'a b/c.txt'", "cat a b/c.txt", "%files", "write made 12345", "%download made",
        "%download made there.txt", "%delete in.txt", "%files a b",
    )  # fmt: skip
    assert status == 1  # "%files a b" takes one folder
    assert bench.out.getvalue() == "hello\n       5 bytes  a b/c.txt\n       5 bytes  in.txt\n"
    assert (tmp_path / "made").read_text() == (tmp_path / "there.txt").read_text() == "12345"
    assert "%files takes other arguments" in bench.err.getvalue()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%nonsense", "no command %nonsense"),
        ("%", "no command %;"),
        ("%_cell", "no command"),
        ("%upload", "takes other arguments"),
        ("%upload /nowhere/x", "can't be read: No such file"),
        ("%download none", "There is no file 'none'"),
        ("%download in.txt /nowhere/x", "can't be written: No such file"),
        ("%delete none", "There is no file 'none'"),
        ("%delete ../x", "../x"),
        ("%language cobol", "no language 'cobol' here; there are: bash, python"),
        ("%upload 'x", "No closing quotation"),
        ("fail ValueError no", "ValueError: no"),
    ],
)
def test_what_goes_wrong_is_said_and_the_shell_goes_on(bench: Bench, line: str, said: str):
    assert bench.type(line, "say still here", files={"in.txt": b"x"}) == 1
    assert said in bench.err.getvalue()
    assert bench.out.getvalue() == "still here\n"


def test_other_languages(bench: Bench):
    bench.type("!say by bash", "%language bash", "say too")
    assert bench.out.getvalue() == "by bash\ntoo\n"
    with pytest.raises(SandboxError, match="no language 'cobol'"):
        bench.type(language="cobol")
    assert len(bench.provider.sessions) == 1


def test_a_restart_forgets_variables(bench: Bench):
    bench.type("set x 1", "%restart", "%quit", "say never")
    assert bench.provider.sessions[0].place.variables == {}
    assert bench.out.getvalue() == ""


def test_a_lost_session_is_replaced(bench: Bench):
    assert bench.type("die", "say new") == 1
    assert "variables and files are gone" in bench.err.getvalue()
    assert bench.out.getvalue() == "new\n"
    assert len(bench.provider.sessions) == 2


def test_ctrl_c_while_typing_drops_what_was_typed(monkeypatch: pytest.MonkeyPatch):
    bench = Bench()
    monkeypatch.setattr("polyport_sandbox.terminal.shell.is_complete", lambda text, language: text.endswith(";"))
    bench.type("say dropped", KeyboardInterrupt, "say kept;")
    assert bench.out.getvalue() == "kept;\n"


def test_what_was_typed_at_the_end_still_runs(monkeypatch: pytest.MonkeyPatch):
    bench = Bench()
    monkeypatch.setattr("polyport_sandbox.terminal.shell.is_complete", lambda text, language: False)
    bench.type("say one", "say two")
    assert bench.out.getvalue() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("language", "text", "complete"),
    [
        ("python", "x = 1", True),
        ("python", "x = (", False),
        ("python", "def f():", False),
        ("python", "def f():\n    return 1", False),
        ("python", "def f():\n    return 1\n", True),
        ("python", "'''text", False),
        ("python", "await f()", True),
        ("python", "if x:\n    await f()\n", True),
        ("python", "x = = 1", True),
        ("python", "'\\d'", True),
        ("python", "x\x00", True),
        ("python", "(" * 300, True),
        ("javascript", "const f = () => {", False),
        ("javascript", "const f = () => {\n1 }", True),
        ("javascript", 'console.log("{")', True),
        ("javascript", "x // {", True),
        ("bash", "ls", True),
        ("bash", "for i in 1 2; do", False),
        ("bash", "for i in 1 2; do\necho $i\ndone", True),
        ("bash", "if true; then", False),
        ("bash", "if true; then\necho a\nfi", True),
        ("bash", "echo do if case", True),
        ("bash", "echo a \\", False),
        ("bash", "f() {", False),
        ("bash", "for i in 1; do\n", True),
        ("r", "f <- function(", True),
    ],
)
def test_whether_a_block_is_complete(language: str, text: str, complete: bool):
    assert is_complete(text, language) is complete
