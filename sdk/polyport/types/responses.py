"""OpenAI's responses: what is asked, the items in and out, and the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, PrivateAttr, Tag

from polyport.types.base import RequestModel, WireModel
from polyport.types.response_tools import (
    CodeInterpreterTool,
    FileSearchTool,
    FunctionTool,
    MCPTool,
    MCPToolFilter,
    OtherTool,
    RequireApproval,
    ResponseTool,
)

__all__ = [
    "ApprovalRequestItem",
    "ApprovalResponseItem",
    "CodeInterpreterCallInputItem",
    "CodeInterpreterCallItem",
    "CodeInterpreterTool",
    "FileSearchCallInputItem",
    "FileSearchCallItem",
    "FileSearchTool",
    "FunctionCallItem",
    "FunctionCallOutputItem",
    "FunctionTool",
    "InputItem",
    "ItemReference",
    "KeptItem",
    "MCPCallItem",
    "MCPListToolsItem",
    "MCPTool",
    "MCPToolFilter",
    "MessageItem",
    "OtherItem",
    "OtherTool",
    "OutputFunctionCall",
    "OutputItem",
    "OutputMessage",
    "OutputText",
    "Reasoning",
    "ReasoningItem",
    "ReasoningText",
    "Refusal",
    "RequireApproval",
    "Response",
    "ResponseDeleted",
    "ResponseError",
    "ResponseEvent",
    "ResponseItemList",
    "ResponseRequest",
    "ResponseTool",
    "ResponseUsage",
    "SummaryText",
    "TextOptions",
]

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


# What is asked.


class InputPart(RequestModel):
    """A piece of a message: ``input_text``, ``input_image``, ``input_file``, ``output_text`` or ``refusal``."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None


class MessageItem(RequestModel):
    """A message, in its short form (text alone) or its full one."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputPart]
    id: str | None = None
    status: str | None = None


class FunctionCallItem(RequestModel):
    """A call of one of the client's functions, as the model asked for it."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    arguments: str
    id: str | None = None
    status: str | None = None


class FunctionCallOutputItem(RequestModel):
    """What such a function gave."""

    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1)
    output: str | list[InputPart]
    id: str | None = None
    status: str | None = None


class SummaryText(RequestModel):
    """A part of a summary of the model's reasoning."""

    type: Literal["summary_text"] = "summary_text"
    text: str


class ReasoningText(RequestModel):
    """A part of the model's reasoning."""

    type: Literal["reasoning_text"] = "reasoning_text"
    text: str


class ReasoningInputItem(RequestModel):
    """Reasoning of an earlier turn, sent back."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[SummaryText] = Field(default_factory=list)
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class ItemReference(RequestModel):
    """An item of a stored response, by its id."""

    type: Literal["item_reference"] | None = None
    id: str = Field(min_length=1)


class MCPCallInputItem(RequestModel):
    """A call that the gateway made in an earlier turn, sent back."""

    type: Literal["mcp_call"]
    id: str = Field(min_length=1)
    server_label: str
    name: str
    arguments: str
    output: str | None = None
    error: dict[str, Any] | str | None = None
    approval_request_id: str | None = None


class MCPListToolsInputItem(RequestModel):
    """A list of tools of an earlier turn, sent back."""

    type: Literal["mcp_list_tools"]
    id: str = Field(min_length=1)
    server_label: str
    tools: list[dict[str, Any]]
    error: str | None = None


class ApprovalRequestInputItem(RequestModel):
    """A call that waited for approval in an earlier turn, sent back."""

    type: Literal["mcp_approval_request"]
    id: str = Field(min_length=1)
    server_label: str
    name: str
    arguments: str


class ApprovalResponseItem(RequestModel):
    """The caller's decision on a call that waits."""

    type: Literal["mcp_approval_response"]
    approval_request_id: str = Field(min_length=1)
    approve: bool
    id: str | None = None
    reason: str | None = None


