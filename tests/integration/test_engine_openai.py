"""`OpenAIEngine` against a real server on loopback, well-behaved and not."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest

from polyport.errors import CallError, ConfigurationError
from polyport.events import Finish, ReasoningDelta, Result, Usage
from polyport_gateway.call import RawFrame
from polyport_gateway.engines.openai import OpenAIEngine
from tests.support.calls import chat, collect, completion, embedding, make_call, moderation
from tests.support.upstream import Behaviour, Upstream

pytestmark = pytest.mark.anyio

USAGE = Usage(prompt_tokens=7, completion_tokens=3, cached_tokens=2, reasoning_tokens=1)
ASKED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
async def engine(upstream: Upstream) -> AsyncIterator[OpenAIEngine]:
    made = OpenAIEngine(
        "their-name",
        base_url=f"{upstream.url}/?api-version=7&sig=query-secret",
        api_key="sk-very-secret",
        headers={"X-Team": "header-secret"},
        timeout_s=1,
        max_answer_bytes=500_000,
    )
    await made.start()
    yield made
    await made.close()


def raw_bytes(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, RawFrame))


async def failure(engine: OpenAIEngine, given: Any, **more: Any) -> tuple[CallError, list[Any]]:
    got: list[Any] = []

    async def consume() -> None:
        async for event in engine.chat(make_call(given, **more), given):
            got.append(event)

    with pytest.raises(CallError) as caught:
        await consume()
    return caught.value, got


async def test_only_the_model_changes_on_the_way_in(engine: OpenAIEngine, upstream: Upstream) -> None:
    body = {"temperature": 0.5, "vendor_thing": {"a": [1, None]}, "n": 1, "seed": 3}
    await collect(engine, chat("hi", **body), raw=True, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    sent = upstream.last
    assert sent.body == {"messages": [{"role": "user", "content": "hi"}], **body, "model": "their-name"}
    assert sent.path == "/v1/chat/completions"
    assert sent.query == "api-version=7&sig=query-secret"
    assert sent.headers["authorization"] == "Bearer sk-very-secret"
    assert sent.headers["x-team"] == "header-secret"
    assert sent.headers["x-request-id"] == "req_test"
    assert sent.headers["traceparent"].startswith("00-aaaa")
    assert sent.headers["content-type"] == "application/json"


async def test_a_plain_answer_is_handed_on_byte_for_byte(engine: OpenAIEngine) -> None:
    events = await collect(engine, chat("hi"), raw=True)
    frame, *rest = events
    assert json.loads(frame.data)["choices"][0]["message"]["content"] == "Hello, world"
    assert rest == [USAGE, Finish("stop", 0)]


@pytest.mark.parametrize("fragment", [None, 1, 7, 64])
async def test_a_stream_is_handed_on_in_whole_events(
    engine: OpenAIEngine, upstream: Upstream, fragment: int | None
) -> None:
    upstream.behaviour = Behaviour(fragment=fragment)
    events = await collect(engine, chat("hi", **ASKED), raw=True)
    frames = [event.data for event in events if isinstance(event, RawFrame)]
    assert all(frame.endswith(b"\n\n") for frame in frames)
    data = [line[6:] for line in b"".join(frames).split(b"\n\n") if line]
    assert data[-1] == b"[DONE]"
    chunks = [orjson.loads(line) for line in data[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "Hello, world"
    assert [event for event in events if not isinstance(event, RawFrame)] == [USAGE, Finish("stop", 0)]


async def test_usage_is_not_asked_for_behind_a_callers_back(engine: OpenAIEngine, upstream: Upstream) -> None:
    events = await collect(engine, chat("hi", stream=True), raw=True)
    assert "stream_options" not in upstream.last.body
    assert b"usage" not in raw_bytes(events)
    assert not any(isinstance(event, Usage) for event in events)
    events = await collect(engine, chat("hi", stream=True))
    assert USAGE in events


async def test_reasoning_is_told_apart(engine: OpenAIEngine, upstream: Upstream) -> None:
    upstream.behaviour = Behaviour(reasoning="hm")
    for stream in (False, True):
        assert ReasoningDelta("hm") in await collect(engine, chat("hi", stream=stream))


async def test_other_operations(upstream: Upstream) -> None:
    engine = OpenAIEngine("m", base_url=upstream.url, operations=["embedding", "moderation", "completion"])
    for given in (embedding(["a", "b"]), moderation(), completion("a")):
        raw = await collect(engine, given, raw=True)
        assert isinstance(raw[0], RawFrame)
        assert isinstance(raw[-1], Finish)
    result = (await collect(engine, embedding(["a", "b"], dimensions=3)))[0]
    assert isinstance(result, Result)
    assert len(result.value["data"]) == 2
    large = await collect(engine, embedding(["a"] * 30, dimensions=2000), raw=True)
    assert len(large[0].data) > 32 * 1024
    assert large[1:] == [Usage(prompt_tokens=3), Finish()]
    await engine.close()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(cut_after=1), "upstream_cut"),
        (Behaviour(end_after=2), "upstream_cut"),
        (Behaviour(body=b"data: nonsense {\n\n", content_type="text/html"), "upstream_invalid"),
        (Behaviour(body=b'{"choices":[]}'), "upstream_invalid"),
        (Behaviour(status=307, error={}, headers={"location": "http://127.0.0.1:9/"}), "upstream_invalid"),
        (Behaviour(delay_s=1.6), "upstream_timeout"),
        (Behaviour(piece_delay_s=1.6), "upstream_timeout"),
        (Behaviour(error_after=1), "upstream_error"),
    ],
)
async def test_a_stream_that_goes_wrong(
    engine: OpenAIEngine, upstream: Upstream, behaviour: Behaviour, code: str, raw: bool
) -> None:
    upstream.behaviour = behaviour
    error, got = await failure(engine, chat("hi", **ASKED), raw=raw)
    assert error.code == code
    assert error.status == (504 if code == "upstream_timeout" else 502)
    assert b"half" not in raw_bytes(got), "half an event was handed on"
    assert b'"error"' not in raw_bytes(got), "the error was told twice"
    assert not any(isinstance(event, Finish) for event in got)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(cut_after=0), "upstream_cut"),
        (Behaviour(body=b"<html>oh no</html>", content_type="text/html"), "upstream_invalid"),
        (Behaviour(body=b'{"choices":'), "upstream_invalid"),
        (Behaviour(body=b"[1]"), "upstream_invalid"),
        (Behaviour(body=b'{"choices":[]}'), "upstream_invalid"),
        (Behaviour(body=b'{"object":"x"}'), "upstream_invalid"),
        (Behaviour(body=b'{"choices":[' + b" " * 600_000 + b"]}"), "upstream_invalid"),
        (Behaviour(delay_s=1.6), "upstream_timeout"),
    ],
)
async def test_an_answer_that_goes_wrong(
    engine: OpenAIEngine, upstream: Upstream, behaviour: Behaviour, code: str, raw: bool
) -> None:
    upstream.behaviour = behaviour
    error, got = await failure(engine, chat("hi"), raw=raw)
    assert (error.code, got) == (code, [])


@pytest.mark.parametrize("form", ["openai", "flat", "text", "detail"])
async def test_what_is_the_callers_fault_keeps_the_upstreams_words(
    engine: OpenAIEngine, upstream: Upstream, form: str
) -> None:
    said = "no such thing; key sk-very-secret, header-secret, query-secret"
    detail = {"message": said, "type": "x", "param": "stop", "code": "context_length_exceeded"}
    bodies: dict[str, Any] = {"openai": {"error": detail}, "flat": detail, "text": {"error": said}}
    body = json.dumps(bodies.get(form, {"detail": said})).encode()
    upstream.behaviour = Behaviour(status=400, body=body)
    error, _ = await failure(engine, chat("hi", stream=True), raw=True)
    assert error.status == 400
    assert error.message == "no such thing; key ***, ***, ***"
    if form in ("openai", "flat"):
        assert (error.param, error.code) == ("stop", "context_length_exceeded")


async def test_a_connection_that_went_stale_is_replaced(upstream: Upstream) -> None:
    """A server that closes a pooled connection just as it is used again costs the caller nothing."""
    connections: list[int] = []
    body = b'{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        mine = len(connections) - 1
        for answering in (True, False):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            connections[mine] += 1
            length = next(line for line in head.lower().split(b"\r\n") if b"content-length" in line)
            await reader.readexactly(int(length.split(b":")[1]))
            if answering:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = OpenAIEngine("m", base_url=f"http://127.0.0.1:{port}/v1")
    for _ in range(3):
        assert len(await collect(engine, chat("hi"), raw=True)) == 2
    await engine.close()
    server.close()
    await server.wait_closed()
    assert connections == [2, 2, 1]


async def test_a_fresh_connection_that_breaks_is_not_tried_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    engine = OpenAIEngine("m", base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    error, _ = await failure(engine, chat("hi"))
    assert (error.code, connections) == ("upstream_cut", 1)
    await engine.close()
    server.close()


async def test_connections_are_kept(engine: OpenAIEngine, upstream: Upstream) -> None:
    for stream in (False, True, False, True):
        await collect(engine, chat("hi", stream=stream), raw=True)
    assert len({request.client for request in upstream.requests}) == 1


async def test_200_streams_at_once_arrive_whole(upstream: Upstream) -> None:
    upstream.behaviour = Behaviour(pieces=tuple(f"{i} " for i in range(100)))
    engine = OpenAIEngine("m", base_url=upstream.url)
    answers = await asyncio.gather(*(collect(engine, chat("hi", stream=True), raw=True) for _ in range(200)))
    assert len({raw_bytes(events) for events in answers}) == 1
    assert raw_bytes(answers[0]).count(b"data: ") == 103
    await engine.close()


async def test_a_large_request(engine: OpenAIEngine, upstream: Upstream) -> None:
    await collect(engine, chat("x" * 3_000_000), raw=True)
    assert len(upstream.last.body["messages"][0]["content"]) == 3_000_000


async def test_no_such_host_and_no_answer_at_connect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        engine = OpenAIEngine("m", base_url=f"https://127.0.0.1:{port}/v1", connect_timeout_s=0.3)
        started = time.monotonic()
        error, _ = await failure(engine, chat("hi"))
        assert error.code == "upstream_unreachable"
        assert time.monotonic() - started < 2
        await engine.close()


async def test_a_missing_key_is_found_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="NO_SUCH_KEY"):
        await OpenAIEngine("m", base_url="http://127.0.0.1/v1", api_key_env="NO_SUCH_KEY").start()
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await OpenAIEngine("m").start()
    monkeypatch.setenv("NO_SUCH_KEY", "a\nb")
    with pytest.raises(ConfigurationError, match="no HTTP header"):
        await OpenAIEngine("m", base_url="http://127.0.0.1/v1", api_key_env="NO_SUCH_KEY").start()


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://a/v1", "http://", "", "user:secret@host/v1", "http://[x/"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        OpenAIEngine("m", base_url=url)
    assert "secret" not in str(caught.value)


async def test_credentials_in_the_address(upstream: Upstream) -> None:
    engine = OpenAIEngine("m", base_url=upstream.url.replace("http://", "http://joe:pa%3Ass@"))
    await collect(engine, chat("hi"), raw=True)
    assert upstream.last.headers["authorization"] == "Basic am9lOnBhOnNz"
    await engine.close()


def test_unknown_operations() -> None:
    with pytest.raises(ConfigurationError, match="reranking"):
        OpenAIEngine("m", operations=["reranking"])
