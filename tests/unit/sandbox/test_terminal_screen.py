from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox import (
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    InvalidRunError,
    OutputEvent,
    RunResult,
    SkippedFile,
    Usage,
)
from polyport_sandbox.terminal.clean import Cleaner
from polyport_sandbox.terminal.run import exit_status, guess_language, read_file, read_files
from polyport_sandbox.terminal.screen import Screen

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Stream(io.TextIOWrapper):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def said(self) -> bytes:
        return self.buffer.getvalue()


def shown(*events: Any, folder: Path | None = None, terminal: bool = False) -> tuple[bytes, bytes]:
    out, err = Stream(terminal=terminal), Stream(terminal=terminal)
    screen = Screen(folder, out=out, err=err)
    for event in events:
        screen.show(event)
    return out.said, err.said


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"plain\n\ttext\r\n", "plain\n\ttext\r\n"),
        ("Grüße, 销售额 🎉".encode(), "Grüße, 销售额 🎉"),
        (b"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        (b"\x1b]0;title\x07", "␛]0;title␇"),
        (b"\x1b[2J\x1b[H", "␛[2J␛[H"),
        (b"\x1b[6n\x1bc", "␛[6n␛c"),
        (b"a\x00\x7f\x9b2J", "a␀␡�2J"),
        (b"\xc2\x9b2J", "�2J"),
        (b"\x1b", "␛"),
        (b"\x1b[31", "␛[31"),
    ],
)
def test_a_terminal_is_given_colours_and_nothing_else_that_steers_it(data: bytes, expected: str):
    assert Cleaner().feed(data, last=True) == expected
    piecemeal = Cleaner()
    assert (
        "".join([*(piecemeal.feed(data[i : i + 1]) for i in range(len(data))), piecemeal.feed(b"", last=True)])
        == expected
    )


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"\x1b", b"[", b"0m", b"]0;", b"\x9b"])))
def test_no_other_control_character_comes_through_however_it_is_cut(parts: list[bytes]):
    cleaner = Cleaner()
    text = "".join([*(cleaner.feed(part) for part in parts), cleaner.feed(b"", last=True)])
    assert text == Cleaner().feed(b"".join(parts), last=True)
    rest = text
    while (start := rest.find("\x1b")) >= 0:
        assert rest[start + 1] == "["
        end = rest.index("m", start)
        assert set(rest[start + 2 : end]) <= set("0123456789;:")
        rest = rest[end + 1 :]
    assert not any((ord(c) < 32 and c not in "\n\t\r\x1b") or 127 <= ord(c) < 160 for c in text)


def test_a_pipe_gets_every_byte():
    data = bytes(range(256))
    out, err = shown(OutputEvent("stdout", data), OutputEvent("stderr", data), EndEvent(RunResult("ok", 0)))
    assert (out, err) == (data, data)


def test_displays_are_shown_as_text_and_kept_as_pictures(tmp_path: Path):
    events = (
        DisplayEvent("result", Display({"text/plain": "42"}, is_result=True)),
        DisplayEvent("display", Display({"image/png": base64.b64encode(PNG).decode(), "text/plain": "<Figure>"})),
        DisplayEvent("display", Display({"image/svg+xml": "<svg/>"})),
        DisplayEvent("display", Display({"text/html": "<b>x</b>", "text/plain": "x"})),
        DisplayEvent("display", Display({"application/json": {"a": [1]}})),
        DisplayEvent("display", Display({"video/mp4": "AAAA"})),
    )
    out, err = shown(*events, folder=tmp_path / "new")
    assert out == b'42\nx\n{"a": [1]}\n'
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        "display-1.png": PNG, "display-2.svg": b"<svg/>", "display-3.html": b"<b>x</b>",
    }  # fmt: skip
    assert f"saved {tmp_path}/new/display-1.png (28 bytes)".encode() in err
    assert b"(a display of video/mp4)" in err
    _, err = shown(*events)
    assert b"(PNG of 28 bytes; --out FOLDER keeps it)" in err


