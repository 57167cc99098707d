"""`MCPWire`: MCP over streamable HTTP at one path, both revisions, loaded when first asked for."""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import TYPE_CHECKING, Any

import orjson

from polyport.errors import BadRequestError, CallError, PayloadTooLargeError, ServiceUnavailableError
from polyport_gateway.call import Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, Send, info_of, read_body, send_bytes
from polyport_gateway.wires.json_bodies import check_shape

if TYPE_CHECKING:
    from polyport_gateway.wires.mcp.endpoint import Endpoint

__all__ = ["MCPWire"]

_log = logging.getLogger("polyport.mcp")

_PARSE_ERROR = -32700
_INVALID_REQUEST = -32600


class MCPWire:
    """MCP at ``/mcp``.

    The SDK takes a second to import, so nothing here imports it: `warm` or the first request does, in a thread.

    Args:
        catalog: What is served.
        dispatcher: The way through.
        settings: Limits.
    """

    def __init__(self, catalog: Catalog, dispatcher: Dispatch, settings: Settings) -> None:
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._settings = settings
        self._endpoint: Endpoint | None = None
        self._loading: asyncio.Task[Endpoint] | None = None
        self._stopped = True

    async def start(self) -> None:
        """Begin to answer; the SDK is not loaded yet."""
        self._stopped = False

    async def warm(self) -> None:
        """Load the SDK, so that the first request needn't wait for it."""
        await self._load()

    def end_streams(self) -> None:
        """End the streams on which clients wait for news, which would keep a server from closing its connections."""
        if self._endpoint is not None:
            self._endpoint.end_streams()

    async def stop(self) -> None:
        """End every session and stream."""
        self._stopped = True
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.cancel()
            await asyncio.wait({loading})
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.stop()

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; who asks is in ``scope["polyport"]``."""
        try:
            endpoint = self._endpoint or await self._load()
            if scope["method"] == "POST":
                limits = self._settings
                body = await read_body(scope, receive, limits.max_body_bytes, limits.request_timeout_s)
                check_shape(body, limits.max_json_depth)
                receive = _replay(body, receive)
        except CallError as error:
            await _refuse(send, error)
            return
        await endpoint.handle(scope, receive, send, info_of(scope).caller)

    async def _load(self) -> Endpoint:
        if self._endpoint is not None:
            return self._endpoint
        if self._stopped:
            raise ServiceUnavailableError("The gateway is not running; try again in a moment.", retry_after=1)
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._make_endpoint())
        # One request that gives up must not take the others' endpoint with it.
        return await asyncio.shield(self._loading)

    async def _make_endpoint(self) -> Endpoint:
        module = await asyncio.to_thread(importlib.import_module, "polyport_gateway.wires.mcp.endpoint")
        endpoint: Endpoint = module.Endpoint(self._catalog, self._dispatcher, self._settings)
        try:
            await endpoint.start()
        except asyncio.CancelledError:
            await endpoint.stop()
            raise
        self._endpoint, self._loading = endpoint, None
        return endpoint


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, and then waits for the client to go."""
    given = False

    async def replay() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, error: CallError) -> None:
    parse = isinstance(error, BadRequestError) and not isinstance(error, PayloadTooLargeError)
    code = _PARSE_ERROR if parse else _INVALID_REQUEST
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": error.message}}
    await send_bytes(send, orjson.dumps(body), status=error.status)
