"""What the OpenAI endpoints share: building calls, ids, and the guard around each endpoint."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any

from pydantic import ValidationError

from polyport.errors import CallError
from polyport.events import Usage
from polyport_gateway.call import Call, Dispatch, Input
from polyport_gateway.errors import invalid_request
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    ClientGoneError,
    Receive,
    Scope,
    Send,
    info_of,
    read_json,
    run_until_disconnect,
    send_error,
)

__all__ = ["JSONEndpoint", "new_id", "now", "usage_body"]

Handler = Callable[[Scope, dict[str, Any], Send], Awaitable[None]]


def new_id(prefix: str) -> str:
    """Return a fresh id such as ``chatcmpl-…``."""
    return prefix + token_hex(12)


def now() -> int:
    """Return Unix time in whole seconds."""
    return int(time.time())


def usage_body(usage: Usage | None) -> dict[str, Any]:
    """Return OpenAI's usage object; zeros where nothing counts tokens."""
    usage = usage or Usage()
    body: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens:
        body["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return body


class JSONEndpoint:
    """An ASGI endpoint that takes a JSON object: reads, guards, and answers any failure.

    Subclasses implement `handle`; what it raises before it has begun to answer becomes the error's own
    status and body.
    """

    def __init__(self, dispatcher: Dispatch, settings: Settings) -> None:
        self.dispatcher = dispatcher
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            body = await read_json(scope, receive, settings=self.settings)
            await run_until_disconnect(receive, self.handle(scope, body, send))
        except ClientGoneError:
            return
        except ValidationError as error:
            await send_error(send, invalid_request(error), request_id=info_of(scope).request_id)
        except CallError as error:
            await send_error(send, error, request_id=info_of(scope).request_id)

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer a request."""
        raise NotImplementedError

    def call(self, scope: Scope, name: str, given: Input, *, raw: bool = False) -> Call:
        """Build the call that a request asks for."""
        info = info_of(scope)
        return Call(
            name=name,
            input=given,
            caller=info.caller,
            wire="openai",
            request_id=info.request_id,
            traceparent=info.traceparent,
            dispatch=self.dispatcher,
            raw=raw,
        )
