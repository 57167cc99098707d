"""uvicorn's HTTP/1.1 over a gathering transport."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from polyport_gateway.wires.transport import GatheringTransport

__all__ = ["PatientProtocol"]


class PatientProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(cast("Any", GatheringTransport(transport, self.loop)))
