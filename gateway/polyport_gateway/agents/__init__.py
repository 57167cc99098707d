"""The tool loop, over Calls."""

from polyport_gateway.agents.agent import AgentCapability, check_agents
from polyport_gateway.agents.loop import run_loop
from polyport_gateway.agents.server_tools import with_server_tools

__all__ = ["AgentCapability", "check_agents", "run_loop", "with_server_tools"]
