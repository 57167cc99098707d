"""OpenAI's chat completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from polyport.types.base import RequestModel, WireModel

__all__ = [
    "AssistantMessage",
    "ChatChoice",
    "ChatChunk",
    "ChatChunkChoice",
    "ChatCompletion",
    "ChatMessage",
    "ChatRequest",
    "ChatTool",
    "CompletionUsage",
    "ContentPart",
    "DeveloperMessage",
    "FunctionDefinition",
    "FunctionMessage",
    "StreamOptions",
    "SystemMessage",
    "ToolCall",
    "ToolMessage",
    "UserMessage",
]


class TextPart(RequestModel):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImageURL(RequestModel):
    """An address or a data URL of a picture."""

    url: str
    detail: str | None = None


class ImagePart(RequestModel):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageURL


class AudioPart(RequestModel):
    """A sound in base64."""

    type: Literal["input_audio"]
    input_audio: dict[str, Any]


class FilePart(RequestModel):
    """A file by id or in base64."""

    type: Literal["file"]
    file: dict[str, Any]


class RefusalPart(RequestModel):
    """A refusal, in an assistant's message."""

    type: Literal["refusal"]
    refusal: str


class OtherPart(RequestModel):
    """A part of a kind that only some engines know (``video_url`` …)."""

    type: str


def _part_tag(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in ("text", "image_url", "input_audio", "file", "refusal") else "other"


ContentPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[ImagePart, Tag("image_url")]
    | Annotated[AudioPart, Tag("input_audio")]
    | Annotated[FilePart, Tag("file")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[OtherPart, Tag("other")],
    Discriminator(_part_tag),
]


class FunctionCall(RequestModel):
    """The name and the JSON text of the arguments of a call."""

    name: str
    arguments: str


class ToolCall(RequestModel):
    """A tool call that a model asks for."""

    id: str
    type: str = "function"
    function: FunctionCall | None = None


class SystemMessage(RequestModel):
    """Instructions."""

    role: Literal["system"]
    content: str | list[ContentPart]
    name: str | None = None


class DeveloperMessage(RequestModel):
    """Instructions, for reasoning models."""

    role: Literal["developer"]
    content: str | list[ContentPart]
    name: str | None = None


class UserMessage(RequestModel):
    """What the person says."""

    role: Literal["user"]
    content: str | list[ContentPart]
    name: str | None = None


class AssistantMessage(RequestModel):
    """What the model said."""

    role: Literal["assistant"]
    content: str | list[ContentPart] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None


class ToolMessage(RequestModel):
    """What a tool gave."""

    role: Literal["tool"]
    content: str | list[ContentPart]
    tool_call_id: str


class FunctionMessage(RequestModel):
    """What a function gave (deprecated form)."""

    role: Literal["function"]
    content: str | None
    name: str


ChatMessage: TypeAlias = Annotated[
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]


class FunctionDefinition(RequestModel):
    """A function that the model may call."""

    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(RequestModel):
    """A tool that the model may call."""

    type: str
    function: FunctionDefinition | None = None


class StreamOptions(RequestModel):
    """How to stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(RequestModel):
    """The body of ``POST /v1/chat/completions``.

    Only members that the gateway itself reads or refuses are typed narrowly; an engine that passes the
    body through sends each as it came.
    """

    model: str = Field(min_length=1)
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1, le=128)
    stop: str | list[str] | None = None
    seed: int | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    logit_bias: dict[str, float] | None = None
    response_format: dict[str, Any] | None = None
    tools: list[ChatTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


class TokenDetails(WireModel):
    """What kinds of tokens a count is made of."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class CompletionUsage(WireModel):
    """Tokens used."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None


class ResponseMessage(WireModel):
    """A whole answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: list[dict[str, Any]] | None = None


class ChatChoice(WireModel):
    """One of the answers."""

    index: int = 0
    message: ResponseMessage
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class ChatCompletion(WireModel):
    """The answer of ``POST /v1/chat/completions``."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage | None = None
    system_fingerprint: str | None = None

    @property
    def text(self) -> str:
        """The first answer's text; empty where there is none."""
        return (self.choices[0].message.content or "") if self.choices else ""


class ToolCallChunk(WireModel):
    """A piece of a tool call."""

    index: int
    id: str | None = None
    type: str | None = None
    function: dict[str, Any] | None = None


class ChatDelta(WireModel):
    """What a chunk adds."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallChunk] | None = None
    annotations: list[dict[str, Any]] | None = None


class ChatChunkChoice(WireModel):
    """What a chunk adds to one of the answers."""

    index: int = 0
    delta: ChatDelta
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class ChatChunk(WireModel):
    """One event of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: CompletionUsage | None = None
    system_fingerprint: str | None = None
