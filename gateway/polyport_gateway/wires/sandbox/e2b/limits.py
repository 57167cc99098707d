"""How long code and commands may run where the client names no limit."""

from __future__ import annotations

import time

from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.wires.sandbox.e2b.sandboxes import E2BSandbox

__all__ = ["longest_run"]

_SHORTEST_S = 0.05
_LONGEST_S = 3600.0


def longest_run(service: SandboxService, sandbox: E2BSandbox) -> float:
    """Return the seconds that a run may take: E2B's clients hold to limits of their own by going away."""
    most = float(service.plan.max_limits.get("wall_s", _LONGEST_S))
    return max(_SHORTEST_S, min(most, _LONGEST_S, sandbox.end - time.time()))
