"""Server-sent events as they come from an upstream: cut into whole events, read where something must be known.

See https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6. An event ends at an empty line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["DONE", "EventSplitter", "ends_stream", "event_data", "split_events"]

DONE = b"[DONE]"
"""The data of the event that ends an OpenAI stream."""

_DONE_LINE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\][ \t]*(?=[\r\n]|$)")
_BOUNDARY = re.compile(rb"\r?\n\r?\n")


class EventSplitter:
    r"""Cuts a stream of network chunks at event boundaries, so that no half event is handed on.

    >>> splitter = EventSplitter()
    >>> splitter.feed(b"data: 1\n\ndata:")
    b'data: 1\n\n'
    >>> splitter.rest
    b'data:'

    Args:
        limit: The most bytes that one event may have.
    """

    __slots__ = ("_limit", "rest")

    def __init__(self, *, limit: int = 32 * 1024 * 1024) -> None:
        self.rest = b""
        self._limit = limit

    def feed(self, chunk: bytes) -> bytes:
        """Return the whole events that are there now, and keep what is unfinished.

        Raises:
            ValueError: One event is larger than the limit.
        """
        data = self.rest + chunk if self.rest else chunk
        if data.endswith(b"\n\n"):
            self.rest = b""
            return data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\n\r\n") + 3)
        if end < 3:
            end = 0
        self.rest = data[end:]
        if len(self.rest) > self._limit:
            raise ValueError(f"an event of the stream has more than {self._limit} bytes")
        return data[:end]


def ends_stream(events: bytes) -> bool:
    """Whether ``data: [DONE]`` is among these events."""
    # The plain search spares nearly every chunk the regular expression.
    return DONE in events and _DONE_LINE.search(events) is not None


def split_events(events: bytes) -> list[bytes]:
    """Return each event by itself, without the empty line that ends it."""
    return [event for event in _BOUNDARY.split(events) if event.strip()]


def event_data(events: bytes) -> Iterator[bytes]:
    """Yield the data of each event; comments, names and ids are passed over."""
    for event in split_events(events):
        lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
        if lines:
            yield b"\n".join(lines)
