"""`AgentCapability`: a registered agent, that is, a model with tools under a name of its own."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator

from polyport.declarations import AgentDeclaration
from polyport.errors import ConfigurationError, UnsupportedParameterError
from polyport_gateway.agents.loop import run_loop
from polyport_gateway.call import Call, CallEvent, Chat, Operation, ServerTools
from polyport_gateway.catalog.capability import ALL_FEATURES, CHAT_TOOL, Capability, Features, Kind, ToolSchema
from polyport_gateway.catalog.catalog import Catalog

__all__ = ["AGENT_FEATURES", "AgentCapability", "check_agents"]

AGENT_FEATURES: Features = frozenset(
    {
        "files",
        "images",
        "logit_bias",
        "max_completion_tokens",
        "max_tokens",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "tools",  # earlier tool calls in the conversation; tools of the client's own are refused in `invoke`
        "verbosity",
    }
)
"""What an agent hands on to its model's turns, token limits per turn among them."""


class AgentCapability:
    """A model with tools, run by the gateway.

    Who may use the agent may, through it, use its model and tools: the declaration grants them.

    Args:
        declaration: As the author wrote it.
        catalog: Where its model and tools are found; they may be added after the agent.
    """

    kind: Kind = "agent"
    tool: ToolSchema = CHAT_TOOL
    operations: frozenset[Operation] = frozenset({Operation.CHAT})

    def __init__(self, declaration: AgentDeclaration, catalog: Catalog) -> None:
        self.name = declaration.name
        self.declaration = declaration
        self.timeout = declaration.timeout
        self.features: Features = AGENT_FEATURES
        # It names neither model nor tools: whoever may ask the agent need not know of them.
        self.description = declaration.description or (
            "Ask an agent that works with tools." if declaration.tools else "Ask an agent."
        )
        self._catalog = catalog
        self._granted = frozenset({declaration.model, *declaration.tools})

    async def start(self) -> None:
        """Check what it names; nothing else to open."""
        self.check()

    async def close(self) -> None:
        """Nothing to close."""

    def check(self) -> None:
        """Check the model and the tools, and take over what the model can't honour.

        Raises:
            ConfigurationError: One is unknown, unfit, or leads back to this agent.
        """
        model = self._find(self.declaration.model, "model")
        if Operation.CHAT not in model.operations:
            raise ConfigurationError(
                f"agent {self.name!r}: its model {model.name!r} is a {model.kind} that doesn't chat; name one that does"
            )
        for name in self.declaration.tools:
            self._find(name, "tool")
        everything = bool(model.features & ALL_FEATURES)
        if self.declaration.tools and not everything and "tools" not in model.features:
            raise ConfigurationError(
                f"agent {self.name!r}: its model {model.name!r} can't call tools; name another model, or no tools"
            )
        if not everything:
            self.features = AGENT_FEATURES & model.features
        self._check_cycle((self.name,))

    def _check_cycle(self, path: tuple[str, ...]) -> None:
        for name in (self.declaration.model, *self.declaration.tools):
            if name in path:
                shown = " → ".join((*path[path.index(name) :], name))
                raise ConfigurationError(f"agent {name!r} uses itself: {shown}; take one of these steps out")
            used = self._catalog.find(name)
            if isinstance(used, AgentCapability):
                used._check_cycle((*path, name))  # noqa: SLF001 - the same class

    def _find(self, name: str, role: str) -> Capability:
        found = self._catalog.find(name)
        if found is not None:
            return found
        known = [capability.name for capability in self._catalog if capability.name != self.name]
        near = difflib.get_close_matches(name, known, n=3)
        others = f"registered are: {', '.join(known)}" if known else "nothing else is registered"
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else others
        raise ConfigurationError(f"agent {self.name!r}: there is no {role} {name!r}; {hint}")

    def invoke(self, call: Call) -> AsyncIterator[CallEvent]:
        """Run the loop.

        Raises:
            UnsupportedParameterError: The request brings tools of its own.
        """
        chat = call.input
        if not isinstance(chat, Chat):
            raise TypeError(f"an agent takes no {type(chat).__name__}")
        if chat.request.tools:
            raise UnsupportedParameterError(
                f"{self.name!r} is an agent with tools of its own and takes none from a request; leave tools out.",
                param="tools",
            )
        given = chat.server_tools or ServerTools(names=frozenset())
        if given.names is None or given.names:
            raise UnsupportedParameterError(
                f"{self.name!r} is an agent with tools of its own and takes no others from this gateway.",
                param="tools",
            )
        # Approvals are the caller's word and would run the agent's tools with arguments of the caller's.
        limits = ServerTools(names=frozenset(), max_calls=given.max_calls)
        tools = [
            tool for name in dict.fromkeys(self.declaration.tools) if (tool := self._catalog.find(name)) is not None
        ]
        return run_loop(
            call,
            model=self.declaration.model,
            chat=chat,
            tools=tools,
            instructions=self.declaration.instructions,
            max_steps=self.declaration.max_steps,
            server_tools=limits,
            granted=self._granted,
        )


def check_agents(catalog: Catalog) -> None:
    """Check every agent once all names are registered.

    Raises:
        ConfigurationError: An agent names what doesn't exist or doesn't fit.
    """
    for capability in catalog:
        if isinstance(capability, AgentCapability):
            capability.check()
