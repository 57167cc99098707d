"""News of changes: to sessions (2025-11-25) and to ``subscriptions/listen`` streams (2026-07-28)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types import (
    EmptyResult,
    NotificationParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from polyport_gateway.catalog import Catalog
from polyport_gateway.catalog.changes import Change
from polyport_gateway.wires.mcp.documents import find_resource, resource_not_found
from polyport_gateway.wires.mcp.reporting import LOG_LEVEL
from polyport_gateway.wires.mcp.requests import Request, connection_of, facts_of

if TYPE_CHECKING:
    from mcp.server.connection import Connection

__all__ = ["Subscriptions"]

_log = logging.getLogger("polyport.mcp")

_LIST_METHODS = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}


class _Session:
    """What one session wants to hear, and what it has yet to be told; news of one kind waits once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.uris: set[str] = set()
        self.waiting: dict[tuple[str, str | None], None] = {}
        self.sending = False


class _Bus:
    """The SDK's `SubscriptionBus`, fed by the catalogue's changes rather than by `publish`."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[ServerEvent], None]] = {}

    async def publish(self, event: ServerEvent) -> None:
        """Hand on an event."""
        self.emit(event)

    def emit(self, event: ServerEvent) -> None:
        """Hand on an event, on the gateway's loop."""
        for listener in list(self._listeners.values()):
            listener(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a listener; what is returned takes it away again."""
        token = object()
        self._listeners[token] = listener
        return lambda: self._listeners.pop(token, None) and None


class Subscriptions:
    """Who wants to hear of what, and the handlers by which they say so.

    Args:
        catalog: Whose changes are told.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._bus = _Bus()
        self._listen = ListenHandler(self._bus)
        self._sessions: dict[Connection, _Session] = {}
        self._tasks: TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell of changes while inside."""
        loop = asyncio.get_running_loop()

        def heard(change: Change) -> None:
            # A function may tell of a change from its worker thread.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._deliver, change)

        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            with self._catalog.changes.listening(heard):
                try:
                    yield
                finally:
                    self.end()
                    self._tasks = None
                    tasks.cancel_scope.cancel()

    def end(self) -> None:
        """End every ``subscriptions/listen`` stream, telling its client that this is meant."""
        self._listen.close()

    async def initialized(self, request: Request, params: NotificationParams) -> None:
        """Take in a session that has finished its handshake."""
        self._session(request)

    async def subscribe(self, request: Request, params: SubscribeRequestParams) -> EmptyResult:
        """Answer resources/subscribe.

        Raises:
            MCPError: There is no such resource.
        """
        uri = str(params.uri)
        if find_resource(self._catalog, uri, facts_of(request).caller) is None:
            raise resource_not_found(request, uri)
        self._session(request).uris.add(uri)
        return EmptyResult()

    async def unsubscribe(self, request: Request, params: UnsubscribeRequestParams) -> EmptyResult:
        """Answer resources/unsubscribe."""
        self._session(request).uris.discard(str(params.uri))
        return EmptyResult()

    async def set_level(self, request: Request, params: SetLevelRequestParams) -> EmptyResult:
        """Answer logging/setLevel: for this session only."""
        connection_of(request).state[LOG_LEVEL] = params.level
        return EmptyResult()

    async def listen(self, request: Request, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Answer subscriptions/listen; what this caller may not read is left out of what is acknowledged."""
        wanted = params.notifications
        if wanted.resource_subscriptions:
            caller = facts_of(request).caller
            seen = [uri for uri in wanted.resource_subscriptions if find_resource(self._catalog, uri, caller)]
            wanted = wanted.model_copy(update={"resource_subscriptions": seen or None})
            params = params.model_copy(update={"notifications": wanted})
        return await self._listen(request, params)

    def _session(self, request: Request) -> _Session:
        connection = connection_of(request)
        session = self._sessions.get(connection)
        if session is None:
            session = self._sessions[connection] = _Session(connection)
            connection.exit_stack.callback(self._sessions.pop, connection, None)
        return session

    def _deliver(self, change: Change) -> None:
        self._bus.emit(_event_of(change))
        for session in self._sessions.values():
            if change.topic != "resource":
                session.waiting[_LIST_METHODS[change.topic], None] = None
            elif change.uri in session.uris:
                session.waiting["notifications/resources/updated", change.uri] = None
            if session.waiting and not session.sending and self._tasks is not None:
                session.sending = True
                self._tasks.start_soon(self._send, session)

    async def _send(self, session: _Session) -> None:
        try:
            while session.waiting:
                method, uri = next(iter(session.waiting))
                del session.waiting[method, uri]
                await session.connection.outbound.notify(method, None if uri is None else {"uri": uri})
        except Exception:  # noqa: BLE001 - one client's trouble must not end the others' news
            _log.exception("a client could not be told of a change")
        finally:
            session.sending = False


def _event_of(change: Change) -> ServerEvent:
    match change.topic:
        case "tools":
            return ToolsListChanged()
        case "prompts":
            return PromptsListChanged()
        case "resources":
            return ResourcesListChanged()
        case _:
            return ResourceUpdated(uri=change.uri or "")
