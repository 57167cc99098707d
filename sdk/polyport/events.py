"""What flows out of a capability: the same events whatever it is, and on every wire.

A stream ends with exactly one `Finish` per choice, or with an exception. A function gives one
`Result` before it; a model gives deltas; an agent gives deltas and the tool calls it made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from polyport.content import Citation, Content

__all__ = [
    "ApprovalRequest",
    "CitationAdded",
    "Event",
    "Finish",
    "FinishReason",
    "Log",
    "LogLevel",
    "Progress",
    "ReasoningDelta",
    "RefusalDelta",
    "Result",
    "ServerToolCall",
    "ServerToolDelta",
    "ServerToolResult",
    "TextDelta",
    "ToolCallDelta",
    "Usage",
]

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
LogLevel: TypeAlias = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text.

    Attributes:
        text: The piece.
        choice: Which of several choices it belongs to.
        logprobs: OpenAI's log-probability entries for its tokens, when asked for.
    """

    text: str
    choice: int = 0
    logprobs: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning, where an engine shows it."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """A piece of the model's refusal."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call that the caller is asked to make.

    Attributes:
        index: Position among the message's tool calls.
        id: The call's id; on its first piece.
        name: The function's name; on its first piece.
        arguments: A piece of the JSON text of its arguments.
        choice: Which of several choices it belongs to.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ServerToolDelta:
    """A piece of a call that the gateway itself will make, while the model writes it; for the code interpreter.

    Attributes:
        id: The call's id, as the model gave it.
        name: The tool's name.
        arguments: A piece of the JSON text of its arguments.
        session: The sandbox session in which it will happen.
    """

    id: str
    name: str
    arguments: str
    session: str


@dataclass(frozen=True, slots=True)
class ServerToolCall:
    """A tool that the gateway itself is calling for an agent.

    Attributes:
        id: The call's id, as the model gave it.
        name: The capability's name.
        arguments: JSON text of the arguments.
        session: The sandbox session in which it happens, for the code interpreter.
    """

    id: str
    name: str
    arguments: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class ServerToolResult:
    """What such a call gave.

    Attributes:
        id: The call's id.
        name: The capability's name.
        output: The text handed to the model.
        error: Whether it failed.
        value: What it gave besides, for the code interpreter.
    """

    id: str
    name: str
    output: str
    error: bool = False
    value: Any = None


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A server-side tool call that waits for the caller's approval; the turn ends with it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CitationAdded:
    """A source of the text so far."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call has come.

    Attributes:
        progress: Units done; grows with each event.
        total: Units in all, if known.
        message: What is being done.
    """

    progress: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """A line that a capability wants its caller to see."""

    level: LogLevel
    data: Any
    logger: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The value of a function (or the whole answer of another operation).

    Attributes:
        value: JSON-compatible data that matches the output schema; None where there is none.
        text: The same as text, for wires that carry only text.
        content: Pictures, sounds and resources besides.
        structured: Whether `value` matches a declared output schema.
    """

    value: Any
    text: str
    content: tuple[Content, ...] = ()
    structured: bool = True


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted by the engine."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a choice."""

    reason: FinishReason = "stop"
    choice: int = 0


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallDelta
    | ServerToolDelta
    | ServerToolCall
    | ServerToolResult
    | ApprovalRequest
    | CitationAdded
    | Progress
    | Log
    | Result
    | Usage
    | Finish
)
