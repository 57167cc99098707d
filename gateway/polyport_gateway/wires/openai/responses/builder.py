"""`ResponseBuilder`: the events of a call → the events of a response, and the response itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeAlias

from polyport.errors import CallError, UpstreamError
from polyport.events import (
    ApprovalRequest,
    CitationAdded,
    Finish,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    ServerToolCall,
    ServerToolDelta,
    ServerToolResult,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport.types.responses import (
    ApprovalRequestItem,
    InputTokensDetails,
    MCPListToolsItem,
    OutputItem,
    OutputTokensDetails,
    ResponseError,
    ResponseUsage,
)
from polyport_gateway.agents.file_search import FILE_SEARCH, SearchOutput, Source
from polyport_gateway.agents.interpreter import CodeOutput
from polyport_gateway.call import CallEvent
from polyport_gateway.sandboxes.containers import ContainerFile
from polyport_gateway.wires.openai.responses.code_calls import OpenCodeCall
from polyport_gateway.wires.openai.responses.ids import ItemIds
from polyport_gateway.wires.openai.responses.kept import keep
from polyport_gateway.wires.openai.responses.marks import Marks
from polyport_gateway.wires.openai.responses.open_items import (
    OpenFunctionCall,
    OpenItem,
    OpenMCPCall,
    OpenMessage,
    OpenReasoning,
    WireEvent,
)
from polyport_gateway.wires.openai.responses.plan import Plan
from polyport_gateway.wires.openai.responses.search_calls import OpenSearchCall

__all__ = ["ResponseBuilder"]

Events: TypeAlias = Iterator[WireEvent]

_INCOMPLETE: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponseBuilder:
    """Turns what a capability gives into a response, event by event.

    Each method gives the wire's events in order, numbered from 0. `response` is true at any time; once it has
    a final status, nothing more may be added.

    Args:
        plan: What was asked.
    """

    def __init__(self, plan: Plan) -> None:
        self.response = plan.response
        self._plan = plan
        self._ids = ItemIds(plan.response.id)
        self._number = 0
        self._speaking: OpenMessage | OpenReasoning | None = None
        self._calls: dict[int, OpenFunctionCall] = {}
        self._server_calls: list[tuple[str, OpenMCPCall | OpenCodeCall | OpenSearchCall]] = []
        self._writing: dict[str, OpenCodeCall | OpenSearchCall] = {}
        self._files: dict[str, ContainerFile] = {file.path: file for file in plan.files}
        self._sources: dict[int, Source] | None = None if plan.sources is None else dict(plan.sources)
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None

    @property
    def final(self) -> bool:
        """Whether the response has reached its last status."""
        return self.response.status not in ("queued", "in_progress")

    def snapshot(self) -> dict[str, Any]:
        """Return the response as JSON, what is under way included."""
        for item in self._open():
            item.settle()
        return self.response.model_dump()

    def record(self) -> dict[str, Any]:
        """Return the response as it is kept for later turns."""
        return keep(self.snapshot(), self.response.output)

    def created(self) -> Events:
        """Say that the response exists, and whether it waits."""
        yield self._whole("response.created")
        if self.response.status == "queued":
            yield self._whole("response.queued")

    def begin(self) -> Events:
        """Say that work has begun, and which tools there are."""
        self.response.status = "in_progress"
        yield self._whole("response.in_progress")
        for label, tools in self._plan.listings.items():
            yield from self._list_tools(label, tools)

    def add(self, event: CallEvent) -> Events:
        """Take an event of the call."""
        match event:
            case TextDelta(choice=0):
                yield from self._numbered(self._message().text_delta(event.text, event.logprobs))
            case RefusalDelta(choice=0):
                yield from self._refuse(event.text)
            case ReasoningDelta(choice=0):
                yield from self._reason_on(event.text)
            case ToolCallDelta(choice=0):
                yield from self._call_delta(event)
            case CitationAdded():
                yield from self._numbered(self._message().annotation(event.citation))
            case ServerToolDelta():
                yield from self._own_delta(event)
            case ServerToolCall():
                yield from self._server_call(event)
            case ServerToolResult():
                yield from self._server_result(event)
            case ApprovalRequest():
                yield from self._approval(event)
            case Usage():
                self._count(event)
            case Finish(choice=0):
                self._reason = event.reason
            case _:
                pass

    def finish(self) -> Events:
        """End the response as the call ended.

        Raises:
            UpstreamError: It ended without saying how.
        """
        if self._reason is None:
            raise UpstreamError(f"{self.response.model!r} ended without an answer.")
        why = _INCOMPLETE.get(self._reason)
        yield from self._close_all("completed" if why is None else "incomplete")
        if why is None:
            self.response.status = "completed"
            self.response.completed_at = int(time.time())
        else:
            self.response.status = "incomplete"
            self.response.incomplete_details = {"reason": why}
        yield self._whole(f"response.{self.response.status}")

    def fail(self, error: CallError) -> Events:
        """End the response with a failure; what was made so far stays in it."""
        self._abandon()
        self.response.status = "failed"
        detail = {"type": error.type, "code": error.code, "param": error.param}
        self.response.error = ResponseError(code=_error_code(error), message=error.message, detail=detail)
        yield self._whole("response.failed")

    def cancel(self) -> None:
        """End the response because its caller wants it no more; OpenAI has no event for it."""
        self._abandon()
        self.response.status = "cancelled"

    # Items.

    def _list_tools(self, label: str, tools: list[dict[str, Any]]) -> Events:
        item = MCPListToolsItem(id=self._ids.new("mcpl"), server_label=label)
        index = self._append(item)
        where = {"item_id": item.id, "output_index": index}
        yield self._event("response.output_item.added", output_index=index, item=item.model_dump())
        yield self._event("response.mcp_list_tools.in_progress", **where)
        item.tools = tools
        yield self._event("response.mcp_list_tools.completed", **where)
        yield self._event("response.output_item.done", output_index=index, item=item.model_dump())

    def _message(self) -> OpenMessage:
        if isinstance(self._speaking, OpenMessage):
            return self._speaking
        marks = None if self._sources is None else Marks(self._sources)
        return OpenMessage(self._ids.new("msg"), self._files, marks)

    def _refuse(self, text: str) -> Events:
        yield from self._numbered(self._message().refusal_delta(text))

    def _reason_on(self, text: str) -> Events:
        speaking = self._speaking
        if not isinstance(speaking, OpenReasoning):
            speaking = OpenReasoning(self._ids.new("rs"), summary=self._plan.summary)
        yield from self._numbered(speaking.delta(text))

    def _call_delta(self, delta: ToolCallDelta) -> Events:
        call = self._calls.get(delta.index)
        if call is not None and delta.id and call.item.call_id != delta.id:
            # Some engines number every call 0: a new id is a new call.
            yield from self._numbered(call.close("completed"))
            call = None
        if call is None:
            yield from self._hush()
            call = OpenFunctionCall(self._ids.new("fc"), call_id=delta.id, name=delta.name or "")
            self._calls[delta.index] = call
        elif delta.name and not call.item.name:
            call.item.name = delta.name
        yield from self._numbered(call.delta(delta.arguments))

    def _server_call(self, event: ServerToolCall) -> Events:
        yield from self._hush()
        if event.session is None:
            mcp_call = self._mcp_call(event)
            self._server_calls.append((event.id, mcp_call))
            yield from self._numbered(mcp_call.begin())
            return
        call = self._writing.pop(event.id, None) or self._own_call(event)
        self._server_calls.append((event.id, call))
        if isinstance(call, OpenSearchCall):
            yield from self._numbered(call.begin(event.arguments))
        else:
            yield from self._numbered(call.begin(event.arguments, event.session))

    def _mcp_call(self, event: ServerToolCall) -> OpenMCPCall:
        approved = event.id if event.id in self._plan.approvals else None
        label = self._plan.labels.get(event.name, self._plan.default_label)
        return OpenMCPCall(
            self._ids.new("mcp"), label=label, name=event.name, arguments=event.arguments, approval_request_id=approved
        )

    def _own_call(self, event: ServerToolCall | ServerToolDelta) -> OpenCodeCall | OpenSearchCall:
        if event.name == FILE_SEARCH:
            return OpenSearchCall(self._ids.new("fs"), results=self._plan.search_results)
        return OpenCodeCall(self._ids.new("ci"), container=str(event.session), outputs=self._plan.code_outputs)

    def _own_delta(self, event: ServerToolDelta) -> Events:
        call = self._writing.get(event.id)
        if call is None:
            yield from self._hush()
            call = self._writing[event.id] = self._own_call(event)
        if isinstance(call, OpenSearchCall):
            yield from self._numbered(call.announce())
        else:
            yield from self._numbered(call.delta(event.arguments))

    def _server_result(self, event: ServerToolResult) -> Events:
        # Some models give several calls one id; their results come in the order of the calls.
        place = next((place for place, (id_, _) in enumerate(self._server_calls) if id_ == event.id), None)
        if place is not None:
            _, call = self._server_calls.pop(place)
            if isinstance(event.value, CodeOutput):
                self._files |= {file.path: file for file in event.value.files}
            elif isinstance(event.value, SearchOutput) and self._sources is not None:
                self._sources |= event.value.sources
            yield from self._numbered(call.result(event))

    def _approval(self, event: ApprovalRequest) -> Events:
        yield from self._hush()
        item = ApprovalRequestItem(
            id=event.id if event.id in self._plan.approvals else self._ids.new("mcpr"),
            server_label=self._plan.labels.get(event.name, self._plan.default_label),
            name=event.name,
            arguments=event.arguments,
        )
        index = self._append(item)
        yield self._event("response.output_item.added", output_index=index, item=item.model_dump())
        yield self._event("response.output_item.done", output_index=index, item=item.model_dump())

    # How items begin and end.

    def _numbered(self, events: Iterator[tuple[OpenItem, WireEvent]]) -> Events:
        """Number an item's events, and give the item its place in the output with the first of them."""
        for item, event in events:
            if item.index is None:
                if isinstance(item, OpenMessage | OpenReasoning):
                    yield from self._hush()
                    self._speaking = item
                item.index = self._append(item.item)
            yield self._event(event.pop("type"), **{"output_index": item.index, **event})

    def _append(self, item: OutputItem) -> int:
        self.response.output.append(item)
        return len(self.response.output) - 1

    def _hush(self) -> Events:
        """End the message or the reasoning that is under way: something else begins."""
        speaking, self._speaking = self._speaking, None
        if speaking is not None:
            yield from self._numbered(speaking.close("completed"))

    def _close_all(self, status: str) -> Events:
        for item in sorted(self._open(), key=lambda item: item.index or 0):
            yield from self._numbered(item.close(status))
        self._forget_open()

    def _abandon(self) -> None:
        for item in self._open():
            item.settle()
            item.item.status = "incomplete"
        self._forget_open()

    def _open(self) -> list[OpenItem]:
        speaking = [] if self._speaking is None else [self._speaking]
        ours = (call for _, call in self._server_calls)
        return [*ours, *self._writing.values(), *self._calls.values(), *speaking]

    def _forget_open(self) -> None:
        self._speaking = None
        self._calls.clear()
        self._writing.clear()
        self._server_calls.clear()

    # Events and counts.

    def _count(self, usage: Usage) -> None:
        total = self._usage = usage if self._usage is None else self._usage + usage
        self.response.usage = ResponseUsage(
            input_tokens=total.prompt_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=total.cached_tokens),
            output_tokens=total.completion_tokens,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=total.reasoning_tokens),
            total_tokens=total.total_tokens,
        )

    def _whole(self, type: str) -> WireEvent:  # noqa: A002
        return self._event(type, response=self.snapshot())

    def _event(self, type: str, **members: Any) -> WireEvent:  # noqa: A002
        number = self._number
        self._number += 1
        return {"type": type, "sequence_number": number, **members}


def _error_code(error: CallError) -> str:
    """Return the nearest of the few codes that OpenAI's description allows here."""
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if 400 <= error.status < 499 else "server_error"
