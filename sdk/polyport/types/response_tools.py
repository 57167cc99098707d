"""The tools of a request for a response."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from polyport.types.base import RequestModel
from polyport.types.containers import AutoContainer
from polyport.types.vector_stores import RankingOptions

__all__ = [
    "CodeInterpreterTool",
    "FileSearchTool",
    "FunctionTool",
    "MCPTool",
    "MCPToolFilter",
    "OtherTool",
    "RequireApproval",
    "ResponseTool",
]


class FunctionTool(RequestModel):
    """A function of the client's that the model may ask for."""

    type: Literal["function"]
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class MCPToolFilter(RequestModel):
    """Which tools of a server are meant."""

    tool_names: list[str] | None = None
    read_only: bool | None = None


class RequireApproval(RequestModel):
    """Which calls wait for approval; those that neither names do."""

    always: MCPToolFilter | None = None
    never: MCPToolFilter | None = None


class MCPTool(RequestModel):
    """Tools that the gateway calls itself."""

    type: Literal["mcp"]
    server_label: str = Field(min_length=1)
    server_url: str | None = None
    connector_id: str | None = None
    server_description: str | None = None
    allowed_tools: list[str] | MCPToolFilter | None = None
    require_approval: Literal["always", "never"] | RequireApproval | None = None


class CodeInterpreterTool(RequestModel):
    """Python that the gateway runs for the model, in a container of the caller's or one of its own."""

    type: Literal["code_interpreter"]
    container: str | AutoContainer
    allowed_callers: list[str] | None = None


class FileSearchTool(RequestModel):
    """Vector stores that the gateway searches for the model."""

    type: Literal["file_search"]
    vector_store_ids: list[str] = Field(min_length=1, max_length=100)
    max_num_results: int | None = Field(default=None, ge=1, le=50)
    filters: dict[str, Any] | None = None
    ranking_options: RankingOptions | None = None


class OtherTool(RequestModel):
    """A tool of a kind that this gateway doesn't know."""

    type: str


def _tool_tag(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in ("function", "mcp", "code_interpreter", "file_search") else "other"


ResponseTool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("function")]
    | Annotated[MCPTool, Tag("mcp")]
    | Annotated[CodeInterpreterTool, Tag("code_interpreter")]
    | Annotated[FileSearchTool, Tag("file_search")]
    | Annotated[OtherTool, Tag("other")],
    Discriminator(_tool_tag),
]
