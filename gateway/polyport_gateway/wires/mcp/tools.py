"""tools/list and tools/call: every capability, as its caller sees it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, cast

from mcp_types import CallToolRequestParams, PaginatedRequestParams

from polyport.errors import CallError, NotFoundError
from polyport.events import CitationAdded, Finish, Result, TextDelta, Usage
from polyport_gateway.call import Arguments, Call, Caller, CallEvent, Dispatch, InputRequired
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.wires.mcp.asking import Asker
from polyport_gateway.wires.mcp.content import content_blocks
from polyport_gateway.wires.mcp.errors import MissingClientCapabilityError, error_result, protocol_error
from polyport_gateway.wires.mcp.pagination import cursor_of, paginate
from polyport_gateway.wires.mcp.reporting import Reporter
from polyport_gateway.wires.mcp.requests import Request, facts_of, is_modern

__all__ = ["KIND_META", "ToolHandlers", "describe_tool"]

KIND_META = "polyport/kind"
"""The ``_meta`` member of a tool that says what it was registered as."""


class ToolHandlers:
    """Answers what concerns tools.

    Args:
        catalog: What can be called.
        dispatcher: The way through.
    """

    def __init__(self, catalog: Catalog, dispatcher: Dispatch) -> None:
        self._catalog = catalog
        self._dispatcher = dispatcher

    async def list(self, request: Request, params: PaginatedRequestParams | None) -> dict[str, Any]:
        """Answer tools/list."""
        visible = self._catalog.visible(facts_of(request).caller)
        page, cursor = paginate(visible, cursor_of(params), key=lambda capability: capability.name)
        answer: dict[str, Any] = {"tools": [describe_tool(capability) for capability in page]}
        if cursor is not None:
            answer["nextCursor"] = cursor
        return answer

    async def call(self, request: Request, params: CallToolRequestParams) -> dict[str, Any]:
        """Answer tools/call.

        Raises:
            MCPError: There is no such tool, or the client lacks what the call needs.
        """
        facts = facts_of(request)
        responses = (request.params or {}).get("inputResponses")
        asker = Asker(request, responses, params.request_state)
        call = Call(
            name=params.name,
            input=Arguments(params.arguments or {}),
            caller=facts.caller,
            wire="mcp",
            request_id=facts.request_id,
            dispatch=self._dispatcher,
            traceparent=facts.traceparent,
            ask=asker.ask,
        )
        outcome = _Outcome()
        reporter = Reporter(request)
        try:
            async with aclosing(cast("Any", self._dispatcher.stream(call))) as events:
                async for event in events:
                    if not outcome.take(event):
                        await reporter.tell(event)
        except InputRequired:
            return asker.input_required() or {}
        except CallError as error:
            return self._failure(error, request, params.name, facts.caller)
        return asker.input_required() or outcome.to_result(self._catalog.find(params.name))

    def _failure(self, error: CallError, request: Request, name: str, caller: Caller) -> dict[str, Any]:
        unknown = isinstance(error, NotFoundError) and not self._catalog.allows(name, caller)
        if unknown or (isinstance(error, MissingClientCapabilityError) and is_modern(request)):
            raise protocol_error(error) from error
        return error_result(error)


class _Outcome:
    """What a call has given."""

    __slots__ = ("citations", "pieces", "result")

    def __init__(self) -> None:
        self.result: Result | None = None
        self.pieces: list[str] = []
        self.citations: list[Any] = []

    def take(self, event: CallEvent) -> bool:
        """Keep an event that belongs to the result; say whether it did."""
        if isinstance(event, Result):
            self.result = event
            return True
        if isinstance(event, TextDelta):
            if event.choice == 0:
                self.pieces.append(event.text)
            return True
        return isinstance(event, Finish | Usage | CitationAdded)

    def to_result(self, capability: Capability | None) -> dict[str, Any]:
        """Return the tool's result: blocks, and the structured value where the tool declares one."""
        result = self.result
        if result is None:
            text = "".join(self.pieces)
            return {"content": content_blocks(text, ())}
        answer: dict[str, Any] = {"content": content_blocks(result.text, result.content)}
        if result.structured and capability is not None and capability.tool.output is not None:
            wraps = not _is_object(capability.tool.output)
            answer["structuredContent"] = {"result": result.value} if wraps else result.value
        return answer


def describe_tool(capability: Capability) -> dict[str, Any]:
    """Describe a capability as a tool."""
    schema = capability.tool
    tool: dict[str, Any] = {
        "name": capability.name,
        "description": capability.description or f"The {capability.kind} {capability.name}.",
        "inputSchema": schema.input,
        "_meta": {KIND_META: capability.kind},
    }
    if schema.output is not None:
        tool["outputSchema"] = _wrapped(schema.output)
    given = schema.annotations
    hints = {
        "title": given.title,
        "readOnlyHint": given.read_only,
        "destructiveHint": given.destructive,
        "idempotentHint": given.idempotent,
        "openWorldHint": given.open_world,
    }
    known = {key: value for key, value in hints.items() if value is not None}
    if known:
        tool["annotations"] = known
    if given.title is not None:
        tool["title"] = given.title
    return tool


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object"


def _wrapped(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema of an object: MCP's structured content is one up to 2025-11-25, so other results are wrapped."""
    if _is_object(schema):
        return schema
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "$schema")}
    outer: dict[str, Any] = {"type": "object", "properties": {"result": inner}, "required": ["result"]}
    if "$defs" in schema:
        outer["$defs"] = schema["$defs"]
    return outer
