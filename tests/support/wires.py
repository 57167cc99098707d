"""Every way into a gateway as plain HTTP, so that a test can say the same thing over each and look at what comes back.

for wire in WIRES:
    reply = ask(url, wire, "add", {"a": 1, "b": 2})
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

LEGACY, MODERN = "2025-11-25", "2026-07-28"
WIRES = ("rest", "rest-sse", "chat", "chat-stream", "responses", "responses-stream", "mcp-2025", "mcp-2026")
STREAMED = ("rest-sse", "chat-stream", "responses-stream")
SECRETS = ("Traceback", 'File "', "site-packages", "/tmp/", "hunter2")
"""What no answer may hold; ``hunter2`` stands for every secret that the tests hide in messages and URLs."""


@dataclass(frozen=True)
class Reply:
    """What came back, whatever the wire.

    Attributes:
        wire: Which.
        status: Of HTTP.
        code: The error's code; None for success.
        message: The error's message.
        text: The body as it came.
        headers: Of the answer.
    """

    wire: str
    status: int
    code: str | None
    message: str | None
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code is None

    def says(self) -> str:
        return f"{self.wire}: HTTP {self.status} {self.code}: {self.message or self.text[:300]}"


def request_for(
    wire: str, name: str, arguments: dict[str, Any], message: str | None = None
) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return the path, body and headers of one call."""
    text = json.dumps(arguments) if message is None else message
    kind, _, how = wire.partition("-")
    if kind == "rest":
        return f"/v1/functions/{name}", arguments, {"accept": "text/event-stream"} if how else {}
    if kind == "chat":
        body = {"model": name, "messages": [{"role": "user", "content": text}], "stream": bool(how)}
        return "/v1/chat/completions", body, {}
    if kind == "responses":
        return "/v1/responses", {"model": name, "input": text, "stream": bool(how)}, {}
    return mcp_request("tools/call", {"name": name, "arguments": arguments}, modern=how == "2026")


def mcp_request(method: str, params: dict[str, Any], *, modern: bool) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return the path, body and headers of one MCP message."""
    headers = {"accept": "application/json, text/event-stream"}
    params = dict(params)
    if modern:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers |= {"mcp-protocol-version": MODERN, "mcp-method": method}
        named = params.get("name") or params.get("uri")
        if isinstance(named, str):
            headers["mcp-name"] = named
    return "/mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers


def open_session(url: str, token: str | None = None) -> dict[str, str]:
    """Begin a session of 2025-11-25; return the headers that go with each of its requests."""
    headers = {"accept": "application/json, text/event-stream", **bearer(token)}
    hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    answer = httpx.post(f"{url}/mcp", json=body, headers=headers, timeout=20)
    answer.raise_for_status()
    headers |= {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": LEGACY}
    httpx.post(f"{url}/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
    return headers


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}


def ask(
    url: str,
    wire: str,
    name: str,
    arguments: dict[str, Any],
    message: str | None = None,
    *,
    token: str | None = None,
    timeout: float = 30,
) -> Reply:
    """Call something by name over one wire."""
    path, body, headers = request_for(wire, name, arguments, message)
    if wire == "mcp-2025":
        headers |= open_session(url, token)
    answer = httpx.post(url + path, json=body, headers={**headers, **bearer(token)}, timeout=timeout)
    return read(wire, answer)


def read(wire: str, answer: httpx.Response) -> Reply:
    """Find an answer's error, wherever its wire puts it."""
    error = _error(wire, answer)
    code = message = None
    if error is not None:
        code, message = str(error.get("code")), error.get("message")
    return Reply(wire, answer.status_code, code, message, answer.text, dict(answer.headers))


def _error(wire: str, answer: httpx.Response) -> dict[str, Any] | None:
    bodies = list(_bodies(answer))
    if wire.startswith("mcp"):
        last = bodies[-1] if bodies else {}
        if "error" in last:
            return dict(last["error"])
        result = last.get("result") or {}
        if not result.get("isError"):
            return None
        meta = (result.get("_meta") or {}).get("polyport/error") or result.get("_meta") or {}
        text = result["content"][0]["text"]
        return {"code": meta.get("code", "?"), "message": text}
    for body in bodies:
        if body.get("error"):
            return dict(body["error"])
        if body.get("type") == "error":
            return body
        if (body.get("response") or {}).get("error"):
            return dict(body["response"]["error"])
    return None


def _bodies(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        if answer.content:
            yield answer.json()
        return
    for line in answer.text.splitlines():
        if line.startswith("data: {"):
            with suppress(ValueError):  # what an upstream sent, passed on as it came
                yield json.loads(line[6:])


def check_clean(reply: Reply) -> None:
    """Fail if an error shows what only the operator should see, or can't be looked up."""
    for secret in SECRETS:
        assert secret not in reply.text, f"{secret!r} in {reply.says()}"
    assert reply.headers.get("x-request-id"), reply.says()


@contextmanager
def connection(url: str, timeout: float = 10) -> Iterator[socket.socket]:
    """A bare socket to a gateway."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=timeout) as sock:
        yield sock


def head(method: str, path: str, *headers: str) -> bytes:
    """Return a request's head as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def speak(url: str, data: bytes, *, timeout: float = 10) -> bytes:
    """Send bytes and return all that comes until the other side closes or falls silent."""
    got = b""
    with connection(url, timeout) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
        sock.settimeout(1.0)
        try:
            while piece := sock.recv(65536):
                got += piece
        except (TimeoutError, ConnectionResetError):
            pass
    return got


def eventually(condition: Callable[[], Any], within_s: float = 5.0, what: str = "") -> float:
    """Wait until a condition holds; return how long that took, in seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_s, f"not within {within_s} s: {what or condition}"
        time.sleep(0.01)
    return time.monotonic() - started
