"""``/healthz`` and ``/readyz``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from polyport_gateway.wires.http import Receive, Scope, Send, send_json

__all__ = ["HealthEndpoint", "ReadyEndpoint"]


class HealthEndpoint:
    """The process answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await send_json(send, {"status": "ok"})


class ReadyEndpoint:
    """The gateway can take calls; 503 with the reasons while it can't.

    Args:
        report: Gives ``ready`` and what it rests on.
    """

    def __init__(self, report: Callable[[], Mapping[str, Any]]) -> None:
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        report = dict(self._report())
        await send_json(send, report, status=200 if report.get("ready") else 503)
