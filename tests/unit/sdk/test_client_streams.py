"""Streams, from bytes to typed events, without a network."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polyport
from polyport import AsyncClient, Citation, Client
from polyport.client.decoding import ChatDecoder, CompletionDecoder, FunctionDecoder, mid_stream
from polyport.events import (
    CitationAdded,
    Finish,
    Log,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
URL = "http://gateway.test"


def frame(body: Any, event: str | None = None) -> bytes:
    head = f"event: {event}\n" if event else ""
    return (head + "data: " + (body if isinstance(body, str) else json.dumps(body)) + "\n\n").encode()


def chunk(delta: dict[str, Any], index: int = 0, **choice: Any) -> bytes:
    return frame({**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": None, **choice}]})


CHAT = b"".join(
    [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "你"}, logprobs={"content": [{"token": "你"}]}),
        chunk({"content": "好"}),
        chunk({"refusal": "no"}, 1),
        chunk({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "add"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
        chunk({"annotations": [{"type": "url_citation", "url_citation": {"title": "T", "url": "http://x"}}]}),
        chunk({}, finish_reason="tool_calls"),
        chunk({}, 1, finish_reason="stop"),
        frame({**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}),
        frame("[DONE]"),
    ]
)
EVENTS = [
    ReasoningDelta("hm"),
    TextDelta("你", 0, [{"token": "你"}]),
    TextDelta("好"),
    RefusalDelta("no", 1),
    ToolCallDelta(0, "t1", "add"),
    ToolCallDelta(0, arguments='{"a":'),
    ToolCallDelta(0, arguments="1}"),
    CitationAdded(Citation("T", url="http://x")),
    Finish("tool_calls"),
    Finish("stop", 1),
    Usage(3, 4),
]


@given(st.lists(st.integers(1, 40), min_size=1))
def test_a_chat_in_any_pieces(sizes: list[int]) -> None:
    decoder, found, position, turn = ChatDecoder(), [], 0, 0
    while position < len(CHAT):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(CHAT[position : position + size])
        position, turn = position + size, turn + 1
    decoder.finish()
    assert found == EVENTS


def test_the_whole_answer_is_put_together() -> None:
    decoder = ChatDecoder()
    decoder.feed(CHAT)
    whole = decoder.whole()
    assert (whole.id, whole.object, whole.created, whole.model) == ("c1", "chat.completion", 7, "m")
    assert whole.text == "你好"
    first, second = whole.choices
    assert first.message.tool_calls is not None
    assert first.message.tool_calls[0].model_dump() == {
        "id": "t1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a":1}'},
    }
    assert first.logprobs == {"content": [{"token": "你"}]}
    assert first.finish_reason == "tool_calls"
    assert second.message.refusal == "no"
    assert whole.usage is not None
    assert whole.usage.total_tokens == 7


def test_a_completion() -> None:
    decoder = CompletionDecoder()
    head = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    found = decoder.feed(
        frame({**head, "choices": [{"index": 0, "text": "a", "logprobs": {"tokens": ["a"], "text_offset": [0]}}]})
        + frame({**head, "choices": [{"index": 0, "text": "b", "logprobs": {"tokens": ["b"], "text_offset": [1]}}]})
        + frame({**head, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        + frame("[DONE]")
    )
    assert found == [TextDelta("a"), TextDelta("b"), Finish("stop")]
    assert decoder.whole().text == "ab"
    assert decoder.whole().choices[0].logprobs == {"tokens": ["a", "b"], "text_offset": [0, 1]}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"error": {"message": "m", "type": "server_error", "code": "upstream_error"}}, polyport.UpstreamError, 502),
        ({"error": {"message": "m", "type": "server_error", "code": "timeout"}}, polyport.DeadlineExceededError, 504),
        ({"error": {"message": "m", "type": "rate_limit_error", "code": "x"}}, polyport.RateLimitError, 429),
        ({"error": {"message": "m", "type": "invalid_request_error"}}, polyport.BadRequestError, 400),
        ({"error": {"message": "m", "code": 503}}, polyport.ServiceUnavailableError, 503),
        ({"error": "m"}, polyport.InternalServerError, 500),
        ("m", polyport.InternalServerError, 500),
        (None, polyport.InternalServerError, 500),
    ],
)
def test_an_error_inside_a_stream(body: Any, kind: type[polyport.CallError], status: int) -> None:
    error = mid_stream(body, request_id="req_1")
    assert type(error) is kind
    assert error.status == status
    assert error.request_id == "req_1"
    if body:
        assert error.message


def test_a_function_call() -> None:
    decoder = FunctionDecoder()
    found = decoder.feed(
        frame({"progress": 1, "total": 2, "message": "x"}, "progress")
        + frame({"level": "warning", "data": [1], "logger": None}, "log")
        + frame({"anything": 1}, "news")
        + frame({"object": "function.result", "name": "f", "result": 5, "content": []}, "result")
    )
    assert found[:2] == [Progress(1, 2, "x"), Log("warning", [1])]
    assert decoder.result is not None
    assert decoder.result.result == 5


def answer(body: bytes) -> httpx.MockTransport:
    def respond(request: httpx.Request) -> httpx.Response:
        class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
            def __iter__(self):
                yield from (body[n : n + 7] for n in range(0, len(body), 7))

            async def __aiter__(self):
                for piece in self:
                    yield piece

        return httpx.Response(200, headers={"x-request-id": "req_9"}, stream=Pieces())

    return httpx.MockTransport(respond)


def streamed(body: bytes, method: str) -> tuple[Any, Any]:
    """The outcome of a stream's method on the sync and on the async client."""

    def sync() -> Any:
        client = Client(URL, http_client=httpx.Client(transport=answer(body)))
        with client.chat("m", "x", stream=True) as stream:
            return list(stream) if method == "iterate" else getattr(stream, method)()

    async def work() -> Any:
        client = AsyncClient(URL, http_client=httpx.AsyncClient(transport=answer(body)))
        async with await client.chat("m", "x", stream=True) as stream:
            return [event async for event in stream] if method == "iterate" else await getattr(stream, method)()

    return outcome(sync), outcome(lambda: asyncio.run(work()))


def outcome(work: Any) -> Any:
    try:
        return work()
    except polyport.CallError as error:
        return type(error), error.message, error.request_id


def test_both_clients_stream_the_same() -> None:
    assert streamed(CHAT, "iterate") == (EVENTS, EVENTS)
    assert streamed(CHAT, "text") == ("你好", "你好")
    one, other = streamed(CHAT, "collect")
    assert one == other
    assert one.text == "你好"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (CHAT[:-20], polyport.APIConnectionError),
        (b"", polyport.APIConnectionError),
        (chunk({"content": "a"}) + frame({"error": {"message": "m", "code": "upstream_error"}}, "error"),
         polyport.UpstreamError),
        (frame({"error": {"message": "m", "type": "server_error"}}), polyport.InternalServerError),
        (frame("nonsense"), polyport.UpstreamError),
        (frame({"choices": [5]}), polyport.UpstreamError),
        (frame({"choices": 5}), polyport.UpstreamError),
    ],
)  # fmt: skip
def test_broken_streams(body: bytes, kind: type[polyport.CallError]) -> None:
    for found in streamed(body, "text"):
        assert found[0] is kind
        assert found[2] == "req_9"


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_a_call_error(body: bytes) -> None:
    for decoder in (ChatDecoder(), CompletionDecoder(), FunctionDecoder()):
        try:
            decoder.feed(b"data: " + body + b"\n\n")
            decoder.finish()
        except polyport.CallError:
            pass
