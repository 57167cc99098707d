"""``GET /v1/models``: everything the caller may name."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from polyport.errors import NotFoundError
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.wires.http import Receive, Scope, Send, info_of, send_error, send_json

__all__ = ["ModelsEndpoint"]


class ModelsEndpoint:
    """Lists names, or shows one.

    Args:
        catalog: What there is.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        info = info_of(scope)
        name = scope.get("path_params", {}).get("model")
        if name is None:
            models = [self._model(capability) for capability in self._catalog.visible(info.caller)]
            await send_json(send, {"object": "list", "data": models})
            return
        try:
            capability = self._catalog.resolve(unquote(name), info.caller)
        except NotFoundError as error:
            await send_error(send, error, request_id=info.request_id)
            return
        await send_json(send, self._model(capability))

    def _model(self, capability: Capability) -> dict[str, Any]:
        return {
            "id": capability.name,
            "object": "model",
            "created": self._catalog.created,
            "owned_by": "polyport",
            "kind": capability.kind,
            "description": capability.description,
        }
