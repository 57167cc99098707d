"""E2B's shape, put together: ``E2B_API_URL`` and ``E2B_SANDBOX_URL`` are both ``http://host:8400/v1/sandbox/e2b``."""

from __future__ import annotations

from polyport.errors import NotFoundError
from polyport_gateway.call import Dispatch
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, Send
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.e2b.control import ControlPlane
from polyport_gateway.wires.sandbox.e2b.door import PREFIX, E2BDoor
from polyport_gateway.wires.sandbox.e2b.errors import send_refusal
from polyport_gateway.wires.sandbox.e2b.files import Files
from polyport_gateway.wires.sandbox.e2b.filesystem import FilesystemService
from polyport_gateway.wires.sandbox.e2b.interpreter import Interpreter
from polyport_gateway.wires.sandbox.e2b.process import ProcessService
from polyport_gateway.wires.sandbox.e2b.sandboxes import E2BSandboxes
from polyport_gateway.wires.sandbox.endpoint import Endpoint

__all__ = ["E2BWire"]


class E2BWire:
    """E2B's endpoints.

    Args:
        service: Opens sandboxes.
        dispatch: The one way through.
        settings: Limits on bodies.

    Attributes:
        routes: Its paths.
        door: Takes its requests in.
    """

    def __init__(self, service: SandboxService, dispatch: Dispatch, settings: Settings) -> None:
        self._sandboxes = E2BSandboxes(service)
        self.door = E2BDoor(service, self._sandboxes)
        self.routes = [
            *ControlPlane(self._sandboxes, dispatch, settings).routes(),
            *Interpreter(service, dispatch, settings).routes(),
            *Files(dispatch, settings).routes(),
            *FilesystemService(dispatch, settings).routes(),
            *ProcessService(service, dispatch, settings).routes(),
            Route("*", f"{PREFIX}/{{rest:path}}", Endpoint(_not_served, send_refusal)),
        ]

    def close(self) -> None:
        """Forget the sandboxes; their sessions end with the service."""
        self._sandboxes.close()


async def _not_served(scope: Scope, receive: Receive, send: Send) -> None:
    del receive, send
    path = scope["path"].removeprefix(PREFIX)
    raise NotFoundError(
        f"There is nothing at {path[:200]}. Polyport serves E2B's sandboxes, their code interpreter, files and "
        "commands; templates, volumes, snapshots and secrets are not offered."
    )
