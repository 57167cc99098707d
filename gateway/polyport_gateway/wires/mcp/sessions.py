"""Sessions of 2025-11-25, mended: a plain JSON answer where nothing streams, and cancellation on disconnect.

The SDK's transport answers every request with an event stream of its own task group and ping task, and goes on
working when the client has left. This one waits for the first message: if that is the answer it is sent as
``application/json``, which the specification leaves to the server; else the stream begins. It keeps no events for a
client that comes back, so once the connection is gone nobody can ever see the answer, and the call is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.streamable_http import (
    REQUEST_CANCELLED,
    REQUEST_STREAM_BUFFER_SIZE,
    EventMessage,
    StreamableHTTPServerTransport,
)
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from polyport_gateway.wires.json_bodies import parse_exactly

__all__ = ["SessionManager"]

_log = logging.getLogger("polyport.mcp")

_CONFLICT: Final = HTTPStatus.CONFLICT
_ENDED: Final = HTTPStatus.INTERNAL_SERVER_ERROR
_PING_INTERVAL_S: Final = 15.0
_PING: Final = b": ping\r\n\r\n"
_JSON: Final = (b"content-type", b"application/json")
_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class SessionManager(StreamableHTTPSessionManager):
    """The SDK's session manager, with `_Transport` for each session."""

    def end_streams(self) -> None:
        """End the streams on which sessions wait for news; the sessions themselves go on."""
        for transport in self._server_instances.values():
            transport.close_standalone_sse_stream()

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        made = super()._admit_session(requestor)
        if made is None or made.mcp_session_id is None:
            return made
        transport = _Transport(mcp_session_id=made.mcp_session_id, idle_timeout=self.session_idle_timeout)
        self._server_instances[made.mcp_session_id] = transport
        return transport


class _Transport(StreamableHTTPServerTransport):
    """One session's transport."""

    async def _handle_post_request(self, scope: Scope, request: Request, receive: Receive, send: Send) -> None:
        message = _request_in(await request.body())
        if message is None or message.method == "initialize":
            await super()._handle_post_request(scope, request, receive, send)
            return
        if not await self._validate_accept_header(request, scope, send):
            return
        if not await self._validate_request_headers(request, send):
            return
        await self._answer(message, request, receive, send)

    async def _answer(self, message: JSONRPCRequest, request: Request, receive: Receive, send: Send) -> None:
        writer = self._read_stream_writer
        assert writer is not None  # noqa: S101 - the session's task has entered connect()
        stream_id = str(message.id)
        if stream_id in self._request_streams:
            refusal = self._create_error_response(f"The request id {message.id!r} is in use already", _CONFLICT)
            await refusal(request.scope, receive, send)
            return
        streams = anyio.create_memory_object_stream[EventMessage](REQUEST_STREAM_BUFFER_SIZE)
        self._request_streams[stream_id] = streams
        metadata = self._message_metadata(
            request, on_request_unanswered=partial(self._terminate_unanswered_request, message.id)
        )
        gone = asyncio.ensure_future(self._cancel_when_gone(message, receive))
        try:
            await writer.send(SessionMessage(message, metadata=metadata))
            await self._send_answer(streams[1], send)
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            _log.debug("session %s ended with request %s under way", self.mcp_session_id, stream_id)
            with contextlib.suppress(RuntimeError):  # an answer has begun
                ended = self._create_error_response("The session ended before the request was done", _ENDED)
                await ended(request.scope, receive, send)
        finally:
            gone.cancel()
            if self._request_streams.get(stream_id) is streams:
                await self._clean_up_memory_streams(stream_id)

    async def _cancel_when_gone(self, message: JSONRPCRequest, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        writer = self._read_stream_writer
        params = {"requestId": message.id, "reason": "the connection was closed"}
        cancelled = JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params)
        if writer is not None:
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await writer.send(SessionMessage(cancelled))

    async def _send_answer(self, events: MemoryObjectReceiveStream[EventMessage], send: Send) -> None:
        event = await _receive(events)
        if event is not None and _is_answer(event) and not _is_cancelled(event):
            body = _to_json(event)
            headers = [_JSON, (b"content-length", str(len(body)).encode("ascii")), *self._session_headers()]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        headers = [*_STREAM_HEADERS, *self._session_headers()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while True:
            frame = _PING if event is None else b"event: message\r\ndata: " + _to_json(event) + b"\r\n\r\n"
            done = event is not None and _is_answer(event)
            await send({"type": "http.response.body", "body": frame, "more_body": not done})
            if done:
                return
            event = await _receive(events)

    def _session_headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"mcp-session-id", (self.mcp_session_id or "").encode("ascii"))]


def _request_in(body: bytes) -> JSONRPCRequest | None:
    """Return the request in a body; None for anything else, which the SDK's own code answers."""
    try:
        decoded: Any = parse_exactly(body)
        if not isinstance(decoded, dict) or "method" not in decoded or "id" not in decoded:
            return None
        return JSONRPCRequest.model_validate(decoded, by_name=False)
    except (ValueError, ValidationError):
        return None


async def _receive(events: MemoryObjectReceiveStream[EventMessage]) -> EventMessage | None:
    """Return the next message; None when the client should see a sign of life first."""
    with anyio.move_on_after(_PING_INTERVAL_S):
        return await events.receive()
    return None


def _is_answer(event: EventMessage) -> bool:
    return isinstance(event.message, JSONRPCResponse | JSONRPCError)


def _is_cancelled(event: EventMessage) -> bool:
    # The SDK's client, when it cancels because it is closing, fails over a JSON answer but not over a stream.
    return isinstance(event.message, JSONRPCError) and event.message.error.code == REQUEST_CANCELLED


def _to_json(event: EventMessage) -> bytes:
    return event.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
