"""The Connect protocol with JSON, as E2B's clients speak it: single calls, and streams of enveloped messages.

Source: https://connectrpc.com/docs/protocol
"""

from __future__ import annotations

import struct
from typing import Any

import orjson

from polyport.errors import BadRequestError, CallError
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, Send, read_body, read_json, send_bytes
from polyport_gateway.wires.json_bodies import check_shape, to_json
from polyport_gateway.wires.sandbox.e2b.errors import connect_code, failure_of

__all__ = ["MessageStream", "RPCError", "deadline_of", "read_message", "read_streamed_message", "send_rpc_error"]

_HEAD = struct.Struct(">BI")
_END = 0b10
_JSON = "application/json"
_STREAM = "application/connect+json"
_STATUSES = {
    "canceled": 499,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "unimplemented": 501,
    "unavailable": 503,
    "unauthenticated": 401,
}


class RPCError(CallError):
    """A failure with one of Connect's own codes."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message, code=name, status=_STATUSES[name])
        self.name = name


def _name_of(error: CallError) -> str:
    return error.name if isinstance(error, RPCError) else connect_code(error)


def _body(error: CallError) -> dict[str, str]:
    return {"code": _name_of(error), "message": error.message}


async def send_rpc_error(send: Send, error: BaseException, request_id: str) -> None:
    """Answer a single call with an error."""
    failure = failure_of(error, request_id, identity="")
    await send_bytes(send, to_json(_body(failure)), status=_STATUSES.get(_name_of(failure), 500))


def _check_type(scope: Scope, expected: str) -> None:
    given = next((value for key, value in scope["headers"] if key == b"content-type"), b"").decode("latin-1")
    if given.partition(";")[0].strip().lower() != expected:
        raise BadRequestError(
            f"The content type is {given[:80]!r}; this method takes {expected}.",
            code="unsupported_media_type",
            status=415,
        )


async def read_message(scope: Scope, receive: Receive, settings: Settings) -> dict[str, Any]:
    """Read the message of a single call.

    Raises:
        BadRequestError: It is not JSON, or not an object.
    """
    _check_type(scope, _JSON)
    return await read_json(scope, receive, settings=settings)


async def read_streamed_message(scope: Scope, receive: Receive, settings: Settings) -> dict[str, Any]:
    """Read the one message with which a stream of answers is asked for.

    Raises:
        BadRequestError: There is none, more than one, or what is there is no JSON object.
    """
    _check_type(scope, _STREAM)
    body = await read_body(scope, receive, settings.max_body_bytes, settings.request_timeout_s)
    if len(body) < _HEAD.size:
        raise BadRequestError("The request has no message; send one in an envelope, as Connect describes it.")
    flags, length = _HEAD.unpack_from(body)
    if flags & 1:
        raise BadRequestError("The message is compressed; send it as it is.")
    if flags or length != len(body) - _HEAD.size:
        raise BadRequestError("The request must be one message in its envelope, and nothing after it.")
    text = body[_HEAD.size :]
    check_shape(text, settings.max_json_depth)
    try:
        message = orjson.loads(text)
    except ValueError as error:
        raise BadRequestError(f"The message is not valid JSON: {error}") from error
    if not isinstance(message, dict):
        raise BadRequestError("The message must be a JSON object.")
    return message


def deadline_of(scope: Scope) -> float | None:
    """Return the seconds that the client gives a call; None where it doesn't say."""
    given = next((value for key, value in scope["headers"] if key == b"connect-timeout-ms"), None)
    if given is None:
        return None
    if not given.isdigit() or len(given) > 10:
        raise BadRequestError("Connect-Timeout-Ms must be a whole number of at most ten digits.")
    return int(given) / 1000


class MessageStream:
    """A stream of answers: messages as they come, then the end, with an error where there was one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def write(self, message: dict[str, Any]) -> None:
        """Send a message."""
        await self._write(0, to_json(message))

    async def end(self, error: BaseException | None = None, *, request_id: str = "", identity: str = "") -> None:
        """Send the end."""
        told = {} if error is None else {"error": _body(failure_of(error, request_id, identity=identity))}
        await self._write(_END, to_json(told))
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, flags: int, body: bytes) -> None:
        if not self._started:
            self._started = True
            headers = [(b"content-type", _STREAM.encode("ascii"))]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": _HEAD.pack(flags, len(body)) + body, "more_body": True})
