"""OpenAI's Responses: what is asked, and its stream as events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import ValidationError

from polyport.client.decoding import mid_stream
from polyport.client.exchange import Request
from polyport.client.requests import checked_name, encoded, loads, path_of
from polyport.client.sse import SSEDecoder
from polyport.client.streams import AsyncEventStream, EventStream
from polyport.errors import APIConnectionError, UpstreamError
from polyport.types.responses import Response, ResponseDeleted, ResponseItemList

__all__ = [
    "AsyncResponseStream",
    "ResponseEvent",
    "ResponseStream",
    "cancel",
    "create",
    "delete",
    "input_items",
    "retrieve",
]

_LAST = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}


@dataclass(frozen=True, slots=True)
class ResponseEvent:
    """One event of a response's stream.

    Attributes:
        type: Such as ``response.output_text.delta``.
        data: The event as it came.
    """

    type: str
    data: dict[str, Any]

    @property
    def text(self) -> str:
        """The piece of the answer's text that it carries; empty for other events."""
        delta = self.data.get("delta")
        return delta if self.type == "response.output_text.delta" and isinstance(delta, str) else ""


def create(model: str, input: Any, params: Mapping[str, Any], *, stream: bool) -> Request[Response]:  # noqa: A002
    """Ask for a response."""
    body = {"model": model, "input": input, **params, **({"stream": True} if stream else {})}
    return Request(
        "POST",
        "/v1/responses",
        Response.model_validate_json,
        body=encoded(body),
        headers={"accept": "text/event-stream"} if stream else {},
    )


def retrieve(response_id: str) -> Request[Response]:
    """Ask for a stored one."""
    return Request("GET", _path(response_id), Response.model_validate_json)


def delete(response_id: str) -> Request[ResponseDeleted]:
    """Ask to forget a stored one."""
    return Request("DELETE", _path(response_id), ResponseDeleted.model_validate_json)


def cancel(response_id: str) -> Request[Response]:
    """Ask to cancel one that runs in the background."""
    return Request("POST", _path(response_id, "cancel"), Response.model_validate_json, body=b"{}")


def input_items(response_id: str) -> Request[ResponseItemList]:
    """Ask for what a stored one was made from."""
    return Request("GET", _path(response_id, "input_items"), ResponseItemList.model_validate_json)


def _path(response_id: str, *more: str) -> str:
    return path_of("responses", checked_name(response_id, "response"), *more)


class _Decoder:
    def __init__(self) -> None:
        self.request_id: str | None = None
        self.last: dict[str, Any] | None = None
        self._sse = SSEDecoder()

    def feed(self, data: bytes) -> list[ResponseEvent]:
        found: list[ResponseEvent] = []
        for event in self._sse.feed(data):
            if event.data == "[DONE]":
                continue
            body = loads(event.data)
            if not isinstance(body, dict):
                raise UpstreamError(f"The stream has an event that is no JSON object: {event.data[:80]!r}")
            kind = str(body.get("type") or event.event)
            if kind == "error":
                raise mid_stream(body, request_id=self.request_id)
            if kind in _LAST and isinstance(body.get("response"), dict):
                self.last = body["response"]
            found.append(ResponseEvent(kind, body))
        return found

    def finish(self) -> None:
        if self.last is None:
            raise APIConnectionError("The stream ended before the response did", request_id=self.request_id)

    def whole(self) -> Response:
        try:
            return Response.model_validate(self.last)
        except ValidationError as error:
            raise UpstreamError("The stream ended without a response", request_id=self.request_id) from error


class ResponseStream(EventStream[ResponseEvent]):
    """A response as it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._whole = _Decoder()
        super().__init__(response, self._whole)

    def __enter__(self) -> ResponseStream:
        return self

    def text(self) -> str:
        """Wait for what is left and return its text."""
        return "".join(event.text for event in self)

    def collect(self) -> Response:
        """Wait for the end and return the response, whose `status` says how it ended."""
        for _ in self:
            pass
        return self._whole.whole()


class AsyncResponseStream(AsyncEventStream[ResponseEvent]):
    """A response as it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._whole = _Decoder()
        super().__init__(response, self._whole)

    async def __aenter__(self) -> AsyncResponseStream:
        return self

    async def text(self) -> str:
        """Wait for what is left and return its text."""
        return "".join([event.text async for event in self])

    async def collect(self) -> Response:
        """Wait for the end and return the response, whose `status` says how it ended."""
        async for _ in self:
            pass
        return self._whole.whole()
