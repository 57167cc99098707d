"""`Capability`: what anything that can be called looks like to the dispatcher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from polyport.declarations import Annotations
from polyport_gateway.call import Call, Caller, CallEvent, Operation

__all__ = ["ALL_FEATURES", "CHAT_TOOL", "Capability", "Features", "Kind", "SeenByCaller", "ToolSchema"]

Kind: TypeAlias = Literal["function", "pipeline", "model", "agent", "knowledge"]

Features: TypeAlias = frozenset[str]
ALL_FEATURES: Features = frozenset({"*"})
"""Everything a chat request may ask for, members unknown to the gateway among them."""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """How a capability looks as a tool.

    Attributes:
        input: JSON schema (2020-12) of its arguments, an object.
        output: JSON schema of its structured result, if it declares one; may be any type.
        annotations: What a client may assume.
    """

    input: Mapping[str, Any]
    output: Mapping[str, Any] | None = None
    annotations: Annotations = field(default_factory=Annotations)


CHAT_TOOL = ToolSchema(
    input={
        "type": "object",
        "properties": {
            "prompt": {"type": "string", "description": "What to say or ask."},
            "messages": {
                "type": "array",
                "description": "A whole conversation instead of a prompt.",
                "items": {
                    "type": "object",
                    "properties": {
                        "role": {"type": "string", "enum": ["system", "developer", "user", "assistant"]},
                        "content": {"type": "string"},
                    },
                    "required": ["role", "content"],
                },
            },
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "The answer."},
            "citations": {"type": "array", "items": {"type": "object"}, "description": "Its sources."},
        },
        "required": ["text"],
    },
)
"""How everything that chats looks as a tool."""


@runtime_checkable
class Capability(Protocol):
    """Something with a name that can be called.

    Attributes:
        name: Its one name on every wire.
        kind: What it was registered as.
        description: What it does, for people and models.
        operations: What can be asked of it, beyond what the dispatcher adapts (a chat of a tool and back).
        features: Which parts of a chat request it honours; the rest are refused.
        tool: How it looks as a tool.
        timeout: Seconds after which a call of it is cancelled; None for the gateway's own limit.
    """

    name: str
    kind: Kind
    description: str
    operations: frozenset[Operation]
    features: Features
    tool: ToolSchema
    timeout: float | None

    def invoke(self, call: Call) -> AsyncIterator[CallEvent]:
        """Do what `call.input` asks, whose operation is one of `operations`.

        Raises:
            CallError: It failed, before or between events.
        """
        ...

    async def start(self) -> None:
        """Open what it needs; called once, on the gateway's loop."""
        ...

    async def close(self) -> None:
        """Release it."""
        ...


class SeenByCaller:
    """Something that looks different to different callers where names are listed; calling it is the same to all."""

    def seen_by(self, caller: Caller) -> Capability:
        """Return it as this caller should see it."""
        raise NotImplementedError
