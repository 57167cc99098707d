"""Tools of this gateway in a chat with a plain model (OpenAI's ``tools: [{"type": "mcp"}]`` without a URL)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport_gateway.agents.loop import run_loop
from polyport_gateway.call import Call, CallEvent, Chat, Operation
from polyport_gateway.catalog.capability import ALL_FEATURES, Capability, Features, Kind, ToolSchema
from polyport_gateway.catalog.catalog import Catalog

__all__ = ["MAX_STEPS", "ServerToolsCapability", "select_tools", "with_server_tools"]

MAX_STEPS = 32
"""The most model turns of one request; an agent declares its own."""


def with_server_tools(capability: Capability, catalog: Catalog) -> Capability:
    """Return the same model with a loop around it, for a chat whose ``server_tools`` are set.

    Raises:
        UnsupportedParameterError: It is no model.
    """
    if capability.kind != "model":
        raise UnsupportedParameterError(
            f"{capability.name!r} is a {capability.kind}; only a model takes tools of this gateway.", param="tools"
        )
    return ServerToolsCapability(capability, catalog)


def select_tools(call: Call, names: frozenset[str] | None, catalog: Catalog) -> list[Capability]:
    """Return the named capabilities, or all that can be tools, as the caller sees them, the called model left out.

    Raises:
        BadRequestError: A name is not among them.
    """
    usable = {
        capability.name: capability
        for capability in catalog.visible(call.caller)
        if capability.name != call.name and capability.operations & {Operation.TOOL, Operation.CHAT}
    }
    if names is None:
        return list(usable.values())
    if missing := sorted(names - usable.keys()):
        shown = ", ".join(map(repr, missing))
        raise BadRequestError(
            f"The tools {shown} do not exist or you do not have access to them."
            if len(missing) > 1
            else f"The tool {shown} does not exist or you do not have access to it.",
            param="tools",
            code="tool_not_found",
        )
    return [capability for name, capability in usable.items() if name in names]


class ServerToolsCapability:
    """A model whose tool calls the gateway makes, for one call."""

    def __init__(self, model: Capability, catalog: Catalog) -> None:
        self._model = model
        self._catalog = catalog
        self.name = model.name
        self.kind: Kind = model.kind
        self.description = model.description
        self.operations = model.operations
        self.features: Features = model.features
        self.tool: ToolSchema = model.tool
        self.timeout = model.timeout

    async def start(self) -> None:
        """Nothing: the model itself is started by whoever registered it."""

    async def close(self) -> None:
        """Nothing: the model itself is closed by whoever registered it."""

    def invoke(self, call: Call) -> AsyncIterator[CallEvent]:
        """Run the loop.

        Raises:
            BadRequestError: A tool is unknown to this caller.
            UnsupportedParameterError: The model can't call tools, or more than one choice is asked for.
        """
        chat = call.input
        if not isinstance(chat, Chat) or chat.server_tools is None:
            return self._model.invoke(call)
        if not self.features & (ALL_FEATURES | {"tools"}):
            raise UnsupportedParameterError(f"{self.name!r} is a model that can't call tools.", param="tools")
        if (chat.request.n or 1) > 1:
            raise UnsupportedParameterError("n must be 1 where the gateway makes tool calls.", param="n")
        if chat.request.functions:
            raise UnsupportedParameterError(
                "functions can't be used beside tools of this gateway; give them as tools.", param="functions"
            )
        return run_loop(
            call,
            model=self.name,
            chat=chat,
            tools=select_tools(call, chat.server_tools.names, self._catalog),
            max_steps=MAX_STEPS,
            server_tools=chat.server_tools,
            granted=call.granted | {self.name},
        )
