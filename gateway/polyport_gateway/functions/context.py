"""What stands behind the `Context` of a running function."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from polyport.context import Ask, CallerInfo, Context
from polyport.errors import UnsupportedOperationError
from polyport.events import Event, Log, LogLevel, Progress
from polyport_gateway.call import Call
from polyport_gateway.catalog.changes import Change, Changes
from polyport_gateway.catalog.event_queue import EventQueue

__all__ = ["CallBackend", "make_context"]


class CallBackend:
    """A `polyport.context.ContextBackend` over a `Call`; every method may be called from any thread.

    Args:
        call: The running call.
        changes: Where news of resources goes.
        events: Where progress and log lines go; None drops them.
    """

    def __init__(self, call: Call, changes: Changes | None, events: EventQueue | None) -> None:
        self.request_id = call.request_id
        self.caller = CallerInfo(call.caller.id, call.caller.name)
        self.deadline = call.deadline
        self._call = call
        self._changes = changes
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def cancelled(self) -> bool:
        """Whether the caller is gone or the deadline has passed."""
        return self._call.cancelled

    def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Report progress."""
        self._put(Progress(progress, total, message))

    def log(self, level: LogLevel, data: Any, logger: str | None) -> None:
        """Send a log line."""
        self._put(Log(level, data, logger))

    def resource_updated(self, uri: str) -> None:
        """Tell subscribers."""
        if self._changes is not None:
            self._on_loop(self._changes.tell, Change("resource", uri))

    async def ask(self, asks: Mapping[str, Ask]) -> dict[str, Any]:
        """Ask the client, from the gateway's loop or from a worker thread's own."""
        if self._call.ask is None:
            raise UnsupportedOperationError(
                f"{self._call.name!r} needs to ask its caller something, which {self._call.wire} can't carry; "
                "call it over MCP with a client that supports it."
            )
        if threading.get_ident() == self._thread:
            return await self._call.ask(asks)
        future = asyncio.run_coroutine_threadsafe(_ask(self._call, asks), self._loop)
        return await asyncio.wrap_future(future)

    def _put(self, event: Event) -> None:
        if self._events is not None:
            self._events.report(event)

    def _on_loop(self, function: Any, *args: Any) -> None:
        if threading.get_ident() == self._thread:
            function(*args)
        else:
            with suppress(RuntimeError):  # the loop has closed: the function has outlived its gateway
                self._loop.call_soon_threadsafe(function, *args)


async def _ask(call: Call, asks: Mapping[str, Ask]) -> dict[str, Any]:
    assert call.ask is not None  # noqa: S101 - checked by the caller
    return await call.ask(asks)


def make_context(call: Call, changes: Changes | None = None, events: EventQueue | None = None) -> Context:
    """Build the `Context` of a call."""
    return Context(CallBackend(call, changes, events))
