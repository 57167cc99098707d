"""What the gateway must know of an answer that it hands on as it is: usage, the end, and whether it is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from polyport.events import Event, Finish, Usage
from polyport_gateway.call import Operation
from polyport_gateway.engines.openai_events import finish_reason, read_usage
from polyport_gateway.engines.sse import DONE, ends_stream, event_data, split_events

__all__ = ["StreamWatch", "sniff_answer"]

_SMALL = 32 * 1024
_MEMBER = {
    Operation.CHAT: "choices",
    Operation.COMPLETION: "choices",
    Operation.EMBEDDING: "data",
    Operation.MODERATION: "results",
    Operation.RERANK: "results",
}
# A quotation mark inside a JSON string is escaped, so these are found in no text, only as members.
_NEWS = (b'"finish_reason":"', b'"finish_reason": "', b'"usage":{', b'"usage": {', b'"error"')


def sniff_answer(body: bytes, operation: Operation) -> list[Event]:
    """Return usage and finishes of a whole answer.

    A small body is read; of a large one (embeddings are mostly numbers) only the usage object is,
    and its outline is checked.

    Raises:
        ValueError: It is not an answer; the message says how.
    """
    member = _MEMBER[operation]
    if len(body) > _SMALL:
        return _sniff_large(body, member)
    try:
        answer = orjson.loads(body)
    except ValueError as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(answer, dict) or not isinstance(answer.get(member), list):
        raise ValueError(f"it has no {member}")
    usage = read_usage(answer.get("usage"))
    events: list[Event] = [] if usage is None else [usage]
    if member == "choices":
        if not answer[member]:
            raise ValueError("it has no choices")
        events.extend(
            Finish(finish_reason(choice.get("finish_reason")), position)
            for position, choice in enumerate(answer[member])
            if isinstance(choice, dict)
        )
    else:
        events.append(Finish())
    return events


def _sniff_large(body: bytes, member: str) -> list[Event]:
    if not body.lstrip()[:1] == b"{" or not body.rstrip().endswith(b"}"):
        raise ValueError("it is not a JSON object")
    if f'"{member}"'.encode() not in body:
        raise ValueError(f"it has no {member}")
    usage = _usage_object(body)
    return [Finish()] if usage is None else [usage, Finish()]


def _usage_object(body: bytes) -> Usage | None:
    """Read the last ``"usage": {…}`` of a body without reading the rest."""
    at = body.rfind(b'"usage"')
    start = body.find(b"{", at)
    if at < 0 or start < 0 or body[at + 7 : start].strip() != b":":
        return None
    depth = 0
    for position in range(start, len(body)):
        depth += (body[position] == 0x7B) - (body[position] == 0x7D)
        if depth == 0:
            return read_usage(orjson.loads(body[start : position + 1]))
    return None


class StreamWatch:
    """Looks at a stream's events in passing; reads only those that tell something.

    Attributes:
        done: Whether ``data: [DONE]`` has come.
        error: The error object of an ``error`` event, if one came.
    """

    __slots__ = ("_finishes", "_usage", "done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: Any = None
        self._usage: Usage | None = None
        self._finishes: dict[int, Finish] = {}

    def look(self, events: bytes) -> bytes:
        """Look at whole events and return what may be handed on: everything up to an error.

        Raises:
            ValueError: An event that had to be read is not JSON.
        """
        if DONE in events and ends_stream(events):
            self.done = True
        if not any(news in events for news in _NEWS):
            return events
        for data in event_data(events):
            if data.strip() != DONE:
                self._read(data)
            if self.error is not None:
                return self._before_error(events)
        return events

    def end(self) -> Iterator[Event]:
        """Yield what was seen."""
        if self._usage is not None:
            yield self._usage
        yield from self._finishes.values() or (Finish(),)

    def _read(self, data: bytes) -> None:
        try:
            chunk = orjson.loads(data)
        except ValueError as error:
            raise ValueError("an event of its stream is not JSON") from error
        if not isinstance(chunk, dict):
            raise ValueError("an event of its stream is not an object")
        if chunk.get("error"):
            self.error = chunk["error"]
            return
        self._usage = read_usage(chunk.get("usage")) or self._usage
        for position, choice in enumerate(chunk.get("choices") or ()):
            if isinstance(choice, dict) and choice.get("finish_reason"):
                index = choice.get("index", position)
                self._finishes[index] = Finish(finish_reason(choice["finish_reason"]), index)

    def _before_error(self, events: bytes) -> bytes:
        clean: list[bytes] = []
        for event in split_events(events):
            if any(data.strip() != DONE and orjson.loads(data).get("error") for data in event_data(event)):
                break
            clean.append(event + b"\n\n")
        return b"".join(clean)
