"""E2B's shape of an error, over plain HTTP and over Connect."""

from __future__ import annotations

from pydantic import ValidationError

from polyport.errors import CallError
from polyport_gateway.errors import invalid_request, to_call_error
from polyport_gateway.wires.http import Send, error_headers, send_bytes
from polyport_gateway.wires.json_bodies import to_json
from polyport_sandbox.errors import SandboxUnavailableError, SessionNotFoundError

__all__ = ["NotOfferedError", "SandboxGoneError", "connect_code", "failure_of", "send_refusal"]

_CODES = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    409: "already_exists",
    413: "resource_exhausted",
    415: "invalid_argument",
    422: "invalid_argument",
    429: "resource_exhausted",
    501: "unimplemented",
    502: "unavailable",
    503: "unavailable",
    504: "deadline_exceeded",
}


class NotOfferedError(CallError):
    """E2B has it, and this gateway's sandbox does not."""

    code = "not_offered"

    def __init__(self, message: str) -> None:
        super().__init__(message, status=501)


class SandboxGoneError(CallError):
    """The sandbox that a request names has ended; E2B's clients know it by the status and these words."""

    code = "sandbox_not_found"

    def __init__(self, identity: str) -> None:
        super().__init__(f"The sandbox {identity[:80]} was not found: it has ended, or never was.", status=502)


def failure_of(error: BaseException, request_id: str, *, identity: str | None = None) -> CallError:
    """Return what a caller may see of a failure.

    Args:
        error: What was raised.
        request_id: Put on it.
        identity: The sandbox that the request was for; if that has ended, this is said as E2B does.
    """
    if isinstance(error, ValidationError):
        return invalid_request(error)
    if identity is not None and isinstance(error, SessionNotFoundError):
        return SandboxGoneError(identity)
    return to_call_error(error, request_id=request_id)


def connect_code(error: CallError) -> str:
    """Return Connect's name for a failure."""
    return _CODES.get(error.status, "internal")


async def send_refusal(send: Send, error: BaseException, request_id: str) -> None:
    """Answer with an error."""
    failure = failure_of(error, request_id)
    status = failure.status if 400 <= failure.status <= 599 else 500
    headers = error_headers(failure)
    if isinstance(failure, SandboxUnavailableError):
        headers.append((b"should-retry", b"false"))  # somebody has to mend it first
    await send_bytes(send, to_json({"code": status, "message": failure.message}), status=status, headers=headers)
