"""`polyport kb` at a terminal: colours, a bar, questions that follow each other, and what is asked before removing."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from polyport import App
from polyport.testing import gateway
from tests.support.knowledge import MemoryKnowledge, install

GREEN, BLACK = "Green tea is steeped at 75 degrees.", "红茶用沸水冲泡。Black tea is steeped in boiling water."


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, url: str, folder: Path, *arguments: str) -> None:
        self.main, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polyport_gateway.cli", "kb", *arguments],
            stdin=other, stdout=other, stderr=other, cwd=folder,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "POLYPORT_BASE_URL": url},
            start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(other)
        self.said = ""

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())

    def expect(self, text: str, *, within_s: float = 40) -> str:
        """Read until `text` has come; return what came since the last one."""
        deadline = time.monotonic() + within_s
        while text not in self.said:
            assert time.monotonic() < deadline, f"{text!r} did not come, but {self.said!r}"
            if not self._read():
                break
        before, found, self.said = self.said.partition(text)
        assert found, f"{text!r} did not come, but {before!r}"
        return before

    def rest(self) -> str:
        """Read to the end."""
        while self._read():
            pass
        return self.said

    def _read(self) -> bool:
        if not select.select([self.main], [], [], 1)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self.main, 65536)
        except OSError:  # the other side is closed
            return False
        self.said += data.decode(errors="replace")
        return bool(data)

    def close(self) -> int:
        code = self.process.wait(30)
        os.close(self.main)
        return code


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture(scope="module")
def memory() -> MemoryKnowledge:
    return MemoryKnowledge()


@pytest.fixture(scope="module")
def served(memory: MemoryKnowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch, memory)
        with gateway(App("library"), data_dir=tmp_path_factory.mktemp("data")) as running:
            yield running


@pytest.fixture
def at_terminal(served: Any, memory: MemoryKnowledge, tmp_path: Path) -> Callable[..., Terminal]:
    memory.bases_by_name.clear()
    memory.put("tea", {"green.md": GREEN, "docs/black 红.md": BLACK})
    memory.pause_s = 0.0
    return lambda *arguments: Terminal(served.url, tmp_path, *arguments)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")


def test_what_matched_is_marked_and_chinese_takes_its_room(at_terminal: Callable[..., Terminal]) -> None:
    terminal = at_terminal("search", "tea", "沸水 steeping", "--whole")
    said = terminal.rest()
    assert terminal.close() == 0
    assert "\x1b[1;33m沸水\x1b[0m" in said
    assert "\x1b[1;33msteeped\x1b[0m" in said
    lines = plain(said).splitlines()
    assert lines[0] == " 1  black 红  0.667"
    assert lines[1] == "    docs/black 红.md · page 1 · Part › black 红"
    # Two columns for each ideograph: the passage is wrapped within the 60 there are.
    assert lines[2] == "    红茶用沸水冲泡。Black tea is steeped in boiling water."
    assert "why" not in said
    assert "It has" in said


@pytest.mark.slow
def test_a_bar_while_documents_are_taken_in(
    at_terminal: Callable[..., Terminal], memory: MemoryKnowledge, tmp_path: Path
) -> None:
    memory.pause_s = 0.1
    (tmp_path / "docs").mkdir()
    for number in range(8):
        (tmp_path / f"docs/{number}.md").write_text(f"Number {number}")
    (tmp_path / "docs/bad.md").write_bytes(b"\0")
    terminal = at_terminal("add", "tea", "docs")
    said = terminal.rest()
    assert terminal.close() == 1
    assert "━" in said
    assert re.search(
        r"tea: 8 added, 1 failed in \d+\.\d s\n.*1 failed:\n  docs/bad\.md: no text \[binary\]", plain(said)
    )


def test_questions_that_follow_each_other(at_terminal: Callable[..., Terminal], memory: MemoryKnowledge) -> None:
    terminal = at_terminal("ask", "tea")
    terminal.expect("Ctrl-D leaves.")
    terminal.expect("> ")
    terminal.type("green degrees\r")
    assert GREEN in plain(terminal.expect("[1]"))
    terminal.expect("> ")
    terminal.type("wait forever\r")
    terminal.expect("searching")
    terminal.type("\x03")
    terminal.expect("(stopped)")
    terminal.expect("> ")
    terminal.type("red 红茶\r")
    terminal.expect("[1]")
    terminal.expect("> ")
    asked = memory.asked[-1].messages or []  # type: ignore[attr-defined]
    assert [(one["role"], one["content"]) for one in asked] == [
        ("user", "green degrees"), ("assistant", GREEN), ("user", "red 红茶")
    ]  # fmt: skip
    terminal.type("\x04")
    assert terminal.close() == 0


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "left"), [("n", 2), ("y", 1)])
def test_it_is_asked_before_anything_is_removed(
    at_terminal: Callable[..., Terminal], memory: MemoryKnowledge, answer: str, left: int
) -> None:
    terminal = at_terminal("rm", "tea", "docs/*")
    assert "docs/black 红.md" in terminal.expect("Remove 1 document of tea?")
    terminal.type(f"{answer}\r")
    terminal.rest()
    assert terminal.close() == (1 if answer == "n" else 0)
    assert len(memory.bases_by_name["tea"].documents) == left


@pytest.mark.slow
def test_whoever_interrupts_is_told_that_the_job_goes_on(
    at_terminal: Callable[..., Terminal], memory: MemoryKnowledge
) -> None:
    memory.pause_s = 60
    terminal = at_terminal("add", "tea", "https://example.org/a")
    terminal.expect("queued")
    terminal.type("\x03")
    said = plain(terminal.rest())
    assert terminal.close() == 130
    job = max(memory.jobs_by_id, key=lambda name: int(name.removeprefix("job_")))
    assert f"The job {job} goes on; polyport kb jobs {job}" in " ".join(said.split())
    assert memory.jobs_by_id[job].status == "queued"
