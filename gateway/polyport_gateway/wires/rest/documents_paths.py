"""Where the endpoints of documents are; what they are made of is loaded when one is first asked."""

from __future__ import annotations

from polyport_gateway.reading.service import DocumentService
from polyport_gateway.wires.http import Receive, Scope, Send, info_of
from polyport_gateway.wires.router import Route

__all__ = ["PATHS", "documents_disabled"]

PATHS = (
    ("POST", "/v1/documents/read"),
    ("POST", "/v1/documents/chunk"),
    ("GET", "/v1/documents/formats"),
    ("GET", "/v1/documents/chunkers"),
)


def documents_disabled(service: DocumentService) -> list[Route]:
    """Return routes for these paths that refuse everybody, and say how documents are switched on."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        service.check(info_of(scope).caller)

    return [Route(method, path, refuse) for method, path in PATHS]