def test_a_picture_that_is_none_is_not_kept(tmp_path: Path):
    shown(DisplayEvent("display", Display({"image/png": "not base64!", "text/plain": "x"})), folder=tmp_path)
    assert not list(tmp_path.glob("*.png")) or (tmp_path / "display-1.png").read_bytes()


@pytest.mark.parametrize("name", ["../out.txt", "/etc/x", "a/../../x", "a\x00b", "", "\x1b]0;evil\x07/../x"])
def test_a_file_s_name_leads_nowhere_else(tmp_path: Path, name: str):
    folder = tmp_path / "in" / "out"
    _, err = shown(EndEvent(RunResult("ok", 0, files={name: b"x", "fine/a.txt": b"y"})), folder=folder)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "fine/a.txt"]
    assert b"left out" in err
    assert b"\x1b" not in err


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path):
    outside, folder = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    folder.mkdir()
    (folder / "linked").symlink_to(outside)
    (folder / "file").symlink_to(outside / "file")
    _, err = shown(EndEvent(RunResult("ok", 0, files={"linked/x": b"x", "file": b"y"})), folder=folder)
    assert list(outside.iterdir()) == []
    assert err.count(b"a link is in its place") == 2


def test_an_exception_is_shown_once():
    error = ErrorEvent(CodeError("ValueError", "no", "Traceback …\nValueError: no"))
    _, err = shown(error)
    assert err == "Traceback …\nValueError: no\n".encode()
    _, err = shown(OutputEvent("stderr", "Traceback …\nValueError: no\n".encode()), error)
    assert err.count(b"ValueError: no") == 1
    _, err = shown(OutputEvent("stderr", b"a warning\n"), error)
    assert err.count(b"ValueError: no") == 1


@pytest.mark.parametrize(
    ("result", "said", "status"),
    [
        (RunResult("ok", 0), b"", 0),
        (RunResult("error", 3), b"", 3),
        (RunResult("error", None), b"", 1),
        (RunResult("timeout", -9, usage=Usage(wall_s=10.02)), b"timeout: it was still running after 10.0 s\n", 124),
        (RunResult("out_of_memory", -9), b"out_of_memory: the kernel ended it for memory\n", 137),
        (RunResult("killed", -11), b"killed: a signal ended it\n", 139),
        (RunResult("killed", None), b"killed: a signal ended it\n", 137),
        (RunResult("output_limit", -9), b"output_limit: it wrote more than is kept\n", 126),
        (RunResult("sandbox_error", detail="lost"), b"sandbox_error: lost\n", 125),
        (RunResult("ok", 0, skipped_files=(SkippedFile("l\n", "a link"),)), "(left out: l�: a link)\n".encode(), 0),
    ],
)
def test_how_it_ended_is_told(result: RunResult, said: bytes, status: int):
    assert shown(EndEvent(result))[1] == said
    assert exit_status(result) == status


def test_files_are_read_by_name_or_by_their_own(tmp_path: Path):
    (tmp_path / "data.csv").write_bytes(b"a,b\n")
    assert read_files([f"in/x.csv={tmp_path}/data.csv", f"{tmp_path}/data.csv"]) == {
        "in/x.csv": b"a,b\n", "data.csv": b"a,b\n",
    }  # fmt: skip
    with pytest.raises(InvalidRunError, match=r"two files are called 'data\.csv'"):
        read_files([f"{tmp_path}/data.csv", f"data.csv={tmp_path}/data.csv"])
    with pytest.raises(InvalidRunError, match=r"none can't be read: No such file"):
        read_file(f"{tmp_path}/none")
    with pytest.raises(InvalidRunError, match="Is a directory"):
        read_file(str(tmp_path))


def test_the_ending_says_the_language():
    assert [guess_language(name) for name in ("a.py", "a.SH", "b.js", "-", "x")] == [
        "python", "bash", "javascript", "python", "python",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.ts", "folder/b.rb", "x.txt"])
def test_an_ending_that_says_nothing_is_refused_rather_than_run_as_python(name: str):
    with pytest.raises(InvalidRunError, match="--language"):
        guess_language(name)
