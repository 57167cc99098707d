"""`Call`: the one parameter that walks through the house.

Every wire builds one and hands it to the dispatcher; a capability takes one and gives back a stream
of `polyport.events`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from polyport.content import Message
from polyport.context import Ask
from polyport.events import Event
from polyport.types.chat import ChatRequest
from polyport.types.completions import CompletionRequest
from polyport.types.embeddings import EmbeddingRequest
from polyport.types.knowledge import AskRequest, SearchRequest
from polyport.types.moderations import ModerationRequest
from polyport.types.rerank import RerankRequest

if TYPE_CHECKING:
    from polyport_sandbox.types import Limits, RunEvent, ToolHost

__all__ = [
    "LOCAL",
    "Arguments",
    "Call",
    "CallEvent",
    "Caller",
    "Chat",
    "CodeEvent",
    "CodeRun",
    "Completion",
    "Dispatch",
    "DocumentWork",
    "Embedding",
    "Input",
    "InputRequired",
    "KnowledgeWork",
    "Moderation",
    "Operation",
    "RawFrame",
    "RequestTool",
    "Rerank",
    "SandboxWork",
    "ServerTools",
]


class Operation(StrEnum):
    """What can be asked of a capability; each has one input type."""

    TOOL = "tool"
    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    MODERATION = "moderation"
    RERANK = "rerank"
    CODE = "code"
    SANDBOX = "sandbox"
    DOCUMENT = "document"
    KNOWLEDGE = "knowledge"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may see.

    Attributes:
        id: The key's public id, or ``local`` where no key is asked for.
        name: The key's name, for people.
        allow: Names the caller may use, ``prefix*`` among them; None for all.
    """

    id: str
    name: str
    allow: frozenset[str] | None = None

    def may(self, name: str) -> bool:
        """Whether this caller sees `name` at all."""
        if self.allow is None or name in self.allow:
            return True
        return any(entry.endswith("*") and name.startswith(entry[:-1]) for entry in self.allow)


LOCAL = Caller(id="local", name="local")


@dataclass(frozen=True, slots=True)
class Arguments:
    """A tool call: JSON values by parameter name."""

    values: Mapping[str, Any]

    operation = Operation.TOOL


class RequestTool(Protocol):
    """A tool that one request brings and the gateway runs, such as the code interpreter; it is in no catalogue.

    Attributes:
        name: What the model calls it.
        description: What it does, for the model.
        input: JSON schema of its arguments.
    """

    name: str
    description: str
    input: Mapping[str, Any]

    async def open(self) -> str:
        """Get ready for a call; return the id of the session in which it will happen.

        Raises:
            CallError: It can't be had, and so neither can an answer.
        """
        ...

    def invoke(self, call: Call, arguments: str) -> AsyncGenerator[CallEvent, None]:
        """Answer a call by further calls, children of `call`; the last event but `Finish` is a `Result`.

        Args:
            call: The chat in which the model asks.
            arguments: As the model wrote them: JSON text, if it did well.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServerTools:
    """Tools of this gateway that a model may call by itself during a chat.

    Attributes:
        names: Which; None for all that the caller may see.
        label: The label under which the caller asked for them.
        approve: Names that wait for the caller's approval: all, none, or these.
        approved: Ids of calls that the caller has approved or refused in this request.
        max_calls: The most tool calls in the whole turn; None for no limit of its own.
        own: Tools that exist for this request alone.
    """

    names: frozenset[str] | None = None
    label: str = "polyport"
    approve: frozenset[str] | Literal["always", "never"] = "never"
    approved: Mapping[str, bool] = field(default_factory=dict)
    max_calls: int | None = None
    own: tuple[RequestTool, ...] = ()

    def needs_approval(self, name: str) -> bool:
        """Whether a call of `name` waits for the caller."""
        if isinstance(self.approve, frozenset):
            return name in self.approve
        return self.approve == "always"


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation to continue.

    Attributes:
        request: The validated request.
        body: The same as it came, for engines that pass it through; never changed in place.
        server_tools: Tools that the gateway calls itself.
    """

    request: ChatRequest
    body: Mapping[str, Any]
    server_tools: ServerTools | None = None

    operation = Operation.CHAT

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Chat:
        """Validate a body.

        Raises:
            pydantic.ValidationError: It is not a chat request.
        """
        return cls(ChatRequest.model_validate(body), body)

    @property
    def stream(self) -> bool:
        """Whether the caller wants the answer in pieces."""
        return bool(self.request.stream)

    def messages(self) -> list[Message]:
        """The conversation as pipelines see it."""
        found: list[Message] = []
        for message in self.request.messages:
            content = message.content
            role = "tool" if message.role == "function" else message.role
            name = getattr(message, "name", None)
            if isinstance(content, list):
                text = "\n".join(getattr(part, "text", "") for part in content if part.type == "text")
                found.append(Message(role, text, tuple(part.model_dump(exclude_unset=True) for part in content), name))
            else:
                found.append(Message(role, content or "", (), name))
        return found


@dataclass(frozen=True, slots=True)
class Completion:
    """A text to continue."""

    request: CompletionRequest
    body: Mapping[str, Any]

    operation = Operation.COMPLETION


@dataclass(frozen=True, slots=True)
class Embedding:
    """Texts to embed."""

    request: EmbeddingRequest
    body: Mapping[str, Any]

    operation = Operation.EMBEDDING


@dataclass(frozen=True, slots=True)
class Moderation:
    """Texts to moderate."""

    request: ModerationRequest
    body: Mapping[str, Any]

    operation = Operation.MODERATION


