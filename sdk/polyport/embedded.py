"""The one door from the SDK to the gateway: an entry point, never an import."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from polyport.errors import MissingDependencyError

if TYPE_CHECKING:
    from polyport.app import App

__all__ = ["ASGIApplication", "EmbeddedGateway", "GatewayFactory", "RunningGateway", "load_gateway"]

_Message: TypeAlias = MutableMapping[str, Any]
ASGIApplication: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI 3 application."""

GROUP = "polyport.gateway"


class EmbeddedGateway(Protocol):
    """A gateway in this process: an ASGI application between `start` and `stop`, on one event loop."""

    asgi: ASGIApplication

    async def start(self) -> None:
        """Open what it needs."""
        ...

    async def stop(self) -> None:
        """Finish what is under way, write what is pending, and close."""
        ...


class RunningGateway(Protocol):
    """A gateway that answers over HTTP."""

    @property
    def url(self) -> str:
        """Where, without a trailing slash."""
        ...


class GatewayFactory(Protocol):
    """What the entry point names."""

    def serve(self, app: App, *, host: str | None = None, port: int | None = None, **settings: Any) -> None:
        """Serve over HTTP until interrupted."""
        ...

    def embed(self, app: App, **settings: Any) -> EmbeddedGateway:
        """Build a gateway for use in this process."""
        ...

    def run_in_thread(self, app: App, **settings: Any) -> AbstractContextManager[RunningGateway]:
        """Serve over HTTP from a thread, on a free loopback port unless told otherwise, while inside."""
        ...


def load_gateway() -> GatewayFactory:
    """Return the installed gateway.

    Raises:
        MissingDependencyError: None is installed.
    """
    for entry_point in entry_points(group=GROUP):
        try:
            factory: GatewayFactory = entry_point.load()
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("polyport"):
                raise  # a module of ours that isn't there is no missing extra
            raise MissingDependencyError("serving an app", extra="gateway") from error
        return factory
    raise MissingDependencyError("serving an app", extra="gateway")
