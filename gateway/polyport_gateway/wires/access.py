"""What every request passes before it reaches a wire: an id, a checked Host, a checked key, CORS."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from random import Random
from secrets import randbits
from typing import Any, Protocol
from urllib.parse import urlsplit

from polyport.errors import AuthenticationError, PermissionDeniedError
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, RequestInfo, Scope, Send, send_bytes, send_error

__all__ = ["SANDBOX_LABEL", "Access", "AccessLayer", "Door", "host_allowed", "new_request_id", "origin_allowed"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

SANDBOX_LABEL = re.compile(r"(\d{1,5})-(cntr_[0-9a-f]{32})\.")
"""What stands before this gateway's own name in a Host header that names a sandbox, and a port of it."""

# It names requests and guards nothing; os.urandom costs ten times as much.
_random = Random(randbits(128))  # noqa: S311
_CORS_EXPOSED = b"x-request-id, mcp-session-id, retry-after"

Access = Callable[[str | None], Awaitable[Caller]]
"""From the presented token (None for none) to the caller; raises `AuthenticationError`."""


class Door(Protocol):
    """A wire whose clients bring their keys in a way of their own and read errors of their own shape."""

    def takes(self, scope: Scope, host: str | None) -> bool:
        """Whether a request is this wire's; may give it another path."""
        ...

    async def admit(self, scope: Scope, access: Access) -> Caller:
        """Return who asks.

        Raises:
            CallError: The key or token is missing or wrong, or may not be used for this.
        """
        ...

    async def refuse(self, scope: Scope, send: Send, error: BaseException, request_id: str) -> None:
        """Answer with an error in the wire's own shape."""
        ...


def new_request_id() -> str:
    """Return a name for a request that came without one."""
    return f"req_{_random.getrandbits(96):024x}"


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def host_allowed(host: str, settings: Settings) -> bool:
    """Whether a Host header names this gateway, so that a rebound DNS name can't reach it.

    A gateway that listens beyond loopback without `allowed_hosts` accepts any: it has keys instead. A sandbox of this
    gateway is named by a label before a name that is accepted, and by no other.
    """
    label = SANDBOX_LABEL.match(host)
    if label is not None:
        host = host[label.end() :]
    name = _host_name(host)
    if name in _LOOPBACK or name == settings.host.lower() or host in settings.allowed_hosts:
        return True
    if name in settings.allowed_hosts or "*" in settings.allowed_hosts:
        return True
    return not settings.loopback_only and not settings.allowed_hosts


def origin_allowed(origin: str, settings: Settings) -> bool:
    """Whether a page from `origin` may use the gateway."""
    known = (*settings.cors_origins, *settings.allowed_origins)
    if "*" in known or origin in known:
        return True
    try:
        name = urlsplit(origin).hostname
    except ValueError:
        return False
    return name in _LOOPBACK


class AccessLayer:
    """The outermost ASGI layer.

    Args:
        app: What lies within.
        access: Checks keys.
        settings: Hosts, origins and CORS.
        doors: Wires that look at keys themselves.
    """

    def __init__(self, app: Any, *, access: Access, settings: Settings, doors: Sequence[Door] = ()) -> None:
        self._app = app
        self._access = access
        self._settings = settings
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _Headers(scope)
        request_id = headers.request_id or new_request_id()
        cors = self._cors_headers(headers.origin)
        answer = _with_headers(send, [(b"x-request-id", request_id.encode("ascii")), *cors])
        if scope["method"] == "OPTIONS" and headers.preflight:
            await self._preflight(answer, allowed=len(cors) > 1, asked=headers.asked_headers)
            return
        door: Door | None = None
        try:
            if not scope.get("polyport.local"):
                self._check_host(headers)
            door = next((door for door in self._doors if door.takes(scope, headers.host)), None)
            caller = await (self._caller(scope, headers) if door is None else door.admit(scope, self._access))
        except Exception as error:  # noqa: BLE001 - nothing lies further out; what is no CallError is logged and masked
            if door is not None:
                await door.refuse(scope, answer, error, request_id)
            else:
                await send_error(answer, error, request_id=request_id)
            return
        scope["polyport"] = RequestInfo(request_id, caller, headers.traceparent)
        await self._app(scope, receive, answer)

    def _check_host(self, headers: _Headers) -> None:
        if headers.host is not None and not host_allowed(headers.host, self._settings):
            raise PermissionDeniedError(
                f"The Host header {headers.host!r} is not one of this gateway's; add it to allowed_hosts.",
                code="host_not_allowed",
            )
        if headers.origin is not None and not origin_allowed(headers.origin, self._settings):
            raise PermissionDeniedError(
                f"Pages from {headers.origin!r} may not use this gateway; add it to cors_origins.",
                code="origin_not_allowed",
            )

    async def _caller(self, scope: Scope, headers: _Headers) -> Caller:
        if scope["path"] in _OPEN_PATHS:
            return LOCAL
        if headers.malformed_key:
            raise AuthenticationError("The Authorization header must be: Bearer YOUR_KEY")
        if headers.token is None and scope.get("polyport.local"):
            return LOCAL
        return await self._access(headers.token)

    def _cors_headers(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        origins = self._settings.cors_origins
        if origin is None or not origins:
            return []
        if "*" in origins:
            allowed = b"*"
        elif origin in origins:
            allowed = origin.encode("latin-1")
        else:
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", _CORS_EXPOSED),
            (b"vary", b"Origin"),
        ]

    async def _preflight(self, send: Send, *, allowed: bool, asked: bytes) -> None:
        headers = [
            (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
            (b"access-control-allow-headers", asked or b"authorization, content-type"),
            (b"access-control-max-age", b"600"),
        ]
        await send_bytes(send, b"", status=204 if allowed else 403, headers=headers if allowed else ())


class _Headers:
    """The few request headers that this layer reads."""

    __slots__ = (
        "asked_headers",
        "host",
        "malformed_key",
        "origin",
        "preflight",
        "request_id",
        "token",
        "traceparent",
    )

    def __init__(self, scope: Scope) -> None:
        self.host: str | None = None
        self.origin: str | None = None
        self.request_id: str | None = None
        self.traceparent: str | None = None
        self.token: str | None = None
        self.malformed_key = False
        self.preflight = False
        self.asked_headers = b""
        for key, value in scope["headers"]:
            match key:
                case b"host":
                    self.host = value.decode("latin-1")
                case b"origin":
                    self.origin = value.decode("latin-1")
                case b"authorization":
                    self._authorization(value)
                case b"x-request-id":
                    self.request_id = value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None
                case b"traceparent":
                    self.traceparent = value.decode("ascii") if _TRACEPARENT.fullmatch(value) else None
                case b"access-control-request-method":
                    self.preflight = True
                case b"access-control-request-headers":
                    self.asked_headers = value
                case _:
                    pass

    def _authorization(self, value: bytes) -> None:
        scheme, _, token = value.partition(b" ")
        token = token.strip()
        if scheme.lower() == b"bearer" and token:
            self.token = token.decode("latin-1")
        else:
            self.malformed_key = True


def _with_headers(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return answer