@dataclass(frozen=True, slots=True)
class Rerank:
    """Documents to put in the order of their relevance to a query."""

    request: RerankRequest
    body: Mapping[str, Any]

    operation = Operation.RERANK


@dataclass(frozen=True, slots=True)
class CodeRun:
    """Code to run in the sandbox, from whoever has more to say than a tool's arguments can.

    Only ``run_code`` takes it, and answers with `CodeEvent`.

    Attributes:
        code: The program.
        language: What it is written in.
        files: Put into the working folder first, by relative name.
        stdin: What it can read from its standard input.
        limits: What it may use, whole or only what is asked for by name; the rest is the gateway's own, and a session's
            in a session.
        allow_hosts: What it wants to reach; refused beyond what the gateway allows. A session has its own.
        session: The id of the session to run in; None for a place of its own that is gone afterwards.
        context: Which of the session's kernels.
        tools: What it may call on the host. A session has its own.
    """

    code: str | bytes
    language: str = "python"
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits | Mapping[str, float] | None = None
    allow_hosts: tuple[str, ...] = ()
    session: str | None = None
    context: str = "default"
    tools: ToolHost | None = None

    operation = Operation.CODE


@dataclass(frozen=True, slots=True)
class SandboxWork:
    """Something to do in the sandbox other than running code: open a session, read a file of one.

    Only ``run_code`` takes it, and answers with a `Result` of what it returned.

    Attributes:
        do: Does it.
    """

    do: Callable[[], Awaitable[Any]]

    operation = Operation.SANDBOX


@dataclass(frozen=True, slots=True)
class DocumentWork:
    """A document to read or to cut, from whoever has more to say than a tool's arguments can.

    Only ``read_document`` and ``chunk_document`` take it, and answer with a `Result` of what it returned.

    Attributes:
        do: Does it, within the call.
    """

    do: Callable[[Call], Awaitable[Any]]

    operation = Operation.DOCUMENT


@dataclass(frozen=True, slots=True)
class KnowledgeWork:
    """Something to find in knowledge bases, or to ask them, from whoever has more to say than a tool's arguments can.

    A search is answered with a `Result` whose value is a `KnowledgeResults`; a question with the answer's text and
    citations as they come, then a `Result` whose value is a `KnowledgeAnswer`.

    Attributes:
        request: What.
    """

    request: SearchRequest | AskRequest

    operation = Operation.KNOWLEDGE


Input: TypeAlias = (
    Arguments
    | Chat
    | Completion
    | Embedding
    | Moderation
    | Rerank
    | CodeRun
    | SandboxWork
    | DocumentWork
    | KnowledgeWork
)


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Bytes of an upstream's answer, to be sent as they are: a whole JSON body, or a piece of an SSE stream.

    Only given to calls with `Call.raw`. Usage that was sniffed from it follows as a `Usage` event.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class CodeEvent:
    """What running code gave; only for a `CodeRun`, whose last one is an `EndEvent`."""

    event: RunEvent


CallEvent: TypeAlias = Event | RawFrame | CodeEvent


class InputRequired(Exception):  # noqa: N818 - not an error: a turn that waits for its caller
    """Unwinds a call that must ask its caller something and be run again with the answers.

    Raised by `Call.ask` on a wire without a back-channel; only that wire catches it.

    Args:
        asks: What to ask, by key.
    """

    def __init__(self, asks: Mapping[str, Ask]) -> None:
        super().__init__("the call waits for its caller's input")
        self.asks = asks


class Dispatch(Protocol):
    """The one way through, as those below it see it."""

    def stream(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Resolve, admit, invoke and account for a call."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One call of one capability.

    Attributes:
        name: The capability's name.
        input: What is asked of it.
        caller: Who asks.
        wire: Where it came in: ``openai``, ``mcp``, ``rest`` …
        request_id: Names the request in every log, answer and record; children share it.
        traceparent: The W3C trace context it came with, handed on upstream.
        deadline: When to give up, on `time.monotonic`'s clock.
        raw: Whether the wire can send an upstream's frames as they are.
        ask: Asks the client something back; None where the wire can't.
        dispatch: The way to further calls.
        granted: Names that may be called whatever the caller's allow-list says, because a declaration did.
        depth: 0 for what came in on a wire; children are one deeper.
        cancelled: Set once the caller is gone or the deadline has passed.
    """

    name: str
    input: Input
    caller: Caller
    wire: str
    request_id: str
    dispatch: Dispatch
    traceparent: str | None = None
    deadline: float | None = None
    raw: bool = False
    ask: Callable[[Mapping[str, Ask]], Awaitable[dict[str, Any]]] | None = None
    granted: frozenset[str] = frozenset()
    depth: int = 0
    parent: Call | None = None
    _cancelled: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether to stop; may be read from any thread."""
        if self._cancelled or (self.parent is not None and self.parent.cancelled):
            return True
        return self.deadline is not None and time.monotonic() >= self.deadline

    def cancel(self) -> None:
        """Mark this call, and so its children, as cancelled."""
        self._cancelled = True

    def remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def child(self, name: str, input: Input, *, granted: frozenset[str] = frozenset()) -> Call:  # noqa: A002
        """Make a further call: same caller, trace and deadline, through the same dispatcher."""
        return Call(
            name=name,
            input=input,
            caller=self.caller,
            wire=self.wire,
            request_id=self.request_id,
            dispatch=self.dispatch,
            traceparent=self.traceparent,
            deadline=self.deadline,
            ask=self.ask,
            granted=granted,
            depth=self.depth + 1,
            parent=self,
        )

    def run(self) -> AsyncGenerator[CallEvent, None]:
        """Dispatch this call."""
        return self.dispatch.stream(self)
