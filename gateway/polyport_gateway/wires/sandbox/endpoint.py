"""What the served shapes share: an endpoint that answers failures in its shape's own words, and who asks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from polyport.errors import BadRequestError
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.wires.access import Access
from polyport_gateway.wires.http import ClientGoneError, Receive, Scope, Send, info_of
from polyport_sandbox.types import EndEvent, RunEvent, RunResult

__all__ = ["Endpoint", "Handler", "Refuse", "bearer_of", "caller_of", "headers_of", "query_of", "result_of"]

Handler: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Refuse: TypeAlias = Callable[[Send, BaseException, str], Awaitable[None]]

_MOST_PARAMETERS = 64


class Endpoint:
    """An ASGI endpoint around a handler; what fails before the answer has begun is refused in the shape's own words.

    Args:
        handler: Answers.
        refuse: Answers with an error.
    """

    def __init__(self, handler: Handler, refuse: Refuse) -> None:
        self._handler = handler
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._handler(scope, receive, watched)
        except ClientGoneError:
            return
        except Exception as error:
            if started:
                raise
            await self._refuse(send, error, info_of(scope).request_id)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers; of one that is there twice, the last."""
    return {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}


def query_of(scope: Scope) -> dict[str, str]:
    """Return a request's query parameters; of one that is there twice, the last.

    Raises:
        BadRequestError: There are too many.
    """
    try:
        return dict(
            parse_qsl(
                scope.get("query_string", b"").decode("latin-1"),
                keep_blank_values=True,
                max_num_fields=_MOST_PARAMETERS,
            )
        )
    except ValueError as error:
        raise BadRequestError(f"The query has more than {_MOST_PARAMETERS} parameters.") from error


def bearer_of(headers: dict[str, str]) -> str | None:
    """Return the key a request presents: as ``X-API-Key``, as a bearer token, or as the password in its URL."""
    if key := headers.get("x-api-key", "").strip():
        return key
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(value, validate=True).decode("latin-1").partition(":")
        except (binascii.Error, ValueError):
            return None
        return password or name or None
    return None


async def caller_of(key: str | None, access: Access, *, local: bool) -> Caller:
    """Return who presents a key.

    Args:
        key: What was presented, if anything was.
        access: Checks keys.
        local: Whether the request came from within this process, which needs none.

    Raises:
        AuthenticationError: It is missing or wrong.
    """
    if key is None and local:
        return LOCAL
    return await access(key)


async def result_of(events: AsyncGenerator[RunEvent]) -> RunResult:
    """Return the result that a run ends with."""
    result = RunResult("sandbox_error", detail="the run ended without a result")
    async with aclosing(events):
        async for event in events:
            if isinstance(event, EndEvent):
                result = event.result
    return result
