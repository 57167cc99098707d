"""Names of requests, and W3C trace contexts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from secrets import token_hex

__all__ = ["TraceContext", "new_request_id", "parse_traceparent"]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a distributed trace.

    Attributes:
        trace_id: 32 hexadecimal digits, shared by the whole trace.
        parent_id: 16 hexadecimal digits: the caller's span.
        sampled: Whether the caller records it.
    """

    trace_id: str
    parent_id: str
    sampled: bool


def new_request_id() -> str:
    """Return a fresh id, ``req_`` and 24 hexadecimal digits."""
    return "req_" + token_hex(12)


def parse_traceparent(header: str) -> TraceContext | None:
    """Read a ``traceparent`` header; None if it isn't valid (W3C Trace Context, section 3.2).

    >>> parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").sampled
    True
    """
    found = _TRACEPARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return TraceContext(trace_id, parent_id, bool(int(flags, 16) & 1))
