"""Who asks, and how: the facts of one MCP request, whatever transport and revision brought it."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeAlias

from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from polyport_gateway.call import LOCAL
from polyport_gateway.wires.http import RequestInfo

if TYPE_CHECKING:
    from mcp.server.connection import Connection

__all__ = ["Request", "connection_of", "facts_of", "is_modern"]

Request: TypeAlias = ServerRequestContext[Any, Any]
"""What the SDK hands to a handler."""


def facts_of(request: Request) -> RequestInfo:
    """Return the request's id, caller and trace; over stdio, where nobody else can be, the local caller's."""
    meta = request.meta or {}
    given = meta.get("traceparent")
    traceparent = given if isinstance(given, str) else None
    if request.request is None:
        return RequestInfo("req_" + token_hex(12), LOCAL, traceparent)
    info: RequestInfo = request.request.scope["polyport"]
    if traceparent is None or info.traceparent is not None:
        return info
    return RequestInfo(info.request_id, info.caller, traceparent)


def is_modern(request: Request) -> bool:
    """Whether it speaks 2026-07-28 or later: no session, no requests back to the client."""
    return request.protocol_version in MODERN_PROTOCOL_VERSIONS


def connection_of(request: Request) -> Connection:
    """Return the client's connection, which lives as long as its session.

    The SDK keeps it from handlers; its per-connection state and clean-up are what subscriptions and log
    levels hang on, so this one place reaches for it.
    """
    connection: Connection = request.session._connection  # noqa: SLF001
    return connection
