"""One call as a conversation without IO: what to send, how long to wait, when to give up.

`exchange` is a generator that yields `Send` and `Sleep` steps and is given answers or transport errors; the
sync and the async client drive the same one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import httpx
from pydantic import ValidationError
from pydantic_core import from_json

from polyport.client.forms import Form
from polyport.client.retry import SAFE, UNTOUCHED, RetryPolicy, parse_retry_after
from polyport.errors import APIConnectionError, CallError, DeadlineExceededError, UpstreamError, error_from_status

__all__ = ["Request", "Send", "Sleep", "Step", "Timeout", "broken", "exchange", "parsed"]

T = TypeVar("T")
Timeout: TypeAlias = float | httpx.Timeout | None
"""Seconds for a whole call, or httpx's own phases, or None for no limit."""

_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """What to ask.

    Attributes:
        method: The HTTP method.
        path: Below the base URL.
        parse: Reads the answer's body.
        body: The JSON text to send, or a form.
        safe: Whether it may be repeated after it may have been begun.
        headers: Besides the client's own.
    """

    method: str
    path: str
    parse: Callable[[bytes], T]
    body: bytes | Form | None = None
    safe: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request once and give back the answer; the body too, where it isn't a stream or failed."""

    request_id: str
    timeout: httpx.Timeout


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait."""

    seconds: float


Step: TypeAlias = Send | Sleep


def exchange(
    request: Request[Any],
    *,
    policy: RetryPolicy,
    timeout: Timeout,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Step, httpx.Response | None, httpx.Response]:
    """Carry a request to a successful answer.

    Args:
        request: What to ask.
        policy: When to repeat it.
        timeout: For the whole, repetitions and waits among them, when it is a number.
        clock: Seconds on a steady clock.

    Raises:
        CallError: It failed for good.
    """
    deadline = clock() + timeout if isinstance(timeout, int | float) else None
    attempt = 0
    while True:
        attempt += 1
        request_id = "req_" + secrets.token_hex(12)
        remaining = None if deadline is None else max(0.001, deadline - clock())
        try:
            response = yield Send(request_id, _limits(timeout, remaining))
        except httpx.TransportError as error:
            failure = broken(error, request_id=request_id, timeout=timeout)
            failure.__cause__ = error
            again = _repeat_after_break(error, request)
            retry_after = None
        else:
            assert response is not None  # noqa: S101 - a Send is answered with a response
            if response.is_success:
                return response
            failure = _failure(response, request_id)
            again = _repeat_after_answer(response, request)
            retry_after = failure.retry_after
        left = None if deadline is None else deadline - clock()
        wait = policy.delay(attempt, retry_after=retry_after, remaining=left) if again else None
        if wait is None:
            raise failure
        yield Sleep(wait)


def _limits(timeout: Timeout, remaining: float | None) -> httpx.Timeout:
    if isinstance(timeout, httpx.Timeout):
        return timeout
    return httpx.Timeout(remaining, connect=_CONNECT_S if remaining is None else min(remaining, _CONNECT_S))


def _repeat_after_break(error: httpx.TransportError, request: Request[Any]) -> bool:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return True
    if isinstance(error, httpx.TimeoutException | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return False
    return request.safe


def _repeat_after_answer(response: httpx.Response, request: Request[Any]) -> bool:
    if response.headers.get("x-should-retry", "").lower() == "false":
        return False
    return response.status_code in (SAFE if request.safe else UNTOUCHED)


def broken(error: httpx.TransportError, *, request_id: str | None, timeout: Timeout = None) -> CallError:
    """Describe a transport error: no answer in time, or none at all."""
    where = (
        f"{error.request.url.scheme}://{error.request.url.netloc.decode()}" if _has_request(error) else "the gateway"
    )
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
        return APIConnectionError(
            f"{where} could not be reached ({reason}); is the gateway running there?", request_id=request_id
        )
    if isinstance(error, httpx.TimeoutException):
        within = f" within {timeout:g} s" if isinstance(timeout, int | float) else " in time"
        return DeadlineExceededError(f"{where} gave no answer{within}; allow more with timeout=", request_id=request_id)
    return APIConnectionError(
        f"The connection to {where} broke before its answer was whole ({reason})", request_id=request_id
    )


def _has_request(error: httpx.TransportError) -> bool:
    try:
        return error.request is not None
    except RuntimeError:
        return False


def _failure(response: httpx.Response, request_id: str) -> CallError:
    body: dict[str, Any] | None = None
    try:
        content = from_json(response.content)
    except ValueError:
        content = None
    if isinstance(content, dict):
        error = content.get("error", content)
        body = error if isinstance(error, dict) else {"message": str(error)}
    return error_from_status(
        response.status_code,
        body,
        request_id=response.headers.get("x-request-id") or request_id,
        retry_after=parse_retry_after(response.headers.get("retry-after")),
    )


def parsed(request: Request[T], response: httpx.Response) -> T:
    """Read a successful answer.

    Raises:
        UpstreamError: It isn't what the endpoint gives.
    """
    try:
        return request.parse(response.content)
    except ValueError as error:
        problem = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            problem = f"{'.'.join(str(part) for part in first['loc']) or 'the body'}: {first['msg']}"
        raise UpstreamError(
            f"The answer to {request.method} {request.path} is not what it should be ({problem}); "
            "is this address a Polyport gateway?",
            request_id=response.headers.get("x-request-id"),
        ) from error
