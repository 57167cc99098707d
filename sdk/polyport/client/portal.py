"""An embedded gateway for the sync client: one background thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread  # registers its own end, which must come before `_before_threads_end`
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import httpx

from polyport.client.transport import EmbeddedTransport
from polyport.embedded import EmbeddedGateway
from polyport.errors import UsageError

__all__ = ["PortalTransport"]

T = TypeVar("T")
_STOP_S = 30.0


class PortalTransport(httpx.BaseTransport):
    """Answers sync requests from a gateway that runs on a background event loop; any thread may use it.

    Args:
        build: Makes the gateway; called on first use.
        local: Whether its caller is trusted to be this process.
    """

    def __init__(self, build: Callable[[], EmbeddedGateway], *, local: bool) -> None:
        self._build = build
        self._local = local
        self._lock = threading.Lock()
        self._portal: _Portal | None = None
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as soon as the application starts to."""
        request.read()
        portal = self._started()
        response = portal.call(portal.transport.handle_async_request(request))
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - it comes from our own transport
        return httpx.Response(response.status_code, headers=response.headers.raw, stream=_Body(portal, response.stream))

    def _started(self) -> _Portal:
        portal = self._portal
        if portal is None:
            with self._lock:
                if self._closed:
                    raise UsageError("this client is closed")
                if self._portal is None:
                    self._portal = _Portal(self._build, local=self._local)
                portal = self._portal
        return portal

    def close(self) -> None:
        """Stop the gateway and its thread."""
        with self._lock:
            self._closed = True
            portal, self._portal = self._portal, None
        if portal is not None:
            portal.stop()


class _Portal:
    """A started gateway and the thread it runs on."""

    def __init__(self, build: Callable[[], EmbeddedGateway], *, local: bool) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_work, args=(self._loop,), name="polyport-embedded", daemon=True)
        self._thread.start()
        self._gateway = EmbeddedTransport(build, local=local)
        try:
            self.transport = self.call(self._gateway.start())
        except BaseException:
            _end_loop(self._loop, self._thread)
            raise
        self._finalizer = weakref.finalize(self, _stop, self._loop, self._thread, self._gateway)
        _before_threads_end(self._finalizer)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's loop and wait for it; an interrupt here cancels it there."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise UsageError("this client is closed") from error
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise httpx.ReadError("the client was closed while it waited") from error
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Stop the gateway, then the thread."""
        self._finalizer()


def _work(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, gateway: EmbeddedTransport) -> None:
    if threading.current_thread() is thread or not thread.is_alive():
        return  # collected on its own loop, or in a forked child: nothing here can wait for it
    try:
        asyncio.run_coroutine_threadsafe(gateway.aclose(), loop).result(_STOP_S)
    finally:
        _end_loop(loop, thread)


def _end_loop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(loop.stop)
    thread.join(_STOP_S)


def _before_threads_end(finalizer: Callable[[], Any]) -> None:
    """Also run a finalizer before the interpreter ends its thread pools, which stopping a gateway still needs."""
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        with contextlib.suppress(RuntimeError):
            register(finalizer)


class _Body(httpx.SyncByteStream):
    def __init__(self, portal: _Portal, stream: httpx.AsyncByteStream) -> None:
        self._portal = portal
        self._stream = stream
        self._pieces: AsyncIterator[bytes] = stream.__aiter__()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self._portal.call(_next(self._pieces))
            if not data:
                return
            yield data

    def close(self) -> None:
        with contextlib.suppress(UsageError, httpx.ReadError):
            self._portal.call(self._stream.aclose())


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
