"""Polyport's own endpoints for functions, in OpenAI's tool format."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polyport.types.base import WireModel

__all__ = ["Function", "FunctionList", "FunctionResult", "ToolDefinition"]


class ToolDefinition(WireModel):
    """What a tool is called, does, takes and gives (JSON schemas)."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None


class Function(WireModel):
    """One entry of the list: usable as it is in a chat request's ``tools``."""

    type: Literal["function"] = "function"
    function: ToolDefinition
    kind: str | None = None

    @property
    def name(self) -> str:
        """What it is called by."""
        return self.function.name

    @property
    def description(self) -> str | None:
        """What it does."""
        return self.function.description


class FunctionList(WireModel):
    """The answer of ``GET /v1/functions``."""

    object: Literal["list"] = "list"
    data: list[Function]


class FunctionResult(WireModel):
    """The answer of ``POST /v1/functions/{name}``.

    Attributes:
        result: The value, matching the function's output schema.
        content: Pictures, sounds and resources besides, in MCP's content form.
    """

    object: Literal["function.result"] = "function.result"
    name: str
    result: Any = None
    content: list[dict[str, Any]] = Field(default_factory=list)
