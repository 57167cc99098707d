"""`SandboxTool`: what marks the sandbox's own tools."""

from __future__ import annotations

from polyport_gateway.functions.tool import GatewayTool

__all__ = ["SandboxTool"]


class SandboxTool(GatewayTool):
    """A tool of the sandbox, which code that runs in it may not call."""
