"""`EchoEngine`: what it says is what its documentation promises."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.errors import BadRequestError
from polyport.events import Finish, TextDelta, ToolCallDelta, Usage
from polyport_gateway.engines.echo import EchoEngine, count_tokens, split_pieces
from polyport_gateway.engines.vectors import hashed_vector
from tests.support.calls import chat, collect, completion, embedding

pytestmark = pytest.mark.anyio

ENGINE = EchoEngine("echo")
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("add", "sub")]


async def said(given_chat: Any) -> tuple[str, str, int]:
    events = await collect(ENGINE, given_chat)
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    (finish,) = [e for e in events if isinstance(e, Finish)]
    (usage,) = [e for e in events if isinstance(e, Usage)]
    return text, finish.reason, usage.completion_tokens


@given(st.text())
def test_pieces_join_to_the_text(text: str) -> None:
    pieces = split_pieces(text)
    assert "".join(pieces) == text
    assert count_tokens(text) == len(pieces)


def test_chinese_is_cut_by_character() -> None:
    assert split_pieces("你好 world 再见") == ["你", "好", " world", " 再", "见"]


async def test_the_last_user_message_comes_back() -> None:
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    assert await said(chat([*messages, {"role": "user", "content": "three four"}])) == ("three four", "stop", 2)
    parts = [{"type": "text", "text": "in"}, {"type": "text", "text": "parts"}]
    assert (await said(chat([{"role": "user", "content": parts}])))[0] == "in\nparts"


async def test_stop_and_limits() -> None:
    assert await said(chat("one two three", stop=["three", " tw"])) == ("one", "stop", 1)
    assert await said(chat("one two three", max_tokens=2)) == ("one two", "length", 2)
    assert await said(chat("one two three", max_completion_tokens=3)) == ("one two three", "stop", 3)
    assert await said(chat("one two", seed=1, stream=True)) == await said(chat("one two", seed=2))


async def calls(text: str, **members: Any) -> list[tuple[str | None, str]]:
    events = await collect(ENGINE, chat(text, tools=TOOLS, **members))
    return [(e.name, e.arguments) for e in events if isinstance(e, ToolCallDelta)]


async def test_tool_calls_are_spelled_out() -> None:
    both = '/tool add {"a": 1}\n/tool sub'
    assert await calls(both) == [("add", '{"a": 1}'), ("sub", "{}")]
    assert await calls(both, parallel_tool_calls=False) == [("add", '{"a": 1}')]
    assert await calls(both, tool_choice="none") == []
    assert await calls("/tool other {}") == []
    assert await calls("hello") == []
    assert await calls("hello", tool_choice="required") == [("add", "{}")]
    named = {"type": "function", "function": {"name": "sub"}}
    assert await calls("hello", tool_choice=named) == [("sub", "{}")]
    assert await calls(both, tool_choice=named) == [("sub", "{}")]
    with pytest.raises(BadRequestError, match="tool_choice"):
        await calls("hello", tool_choice={"type": "function", "function": {"name": "other"}})


async def test_results_of_tools_are_the_answer() -> None:
    asked = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "/tool add {}"},
        {"role": "assistant", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c", "content": "3"},
        {"role": "tool", "tool_call_id": "d", "content": "4"},
    ]
    assert (await said(chat(messages, tools=TOOLS)))[:2] == ("3\n4", "stop")


async def test_completion_echo_and_several_prompts() -> None:
    events = await collect(ENGINE, completion(["a b", "c"], echo=True, max_tokens=1, n=2))
    texts = ["".join(e.text for e in events if isinstance(e, TextDelta) and e.choice == i) for i in range(4)]
    assert texts == ["a ba", "a ba", "cc", "cc"]
    assert [e.reason for e in events if isinstance(e, Finish)] == ["length", "length", "stop", "stop"]
    with pytest.raises(BadRequestError, match="tokens"):
        await collect(ENGINE, completion([1, 2]))


async def test_embeddings() -> None:
    (result, usage, _) = await collect(ENGINE, embedding(["good morning", "good morninG!"], dimensions=64))
    first, second = (entry["embedding"] for entry in result.value["data"])
    assert len(first) == 64
    assert math.isclose(sum(value * value for value in first), 1.0, rel_tol=1e-5)
    assert sum(a * b for a, b in zip(first, second, strict=True)) > 0.7
    assert usage.prompt_tokens == 4
    packed = (await collect(ENGINE, embedding("good morning", dimensions=64, encoding_format="base64")))[0]
    unpacked = struct.unpack("<64f", base64.b64decode(packed.value["data"][0]["embedding"]))
    assert list(unpacked) == first
    assert len((await collect(ENGINE, embedding("x")))[0].value["data"][0]["embedding"]) == 256
    with pytest.raises(BadRequestError, match="empty"):
        await collect(ENGINE, embedding(["a", ""]))


@given(st.text(), st.integers(1, 40))
def test_every_text_has_a_vector_of_length_one(text: str, dimensions: int) -> None:
    vector = hashed_vector(text, dimensions)
    assert math.isclose(math.sqrt(sum(value * value for value in vector)), 1.0, rel_tol=1e-4)


def test_what_it_cannot_do_is_not_declared() -> None:
    assert not ENGINE.features & {"logprobs", "images", "response_format", "audio", "logit_bias", "*"}


@pytest.mark.parametrize("options", [{"dimensions": 0}, {"delay_s": -1}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        EchoEngine("echo", **options)
