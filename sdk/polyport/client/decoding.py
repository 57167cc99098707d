"""Streams as typed events, without IO: bytes in, `polyport.events` out, failures raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from polyport.client.requests import loads
from polyport.client.sse import ServerSentEvent, SSEDecoder
from polyport.content import Citation
from polyport.errors import APIConnectionError, CallError, InternalServerError, UpstreamError, error_from_status
from polyport.events import (
    CitationAdded,
    Finish,
    Log,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport.types.chat import ChatCompletion
from polyport.types.completions import Completion
from polyport.types.functions import FunctionResult

__all__ = ["ChatDecoder", "ChatEvent", "CompletionDecoder", "Decoder", "FunctionDecoder", "FunctionEvent", "mid_stream"]

ChatEvent: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | CitationAdded | Usage | Finish
FunctionEvent: TypeAlias = Progress | Log | FunctionResult
E = TypeVar("E")
M = TypeVar("M", bound=BaseModel)

_TYPES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "rate_limit_error": 429,
}


class Decoder(Protocol[E]):
    """Bytes to events."""

    request_id: str | None

    def feed(self, data: bytes) -> list[E]:
        """Take a piece and return the events it completes.

        Raises:
            CallError: The server says that it failed.
        """
        ...

    def finish(self) -> None:
        """Take the end.

        Raises:
            APIConnectionError: It came too early.
        """
        ...


def mid_stream(body: Any, *, request_id: str | None) -> CallError:
    """Rebuild an error that came inside a stream, where there is no status: by its code, then by its type."""
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    detail = dict(inner) if isinstance(inner, Mapping) else {"message": str(inner or "the stream failed")}
    code, kind = detail.get("code"), detail.get("type")
    status = next((c.status for c in _every(CallError) if isinstance(code, str) and c.code == code), None)
    if status is None and isinstance(code, int) and 400 <= code <= 599:
        status = code
    return error_from_status(
        status if status is not None else _TYPES.get(str(kind), InternalServerError.status),
        detail,
        request_id=request_id,
    )


def _every(cls: type[CallError]) -> list[type[CallError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in _every(sub))]


class _DeltaDecoder(Generic[M]):
    """What chat and text completions share: chunks of choices, a usage, ``[DONE]``."""

    model: type[M]
    kind: str

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.done = False
        self._sse = SSEDecoder()
        self._head: dict[str, Any] = {}
        self._usage: Any = None
        self._choices: dict[int, dict[str, Any]] = {}

    def feed(self, data: bytes) -> list[ChatEvent]:
        """Take a piece and return the events it completes."""
        found: list[ChatEvent] = []
        for event in self._sse.feed(data):
            self._take(event, found)
        return found

    def finish(self) -> None:
        """Take the end."""
        if not self.done:
            raise APIConnectionError("The stream broke off before it was whole", request_id=self.request_id)

    def _take(self, event: ServerSentEvent, found: list[ChatEvent]) -> None:
        if self.done:
            return
        if event.data == "[DONE]":
            self.done = True
            return
        chunk = loads(event.data)
        if event.event == "error" or (isinstance(chunk, dict) and chunk.get("error")):
            raise mid_stream(chunk if chunk is not None else event.data, request_id=self.request_id)
        if not isinstance(chunk, dict):
            raise UpstreamError(f"The stream has an event that is no JSON object: {event.data[:80]!r}")
        if not self._head:
            self._head = {key: value for key, value in chunk.items() if key not in ("choices", "usage")}
        try:
            for choice in chunk.get("choices") or ():
                self._choice(choice, found)
            if chunk.get("usage"):
                self._usage = chunk["usage"]
                found.append(_usage(self._usage))
        except (AttributeError, KeyError, TypeError) as error:
            raise UpstreamError(
                f"The stream has a chunk of another shape: {event.data[:80]!r}", request_id=self.request_id
            ) from error

    def _choice(self, choice: Mapping[str, Any], found: list[ChatEvent]) -> None:
        raise NotImplementedError

    def whole(self) -> M:
        """Return everything so far as if it had not been streamed.

        Raises:
            UpstreamError: It isn't a whole answer.
        """
        body = {**self._head, "object": self.kind, "usage": self._usage}
        body["choices"] = [{**choice, "index": index} for index, choice in sorted(self._choices.items())]
        try:
            return self.model.model_validate(body)
        except ValidationError as error:
            raise UpstreamError("The stream ended without an answer", request_id=self.request_id) from error


class ChatDecoder(_DeltaDecoder[ChatCompletion]):
    """A chat completion's stream."""

    model = ChatCompletion
    kind = "chat.completion"

    def _choice(self, choice: Mapping[str, Any], found: list[ChatEvent]) -> None:
        index = choice.get("index", 0)
        kept = self._choices.setdefault(
            index, {"message": {"role": "assistant", "content": None}, "finish_reason": None, "logprobs": None}
        )
        message = kept["message"]
        delta = choice.get("delta") or {}
        logprobs = (choice.get("logprobs") or {}).get("content")
        if logprobs:
            kept["logprobs"] = {"content": [*((kept["logprobs"] or {}).get("content") or ()), *logprobs]}
        if delta.get("content") is not None:
            message["content"] = (message["content"] or "") + delta["content"]
        if delta.get("content"):
            found.append(TextDelta(delta["content"], index, logprobs))
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str):
            message["reasoning_content"] = message.get("reasoning_content", "") + reasoning
            found.append(ReasoningDelta(reasoning, index))
        if delta.get("refusal"):
            message["refusal"] = message.get("refusal", "") + delta["refusal"]
            found.append(RefusalDelta(delta["refusal"], index))
        found.extend(self._tool_call(message, piece, index) for piece in delta.get("tool_calls") or ())
        for annotation in delta.get("annotations") or ():
            message.setdefault("annotations", []).append(annotation)
            if citation := _citation(annotation):
                found.append(CitationAdded(citation))
        if choice.get("finish_reason"):
            kept["finish_reason"] = choice["finish_reason"]
            found.append(Finish(choice["finish_reason"], index))

    def _tool_call(self, message: dict[str, Any], piece: Mapping[str, Any], choice: int) -> ToolCallDelta:
        function = piece.get("function") or {}
        calls = message.setdefault("tool_calls", [])
        position = piece.get("index", 0)
        while len(calls) <= position:
            calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call = calls[position]
        call["id"] = piece.get("id") or call["id"]
        call["function"]["name"] = function.get("name") or call["function"]["name"]
        call["function"]["arguments"] += function.get("arguments") or ""
        return ToolCallDelta(position, piece.get("id"), function.get("name"), function.get("arguments") or "", choice)


