"""Server-sent events as OpenAI sends them."""

from __future__ import annotations

from typing import Any

from polyport_gateway.errors import to_call_error
from polyport_gateway.wires.http import Send
from polyport_gateway.wires.json_bodies import to_json

__all__ = ["DONE", "EventStream", "data_frame"]

DONE = b"data: [DONE]\n\n"

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def data_frame(value: Any, *, event: str | None = None) -> bytes:
    """Return one event as bytes."""
    data = b"data: " + to_json(value) + b"\n\n"
    return data if event is None else b"event: " + event.encode("ascii") + b"\n" + data


class EventStream:
    """An SSE answer: nothing is sent before the first frame, so a failure before it keeps its HTTP status.

    Args:
        send: The ASGI send.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def start(self) -> None:
        """Send the headers, if they haven't been."""
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})

    async def write(self, frame: bytes) -> None:
        """Send bytes of whole frames (or a piece of a frame that an upstream sent)."""
        if not self.started:
            await self.start()
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    async def fail(self, error: BaseException, *, request_id: str | None = None) -> None:
        """End a stream that has begun with an ``error`` event, as OpenAI does."""
        failure = to_call_error(error, request_id=request_id)
        await self.write(data_frame({"error": failure.body()}, event="error"))
        await self.end()

    async def end(self) -> None:
        """Close the body."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
