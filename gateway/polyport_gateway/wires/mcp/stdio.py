"""MCP over standard input and output, for ``polyport mcp APP``."""

from __future__ import annotations

from polyport_gateway.call import Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.settings import Settings

__all__ = ["serve_stdio"]


async def serve_stdio(catalog: Catalog, dispatcher: Dispatch, settings: Settings) -> None:
    """Serve until standard input ends.

    The protocol has the real descriptors to itself: while it runs, descriptor 1 (and so `sys.stdout`, and what child
    processes write) leads to standard error, and descriptor 0 is empty. What a function prints can't get between
    two messages.

    Args:
        catalog: What is served.
        dispatcher: The way through.
        settings: Deadlines.
    """
    from mcp.server.stdio import stdio_server

    from polyport_gateway.wires.mcp.server import GatewayServer

    server = GatewayServer(catalog, dispatcher, settings)
    async with server.subscriptions.running(), stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
