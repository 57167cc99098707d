"""An httpx transport that drives an ASGI application in this process, with streaming and cancellation.

`httpx.ASGITransport` runs the application to its end before it gives back an answer; this one gives it
back with the first message, hands pieces on as they come, holds the application up when they are not read
(`_HIGH_WATER`), and tells it ``http.disconnect`` when the answer is closed early.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import httpx

from polyport.embedded import ASGIApplication, EmbeddedGateway

__all__ = ["ASGITransport", "EmbeddedTransport"]

_HIGH_WATER = 256 * 1024
_GRACE_S = 1.0
"""Seconds that an application gets to notice a disconnect before its task is cancelled."""


class ASGITransport(httpx.AsyncBaseTransport):
    """Drives an ASGI application on the running event loop.

    Args:
        asgi: The application.
        local: Whether its caller is trusted to be this process; put into the scope as ``polyport.local``.
    """

    def __init__(self, asgi: ASGIApplication, *, local: bool = False) -> None:
        self._asgi = asgi
        self._local = local
        self._running: set[_Exchange] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as soon as the application starts to."""
        body = await request.aread()
        timeouts = request.extensions.get("timeout") or {}
        exchange = _Exchange(self._asgi, self._scope(request), body, timeouts.get("read"))
        self._running.add(exchange)
        exchange.task.add_done_callback(lambda _: self._running.discard(exchange))
        try:
            status, headers = await exchange.started()
        except BaseException:
            exchange.abandon()
            raise
        return httpx.Response(status, headers=headers, stream=_Body(exchange))

    def _scope(self, request: httpx.Request) -> MutableMapping[str, Any]:
        raw_path = request.url.raw_path
        path, _, query = raw_path.partition(b"?")
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(key.lower(), value) for key, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": (request.url.host, request.url.port or 80),
        }
        if self._local:
            scope["polyport.local"] = True
        return scope

    async def aclose(self) -> None:
        """Disconnect from every call still under way, and wait until the application has ended them."""
        await asyncio.gather(*(exchange.end() for exchange in list(self._running)))


class EmbeddedTransport(httpx.AsyncBaseTransport):
    """Answers requests from a gateway that it builds and starts on first use, on the running event loop.

    Args:
        build: Makes the gateway.
        local: Whether its caller is trusted to be this process.
    """

    def __init__(self, build: Callable[[], EmbeddedGateway], *, local: bool) -> None:
        self._build = build
        self._local = local
        self._starting = asyncio.Lock()
        self._gateway: EmbeddedGateway | None = None
        self._transport: ASGITransport | None = None

    async def start(self) -> ASGITransport:
        """Start the gateway, unless it has been, and return the way to it."""
        if self._transport is None:
            async with self._starting:
                if self._transport is None:
                    gateway = self._build()
                    await gateway.start()
                    self._gateway, self._transport = gateway, ASGITransport(gateway.asgi, local=self._local)
        return self._transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as soon as the gateway starts to."""
        transport = self._transport or await self.start()
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Stop the gateway."""
        async with self._starting:
            gateway, transport = self._gateway, self._transport
            self._gateway = self._transport = None
            if transport is not None:
                await transport.aclose()
            if gateway is not None:
                await gateway.stop()


class _Exchange:
    """One request and its answer; the application runs in a task of its own."""

    def __init__(
        self, asgi: ASGIApplication, scope: MutableMapping[str, Any], body: bytes, read_timeout: float | None
    ) -> None:
        self._body: bytes | None = body
        self._read_timeout = read_timeout
        self._start: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._complete = False
        self._gone = asyncio.Event()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self.task = asyncio.ensure_future(self._run(asgi, scope))
        self.task.add_done_callback(_retrieved)

    async def _run(self, asgi: ASGIApplication, scope: MutableMapping[str, Any]) -> None:
        try:
            await asgi(scope, self._receive, self._send)
        finally:
            self._news.set()

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self._gone.is_set():
            raise OSError("the client has closed the connection")  # as ASGI 2.4 asks
        if message["type"] == "http.response.start":
            self._start = (message["status"], [(key, value) for key, value in message.get("headers", ())])
        elif message["type"] == "http.response.body":
            data = message.get("body", b"")
            self._complete = not message.get("more_body", False)
            if data:
                self._pieces.append(bytes(data))
                self._buffered += len(data)
        self._news.set()
        if self._complete:
            self._gone.set()  # the answer is whole: nothing more will be read or asked
        elif self._buffered > _HIGH_WATER:
            await self._drained()

    async def _drained(self) -> None:
        self._room.clear()
        while self._buffered > _HIGH_WATER and not self._gone.is_set():
            await self._room.wait()
            self._room.clear()

    async def started(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Wait for the status and the headers."""
        while self._start is None:
            await self._more()
        return self._start

    async def read(self) -> bytes:
        """Wait for what has come since the last time; empty at the end."""
        while not self._pieces:
            if self._complete:
                return b""
            await self._more()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        self._room.set()
        return data

    async def _more(self) -> None:
        if self.task.done() and not self._news.is_set():
            raise httpx.RemoteProtocolError("the gateway ended without a whole answer") from self._cause()
        if not self._news.is_set():
            try:
                await asyncio.wait_for(self._news.wait(), self._read_timeout)
            except TimeoutError:
                raise httpx.ReadTimeout("no answer in time") from None
        self._news.clear()

    def _cause(self) -> BaseException | None:
        return None if self.task.cancelled() else self.task.exception()

    def abandon(self) -> None:
        """Disconnect without waiting."""
        self._gone.set()
        self._room.set()
        if not self.task.done():
            asyncio.get_running_loop().call_later(_GRACE_S, self.task.cancel)

    async def close(self) -> None:
        """Disconnect from an answer that isn't whole and wait until the application has ended."""
        if not self._complete:
            await self.end()

    async def end(self) -> None:
        """Disconnect and wait until the application has ended."""
        self._gone.set()
        self._room.set()
        try:
            await asyncio.wait({self.task}, timeout=_GRACE_S)
        finally:
            self.task.cancel()


def _retrieved(task: asyncio.Task[None]) -> None:
    """Mark a failure as seen: an application may raise when its client is gone."""
    if not task.cancelled():
        task.exception()


class _Body(httpx.AsyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._exchange.read():
            yield data

    async def aclose(self) -> None:
        await self._exchange.close()
