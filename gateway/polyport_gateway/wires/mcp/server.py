"""The MCP server: the SDK's low-level one with Polyport's handlers, for every transport and both revisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.inbound import X_MCP_HEADER_KEY
from mcp_types import (
    NotificationParams,
    SetLevelRequestParams,
)

from polyport_gateway.call import LOCAL, Caller, Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.settings import Settings
from polyport_gateway.wires.mcp.documents import DocumentHandlers
from polyport_gateway.wires.mcp.requests import Request, facts_of
from polyport_gateway.wires.mcp.subscriptions import Subscriptions
from polyport_gateway.wires.mcp.tools import ToolHandlers

__all__ = ["CURRENT_CALLER", "GatewayServer"]

CURRENT_CALLER: ContextVar[Caller] = ContextVar("polyport_mcp_caller", default=LOCAL)
"""Who sent the HTTP request under way, for the one check that the SDK makes before any handler."""

P = TypeVar("P")

_LISTS_FRESH_MS = 30_000


class GatewayServer(Server[Any]):
    """Serves one catalogue over MCP.

    Args:
        catalog: What is served.
        dispatcher: The way through.
        settings: Deadlines.

    Attributes:
        subscriptions: Runs as long as the server is reachable.
    """

    def __init__(self, catalog: Catalog, dispatcher: Dispatch, settings: Settings) -> None:
        tools = ToolHandlers(catalog, dispatcher)
        documents = DocumentHandlers(catalog, dispatcher, timeout_s=settings.call_timeout_s)
        self.subscriptions = Subscriptions(catalog)
        self._catalog = catalog
        self._header_schemas: dict[str, tuple[Mapping[str, Any], bool]] = {}
        lists = CacheHint(ttl_ms=_LISTS_FRESH_MS, scope="private")
        super().__init__(
            catalog.name,
            version=catalog.version,
            instructions=catalog.instructions,
            get_tool_input_schema=self._header_schema,
            cache_hints={
                "tools/list": lists,
                "prompts/list": lists,
                "resources/list": lists,
                "resources/templates/list": lists,
                "resources/read": CacheHint(ttl_ms=0, scope="private"),
            },
            on_list_tools=_complete(tools.list),
            on_call_tool=_complete(tools.call),
            on_list_resources=_complete(documents.list_resources),
            on_list_resource_templates=_complete(documents.list_templates),
            on_read_resource=_complete(documents.read_resource),
            on_list_prompts=_complete(documents.list_prompts),
            on_get_prompt=_complete(documents.get_prompt),
            on_completion=_complete(documents.complete),
            on_subscribe_resource=self.subscriptions.subscribe,
            on_unsubscribe_resource=self.subscriptions.unsubscribe,
            on_subscriptions_listen=self.subscriptions.listen,
        )
        # Added by method, since 2026-07-28 deprecates the constructor's parameter for it and the SDK warns.
        self.add_request_handler("logging/setLevel", SetLevelRequestParams, self.subscriptions.set_level)
        self.add_notification_handler("notifications/initialized", NotificationParams, self.subscriptions.initialized)
        # The gateway traces its calls itself; a span for each message is 60 µs that nobody reads.
        self.middleware.clear()
        security = RequestStateSecurity.ephemeral()
        security.bind_principal = _principal
        self.middleware.append(RequestStateBoundary(security, default_audience=catalog.name))

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Say that lists may change; the SDK's session manager asks without options."""
        options = notification_options or NotificationOptions(
            prompts_changed=True, resources_changed=True, tools_changed=True
        )
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    def _header_schema(self, name: str) -> Mapping[str, Any] | None:
        """Return the schema against which ``Mcp-Param-*`` headers are checked; None where none are declared."""
        capability = self._catalog.find(name)
        if capability is None or not self._catalog.allows(name, CURRENT_CALLER.get()):
            return None
        schema = capability.tool.input
        known = self._header_schemas.get(name)
        if known is None or known[0] is not schema:
            known = self._header_schemas[name] = (schema, _declares_headers(schema))
        return schema if known[1] else None


def _complete(handler: Callable[[Request, P], Awaitable[dict[str, Any]]]) -> Callable[[Request, P], Awaitable[Any]]:
    """Mark results that ask for nothing more as complete; 2026-07-28 wants it said, 2025-11-25 drops it."""

    async def handle(request: Request, params: P) -> dict[str, Any]:
        result = await handler(request, params)
        result.setdefault("resultType", "complete")
        return result

    return handle


def _principal(request: Request) -> str:
    return facts_of(request).caller.id


def _declares_headers(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return X_MCP_HEADER_KEY in schema or any(_declares_headers(value) for value in schema.values())
    return isinstance(schema, list) and any(_declares_headers(item) for item in schema)
