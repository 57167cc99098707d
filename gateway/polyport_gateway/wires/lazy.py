"""Endpoints that are loaded when they are first asked: a gateway whose callers never do starts without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from polyport_gateway.wires.http import Receive, Scope, Send
from polyport_gateway.wires.router import Route

__all__ = ["lazy_routes"]


def lazy_routes(paths: Iterable[tuple[str, str]], load: Callable[[], Iterable[Route]]) -> list[Route]:
    """Return routes whose endpoints are loaded, all together, by the first request to one of them.

    Args:
        paths: Each method and path.
        load: Gives the routes themselves, of the same methods and paths.
    """
    loaded: dict[tuple[str, str], Any] = {}

    def endpoint_at(place: tuple[str, str]) -> Any:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if not loaded:
                loaded.update({(route.method, route.path): route.endpoint for route in load()})
            await loaded[place](scope, receive, send)

        return answer

    return [Route(method, path, endpoint_at((method, path))) for method, path in paths]
