"""Upstreams that are down, slow, broken or hostile: a proper code, no secret, one row, and the gateway goes on."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text as sql

from polyport import App
from polyport.testing import gateway
from tests.support.upstream import Behaviour, Upstream
from tests.support.wires import STREAMED, WIRES, Reply, ask, check_clean, eventually

KEY = "sk-hunter2-secret"


@contextmanager
def raw_server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does to each connection what a test says, after it has read the request."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()

    def answer(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(5)
            client.recv(1_000_000)
            speak(client)

    def serve() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        stop.set()
        thread.join()
        listener.close()


def served(base_url: str, **options: Any) -> Any:
    app = App("up")
    # A secret in the URL as well: some services take their key there.
    app.model("far", engine="openai", model="m", base_url=f"{base_url}?code=hunter2-in-url", api_key=KEY, **options)
    app.model("echo", engine="echo")
    return gateway(app, shutdown_grace_s=1)


def everywhere(running: Any) -> list[Reply]:
    replies = [ask(running.url, wire, "far", {"prompt": "q"}, "q") for wire in WIRES]
    for reply in replies:
        check_clean(reply)
    assert ask(running.url, "chat", "echo", {"prompt": "q"}, "q").ok
    return replies


def rows(running: Any) -> list[Any]:
    query = sql("select status, code from usage where name = 'far' order by at, id")
    return [tuple(row) for row in running.gateway.database.read_sync(lambda c: c.execute(query).all())]


def check(running: Any, replies: list[Reply], *codes: str, status: int = 502) -> None:
    for reply in replies:
        assert not reply.ok, reply.says()
        wanted = {*codes, "server_error", "rate_limit_exceeded"} if reply.wire == "responses-stream" else set(codes)
        assert reply.code in wanted, reply.says()
        if not reply.wire.startswith("mcp") and reply.wire not in STREAMED:
            assert reply.status == status, reply.says()
    eventually(lambda: len(rows(running)) == len(replies), what="one row per call")
    assert {row[1] for row in rows(running)} <= set(codes)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [
        (400, 400, "bad"),
        (401, 502, "upstream_refused_key"),
        (403, 502, "upstream_refused_key"),
        (404, 502, "upstream_not_found"),
        (429, 429, "bad"),
        (500, 502, "upstream_error"),
        (503, 502, "upstream_error"),
        (302, 502, "upstream_invalid"),
        (504, 504, "upstream_timeout"),
    ],
)
def test_a_status_that_is_no_success(upstream, status, answered, code):
    error = {"message": f"wrong: Bearer {KEY} at http://host?code=hunter2-in-url", "type": "x", "code": "bad"}
    headers = {"retry-after": "3", "location": "http://127.0.0.1:1/elsewhere", "www-authenticate": KEY}
    upstream.behaviour = Behaviour(status=status, error=error, headers=headers)
    with served(upstream.url) as running:
        replies = everywhere(running)
        check(running, replies, code, status=answered)
    if status == 429:
        assert all(r.headers.get("retry-after") == "3" for r in replies if not r.wire.startswith("mcp"))


def test_one_that_is_down():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with served(f"http://127.0.0.1:{port}/v1") as running:
        check(running, everywhere(running), "upstream_unreachable")


def test_one_that_has_no_address():
    with served("http://nowhere.invalid/v1") as running:
        check(running, everywhere(running), "upstream_unreachable")


@pytest.mark.parametrize("behaviour", [Behaviour(delay_s=5), Behaviour(piece_delay_s=5)])
def test_one_that_falls_silent(upstream, behaviour):
    upstream.behaviour = behaviour
    with served(upstream.url, timeout_s=0.4) as running:
        replies = [ask(running.url, wire, "far", {"prompt": "q"}, "q") for wire in WIRES]
        for reply in replies:
            check_clean(reply)
        slow = [r for r in replies if behaviour.delay_s or r.wire in ("chat-stream", "responses-stream")]
        assert slow
        assert all(not r.ok for r in slow), [r.says() for r in slow]
        assert {r.code for r in slow} <= {"upstream_timeout", "server_error"}
        assert ask(running.url, "chat", "echo", {"prompt": "q"}, "q").ok


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_one_that_breaks_off(upstream, cut):
    upstream.behaviour = Behaviour(cut_after=cut)
    with served(upstream.url) as running:
        check(running, everywhere(running), "upstream_cut")


NONSENSE = {
    "no JSON": (b"<html>hunter2</html>", "application/json"),
    "HTML": (b"<html>hunter2</html>", "text/html"),
    "an array": (b"[1, 2]", "application/json"),
    "another object": (b'{"hello": "hunter2"}', "application/json"),
    "no choices": (b'{"choices": []}', "application/json"),
    "null": (b"null", "application/json"),
    "nothing": (b"", "application/json"),
    "not UTF-8": (b'{"choices": "\xff\xfe"}', "application/json"),
    "odd choices": (b'{"choices": [5], "usage": "x"}', "application/json"),
    "odd content": (b'{"choices": [{"index": "a", "message": {"content": {"a": 1}}}]}', "application/json"),
    "deep": (b'{"choices": ' + b"[" * 500 + b"]" * 500 + b"}", "application/json"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_one_that_sends_nonsense(upstream, kind):
    body, content_type = NONSENSE[kind]
    upstream.behaviour = Behaviour(body=body, content_type=content_type)
    with served(upstream.url) as running:
        replies = everywhere(running)
        for reply in replies:
            # What a plain chat passes through is the upstream's own word, as long as it is a chat completion at all.
            assert reply.ok or reply.code in ("upstream_invalid", "upstream_error", "server_error"), reply.says()
            assert "internal_error" not in reply.text, reply.says()
        assert sum(not reply.ok for reply in replies) >= len(WIRES) - 1, [r.says() for r in replies]


STREAM_NONSENSE = {
    "no JSON": b"data: {half\n\n",
    "a number": b"data: 5\n\ndata: [DONE]\n\n",
    "no choices": b"data: {}\n\ndata: [DONE]\n\n",
    "nothing": b"",
    "only done": b"data: [DONE]\n\n",
    "comments": b": hello\n\n" * 10,
    "not UTF-8": b'data: {"choices": "\xff"}\n\n',
    "odd choices": b'data: {"choices": [5]}\n\ndata: [DONE]\n\n',
    "an error": b'data: {"error": {"message": "Bearer sk-hunter2-secret"}}\n\n',
    "an endless line": b"data: " + b"x" * 20_000_000,
}


@pytest.mark.parametrize("kind", STREAM_NONSENSE)
def test_one_that_streams_nonsense(upstream, kind):
    upstream.behaviour = Behaviour(body=STREAM_NONSENSE[kind], content_type="text/event-stream")
    with served(upstream.url) as running:
        for wire in ("chat-stream", "responses-stream"):
            reply = ask(running.url, wire, "far", {"prompt": "q"}, "q")
            check_clean(reply)
            assert "internal_error" not in reply.text, reply.says()
            assert len(reply.text) < 100_000
            # Chat chunks are passed on as they come; it is the whole stream that must have an end.
            passed_on = wire == "chat-stream" and "[DONE]" in reply.text
            assert passed_on or not reply.ok, reply.says()
        assert ask(running.url, "chat", "echo", {"prompt": "q"}, "q").ok


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
        b"",
        b"\x16\x03\x01\x00",
    ],
)
def test_one_that_speaks_no_http(said):
    with raw_server(lambda client: client.sendall(said)) as base_url, served(base_url) as running:
        replies = everywhere(running)
        check(running, replies, "upstream_invalid", "upstream_cut", "upstream_error", "upstream_unreachable")


def test_one_that_never_stops_sending():
    def pour(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
        for _ in range(1100):
            client.sendall(b"x" * 1_000_000)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with raw_server(pour) as base_url, served(base_url, max_answer_bytes=10_000_000) as running:
        for wire in ("chat", "responses", "mcp-2026"):
            reply = ask(running.url, wire, "far", {"prompt": "q"}, "q")
            assert reply.code == "upstream_invalid", reply.says()
            assert "10000000 bytes" in reply.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def test_one_that_never_closes_after_done():
    def linger(client: socket.socket) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                 "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}  # fmt: skip
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        client.sendall(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())
        time.sleep(10)

    with raw_server(linger) as base_url, served(base_url) as running:
        for wire in ("chat-stream", "responses-stream"):
            started = time.monotonic()
            reply = ask(running.url, wire, "far", {"prompt": "q"}, "q")
            assert reply.ok, reply.says()
            assert time.monotonic() - started < 3


def test_the_log_holds_no_secret(upstream, caplog):
    upstream.behaviour = Behaviour(status=401, error={"message": f"bad key {KEY}"})
    with served(upstream.url) as running:
        ask(running.url, "chat", "far", {"prompt": "q"}, "q")
    upstream.behaviour = Behaviour(cut_after=1)
    with served(upstream.url) as running:
        ask(running.url, "chat-stream", "far", {"prompt": "q"}, "q")
    with served("http://127.0.0.1:1/v1") as running:
        ask(running.url, "chat", "far", {"prompt": "q"}, "q")
    assert "hunter2" not in caplog.text


def test_a_slow_upstream_does_not_hold_up_the_others(upstream):
    upstream.behaviour = Behaviour(delay_s=3)

    with served(upstream.url) as running, ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(ask, running.url, "chat", "far", {}, "q") for _ in range(20)]
        time.sleep(0.5)
        started = time.monotonic()
        assert ask(running.url, "chat", "echo", {}, "q").ok
        assert time.monotonic() - started < 1
        assert all(call.result().ok for call in calls)