class CodeInterpreterCallInputItem(RequestModel):
    """Code that was run in an earlier turn, sent back."""

    type: Literal["code_interpreter_call"]
    id: str = Field(min_length=1)
    container_id: str
    code: str | None = None
    outputs: list[dict[str, Any]] | None = None
    status: str | None = None


class FileSearchCallInputItem(RequestModel):
    """A search of an earlier turn, sent back."""

    type: Literal["file_search_call"]
    id: str = Field(min_length=1)
    queries: list[str]
    results: list[dict[str, Any]] | None = None
    status: str | None = None


class OtherItem(RequestModel):
    """An item of a kind that this gateway doesn't know."""

    type: str


_ITEM_KINDS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "item_reference",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "code_interpreter_call",
        "file_search_call",
    }
)


def _item_tag(value: Any) -> str | None:
    if not isinstance(value, dict):
        return getattr(value, "type", None)
    kind = value.get("type")
    if kind is None:
        return "message" if "role" in value or "id" not in value else "item_reference"
    if not isinstance(kind, str):
        return None
    return kind if kind in _ITEM_KINDS else "other"


InputItem: TypeAlias = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionCallOutputItem, Tag("function_call_output")]
    | Annotated[ReasoningInputItem, Tag("reasoning")]
    | Annotated[ItemReference, Tag("item_reference")]
    | Annotated[MCPCallInputItem, Tag("mcp_call")]
    | Annotated[MCPListToolsInputItem, Tag("mcp_list_tools")]
    | Annotated[ApprovalRequestInputItem, Tag("mcp_approval_request")]
    | Annotated[ApprovalResponseItem, Tag("mcp_approval_response")]
    | Annotated[CodeInterpreterCallInputItem, Tag("code_interpreter_call")]
    | Annotated[FileSearchCallInputItem, Tag("file_search_call")]
    | Annotated[OtherItem, Tag("other")],
    Discriminator(_item_tag),
]


class Reasoning(RequestModel):
    """How hard to think, and whether to show it as a summary."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class TextOptions(RequestModel):
    """The form of the answer's text."""

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponseStreamOptions(RequestModel):
    """How to stream."""

    include_obfuscation: bool | None = None


class ResponseRequest(RequestModel):
    """The body of ``POST /v1/responses``."""

    model: str = Field(min_length=1)
    input: str | list[InputItem]
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    store: bool | None = None
    background: bool | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


# What is answered.


class OutputText(WireModel):
    """Text of an answer, with its sources."""

    type: Literal["output_text"] = "output_text"
    text: str = ""
    annotations: list[dict[str, Any]] = Field(default_factory=list)
    logprobs: list[dict[str, Any]] = Field(default_factory=list)


class Refusal(WireModel):
    """A refusal in an answer."""

    type: Literal["refusal"] = "refusal"
    refusal: str = ""


class OutputMessage(WireModel):
    """A message of the model."""

    type: Literal["message"] = "message"
    id: str
    status: ItemStatus = "in_progress"
    role: Literal["assistant"] = "assistant"
    content: list[OutputText | Refusal] = Field(default_factory=list)


class ReasoningItem(WireModel):
    """The model's reasoning: itself in `content`, or as a summary."""

    type: Literal["reasoning"] = "reasoning"
    id: str
    status: ItemStatus = "in_progress"
    summary: list[SummaryText] = Field(default_factory=list)
    content: list[ReasoningText] = Field(default_factory=list)


class OutputFunctionCall(WireModel):
    """A call that the client is asked to make."""

    type: Literal["function_call"] = "function_call"
    id: str
    call_id: str
    name: str
    arguments: str = ""
    status: ItemStatus = "in_progress"


class MCPListToolsItem(WireModel):
    """The tools that the gateway offers the model under a label."""

    type: Literal["mcp_list_tools"] = "mcp_list_tools"
    id: str
    server_label: str
    tools: list[dict[str, Any]] = Field(default_factory=list)
    error: str | None = None


class MCPCallItem(WireModel):
    """A call that the gateway made."""

    type: Literal["mcp_call"] = "mcp_call"
    id: str
    server_label: str
    name: str
    arguments: str = ""
    output: str | None = None
    error: dict[str, Any] | None = None
    status: Literal["in_progress", "completed", "incomplete", "calling", "failed"] = "in_progress"
    approval_request_id: str | None = None


