"""What every HTTP wire needs: the request's facts, JSON in and out, errors, and noticing who has gone away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import orjson
from pydantic import BaseModel

from polyport.errors import BadRequestError, CallError, PayloadTooLargeError
from polyport_gateway.call import Caller
from polyport_gateway.errors import to_call_error
from polyport_gateway.patience import OutOfTimeError, finish_by
from polyport_gateway.settings import Settings
from polyport_gateway.wires.json_bodies import check_shape, parse_exactly, to_json

__all__ = [
    "ClientGoneError",
    "Receive",
    "RequestInfo",
    "Scope",
    "Send",
    "body_parts",
    "error_headers",
    "info_of",
    "read_body",
    "read_json",
    "refuse_encoded",
    "run_until_disconnect",
    "send_bytes",
    "send_error",
    "send_json",
]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

_JSON = (b"content-type", b"application/json")
_WATCH_AFTER_S = 0.04
_NOT_AGAIN = frozenset(
    {"function_error", "invalid_output", "timeout", "internal_error", "step_limit", "sandbox_unavailable"}
)


class ClientGoneError(Exception):
    """The client has closed the connection; nobody waits for an answer."""


@dataclass(slots=True)
class RequestInfo:
    """What the gateway knows of a request; in ``scope["polyport"]``.

    Attributes:
        request_id: Answered as ``x-request-id``.
        caller: Who asks, once the key was checked.
        traceparent: The W3C trace context it came with.
    """

    request_id: str
    caller: Caller
    traceparent: str | None = None


def info_of(scope: Scope) -> RequestInfo:
    """Return a request's facts."""
    info: RequestInfo = scope["polyport"]
    return info


async def read_body(
    scope: Scope, receive: Receive, limit: int, timeout_s: float, *, setting: str = "max_body_bytes"
) -> bytes:
    """Read a request's body.

    Args:
        scope: The request's scope.
        receive: Gives the body.
        limit: The most bytes.
        timeout_s: Seconds for which the client may send nothing of it.
        setting: Which setting the limit is.

    Raises:
        PayloadTooLargeError: It has more than `limit` bytes.
        BadRequestError: Nothing came for too long.
        ClientGoneError: The client went away before it was whole.
    """
    parts = [part async for part in body_parts(scope, receive, limit, timeout_s, setting=setting)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def body_parts(
    scope: Scope, receive: Receive, limit: int, timeout_s: float, *, setting: str = "max_body_bytes"
) -> AsyncGenerator[bytes, None]:
    """Give a request's body as it comes; see `read_body`."""
    for key, value in scope["headers"]:
        if key == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit, setting)
    size = 0
    more = True
    clock = asyncio.get_running_loop().time
    try:
        while more:
            message = await finish_by(clock() + timeout_s, receive)
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_large(limit, setting)
            more = message.get("more_body", False)
            yield part
    except OutOfTimeError as error:
        raise BadRequestError(
            f"The rest of the request body did not come within {timeout_s:g} s (request_timeout_s).",
            code="request_timeout",
            status=408,
        ) from error


def refuse_encoded(scope: Scope) -> None:
    """Refuse a body that is compressed: it would be taken for what it is not.

    Raises:
        BadRequestError: It is.
    """
    for key, value in scope["headers"]:
        if key == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise BadRequestError(
                f"The content encoding {value[:40].decode('latin-1')!r} is not understood; send the body as it is.",
                code="unsupported_encoding",
                status=415,
            )


def _too_large(limit: int, setting: str) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The request body is larger than {limit} bytes, this gateway's limit ({setting}).")


async def read_json(
    scope: Scope,
    receive: Receive,
    *,
    settings: Settings,
    exact: bool = False,
    limit: int | None = None,
    setting: str = "max_body_bytes",
) -> dict[str, Any]:
    """Read a body that must be one JSON object.

    Args:
        scope: The request's scope.
        receive: Gives its body.
        settings: Limits.
        exact: Whether whole numbers beyond 64 bits keep every digit, which takes a look at each byte.
        limit: The most bytes, instead of the settings' own.
        setting: Which setting that is.

    Raises:
        BadRequestError: It isn't JSON, isn't UTF-8, isn't an object, or nests too deeply, or did not come in time.
        PayloadTooLargeError: It has too many bytes.
        ClientGoneError: The client went away before it was whole.
    """
    most = settings.max_body_bytes if limit is None else limit
    body = await read_body(scope, receive, most, settings.request_timeout_s, setting=setting)
    if not body:
        raise BadRequestError("The request has no body; send a JSON object.")
    check_shape(body, settings.max_json_depth)
    try:
        value = parse_exactly(body) if exact else orjson.loads(body)
    except ValueError as error:
        raise BadRequestError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequestError(f"The request body must be a JSON object, not {_kind(value)}.")
    return value


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return names.get(type(value), "null")


async def send_bytes(
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    headers: Iterable[tuple[bytes, bytes]] = (_JSON,),
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode("ascii"))],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, value: Any, *, status: int = 200) -> None:
    """Send a pydantic model (members that are None are kept) or plain data as JSON."""
    body = value.model_dump_json(by_alias=True).encode() if isinstance(value, BaseModel) else to_json(value)
    await send_bytes(send, body, status=status)


def error_headers(error: CallError) -> list[tuple[bytes, bytes]]:
    """Return the headers that go with an error."""
    headers = [_JSON]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode("ascii")))
    if error.code in _NOT_AGAIN:
        # OpenAI's clients repeat any 5xx unless told; a function that failed must not run thrice.
        headers.append((b"x-should-retry", b"false"))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


async def send_error(
    send: Send,
    error: BaseException,
    *,
    request_id: str | None = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer with an error's status and OpenAI body."""
    failure = to_call_error(error, request_id=request_id)
    status = failure.status if 400 <= failure.status <= 599 else 500
    await send_bytes(
        send, to_json({"error": failure.body()}), status=status, headers=[*error_headers(failure), *headers]
    )


class _Watched:
    """A request whose client may go away."""

    __slots__ = ("done", "gone", "receive", "task", "watcher")

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self.receive = receive
        self.task = task
        self.done = False
        self.gone = False
        self.watcher: asyncio.Task[None] | None = None

    async def watch(self) -> None:
        """Cancel the request's task once the client is gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()


class _Watch:
    """Begins to watch requests that take long; most are answered before a task for that would have paid off.

    One timer for all: it looks twice at each request before it gives it a task.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._young: list[_Watched] = []
        self._old: list[_Watched] = []
        self._ticking = False

    def add(self, request: _Watched) -> None:
        self._young.append(request)
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(_WATCH_AFTER_S, self._tick)

    def _tick(self) -> None:
        for request in self._old:
            if not request.done:
                request.watcher = self._loop.create_task(request.watch())
        self._old, self._young = self._young, []
        self._ticking = bool(self._old)
        if self._ticking:
            self._loop.call_later(_WATCH_AFTER_S, self._tick)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()


async def run_until_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, and cancel it as soon as the client goes away. The body must have been read.

    Raises:
        ClientGoneError: It went away; `work` has ended.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - ASGI applications run in tasks
    loop = task.get_loop()
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = _Watch(loop)
    request = _Watched(receive, task)
    watch.add(request)
    try:
        return await work
    except asyncio.CancelledError:
        if request.gone and task.uncancel() == 0:
            raise ClientGoneError from None
        raise
    finally:
        request.done = True
        if request.watcher is not None:
            request.watcher.cancel()
