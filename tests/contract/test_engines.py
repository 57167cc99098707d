"""What every engine keeps to: the same calls, run over each of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polyport.errors import CallError, UnsupportedOperationError, UnsupportedParameterError
from polyport.events import Finish, Result, TextDelta, ToolCallDelta, Usage
from polyport.testing import ScriptedEngine, ToolCall
from polyport_gateway.call import Call, Operation, RawFrame
from polyport_gateway.engines.base import Engine
from polyport_gateway.engines.echo import EchoEngine
from polyport_gateway.engines.litellm import LiteLLMEngine
from polyport_gateway.engines.openai import OpenAIEngine
from tests.support.calls import chat, collect, completion, embedding, invoke, make_call, rerank
from tests.support.upstream import Behaviour, Upstream

pytestmark = pytest.mark.anyio

TEXT = "three little words"
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("add", "sub")
]
CALLS = (("add", '{"a": 1}'), ("sub", '{"b": 2}'))
TOOL_PROMPT = '/tool add {"a": 1}\n/tool sub {"b": 2}'
VECTORS = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}], "model": "m"}

LITELLM = [
    pytest.param(
        name,
        marks=[
            pytest.mark.requires("litellm"),
            # What litellm leaves behind at the end of a loop is its own affair.
            pytest.mark.filterwarnings("ignore"),
        ],
    )
    for name in ("litellm-openai", "litellm-anthropic")
]
ENGINES = ["echo", "scripted", "openai", *LITELLM]
REMOTE = ["openai", *LITELLM]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


class Subject:
    """One engine, told to answer `TEXT` or to make `CALLS`."""

    def __init__(self, name: str, upstream: Upstream) -> None:
        self.name = name
        self.upstream = upstream
        upstream.behaviour = Behaviour(pieces=("three", " little", " words"))
        self.engine = self._build()

    def _build(self, *turns: Any, delay: float = 0.0) -> Any:
        match self.name:
            case "echo":
                return EchoEngine("m", delay_s=delay)
            case "scripted":
                return ScriptedEngine(*(turns or (TEXT,) * 4), delay=delay)
            case "openai":
                return OpenAIEngine("m", base_url=self.upstream.url)
            case "litellm-openai":
                return LiteLLMEngine("openai/m", api_key="sk-test-key", api_base=self.upstream.url)
            case _:
                return LiteLLMEngine("anthropic/m", api_key="sk-test-key", api_base=self.upstream.origin)

    def calls_tools(self) -> None:
        self.upstream.behaviour = Behaviour(pieces=(), tool_calls=CALLS)
        if self.name == "scripted":
            self.engine = ScriptedEngine([ToolCall(name, arguments) for name, arguments in CALLS])

    def is_slow(self) -> None:
        pieces = ("three", " little", " words")
        self.upstream.behaviour = Behaviour(pieces=pieces, piece_delay_s=0.5, delay_s=0.5)
        if self.name in ("echo", "scripted"):
            self.engine = self._build(delay=0.5)


@pytest.fixture(params=ENGINES)
async def subject(request: pytest.FixtureRequest, upstream: Upstream) -> AsyncIterator[Subject]:
    made = Subject(request.param, upstream)
    await made.engine.start()
    yield made
    await made.engine.close()


def finishes(events: list[Any]) -> list[Finish]:
    return [event for event in events if isinstance(event, Finish)]


def text(events: list[Any], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


async def test_follows_the_protocol(subject: Subject) -> None:
    assert isinstance(subject.engine, Engine)
    assert Operation.CHAT in subject.engine.operations


@pytest.mark.parametrize("stream", [False, True])
async def test_chat_text_one_finish_usage_at_most_once(subject: Subject, stream: bool) -> None:
    events = await collect(subject.engine, chat(TEXT, stream=stream))
    assert text(events) == TEXT
    assert finishes(events) == [Finish("stop", 0)]
    assert sum(isinstance(event, Usage) for event in events) <= 1
    if subject.name != "scripted":
        usage = next(event for event in events if isinstance(event, Usage))
        assert usage.prompt_tokens > 0
        assert usage.completion_tokens == 3
    if stream:
        assert sum(isinstance(event, TextDelta) for event in events) == 3


async def test_several_choices_each_end_once(subject: Subject) -> None:
    if subject.name == "litellm-anthropic":
        with pytest.raises(CallError) as caught:
            await collect(subject.engine, chat(TEXT, n=2))
        assert (caught.value.status, caught.value.code) == (400, "unsupported_parameter")
        assert "drop_params" not in caught.value.message
        return
    events = await collect(subject.engine, chat(TEXT, n=2, stream=True))
    assert text(events, 0) == text(events, 1) == TEXT
    assert sorted(finish.choice for finish in finishes(events)) == [0, 1]


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls_have_indexes_in_order_and_whole_arguments(subject: Subject, stream: bool) -> None:
    if stream and subject.name == "litellm-anthropic":
        pytest.skip("the loopback server streams only text in Anthropic's form")
    subject.calls_tools()
    events = await collect(subject.engine, chat(TOOL_PROMPT, tools=TOOLS, stream=stream))
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert list(dict.fromkeys(delta.index for delta in deltas)) == [0, 1]
    for index, (name, arguments) in enumerate(CALLS):
        mine = [delta for delta in deltas if delta.index == index]
        assert mine[0].id
        assert [delta.name for delta in mine if delta.name] == [name]
        assert all(delta.id is None for delta in mine[1:])
        assert "".join(delta.arguments for delta in mine) == arguments
    assert len({delta.id for delta in deltas if delta.id}) == 2
    assert finishes(events) == [Finish("tool_calls", 0)]


async def test_completion(subject: Subject) -> None:
    if subject.name == "litellm-anthropic":
        pytest.skip("Anthropic has no completions of its own")
    events = await collect(subject.engine, completion(TEXT, stream=True))
    assert text(events) == TEXT
    assert len(finishes(events)) == 1


@pytest.mark.parametrize("subject", LITELLM[1:], indirect=True)
@pytest.mark.parametrize(
    ("param", "members"),
    [
        ("echo", {"echo": True}),
        ("logprobs", {"logprobs": 0}),
        ("suffix", {"suffix": "."}),
        ("best_of", {"best_of": 2}),
        ("prompt", {"prompt": ["one", "two"]}),
        ("prompt", {"prompt": [1, 2]}),
    ],
)
async def test_a_completion_by_a_chat_model_refuses_what_it_would_drop(
    subject: Subject, param: str, members: dict[str, Any]
) -> None:
    before = len(subject.upstream.requests)
    with pytest.raises(UnsupportedParameterError) as caught:
        await collect(subject.engine, completion(**{"prompt": TEXT, **members}))
    assert caught.value.param == param
    assert len(subject.upstream.requests) == before
    neutral = completion([TEXT], echo=False, best_of=1, suffix=None)
    assert text(await collect(subject.engine, neutral)) == TEXT


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embedding_gives_one_body(subject: Subject, encoding: str) -> None:
    if subject.name == "litellm-anthropic":
        pytest.skip("Anthropic has no embeddings")
    if subject.name == "scripted":
        subject.engine = ScriptedEngine(VECTORS)
    events = await collect(subject.engine, embedding("one", encoding_format=encoding))
    (result,) = [event for event in events if isinstance(event, Result)]
    entry = result.value["data"][0]
    assert entry["index"] == 0
    if subject.name in ("echo", "litellm-openai"):
        assert isinstance(entry["embedding"], list if encoding == "float" else str)
    assert len(finishes(events)) == 1


RANKING = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}


@pytest.mark.parametrize("raw", [False, True])
async def test_reranking_gives_one_body_or_is_refused(subject: Subject, raw: bool) -> None:
    if subject.name == "scripted":
        subject.engine = ScriptedEngine(RANKING)
    elif subject.name == "openai":
        subject.engine = OpenAIEngine("m", base_url=subject.upstream.url, operations=["rerank"])
    else:
        assert Operation.RERANK not in subject.engine.operations
        with pytest.raises(UnsupportedOperationError):
            await collect(subject.engine, rerank(), raw=raw)
        return
    events = await collect(subject.engine, rerank("which?", ["one", "two"], top_n=2), raw=raw)
    (answer,) = [event for event in events if isinstance(event, Result | RawFrame)]
    body = json.loads(answer.data) if isinstance(answer, RawFrame) else answer.value
    assert isinstance(answer, RawFrame) == (raw and subject.name == "openai")
    assert [result["index"] for result in body["results"]] == [1, 0]
    assert len(finishes(events)) == 1
    if subject.name == "openai":
        assert next(event for event in events if isinstance(event, Usage)).prompt_tokens == 5
        asked = subject.upstream.last
        assert asked.path.endswith("/v1/rerank")
        assert asked.body == {"model": "m", "query": "which?", "documents": ["one", "two"], "top_n": 2}
        await subject.engine.close()


async def test_a_call_that_takes_no_frames_gets_none(subject: Subject) -> None:
    events = await collect(subject.engine, chat(TEXT, stream=True), raw=False)
    assert not any(isinstance(event, RawFrame) for event in events)


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelling_ends_it_within_a_second(subject: Subject, stream: bool) -> None:
    # litellm's first call builds its clients.
    await collect(subject.engine, chat(TEXT))
    subject.is_slow()
    call: Call = make_call(chat(TEXT, stream=stream))
    before = len(subject.upstream.requests)

    async def consume() -> None:
        async for _ in invoke(subject.engine, call):
            pass

    task = asyncio.ensure_future(consume())
    await asyncio.sleep(0.3)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if subject.name in ("echo", "scripted"):
        assert time.monotonic() - started < 1
        return
    assert len(subject.upstream.requests) == before + 1
    assert await asyncio.to_thread(subject.upstream.last.gone.wait, 1)
    assert time.monotonic() - started < 1


async def test_closing_a_stream_half_way_ends_it(subject: Subject) -> None:
    await collect(subject.engine, chat(TEXT))
    subject.is_slow()
    events = invoke(subject.engine, make_call(chat(TEXT, stream=True)))
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()
    if subject.name == "scripted":
        assert subject.engine.closed_early == 1
    elif subject.name != "echo":
        assert await asyncio.to_thread(subject.upstream.last.gone.wait, 1)


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (400, 400, None),
        (401, 502, "upstream_refused_key"),
        (403, 502, "upstream_refused_key"),
        (404, 502, "upstream_not_found"),
        (429, 429, None),
        (500, 502, "upstream_error"),
        (503, 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("subject", REMOTE, indirect=True)
async def test_an_upstreams_refusal(subject: Subject, status: int, expected: int, code: str | None) -> None:
    subject.upstream.behaviour = Behaviour(
        status=status, error={"message": "said with sk-test-key"}, headers={"retry-after": "7"}
    )
    before = len(subject.upstream.requests)
    with pytest.raises(CallError) as caught:
        await collect(subject.engine, chat(TEXT))
    assert caught.value.status == expected
    assert code is None or caught.value.code == code
    assert "sk-test-key" not in (caught.value.message if subject.name != "openai" else "")
    if status == 400:
        assert caught.value.message.startswith("said with ")
    if status == 429:
        assert caught.value.retry_after == 7
    assert len(subject.upstream.requests) == before + 1, "it was tried again"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("subject", REMOTE, indirect=True)
async def test_nobody_there(subject: Subject, stream: bool) -> None:
    port_nobody_listens_on = "http://127.0.0.1:9"
    if subject.name == "openai":
        engine: Any = OpenAIEngine("m", base_url=f"{port_nobody_listens_on}/v1")
    else:
        model = "openai/m" if subject.name == "litellm-openai" else "anthropic/m"
        engine = LiteLLMEngine(model, api_key="sk-test-key", api_base=port_nobody_listens_on)
    with pytest.raises(CallError) as caught:
        await collect(engine, chat(TEXT, stream=stream))
    await engine.close()
    assert (caught.value.status, caught.value.code) == (502, "upstream_unreachable")
    assert "127.0.0.1" not in caught.value.message
