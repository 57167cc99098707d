"""A real OpenAI-compatible server on loopback, as well-behaved or as bad as a test asks.

    with Upstream() as upstream:
        upstream.behaviour = Behaviour(pieces=("Hi", " there"), cut_after=1)
        OpenAIEngine("m", base_url=upstream.url)

``python -m tests.support.upstream`` serves one on its own, for measuring.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ANSWER_MODEL = "upstream-model"


@dataclass(frozen=True)
class Behaviour:
    """How the server answers.

    Attributes:
        pieces: The answer's text, as it is streamed.
        reasoning: Sent before the text.
        tool_calls: Names and JSON arguments, instead of text; arguments stream in two pieces.
        usage: Whether tokens are reported (in a stream only when asked for).
        status: Another status than 200, with `error` as its body.
        error: The error object of a bad status.
        headers: More headers of the answer.
        body: Sent as it is instead of any answer.
        content_type: Of `body`.
        delay_s: Seconds before the answer's head.
        piece_delay_s: Seconds before each piece of a stream.
        cut_after: Break the connection after so many pieces (a plain answer: half-way).
        end_after: End the stream properly, without ``[DONE]``, after so many pieces.
        error_after: Send an error event after so many pieces.
        fragment: Split the stream into network writes of so many bytes.
    """

    pieces: tuple[str, ...] = ("Hello", ",", " world")
    reasoning: str | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    usage: bool = True
    status: int = 200
    error: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    delay_s: float = 0.0
    piece_delay_s: float = 0.0
    cut_after: int | None = None
    end_after: int | None = None
    error_after: int | None = None
    fragment: int | None = None


@dataclass
class Received:
    """A request that came, and what became of it."""

    path: str
    query: str
    headers: dict[str, str]
    body: Any
    client: tuple[str, int]
    gone: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Upstream:
    """The server; use it as a context manager."""

    def __init__(self, behaviour: Behaviour | None = None, *, keep_alive_s: int = 5) -> None:
        self.behaviour = behaviour or Behaviour()
        self.requests: list[Received] = []
        self._keep_alive_s = keep_alive_s
        self._socket = socket.socket()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def last(self) -> Received:
        return self.requests[-1]

    def __enter__(self) -> Upstream:
        self._socket.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.app,
            log_level="critical",
            lifespan="off",
            access_log=False,
            timeout_keep_alive=self._keep_alive_s,
            timeout_graceful_shutdown=1,
            ws="none",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the upstream did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Received(
            path=scope["path"],
            query=scope["query_string"].decode(),
            headers={name.decode(): value.decode() for name, value in scope["headers"]},
            body=await _body(receive),
            client=tuple(scope["client"]),
        )
        self.requests.append(request)
        answering = asyncio.ensure_future(self._answer(request, send))
        watching = asyncio.ensure_future(_watch(receive, request, answering))
        await asyncio.gather(answering, return_exceptions=True)
        watching.cancel()
        if not answering.cancelled() and (error := answering.exception()):
            raise error

    async def _answer(self, request: Received, send: Send) -> None:
        behaviour = self.behaviour
        await asyncio.sleep(behaviour.delay_s)
        if behaviour.status != 200 or behaviour.body is not None:
            body = behaviour.body if behaviour.body is not None else json.dumps({"error": behaviour.error}).encode()
            await _send_body(send, behaviour.status, body, behaviour.content_type, behaviour.headers)
        elif request.path.endswith("/chat/completions"):
            await self._generate(request, send, _chat_answer, _chat_chunks)
        elif request.path.endswith("/completions"):
            await self._generate(request, send, _text_answer, _text_chunks)
        elif request.path.endswith("/embeddings"):
            await _send_json(send, _embeddings(request.body))
        elif request.path.endswith("/rerank"):
            await _send_json(send, _ranking(request.body))
        elif request.path.endswith("/moderations"):
            await _send_json(send, {"id": "modr-1", "model": ANSWER_MODEL, "results": [{"flagged": False}]})
        elif request.path.endswith("/messages"):
            await _anthropic(request, behaviour, send)
        else:
            await _send_json(send, {"error": {"message": "no such path"}}, status=404)
        request.done.set()

    async def _generate(self, request: Received, send: Send, answer: Any, chunks: Any) -> None:
        behaviour = self.behaviour
        if not request.body.get("stream"):
            body = json.dumps(answer(request.body, behaviour)).encode()
            await _send_body(
                send, 200, body, "application/json", behaviour.headers, cut=behaviour.cut_after is not None
            )
            return
        await _start(send, 200, {"content-type": "text/event-stream; charset=utf-8", **behaviour.headers})
        sent = 0
        for chunk, counted in chunks(request.body, behaviour):
            if counted:
                if sent == behaviour.cut_after:
                    await send({"type": "http.response.body", "body": b'data: {"half', "more_body": True})
                    return
                if sent == behaviour.end_after:
                    await send({"type": "http.response.body", "body": b""})
                    return
                if sent == behaviour.error_after:
                    chunk = {"error": behaviour.error or {"message": "the engine fell over", "code": 500}}
                await asyncio.sleep(behaviour.piece_delay_s)
                sent += 1
            await _write(send, f"data: {json.dumps(chunk)}\n\n".encode(), behaviour.fragment)
        await _write(send, b"data: [DONE]\n\n", behaviour.fragment)
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> Any:
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        if not message.get("more_body"):
            return json.loads(data) if data else None


async def _watch(receive: Receive, request: Received, answering: asyncio.Future[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    # Uvicorn also says "disconnect" once the answer is out.
    await asyncio.sleep(0.05)
    if not answering.done():
        request.gone.set()
        answering.cancel()


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _write(send: Send, data: bytes, fragment: int | None) -> None:
    if fragment is None:
        await send({"type": "http.response.body", "body": data, "more_body": True})
        return
    for start in range(0, len(data), fragment):
        await send({"type": "http.response.body", "body": data[start : start + fragment], "more_body": True})
        await asyncio.sleep(0)


async def _send_body(
    send: Send, status: int, body: bytes, content_type: str, headers: dict[str, str], *, cut: bool = False
) -> None:
    await _start(send, status, {"content-type": content_type, "content-length": str(len(body)), **headers})
    if cut:
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        return
    await send({"type": "http.response.body", "body": body})


async def _send_json(send: Send, body: Any, *, status: int = 200) -> None:
    await _send_body(send, status, json.dumps(body).encode(), "application/json", {})


def _usage(behaviour: Behaviour) -> dict[str, Any]:
    count = len(behaviour.pieces)
    return {
        "prompt_tokens": 7,
        "completion_tokens": count,
        "total_tokens": 7 + count,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


def _calls(behaviour: Behaviour) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(behaviour.tool_calls)
    ]


def _chat_answer(body: Any, behaviour: Behaviour) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(behaviour.pieces)}
    if behaviour.reasoning:
        message["reasoning_content"] = behaviour.reasoning
    if behaviour.tool_calls:
        message |= {"content": None, "tool_calls": _calls(behaviour)}
    reason = "tool_calls" if behaviour.tool_calls else "stop"
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": ANSWER_MODEL,
        "choices": [{"index": i, "message": message, "finish_reason": reason} for i in range(body.get("n") or 1)],
    }
    return answer | ({"usage": _usage(behaviour)} if behaviour.usage else {})


def _chat_chunks(body: Any, behaviour: Behaviour) -> Iterator[tuple[dict[str, Any], bool]]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": ANSWER_MODEL}
    wants_usage = behaviour.usage and (body.get("stream_options") or {}).get("include_usage")
    tail = {"usage": None} if wants_usage else {}

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": index, "delta": delta, "finish_reason": reason}], **tail}

    choices = range(body.get("n") or 1)
    for index in choices:
        yield chunk(index, {"role": "assistant", "content": ""}), False
        if behaviour.reasoning:
            yield chunk(index, {"reasoning_content": behaviour.reasoning}), False
    if behaviour.tool_calls:
        for position, call in enumerate(_calls(behaviour)):
            arguments = call["function"]["arguments"]
            half = len(arguments) // 2
            first = {**call, "index": position, "function": {**call["function"], "arguments": arguments[:half]}}
            rest = {"index": position, "function": {"arguments": arguments[half:]}}
            yield chunk(0, {"tool_calls": [first]}), True
            yield chunk(0, {"tool_calls": [rest]}), True
    else:
        for piece in behaviour.pieces:
            for index in choices:
                yield chunk(index, {"content": piece}), True
    for index in choices:
        yield chunk(index, {}, "tool_calls" if behaviour.tool_calls else "stop"), False
    if wants_usage:
        yield {**head, "choices": [], "usage": _usage(behaviour)}, False


def _text_answer(body: Any, behaviour: Behaviour) -> dict[str, Any]:
    text = (body["prompt"] if body.get("echo") else "") + "".join(behaviour.pieces)
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": ANSWER_MODEL,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": "length"}],
        "usage": _usage(behaviour),
    }


def _text_chunks(body: Any, behaviour: Behaviour) -> Iterator[tuple[dict[str, Any], bool]]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": ANSWER_MODEL}
    for piece in behaviour.pieces:
        yield {**head, "choices": [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None}]}, True
    yield {**head, "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}]}, False
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage(behaviour)}, False


def _embeddings(body: Any) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    size = body.get("dimensions") or 4
    data = [{"object": "embedding", "index": i, "embedding": [0.5] * size} for i in range(len(texts))]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "data": data, "model": ANSWER_MODEL, "usage": usage}


def _ranking(body: Any) -> dict[str, Any]:
    """As vLLM answers: the last document is the best."""
    documents = list(enumerate(body["documents"]))[::-1][: body.get("top_n")]
    results = [{"index": i, "document": {"text": text}, "relevance_score": (i + 1) / 10} for i, text in documents]
    return {"id": "rerank-1", "model": ANSWER_MODEL, "usage": {"total_tokens": 5}, "results": results}


async def _anthropic(request: Received, behaviour: Behaviour, send: Send) -> None:
    """Anthropic's ``/v1/messages``, plain and streamed."""
    usage = {"input_tokens": 7, "output_tokens": len(behaviour.pieces)}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": ANSWER_MODEL}
    if not request.body.get("stream"):
        content = [{"type": "text", "text": "".join(behaviour.pieces)}]
        for i, (name, arguments) in enumerate(behaviour.tool_calls):
            content.append({"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": json.loads(arguments)})
        reason = "tool_use" if behaviour.tool_calls else "end_turn"
        await _send_json(send, {**head, "content": content, "stop_reason": reason, "usage": usage})
        return
    await _start(send, 200, {"content-type": "text/event-stream"})
    start = {**head, "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 0}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in behaviour.pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    for event in events:
        await asyncio.sleep(behaviour.piece_delay_s)
        await _write(send, f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode(), None)
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pieces", type=int, default=20, help="words in an answer")
    options = parser.parse_args()
    upstream = Upstream(Behaviour(pieces=("word ",) * options.pieces))
    uvicorn.run(
        upstream.app,
        port=options.port,
        log_level="warning",
        lifespan="off",
        access_log=False,
        ws="none",
        interface="asgi3",
    )


if __name__ == "__main__":
    main()
