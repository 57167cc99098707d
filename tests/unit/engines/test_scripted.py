"""`ScriptedEngine`: turns of every kind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polyport.events import Finish, ReasoningDelta, TextDelta, ToolCallDelta
from polyport.testing import ScriptedEngine, ScriptExhaustedError, ToolCall
from tests.support.calls import chat, collect, embedding

pytestmark = pytest.mark.anyio


async def test_turns_of_every_kind() -> None:
    async def answer(request: object) -> str:
        return f"asked for {request.model}"  # type: ignore[attr-defined]

    engine = ScriptedEngine(
        "plain", ToolCall("add", {"a": 1}, id="x"), [ReasoningDelta("hm"), TextDelta("!"), Finish("length")], answer
    )
    assert await collect(engine, chat()) == [TextDelta("plain"), Finish()]
    assert await collect(engine, chat()) == [ToolCallDelta(0, "x", "add", '{"a": 1}'), Finish("tool_calls")]
    assert await collect(engine, chat()) == [ReasoningDelta("hm"), TextDelta("!"), Finish("length")]
    assert engine.remaining == 1
    assert await collect(engine, chat()) == [TextDelta("asked for m"), Finish()]
    assert len(engine.requests) == 4
    with pytest.raises(ScriptExhaustedError, match="4 turns"):
        await collect(engine, chat())
    assert engine.remaining == 0


async def test_exceptions_whole_and_half_way() -> None:
    engine = ScriptedEngine(ValueError("at once"), [TextDelta("a"), KeyError("later")])
    with pytest.raises(ValueError, match="at once"):
        await collect(engine, chat())
    events = engine.chat(None, chat())
    assert await anext(events) == TextDelta("a")
    with pytest.raises(KeyError):
        await anext(events)


async def test_streaming_and_choices() -> None:
    events = await collect(ScriptedEngine("a b"), chat(n=2, stream=True))
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["a", " b"] * 2


async def test_a_turn_that_is_none_and_an_operation_not_offered() -> None:
    with pytest.raises(TypeError, match="turn 1"):
        await collect(ScriptedEngine(3), chat())  # type: ignore[arg-type]
    with pytest.raises(Exception, match="does not offer embedding"):
        await collect(ScriptedEngine("x", operations=["chat"]), embedding())


def test_it_needs_no_gateway() -> None:
    code = "import sys, polyport.testing; sys.exit(any(m.startswith('polyport_gateway') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
