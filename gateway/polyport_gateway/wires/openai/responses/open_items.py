"""Items of a response while they are being made: each gives the events of its own making."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from uuid import uuid4

from polyport.content import Citation
from polyport.events import ServerToolResult
from polyport.types.responses import (
    CodeInterpreterCallItem,
    FileSearchCallItem,
    MCPCallItem,
    OutputFunctionCall,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
    SummaryText,
)
from polyport_gateway.sandboxes.containers import ContainerFile
from polyport_gateway.wires.openai.responses.citations import citation_annotation, file_citation
from polyport_gateway.wires.openai.responses.file_citations import cite_files
from polyport_gateway.wires.openai.responses.marks import Marks

__all__ = [
    "ItemEvents",
    "OpenFunctionCall",
    "OpenItem",
    "OpenMCPCall",
    "OpenMessage",
    "OpenReasoning",
    "WireEvent",
    "logprob_body",
]

WireEvent: TypeAlias = dict[str, Any]
ItemEvents: TypeAlias = Iterator[tuple["OpenItem", WireEvent]]


class OpenItem:
    """An item under way; `index` is its place in the output, given with its first event."""

    item: (
        OutputMessage | ReasoningItem | OutputFunctionCall | MCPCallItem | CodeInterpreterCallItem | FileSearchCallItem
    )
    index: int | None = None

    def close(self, status: Any) -> ItemEvents:
        """End it."""
        raise NotImplementedError

    def settle(self) -> None:
        """Write into `item` what has come so far; pieces are gathered apart until then."""

    def _event(self, type: str, **members: Any) -> tuple[OpenItem, WireEvent]:  # noqa: A002
        return self, {"type": type, "item_id": self.item.id, **members}

    def _added(self) -> tuple[OpenItem, WireEvent]:
        return self, {"type": "response.output_item.added", "item": self.item.model_dump()}

    def _done(self, status: Any) -> tuple[OpenItem, WireEvent]:
        self.item.status = status
        return self, {"type": "response.output_item.done", "item": self.item.model_dump()}


class OpenMessage(OpenItem):
    """A message: text and refusal are parts of it, one after the other.

    Args:
        id: The item's.
        files: Files of containers, by path, to be cited where the text names them.
        marks: Turns marks in the text into citations, where the model can set any.
    """

    def __init__(
        self,
        id: str,  # noqa: A002
        files: Mapping[str, ContainerFile] | None = None,
        marks: Marks | None = None,
    ) -> None:
        self.item: OutputMessage = OutputMessage(id=id)
        self._files = files or {}
        self._marks = marks
        self._part: OutputText | Refusal | None = None
        self._pieces: list[str] = []
        self._length = 0

    def text_delta(self, text: str, logprobs: list[dict[str, Any]] | None) -> ItemEvents:
        """Add text."""
        part = self._part
        if not isinstance(part, OutputText):
            yield from self._open(part := OutputText())
        entries = [logprob_body(entry) for entry in logprobs or ()]
        part.logprobs.extend(entries)
        if self._marks is None:
            yield from self._say(text, entries)
            return
        for shown in self._marks.feed(text):
            if isinstance(shown, str):
                yield from self._say(shown, entries)
                entries = []
            else:
                yield self._annotate(part, file_citation(shown.file_id, shown.filename, self._length))
        yield from self._say("", entries)

    def _say(self, text: str, entries: list[dict[str, Any]]) -> ItemEvents:
        self._pieces.append(text)
        self._length += len(text)
        if text or entries:
            yield self._event("response.output_text.delta", content_index=self._at, delta=text, logprobs=entries)

    def refusal_delta(self, text: str) -> ItemEvents:
        """Add to the refusal."""
        if not isinstance(self._part, Refusal):
            yield from self._open(Refusal())
        self._pieces.append(text)
        if text:
            yield self._event("response.refusal.delta", content_index=self._at, delta=text)

    def annotation(self, citation: Citation) -> ItemEvents:
        """Name a source of the text so far."""
        part = self._part
        if not isinstance(part, OutputText):
            yield from self._open(part := OutputText())
        yield self._annotate(part, citation_annotation(citation, self._length))

    def _annotate(self, part: OutputText, annotation: dict[str, Any]) -> tuple[OpenItem, WireEvent]:
        part.annotations.append(annotation)
        return self._event(
            "response.output_text.annotation.added",
            content_index=self._at,
            annotation_index=len(part.annotations) - 1,
            annotation=annotation,
        )

    def close(self, status: Any) -> ItemEvents:
        """End the part under way, and the message."""
        yield from self._close_part()
        yield self._done(status)

    def settle(self) -> None:
        """Write the text so far into its part."""
        if isinstance(self._part, OutputText):
            self._part.text = "".join(self._pieces)
        elif self._part is not None:
            self._part.refusal = "".join(self._pieces)

    @property
    def _at(self) -> int:
        return len(self.item.content) - 1

    def _open(self, part: OutputText | Refusal) -> ItemEvents:
        if self.index is None:
            yield self._added()
        yield from self._close_part()
        self._part = part
        self._length = 0
        self.item.content.append(part)
        yield self._event("response.content_part.added", content_index=self._at, part=part.model_dump())

    def _close_part(self) -> ItemEvents:
        if self._marks is not None and isinstance(self._part, OutputText):
            yield from self._say(self._marks.flush(), [])
        self.settle()
        part, self._part = self._part, None
        self._pieces = []
        if part is None:
            return
        if isinstance(part, OutputText):
            for annotation in cite_files(part.text, self._files):
                yield self._annotate(part, annotation)
            done = {"text": part.text, "logprobs": part.logprobs}
            yield self._event("response.output_text.done", content_index=self._at, **done)
        else:
            yield self._event("response.refusal.done", content_index=self._at, refusal=part.refusal)
        yield self._event("response.content_part.done", content_index=self._at, part=part.model_dump())


class OpenReasoning(OpenItem):
    """Reasoning: as itself, or as a summary where one was asked for."""

    def __init__(self, id: str, *, summary: bool) -> None:  # noqa: A002
        self.item: ReasoningItem = ReasoningItem(id=id)
        self._part: SummaryText | ReasoningText = SummaryText(text="") if summary else ReasoningText(text="")
        self._summary = summary
        self._where: dict[str, Any] = {"summary_index" if summary else "content_index": 0}
        self._pieces: list[str] = []

    def delta(self, text: str) -> ItemEvents:
        """Add reasoning."""
        if self.index is None:
            yield self._added()
            kind = "reasoning_summary_part" if self._summary else "content_part"
            yield self._event(f"response.{kind}.added", **self._where, part=self._part.model_dump())
        self._pieces.append(text)
        if text:
            yield self._event(f"response.{self._kind}.delta", **self._where, delta=text)

    def close(self, status: Any) -> ItemEvents:
        """End it."""
        self.settle()
        kind = "reasoning_summary_part" if self._summary else "content_part"
        yield self._event(f"response.{self._kind}.done", **self._where, text=self._part.text)
        yield self._event(f"response.{kind}.done", **self._where, part=self._part.model_dump())
        yield self._done(status)

    def settle(self) -> None:
        """Write the reasoning so far into the item."""
        self._part.text = "".join(self._pieces)
        if isinstance(self._part, SummaryText):
            self.item.summary = [self._part]
        else:
            self.item.content = [self._part]

    @property
    def _kind(self) -> str:
        return "reasoning_summary_text" if self._summary else "reasoning_text"


class OpenFunctionCall(OpenItem):
    """A call that the client is asked to make."""

    def __init__(self, id: str, *, call_id: str | None, name: str) -> None:  # noqa: A002
        call_id = call_id or f"call_{uuid4().hex[:24]}"
        self.item: OutputFunctionCall = OutputFunctionCall(id=id, call_id=call_id, name=name)
        self._pieces: list[str] = []

    def delta(self, arguments: str) -> ItemEvents:
        """Add a piece of the arguments."""
        if self.index is None:
            yield self._added()
        self._pieces.append(arguments)
        if arguments:
            yield self._event("response.function_call_arguments.delta", delta=arguments)

    def close(self, status: Any) -> ItemEvents:
        """End it."""
        self.settle()
        yield self._event("response.function_call_arguments.done", name=self.item.name, arguments=self.item.arguments)
        yield self._done(status)

    def settle(self) -> None:
        """Write the arguments so far into the item."""
        self.item.arguments = "".join(self._pieces)


class OpenMCPCall(OpenItem):
    """A call that the gateway makes."""

    def __init__(
        self,
        id: str,  # noqa: A002
        *,
        label: str,
        name: str,
        arguments: str,
        approval_request_id: str | None,
    ) -> None:
        self.item: MCPCallItem = MCPCallItem(
            id=id, server_label=label, name=name, approval_request_id=approval_request_id
        )
        self._arguments = arguments

    def begin(self) -> ItemEvents:
        """Say that it is being made, and with what."""
        yield self._added()
        yield self._event("response.mcp_call.in_progress")
        self.item.arguments = self._arguments
        yield self._event("response.mcp_call_arguments.delta", delta=self._arguments)
        yield self._event("response.mcp_call_arguments.done", arguments=self._arguments)

    def result(self, event: ServerToolResult) -> ItemEvents:
        """Say what it gave."""
        if event.error:
            content = [{"type": "text", "text": event.output}]
            self.item.error = {"type": "mcp_tool_execution_error", "content": content}
            yield self._event("response.mcp_call.failed")
            yield self._done("failed")
        else:
            self.item.output = event.output
            yield self._event("response.mcp_call.completed")
            yield self._done("completed")

    def close(self, status: Any) -> ItemEvents:
        """End it without a result."""
        yield self._done("incomplete" if status == "completed" else status)


def logprob_body(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a token's log probability with all members that OpenAI's description asks for."""
    tops = entry.get("top_logprobs") or ()
    return {**_logprob(entry), "top_logprobs": [_logprob(top) for top in tops]}


def _logprob(entry: dict[str, Any]) -> dict[str, Any]:
    token = entry.get("token", "")
    given = entry.get("bytes")
    return {
        "token": token,
        "logprob": entry.get("logprob", 0.0),
        "bytes": list(token.encode("utf-8", "surrogatepass")) if given is None else given,
    }
