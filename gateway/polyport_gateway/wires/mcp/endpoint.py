"""What answers at ``/mcp`` once the SDK is loaded."""

from __future__ import annotations

import asyncio
from functools import lru_cache

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from polyport_gateway.call import Caller, Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, Send
from polyport_gateway.wires.mcp.server import CURRENT_CALLER, GatewayServer
from polyport_gateway.wires.mcp.sessions import SessionManager

__all__ = ["Endpoint"]


class Endpoint:
    """Sessions and single exchanges over HTTP.

    Args:
        catalog: What is served.
        dispatcher: The way through.
        settings: Limits.
    """

    def __init__(self, catalog: Catalog, dispatcher: Dispatch, settings: Settings) -> None:
        self._server = GatewayServer(catalog, dispatcher, settings)
        self._manager = SessionManager(self._server, max_request_body_size=settings.max_body_bytes)
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ending = asyncio.Event()

    async def start(self) -> None:
        """Open what sessions live in."""
        self._task = asyncio.ensure_future(self._run())
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._task  # raises what kept it from starting

    async def stop(self) -> None:
        """End every session and stream."""
        self._ending.set()
        if self._task is not None:
            await self._task

    def end_streams(self) -> None:
        """End the streams on which clients wait for news."""
        self._server.subscriptions.end()
        self._manager.end_streams()

    async def handle(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Answer one request.

        Args:
            scope: Its ASGI scope.
            receive: Gives its body.
            send: Takes the answer.
            caller: Who asks; a session can be used only by the caller that opened it.
        """
        CURRENT_CALLER.set(caller)
        # RFC 9110 5.5: white space around a value is not part of it; HTTP parsers in C leave what trails.
        headers = [(key, value.strip()) for key, value in scope["headers"]]
        await self._manager.handle_request({**scope, "headers": headers, "user": _user(caller.id)}, receive, send)

    async def _run(self) -> None:
        # Task groups must be left by the task that entered them, so they live in one of their own.
        async with self._server.subscriptions.running(), self._manager.run():
            self._ready.set()
            await self._ending.wait()


@lru_cache(maxsize=1024)
def _user(caller_id: str) -> AuthenticatedUser:
    return AuthenticatedUser(AccessToken(token="", client_id=caller_id, scopes=[]))