class CompletionDecoder(_DeltaDecoder[Completion]):
    """A text completion's stream."""

    model = Completion
    kind = "text_completion"

    def _choice(self, choice: Mapping[str, Any], found: list[ChatEvent]) -> None:
        index = choice.get("index", 0)
        kept = self._choices.setdefault(index, {"text": "", "finish_reason": None, "logprobs": None})
        if choice.get("text"):
            kept["text"] += choice["text"]
            found.append(TextDelta(choice["text"], index))
        if choice.get("logprobs"):
            kept["logprobs"] = _joined(kept["logprobs"], choice["logprobs"])
        if choice.get("finish_reason"):
            kept["finish_reason"] = choice["finish_reason"]
            found.append(Finish(choice["finish_reason"], index))


class FunctionDecoder:
    """A function call's stream: progress, log lines, and the result."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.result: FunctionResult | None = None
        self._sse = SSEDecoder()

    def feed(self, data: bytes) -> list[FunctionEvent]:
        """Take a piece and return the events it completes."""
        found: list[FunctionEvent] = []
        for event in self._sse.feed(data):
            body = loads(event.data)
            if event.event == "error":
                raise mid_stream(body, request_id=self.request_id)
            if not isinstance(body, dict):
                raise UpstreamError(f"The stream has an event that is no JSON object: {event.data[:80]!r}")
            self._take(event.event, body, found)
        return found

    def _take(self, kind: str, body: dict[str, Any], found: list[FunctionEvent]) -> None:
        if kind == "progress":
            found.append(Progress(body.get("progress", 0), body.get("total"), body.get("message")))
        elif kind == "log":
            found.append(Log(body.get("level", "info"), body.get("data"), body.get("logger")))
        elif kind == "result":
            self.result = FunctionResult.model_validate(body)
            found.append(self.result)

    def finish(self) -> None:
        """Take the end."""
        if self.result is None:
            raise APIConnectionError("The stream ended before the function's result", request_id=self.request_id)


def _joined(kept: dict[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(kept or {})
    for key, value in new.items():
        old = joined.get(key)
        joined[key] = [*old, *value] if isinstance(old, list) and isinstance(value, list) else value
    return joined


def _usage(body: Mapping[str, Any]) -> Usage:
    return Usage(
        body.get("prompt_tokens") or 0,
        body.get("completion_tokens") or 0,
        (body.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
        (body.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def _citation(annotation: Mapping[str, Any]) -> Citation | None:
    cited = annotation.get("url_citation")
    if not isinstance(cited, Mapping):
        return None
    return Citation(
        title=cited.get("title") or "",
        url=cited.get("url") or None,
        start=cited.get("start_index"),
        end=cited.get("end_index"),
    )
