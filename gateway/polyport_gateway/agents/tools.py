"""The tools of one loop: how a model sees them, and what it meant by a call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyport.errors import BadRequestError
from polyport.types.chat import ChatTool
from polyport_gateway.call import RequestTool
from polyport_gateway.catalog.capability import Capability

__all__ = ["ToolRequest", "ToolTable"]

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that a model asks for: `name` is the capability's, `arguments` JSON text."""

    id: str
    name: str
    arguments: str


class ToolTable:
    """The gateway's tools and the client's, side by side.

    OpenAI's function names have no dots, ours may: a model is told ``kb_search`` for ``kb.search``.

    Args:
        tools: What the gateway itself calls.
        client_tools: What the client offers in its request and calls itself.
        own: What the gateway calls for this request alone.

    Raises:
        BadRequestError: A name is on both sides.
    """

    def __init__(
        self, tools: Sequence[Capability], client_tools: Sequence[ChatTool], own: Sequence[RequestTool] = ()
    ) -> None:
        self._client = frozenset(name for tool in client_tools if (name := _client_name(tool)))
        self._aliases: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._own = {tool.name: tool for tool in own}
        self.definitions: list[dict[str, Any]] = []
        for mine in own:
            self._define(mine.name, mine.name, mine.description, mine.input)
        for tool in tools:
            self._add(tool)
        if both := sorted(self._client & (self._names.keys() | self._aliases.keys())):
            raise BadRequestError(
                f"The tools {', '.join(map(repr, both))} are given in the request and are also tools of this gateway; "
                "rename yours.",
                param="tools",
            )

    def _add(self, tool: Capability) -> None:
        stem = alias = _FORBIDDEN.sub("_", tool.name)
        count = 1
        while alias in self._names:
            count += 1
            alias = f"{stem[:60]}_{count}"
        self._define(tool.name, alias, tool.description, tool.tool.input)

    def _define(self, name: str, alias: str, description: str, schema: Mapping[str, Any]) -> None:
        self._names[alias] = name
        self._aliases[name] = alias
        function = {"name": alias, "description": description, "parameters": dict(schema)}
        self.definitions.append({"type": "function", "function": function})

    def own(self, name: str) -> RequestTool | None:
        """Return the request's own tool of this name."""
        return self._own.get(name)

    def is_client(self, name: str) -> bool:
        """Whether the client calls this one."""
        return name in self._client

    def is_ours(self, name: str) -> bool:
        """Whether a capability of this name is among the gateway's tools."""
        return name in self._aliases

    def resolve(self, name: str) -> str:
        """Return the capability's name for what a model called; unknown names come back as they are."""
        return self._names.get(name, name)

    def alias(self, name: str) -> str:
        """Return what a model knows a capability as."""
        return self._aliases.get(name, name)

    def alias_choice(self, choice: Any) -> Any:
        """Return a ``tool_choice`` in the model's names."""
        if isinstance(choice, dict) and isinstance(function := choice.get("function"), dict):
            name = function.get("name")
            if isinstance(name, str):
                return {**choice, "function": {**function, "name": self.alias(name)}}
        return choice

    def parse(self, request: ToolRequest) -> Mapping[str, Any] | str:
        """Return a call's arguments, or what to tell the model is wrong with it."""
        if not self.is_ours(request.name):
            offered = ", ".join(sorted(self._names)) or "none"
            return f"There is no tool {request.name!r}; the tools are: {offered}."
        if not request.arguments.strip():
            return {}
        try:
            values = json.loads(request.arguments)
        except (ValueError, RecursionError) as error:
            return f"The arguments of {request.name!r} are not valid JSON: {error}."
        if not isinstance(values, dict):
            return f"The arguments of {request.name!r} must be a JSON object, not {type(values).__name__}."
        return values


def _client_name(tool: ChatTool) -> str | None:
    if tool.function is not None:
        return tool.function.name
    custom = tool.unknown.get("custom")
    name = custom.get("name") if isinstance(custom, dict) else None
    return name if isinstance(name, str) else None
