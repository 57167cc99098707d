"""Read server-sent events from bytes that arrive in any pieces (HTML Living Standard, section 9.2.6)."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

__all__ = ["SSEDecoder", "ServerSentEvent"]


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        event: Its type; ``message`` where none was given.
        data: Its data lines, joined by line feeds.
        id: The last event id seen so far.
    """

    event: str
    data: str
    id: str = ""


class SSEDecoder:
    r"""Turns bytes into events, whatever the pieces they come in.

    Lines end in LF, CR or CRLF; a piece may end anywhere, also between CR and LF or inside a character.

    >>> decoder = SSEDecoder()
    >>> decoder.feed(b"data: a\r") + decoder.feed(b"\ndata: b\n\n")
    [ServerSentEvent(event='message', data='a\nb', id='')]
    """

    def __init__(self) -> None:
        self.retry: int | None = None
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._started = False
        self._after_cr = False
        self._line: list[str] = []
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next piece and return the events it completes."""
        text = self._utf8.decode(data)
        if not text:
            return []
        if not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        if text.endswith("\r"):
            self._after_cr = True
        first, *rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._line.append(first)
        events: list[ServerSentEvent] = []
        for following in rest:
            self._take("".join(self._line), events)
            self._line = [following]
        return events

    def _take(self, line: str, events: list[ServerSentEvent]) -> None:
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value[:12])

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data:
            events.append(ServerSentEvent(self._event or "message", "\n".join(self._data), self._id))
        self._event, self._data = "", []
