"""The served shapes, put together for the gateway."""

from __future__ import annotations

from polyport_gateway.call import Dispatch
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.settings import Settings
from polyport_gateway.wires.access import Door
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.e2b.wire import E2BWire
from polyport_gateway.wires.sandbox.fusion import FusionWire

__all__ = ["ServedSandboxes"]


class ServedSandboxes:
    """What other sandboxes' clients find here.

    Args:
        service: Runs code.
        dispatch: The one way through.
        settings: Limits on bodies.

    Attributes:
        routes: Its paths.
        doors: Take its requests in.
    """

    def __init__(self, service: SandboxService, dispatch: Dispatch, settings: Settings) -> None:
        fusion = FusionWire(service, dispatch, settings)
        self._e2b = E2BWire(service, dispatch, settings)
        self.routes: list[Route] = [*self._e2b.routes, *fusion.routes]
        self.doors: tuple[Door, ...] = (self._e2b.door, fusion)

    def close(self) -> None:
        """Forget what belongs to sandboxes; these end with the service."""
        self._e2b.close()
