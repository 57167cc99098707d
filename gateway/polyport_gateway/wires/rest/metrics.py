"""``/metrics``: the gateway's figures, in Prometheus' text format 0.0.4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from polyport_gateway.wires.http import Receive, Scope, Send, send_bytes

__all__ = ["MetricSource", "MetricsEndpoint", "gauge"]

MetricSource: TypeAlias = Callable[[], str]
"""Gives whole families, each with its HELP and TYPE lines, ending in a line feed."""

_TEXT = ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"), (b"cache-control", b"no-store"))


class MetricsEndpoint:
    """Answers with what every source has to say now.

    Args:
        sources: Asked in their order at each request.
    """

    def __init__(self, sources: Sequence[MetricSource]) -> None:
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await send_bytes(send, "".join(source() for source in self._sources).encode(), headers=_TEXT)


def gauge(name: str, what: str, value: float, *, kind: str = "gauge") -> str:
    """Write a family of one figure.

    >>> print(gauge("polyport_calls_running", "Calls under way.", 2), end="")
    # HELP polyport_calls_running Calls under way.
    # TYPE polyport_calls_running gauge
    polyport_calls_running 2
    """
    return f"# HELP {name} {what}\n# TYPE {name} {kind}\n{name} {value:g}\n"
