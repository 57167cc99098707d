"""A gateway under uvicorn on this loop, for tests of the MCP wire."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastmcp import Client

from polyport import App
from polyport_gateway.server import Gateway, create_gateway
from polyport_gateway.settings import Settings

MODERN, LEGACY = "2026-07-28", "2025-11-25"
BOTH = [MODERN, LEGACY]
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@dataclass
class Served:
    """A running gateway."""

    gateway: Gateway
    url: str

    def client(self, revision: str, **options: Any) -> Client[Any]:
        """A client of another maker that speaks this revision."""
        return Client(self.url, mode="legacy" if revision == LEGACY else MODERN, timeout=20, **options)

    async def post(self, body: Any, *, http: httpx.AsyncClient | None = None, **headers: str) -> httpx.Response:
        """Send one message as it is; a string or bytes go out untouched."""
        content = {"content": body} if isinstance(body, str | bytes) else {"json": body}
        if http is not None:
            return await http.post(self.url, headers={**HEADERS, **_dashed(headers)}, **content)
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.post(self.url, headers={**HEADERS, **_dashed(headers)}, **content)

    async def ask(self, method: str, params: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Send one request of 2026-07-28 with all that it must carry."""
        return await self.post(modern(method, params), **{**modern_headers(method, params), **headers})


def modern(method: str, params: dict[str, Any] | None = None, *, capabilities: Any = None) -> dict[str, Any]:
    """A request of 2026-07-28."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}


def modern_headers(method: str, params: dict[str, Any] | None = None) -> dict[str, str]:
    """The headers that must agree with it."""
    found = {"mcp_protocol_version": MODERN, "mcp_method": method}
    named = (params or {}).get("name") or (params or {}).get("uri")
    return {**found, "mcp_name": named} if isinstance(named, str) else found


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def serving(app: App, **settings: Any) -> AsyncIterator[Served]:
    """Serve an app on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        gateway = create_gateway(app, Settings(port=port, shutdown_grace_s=0.5, **settings))
        config = uvicorn.Config(gateway.asgi, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        loop = asyncio.ensure_future(server.main_loop())
        try:
            yield Served(gateway, f"http://127.0.0.1:{port}/mcp")
        finally:
            server.should_exit = True
            await loop
            await server.shutdown(sockets=[listener])


async def eventually(condition: Any, *, within_s: float = 1.0) -> None:
    """Wait until a condition holds; fail after `within_s` seconds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
