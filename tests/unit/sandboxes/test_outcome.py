"""What a model reads of a run, and how a tool is shown to code."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from polyport.content import EmbeddedResource, Image, Text
from polyport.types.sandbox import CodeOutcome
from polyport_gateway.sandboxes.code_mode import signature_line
from polyport_gateway.sandboxes.outcome import make_outcome, outcome_content, outcome_text
from polyport_gateway.sandboxes.progress import OutputReporter
from polyport_sandbox import CodeError, Display, RunResult, SkippedFile

PNG = b"\x89PNG"


def text_of(result: RunResult) -> str:
    return outcome_text(make_outcome(result))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (RunResult("ok", 0), "[no output]"),
        (RunResult("ok", 0, b"a\n"), "a"),
        (RunResult("ok", 0, b"\xff"), "\ufffd"),
        (RunResult("ok", 0, b"a\n", displays=(Display({"text/plain": "42"}, is_result=True),)), "a\n42"),
        (RunResult("error", 1, b"a\n", b"Traceback\nKeyError: k\n", error=CodeError("KeyError", "k", "T")),
         "a\n[stderr]\nTraceback\nKeyError: k\n[exit code 1]"),
        (RunResult("error", None, error=CodeError("KeyError", "k", "T")), "T\n[it failed]"),
        (RunResult("timeout", -9, b"so far"),
         "so far\n[timeout: it was still running at its time limit and was killed]"),
        (RunResult("sandbox_error", detail="lost"),
         "[sandbox_error: the sandbox failed, not the code; try again (lost)]"),
        (RunResult("output_limit", -9, b"a", stdout_truncated=True),
         "a\n[output cut at its limit]\n[output_limit: it wrote more than its output limit and was killed]"),
        (RunResult("ok", 0, files={"b": b"12", "a": b"1"}, skipped_files=(SkippedFile("l", "a link"),)),
         "[files: a (1 bytes), b (2 bytes)]\n[file left out: l: a link]"),
    ],
)  # fmt: skip
def test_the_text_says_all_that_matters(result: RunResult, text: str):
    assert text_of(result) == text


def test_small_texts_come_within_and_bytes_beside():
    files = {
        "a.txt": b"text",
        "b.bin": b"\x00\xff",
        "big.txt": b"x" * 9000,
        "huge.bin": b"\xff" * (2 << 20),
        "p.png": PNG,
    }
    result = RunResult("ok", 0, files=files, displays=(Display({"image/png": base64.b64encode(PNG).decode()}),))
    outcome = make_outcome(result, session="cntr_x")
    assert {file.name: file.text for file in outcome.files} == {
        "a.txt": "text", "b.bin": None, "big.txt": None, "huge.bin": None, "p.png": None,
    }  # fmt: skip
    assert outcome.session == "cntr_x"
    content = outcome_content("said", result)
    left_out = "[too large to come along: huge.bin (2097152 bytes); make it smaller, or show less of it]"
    assert content == (
        Text(f"said\n{left_out}"),
        Image(PNG),
        EmbeddedResource("sandbox:///a.txt", "text", "text/plain"),
        EmbeddedResource("sandbox:///b.bin", b"\x00\xff", "application/octet-stream"),
        EmbeddedResource("sandbox:///big.txt", "x" * 9000, "text/plain"),
        Image(PNG),
    )
    assert outcome_content("said", RunResult("ok")) == ()


@pytest.mark.parametrize("text", ["z", "\u4f60"])
def test_whatever_a_run_gives_fits_into_one_event_of_a_client(text: str):
    # The `mcp` package's client gives a stream up at an event over 1 MiB.
    long = (text * 1_000_000).encode()
    picture = Display({"image/png": base64.b64encode(b"p" * 300_000).decode(), "text/plain": text * 30_000})
    files = {f"{number}.txt": (text * 2_000).encode() for number in range(64)} | {"b.bin": b"\xff" * 300_000}
    result = RunResult("error", 1, long, long, files, displays=(picture,) * 20, error=CodeError("E", text * 90_000, ""))
    outcome = make_outcome(result)
    assert outcome.truncated
    assert outcome.stdout.startswith(text)
    assert "characters left out" in outcome.stdout
    told = outcome_text(outcome)
    content = outcome_content(told, result)
    assert "too large to come along: picture 2 (300000 bytes)" in content[0].text
    sizes = [len(part.text.encode()) if isinstance(part, Text) else _encoded(part) for part in content]
    assert sum(sizes) + len(outcome.model_dump_json().encode()) < 1 << 20


def _encoded(part: Any) -> int:
    data = part.data if isinstance(part, Image) else part.content
    return len(data.encode()) if isinstance(data, str) else len(base64.b64encode(data))


def test_a_broken_picture_is_left_out():
    assert outcome_content("said", RunResult("ok", displays=(Display({"image/png": "!!!"}),))) == ()


def test_the_outcome_is_what_its_schema_says():
    assert CodeOutcome.model_validate(make_outcome(RunResult("ok", 0)).model_dump()).status == "ok"


class Tool:
    def __init__(self, name: str, schema: dict[str, Any], output: Any = None, description: str = "") -> None:
        self.name, self.description = name, description
        self.tool = type("Schema", (), {"input": schema, "output": output})()


@pytest.mark.parametrize(
    ("tool", "line"),
    [
        (Tool("ping", {}), "ping()"),
        (Tool("kb.search", {"properties": {"q": {"type": "string"}}, "required": ["q"]}, description="Find.\nMore."),
         "kb_search(q: str)  # Find."),
        (Tool("1st", {"properties": {"n": {"type": "integer", "default": 2}}}), 'call("1st", n: int = 2)'),
        (Tool("f", {"properties": {"x": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "y": {"enum": ["a", "b"]},
                                   "z": {"type": "array", "items": {"$ref": "#/$defs/P"}}, "w": True}},
              {"type": "object"}),
         "f(x: int|None = …, y: 'a'|'b' = …, z: list[dict] = …, w: Any = …) -> dict"),
    ],
)  # fmt: skip
def test_a_tool_is_one_line_of_python(tool: Any, line: str):
    assert signature_line(tool) == line


@pytest.mark.anyio
async def test_progress_keeps_characters_whole_and_is_not_told_too_often():
    import asyncio

    told: list[Any] = []
    reporter = OutputReporter(told.append)
    reporter.add("stdout", b"\xc3")
    assert told == []
    reporter.add("stdout", b"\xa9a")
    for _ in range(1000):
        reporter.add("stdout", b"x" * 100)
    assert [event.message for event in told] == ["éa"]
    await asyncio.sleep(0.25)
    assert len(told) == 2
    assert told[1].message == "x" * 4096
    assert told[1].progress > told[0].progress
    reporter.add("stderr", b"late")
    reporter.close()
    await asyncio.sleep(0.15)
    assert len(told) <= 3
