"""What the servers share: uvicorn in a thread, a sandbox to run in, a record of requests, and faults."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import BaseRoute

from polyport_sandbox import RunResult, Sandbox
from polyport_sandbox.base import Provider

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass
class Fault:
    """What goes wrong with the next requests whose method and path start with `where`.

    Attributes:
        where: Such as ``"POST /run_code"``.
        status: Answered with this status instead, and `headers` and `body`.
        headers: Of that answer.
        body: Of that answer; alone, it is answered with 200.
        delay_s: Seconds before anything is answered.
        cut_after: Bytes of the true answer's body after which the connection breaks.
        times: To how many requests it happens.
    """

    where: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    cut_after: int | None = None
    times: int = 1


@dataclass(frozen=True)
class Received:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def kernel_ended(result: RunResult) -> bool:
    """Whether the code took its kernel with it, which the services tell apart from how a program ends."""
    return (result.detail or "").startswith("the kernel ended")


class SandboxServer:
    """A server; use it as a context manager.

    Args:
        provider: Makes what the code runs in.
    """

    def __init__(self, provider: Callable[[], Provider]) -> None:
        self.box: Sandbox
        self.received: list[Received] = []
        self.faults: list[Fault] = []
        self._provider = provider
        self._socket = socket.socket()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._routes = Starlette(routes=self.routes())

    def routes(self) -> list[BaseRoute]:
        raise NotImplementedError

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.received]

    def __enter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self, log_level="critical", lifespan="off", access_log=False, timeout_graceful_shutdown=1, ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve()], daemon=True)
        self._thread.start()
        until = time.monotonic() + 60
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < until, "the server took too long to start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()

    async def _serve(self) -> None:
        assert self._server is not None
        async with Sandbox(self._provider()) as self.box:
            await self._server.serve(sockets=[self._socket])

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.method, request.url.path, headers, body))
        fault = self._fault(f"{request.method} {request.url.path}")
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            if fault.status != 200 or fault.body is not None:
                await _answer(send, fault)
                return
            if fault.cut_after is not None:
                send = _cut(send, fault.cut_after)
        given = False

        async def replay() -> MutableMapping[str, Any]:
            nonlocal given
            if given:
                return await receive()  # the caller going away
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._routes(scope, replay, send)

    def _fault(self, where: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and where.startswith(fault.where):
                fault.times -= 1
                return fault
        return None


async def _answer(send: Send, fault: Fault) -> None:
    headers = [(name.encode(), value.encode()) for name, value in fault.headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": fault.body or b""})


class CutError(Exception):
    """Ends an answer half-way; uvicorn closes the connection."""


def _cut(send: Send, after: int) -> Send:
    left = after

    async def cutting(message: MutableMapping[str, Any]) -> None:
        nonlocal left
        body = message.get("body", b"")
        if message["type"] == "http.response.body" and len(body) >= left:
            await send({**message, "body": body[:left], "more_body": True})
            raise CutError
        left -= len(body)
        await send(message)

    return cutting
