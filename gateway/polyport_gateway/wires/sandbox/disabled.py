"""What stands at the sandbox's paths where there is none: how it is switched on."""

from __future__ import annotations

from collections.abc import Iterable

from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.wires.http import Receive, Scope, Send, info_of
from polyport_gateway.wires.router import Route

__all__ = ["SERVED_SHAPES", "disabled_routes"]

SERVED_SHAPES = ("/v1/sandbox/e2b", "/v1/sandbox/fusion")
"""Below which other sandboxes' clients find what they know."""


def disabled_routes(service: SandboxService, paths: Iterable[tuple[str, str]]) -> list[Route]:
    """Return routes for these paths, and for the served shapes, that refuse everybody.

    Args:
        service: Of a gateway without a sandbox.
        paths: Each method and path.
    """

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        service.check(info_of(scope).caller)

    below = [("*", f"{prefix}/{{rest:path}}") for prefix in SERVED_SHAPES]
    return [Route(method, path, refuse) for method, path in [*paths, *below]]
