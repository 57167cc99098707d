"""A request's tools: those the client calls, and those of this gateway's catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyport.errors import BadRequestError, NotFoundError, UnsupportedParameterError
from polyport.types.responses import (
    CodeInterpreterTool,
    FileSearchTool,
    FunctionTool,
    MCPTool,
    MCPToolFilter,
    OtherTool,
    RequireApproval,
    ResponseRequest,
)
from polyport_gateway.agents.file_search import FILE_SEARCH
from polyport_gateway.agents.interpreter import CODE_INTERPRETER
from polyport_gateway.call import Caller, Operation
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.vector_stores.filters import check_filter

__all__ = ["Tooling", "read_tools"]


@dataclass(slots=True)
class Tooling:
    """What the model may call, and how it must choose.

    Attributes:
        client: The client's functions, as a chat has them.
        labels: Names of this gateway's tools, each with the label under which it was asked for.
        approve: Those whose calls wait for approval.
        listings: Per label, its tools as an ``mcp_list_tools`` item shows them.
        choice: The chat's ``tool_choice``; None to leave it to the model.
        shown: The tools as the response shows them.
        interpreter: The code interpreter, if the model may use it.
        interpreter_at: Its place in the request.
        search: The vector stores to search, if the model may.
        search_at: Its place in the request.
    """

    client: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    approve: set[str] = field(default_factory=set)
    listings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    choice: str | dict[str, Any] | None = None
    shown: list[dict[str, Any]] = field(default_factory=list)
    interpreter: CodeInterpreterTool | None = None
    interpreter_at: str = "tools"
    search: FileSearchTool | None = None
    search_at: str = "tools"

    @property
    def any(self) -> bool:
        """Whether the model has any tool."""
        return bool(self.client or self.labels or self.interpreter or self.search)


def read_tools(request: ResponseRequest, catalog: Catalog, caller: Caller) -> Tooling:
    """Understand a request's ``tools`` and ``tool_choice``.

    Raises:
        UnsupportedParameterError: A tool of a kind, or with a member, that the gateway doesn't offer.
        NotFoundError: A named tool is not in the catalogue as this caller sees it.
        BadRequestError: A label is used twice, or the choice names what isn't among the tools.
    """
    tooling = Tooling()
    for position, tool in enumerate(request.tools or ()):
        where = f"tools.{position}"
        match tool:
            case FunctionTool():
                _add_function(tooling, tool, where)
            case MCPTool():
                _add_catalogue(tooling, tool, where, _usable(catalog, caller, request.model))
            case CodeInterpreterTool():
                _add_interpreter(tooling, tool, where)
            case FileSearchTool():
                _add_search(tooling, tool, where)
            case OtherTool():
                raise UnsupportedParameterError(
                    f"{where}: tools of type {tool.type!r} are not supported by this gateway; use function, mcp "
                    "for the gateway's own tools, code_interpreter, or file_search.",
                    param=where,
                )
    _choose(tooling, request.tool_choice)
    return tooling


def _add_function(tooling: Tooling, tool: FunctionTool, where: str) -> None:
    _refuse_members(tool.unknown, where)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    tooling.client.append({"type": "function", "function": function})
    tooling.shown.append(tool.model_dump(include={"type", "name", "description", "parameters", "strict"}))


def _add_interpreter(tooling: Tooling, tool: CodeInterpreterTool, where: str) -> None:
    _refuse_members(tool.unknown, where)
    if tool.allowed_callers not in (None, ["direct"]):
        raise UnsupportedParameterError(
            f"{where}.allowed_callers can only be direct here; leave it out.", param=f"{where}.allowed_callers"
        )
    if tooling.interpreter is not None:
        raise BadRequestError(f"{where}: there is one code_interpreter already; give one.", param=where)
    tooling.interpreter, tooling.interpreter_at = tool, where
    tooling.shown.append(tool.model_dump(exclude_none=True))


def _add_search(tooling: Tooling, tool: FileSearchTool, where: str) -> None:
    _refuse_members(tool.unknown, where)
    if tool.filters is not None:
        check_filter(tool.filters, f"{where}.filters")
    if tooling.search is not None:
        raise BadRequestError(f"{where}: there is one file_search already; name all stores in it.", param=where)
    tooling.search, tooling.search_at = tool, where
    tooling.shown.append(tool.model_dump(exclude_none=True))


def _refuse_members(unknown: Mapping[str, object], where: str) -> None:
    for name, value in unknown.items():
        if value:
            raise UnsupportedParameterError(
                f"{where}.{name} is not supported by this gateway; leave it out.", param=f"{where}.{name}"
            )


def _usable(catalog: Catalog, caller: Caller, model: str) -> dict[str, Capability]:
    return {
        capability.name: capability
        for capability in catalog.visible(caller)
        if capability.name != model and capability.operations & {Operation.TOOL, Operation.CHAT}
    }


def _add_catalogue(tooling: Tooling, tool: MCPTool, where: str, usable: Mapping[str, Capability]) -> None:
    for member in ("server_url", "connector_id"):
        if getattr(tool, member) is not None:
            raise UnsupportedParameterError(
                f"{where}.{member} is not supported: remote MCP servers are registered by the gateway's operator, not "
                f"per request. Leave {member} out to use the gateway's own tools.",
                param=f"{where}.{member}",
            )
    _refuse_members(tool.unknown, where)
    label = tool.server_label
    if label in tooling.listings:
        raise BadRequestError(f"{where}: the server_label {label!r} is used twice.", param=f"{where}.server_label")
    chosen = _allowed(tool.allowed_tools, usable, where)
    for capability in chosen:
        taken = tooling.labels.setdefault(capability.name, label)
        if taken != label:
            raise BadRequestError(
                f"{where}: the tool {capability.name!r} is among those of {taken!r} already; "
                "name each tool under one server_label with allowed_tools.",
                param=f"{where}.allowed_tools",
            )
        if _needs_approval(tool.require_approval, capability):
            tooling.approve.add(capability.name)
    tooling.listings[label] = [_listing(capability) for capability in chosen]
    shown = tool.model_dump(exclude_none=True, exclude=set(tool.unknown))
    tooling.shown.append(shown)


def _allowed(
    allowed: list[str] | MCPToolFilter | None, usable: Mapping[str, Capability], where: str
) -> list[Capability]:
    names = allowed.tool_names if isinstance(allowed, MCPToolFilter) else allowed
    for name in names or ():
        if name not in usable:
            raise NotFoundError(
                f"The tool {name!r} does not exist or you do not have access to it.",
                param=f"{where}.allowed_tools",
                code="tool_not_found",
            )
    chosen = [capability for name, capability in usable.items() if names is None or name in names]
    if isinstance(allowed, MCPToolFilter) and allowed.read_only is not None:
        chosen = [capability for capability in chosen if _read_only(capability) == allowed.read_only]
    return chosen


def _read_only(capability: Capability) -> bool:
    return bool(capability.tool.annotations.read_only)


def _needs_approval(given: str | RequireApproval | None, capability: Capability) -> bool:
    if not isinstance(given, RequireApproval):
        return given != "never"
    # What neither filter names waits for approval: the safe side, and OpenAI's default.
    return _matches(given.always, capability) or not _matches(given.never, capability)


def _matches(wanted: MCPToolFilter | None, capability: Capability) -> bool:
    if wanted is None or (wanted.tool_names is None and wanted.read_only is None):
        return False
    named = wanted.tool_names is None or capability.name in wanted.tool_names
    return named and (wanted.read_only is None or _read_only(capability) == wanted.read_only)


def _listing(capability: Capability) -> dict[str, Any]:
    annotations = capability.tool.annotations
    hints = {
        "title": annotations.title,
        "readOnlyHint": annotations.read_only,
        "destructiveHint": annotations.destructive,
        "idempotentHint": annotations.idempotent,
        "openWorldHint": annotations.open_world,
    }
    return {
        "name": capability.name,
        "description": capability.description,
        "input_schema": dict(capability.tool.input),
        "annotations": {key: value for key, value in hints.items() if value is not None} or None,
    }


def _choose(tooling: Tooling, choice: str | dict[str, Any] | None) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise BadRequestError(
                f"tool_choice is {choice!r}; it must be none, auto, required or an object.", param="tool_choice"
            )
        if tooling.any:
            tooling.choice = choice
        elif choice == "required":
            raise BadRequestError("tool_choice is required, but there are no tools.", param="tool_choice")
        return
    match choice.get("type"):
        case "allowed_tools":
            _restrict(tooling, choice)
        case "function" | "mcp":
            tooling.choice = _forced(tooling, choice)
        case "code_interpreter":
            if tooling.interpreter is None:
                raise BadRequestError(
                    "tool_choice names the code interpreter, which is not in tools.", param="tool_choice"
                )
            tooling.choice = {"type": "function", "function": {"name": CODE_INTERPRETER}}
        case "file_search":
            if tooling.search is None:
                raise BadRequestError("tool_choice names file_search, which is not in tools.", param="tool_choice")
            tooling.choice = {"type": "function", "function": {"name": FILE_SEARCH}}
        case kind:
            raise UnsupportedParameterError(
                f"tool_choice of type {kind!r} is not supported by this gateway.", param="tool_choice"
            )


def _forced(tooling: Tooling, choice: Mapping[str, Any]) -> str | dict[str, Any]:
    name = choice.get("name")
    if choice["type"] == "function":
        if name not in _client_names(tooling):
            raise BadRequestError(f"tool_choice names {name!r}, which is not among the tools.", param="tool_choice")
        return {"type": "function", "function": {"name": name}}
    label = choice.get("server_label")
    if name is not None:
        if tooling.labels.get(str(name)) != label:
            raise BadRequestError(
                f"tool_choice names {name!r}, which is not among the tools of {label!r}.", param="tool_choice"
            )
        return {"type": "function", "function": {"name": name}}
    if label not in tooling.listings:
        raise BadRequestError(f"tool_choice names the server {label!r}, which is not in tools.", param="tool_choice")
    tooling.client = []
    tooling.interpreter = tooling.search = None
    _keep(tooling, frozenset(own for own, its in tooling.labels.items() if its == label))
    return "required"


def _client_names(tooling: Tooling) -> set[str]:
    return {tool["function"]["name"] for tool in tooling.client}


def _restrict(tooling: Tooling, choice: Mapping[str, Any]) -> None:
    """Leave the model only the tools that ``allowed_tools`` names."""
    mode, entries = choice.get("mode"), choice.get("tools")
    if mode not in ("auto", "required") or not isinstance(entries, Sequence) or isinstance(entries, str):
        raise BadRequestError("tool_choice of type allowed_tools needs mode (auto or required) and tools.")
    client: set[str] = set()
    own: set[str] = set()
    interpreter = search = None
    for entry in entries:
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if kind == "function" and name in _client_names(tooling):
            client.add(name)
        elif kind == "mcp" and entry.get("server_label") in tooling.listings:
            label = entry["server_label"]
            own |= {tool for tool, its in tooling.labels.items() if its == label and name in (None, tool)}
        elif kind == "code_interpreter" and tooling.interpreter is not None:
            interpreter = tooling.interpreter
        elif kind == "file_search" and tooling.search is not None:
            search = tooling.search
        else:
            raise BadRequestError(f"tool_choice allows {entry!r}, which is not among the tools.", param="tool_choice")
    tooling.client = [tool for tool in tooling.client if tool["function"]["name"] in client]
    _keep(tooling, frozenset(own))
    tooling.interpreter, tooling.search = interpreter, search
    tooling.choice = mode


def _keep(tooling: Tooling, names: frozenset[str]) -> None:
    tooling.labels = {name: label for name, label in tooling.labels.items() if name in names}