class ApprovalRequestItem(WireModel):
    """A call that waits for the caller's approval."""

    type: Literal["mcp_approval_request"] = "mcp_approval_request"
    id: str
    server_label: str
    name: str
    arguments: str


class KeptItem(WireModel):
    """An item of which more is kept than is shown."""

    _kept: dict[str, Any] | None = PrivateAttr(default=None)

    @property
    def kept(self) -> dict[str, Any] | None:
        """What later turns need of it and no answer shows."""
        return self._kept

    def keep(self, kept: dict[str, Any]) -> None:
        """Set `kept`."""
        self._kept = kept


class CodeInterpreterCallItem(KeptItem):
    """Code that the gateway ran; its outputs where they were asked for."""

    type: Literal["code_interpreter_call"] = "code_interpreter_call"
    id: str
    status: Literal["in_progress", "completed", "incomplete", "interpreting", "failed"] = "in_progress"
    container_id: str
    code: str | None = None
    outputs: list[dict[str, Any]] | None = None


class FileSearchCallItem(KeptItem):
    """A search that the gateway made; what it found where that was asked for."""

    type: Literal["file_search_call"] = "file_search_call"
    id: str
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"] = "in_progress"
    queries: list[str] = Field(default_factory=list)
    results: list[dict[str, Any]] | None = None


OutputItem: TypeAlias = Annotated[
    OutputMessage
    | ReasoningItem
    | OutputFunctionCall
    | MCPListToolsItem
    | MCPCallItem
    | ApprovalRequestItem
    | CodeInterpreterCallItem
    | FileSearchCallItem,
    Field(discriminator="type"),
]


class InputTokensDetails(WireModel):
    """What kinds of tokens went in."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(WireModel):
    """What kinds of tokens came out."""

    reasoning_tokens: int = 0


class ResponseUsage(WireModel):
    """Tokens used so far; zeros where nothing counts them."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = Field(default_factory=InputTokensDetails)
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = Field(default_factory=OutputTokensDetails)
    total_tokens: int = 0


class ResponseError(WireModel):
    """Why a response failed.

    Attributes:
        code: One of OpenAI's few (``server_error``, ``rate_limit_exceeded``, ``invalid_prompt``).
        detail: The gateway's own code and type, as its HTTP errors have them.
    """

    code: str
    message: str
    detail: dict[str, Any] | None = None


class Response(WireModel):
    """The answer of ``POST /v1/responses``."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Literal["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
    background: bool = False
    error: ResponseError | None = None
    incomplete_details: dict[str, Any] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    model: str
    output: list[OutputItem] = Field(default_factory=list)
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    prompt_cache_key: str | None = None
    reasoning: dict[str, Any] | None = None
    safety_identifier: str | None = None
    service_tier: str = "default"
    store: bool = True
    temperature: float = 1.0
    text: dict[str, Any] = Field(default_factory=lambda: {"format": {"type": "text"}})
    tool_choice: str | dict[str, Any] = "auto"
    tools: list[dict[str, Any]] = Field(default_factory=list)
    top_logprobs: int = 0
    top_p: float = 1.0
    truncation: Literal["auto", "disabled"] = "disabled"
    usage: ResponseUsage = Field(default_factory=ResponseUsage)

    @property
    def output_text(self) -> str:
        """The text of all messages, joined."""
        return "".join(
            part.text
            for item in self.output
            if isinstance(item, OutputMessage)
            for part in item.content
            if isinstance(part, OutputText)
        )


class ResponseItemList(WireModel):
    """The answer of ``GET /v1/responses/{id}/input_items``."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str
    last_id: str
    has_more: bool = False


class ResponseEvent(WireModel):
    """One event of a streamed response; what it carries besides depends on its type."""

    type: str
    sequence_number: int


class ResponseDeleted(WireModel):
    """The answer of ``DELETE /v1/responses/{id}``."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True
