"""Resources and prompts: what can be read or picked rather than called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from polyport.content import Content
from polyport_gateway.call import Call
from polyport_gateway.catalog.event_queue import EventQueue

__all__ = ["Completer", "Events", "Prompt", "PromptArgument", "PromptMessage", "Resource"]

Events: TypeAlias = EventQueue
"""Where what is read says how far it has come; on the gateway's loop."""

Completer: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[Sequence[str]]]
"""From what was typed so far, and the other arguments' values, to suggestions."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something to read.

    Attributes:
        uri: Its address, or an RFC 6570 level-1 template of addresses.
        read: From a call, whose arguments are the template's values, to text or bytes.
        parameters: Names in the template; empty for a plain resource.
    """

    uri: str
    name: str
    read: Callable[[Call, Events], Awaitable[str | bytes]]
    title: str | None = None
    description: str | None = None
    mime_type: str = "text/plain"
    parameters: tuple[str, ...] = ()
    complete: Mapping[str, Completer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """One argument of a prompt; always a string on the wire."""

    name: str
    description: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message that a prompt gives."""

    role: Literal["user", "assistant"]
    content: Content


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that a person picks.

    Attributes:
        get: From a call, whose arguments are the prompt's, to messages.
    """

    name: str
    get: Callable[[Call, Events], Awaitable[Sequence[PromptMessage]]]
    title: str | None = None
    description: str | None = None
    arguments: tuple[PromptArgument, ...] = ()
    complete: Mapping[str, Completer] = field(default_factory=dict)
