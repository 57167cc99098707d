"""Events of a running call → MCP notifications on the stream of its request."""

from __future__ import annotations

import math
from typing import get_args

from mcp.server.connection import allowed_log_levels
from mcp_types import LoggingMessageNotification, LoggingMessageNotificationParams

from polyport.events import Log, LogLevel, Progress, ServerToolCall, ServerToolResult
from polyport_gateway.call import CallEvent
from polyport_gateway.wires.json_bodies import as_plain
from polyport_gateway.wires.mcp.requests import Request, connection_of, is_modern

__all__ = ["LOG_LEVEL", "Reporter"]

LOG_LEVEL = "polyport.log_level"
"""The connection's state that says the least level its client wants (2025-11-25)."""

_DEFAULT_LEVEL: LogLevel = "info"
_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_LONGEST_MESSAGE = 500


class Reporter:
    """Tells one request's client how its call goes.

    Args:
        request: The request; without a progress token its client hears no progress.
    """

    __slots__ = ("_last", "_levels", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._last = -math.inf
        self._levels: frozenset[str] | None = None

    async def tell(self, event: CallEvent) -> None:
        """Send an event on, if it is one that a client may hear of while the call runs."""
        match event:
            case Progress():
                await self._progress(event.progress, event.total, event.message)
            case Log():
                await self._log(event)
            case ServerToolCall():
                await self._step(f"calls {event.name} {event.arguments}")
            case ServerToolResult():
                await self._step(f"{event.name} {'failed' if event.error else 'gave'} {event.output}")
            case _:
                pass

    async def _step(self, message: str) -> None:
        # An agent's steps have no total; they are counted on top of whatever its tools report.
        short = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
        await self._progress(math.floor(max(self._last, 0.0)) + 1.0, None, short)

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        if progress <= self._last:
            # The protocol wants each value to grow, and a message is worth more than an exact number.
            if message is None:
                return
            progress = math.nextafter(self._last, math.inf)
        self._last = progress
        await self._request.session.report_progress(progress, total, message)

    async def _log(self, event: Log) -> None:
        if event.level not in self._allowed():
            return
        params = LoggingMessageNotificationParams(level=event.level, data=as_plain(event.data), logger=event.logger)
        await self._request.session.send_notification(
            LoggingMessageNotification(params=params), related_request_id=self._request.request_id
        )

    def _allowed(self) -> frozenset[str]:
        if self._levels is None:
            request = self._request
            if is_modern(request):
                self._levels = frozenset(allowed_log_levels(request.protocol_version, request.meta))
            else:
                least = connection_of(request).state.get(LOG_LEVEL, _DEFAULT_LEVEL)
                self._levels = frozenset(_LEVELS[_LEVELS.index(least) :])
        return self._levels
