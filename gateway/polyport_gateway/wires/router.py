"""Paths to endpoints: a dictionary for plain paths, patterns for the rest, and OpenAI-shaped 404 and 405."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, MutableMapping
from typing import Any, NamedTuple

from starlette.routing import compile_path

from polyport.errors import BadRequestError, NotFoundError, ServiceUnavailableError
from polyport_gateway.wires.http import ClientGoneError, Receive, Scope, Send, info_of, send_error

__all__ = ["Route", "Router"]

_log = logging.getLogger("polyport.wires")

_LONGEST_SHOWN = 200
_CONVERTER = re.compile(r":[a-z]+\}")


class Route(NamedTuple):
    """A path (``{names}`` are passed in ``scope["path_params"]``), its method (``*`` for any) and its endpoint."""

    method: str
    path: str
    endpoint: Any


class Router:
    """An ASGI application that finds the endpoint and turns what escapes it into a plain 500.

    Args:
        routes: Every route; for one path and method the first wins.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Any]] = {}
        self._patterns: list[tuple[re.Pattern[str], str, dict[str, Any]]] = []
        patterns: dict[str, dict[str, Any]] = {}
        for route in routes:
            if "{" in route.path:
                methods = patterns.get(route.path)
                if methods is None:
                    methods = patterns[route.path] = {}
                    self._patterns.append((compile_path(route.path)[0], route.path, methods))
            else:
                methods = self._exact.setdefault(route.path, {})
            methods.setdefault(route.method, route.endpoint)

    def paths(self) -> list[tuple[str, str]]:
        """Return every path with each method it takes; a tail of segments (``{path:path}``) is written ``{path}``."""
        exact = [(path, method) for path, methods in self._exact.items() for method in methods]
        return exact + [
            (_CONVERTER.sub("}", path), method) for _, path, methods in self._patterns for method in methods
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        methods = self._find(scope)
        info = info_of(scope)
        if methods is None:
            error = NotFoundError(
                f"There is nothing at {_short(scope['path'])}; the endpoints are listed at /openapi.json."
            )
            await send_error(send, error, request_id=info.request_id)
            return
        # The server leaves out the body of what answers HEAD.
        asked = "GET" if scope["method"] == "HEAD" else scope["method"]
        endpoint = methods.get(asked) or methods.get("*")
        if endpoint is None:
            allowed = ", ".join(sorted(methods))
            failure = BadRequestError(
                f"{_short(scope['path'])} does not take {scope['method']}; it takes {allowed}.",
                code="method_not_allowed",
                status=405,
            )
            allow = [(b"allow", allowed.encode("ascii"))]
            await send_error(send, failure, request_id=info.request_id, headers=allow)
            return
        await _guarded(endpoint, scope, receive, send, info.request_id)

    def _find(self, scope: Scope) -> dict[str, Any] | None:
        path = scope["path"]
        methods = self._exact.get(path)
        if methods is None and len(path) > 1 and path.endswith("/"):
            methods = self._exact.get(path.rstrip("/"))
        if methods is not None:
            return methods
        for pattern, _, methods in self._patterns:
            if match := pattern.fullmatch(path):
                scope["path_params"] = match.groupdict()
                return methods
        return None


def _short(path: str) -> str:
    return path if len(path) <= _LONGEST_SHOWN else path[:_LONGEST_SHOWN] + "…"


async def _guarded(endpoint: Any, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
    started = False

    async def watched(message: MutableMapping[str, Any]) -> None:
        nonlocal started
        started = True
        await send(message)

    try:
        await endpoint(scope, receive, watched)
    except ClientGoneError:
        return
    except asyncio.CancelledError:
        if scope.get("polyport.local"):
            raise  # by whoever called in this process
        # By the server, of what still runs at the end of its grace: the client should hear why.
        if started:
            _log.warning("an answer was cut off: the gateway is shutting down", extra={"request_id": request_id})
            return
        stopping = ServiceUnavailableError("The gateway is shutting down; try again in a moment.", retry_after=1)
        await send_error(send, stopping, request_id=request_id)
    except Exception as error:
        if started:
            _log.exception("an answer broke off", extra={"request_id": request_id})
            raise
        await send_error(send, error, request_id=request_id)
