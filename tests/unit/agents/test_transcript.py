"""What running code gave, as a model and a person read it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from polyport_gateway.agents.interpreter import read_code
from polyport_gateway.agents.transcript import Transcript
from polyport_sandbox import CodeError, Display, DisplayEvent, EndEvent, ErrorEvent, OutputEvent, RunResult

PNG = b"\x89PNG\r\n\x1a\n!"
JPEG = b"\xff\xd8\xff!"


def gathered(*events: Any, **result: Any) -> Transcript:
    transcript = Transcript()
    for event in (*events, EndEvent(RunResult(**{"status": "ok", "exit_code": 0, **result}))):
        transcript.add(event)
    return transcript


def shown(**data: Any) -> DisplayEvent:
    return DisplayEvent("display", Display({name.replace("_", "/"): value for name, value in data.items()}))


def test_everything_comes_in_its_order() -> None:
    transcript = gathered(
        OutputEvent("stdout", b"one"),
        shown(text_plain="two"),
        OutputEvent("stderr", b"three\n"),
        ErrorEvent(CodeError("E", "v", "Traceback\nE: v")),
        status="error",
        exit_code=1,
        error=CodeError("E", "v", "Traceback\nE: v"),
    )
    assert transcript.logs() == "one\ntwo\nthree\nTraceback\nE: v\n"
    assert transcript.text(10) == transcript.logs()


def test_characters_cut_in_two_and_bytes_that_are_no_text() -> None:
    word = "né€".encode()
    events = [OutputEvent("stdout", word[n : n + 1]) for n in range(len(word))]
    assert gathered(*events).logs() == "né€"
    assert gathered(OutputEvent("stdout", b"\xff"), OutputEvent("stdout", b"\xe2\x82")).logs() == "\ufffd\ufffd"


def test_a_traceback_that_was_printed_is_not_told_twice() -> None:
    transcript = gathered(
        OutputEvent("stderr", b"Traceback\nE: v\n"), ErrorEvent(CodeError("E", "v", "Traceback\nE: v\n"))
    )
    assert transcript.logs() == "Traceback\nE: v\n"


def test_pictures() -> None:
    transcript = gathered(
        shown(image_png=base64.b64encode(PNG).decode(), text_plain="<Figure>"),
        shown(image_jpeg=base64.b64encode(JPEG).decode()),
    )
    assert transcript.pictures == [("png", PNG), ("jpg", JPEG)]
    assert (transcript.logs(), transcript.text(1)) == ("", "")


@pytest.mark.parametrize("data", ["", "no base64!", base64.b64encode(b"GIF89a").decode(), 7, None])
def test_what_is_no_picture_is_told_as_text(data: Any) -> None:
    transcript = gathered(shown(image_png=data, text_plain="<Figure>"), shown(text_html="<p>", image_png=data))
    assert transcript.pictures == []
    assert transcript.logs() == "<Figure>\n[shown as image/png, text/html]\n"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"status": "timeout"}, "longer than 2.5 s"),
        (
            {"status": "out_of_memory", "detail": "the kernel ended"},
            "memory than the container has.]\n[the kernel ended]",
        ),
        ({"status": "output_limit"}, "printed too much"),
        ({"status": "killed", "exit_code": -11}, "was stopped"),
        ({"status": "error", "exit_code": 3}, "exit code 3"),
        ({"stdout_truncated": True}, "left out"),
        ({}, "printed nothing"),
    ],
)
def test_the_model_is_told_how_it_ended(result: dict[str, Any], words: str) -> None:
    assert words in gathered(**result).text(2.5)
    with_output = gathered(OutputEvent("stdout", b"out\n"), **result).text(2.5)
    assert with_output.startswith("out\n")
    assert (words in with_output) == bool(result)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"code": "x = 1"}', "x = 1"),
        (' {"code": ""} ', ""),
        ('"x = 1"', "x = 1"),
        ("x = 1\ny", "x = 1\ny"),
        ("print(1)", "print(1)"),
    ],
)
def test_code_is_read(arguments: str, code: str) -> None:
    assert read_code(arguments) == code


@pytest.mark.parametrize("arguments", ["", "  ", "{", '{"code": 1}', "{}", "[]", "3", "null", "[" * 100_000])
def test_what_is_no_code(arguments: str) -> None:
    with pytest.raises(ValueError, match="code"):
        read_code(arguments)
