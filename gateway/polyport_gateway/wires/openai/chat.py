"""``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from polyport.content import Citation
from polyport.errors import CallError, UnsupportedParameterError, UpstreamError
from polyport.events import (
    CitationAdded,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    ServerToolCall,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport_gateway.call import Call, CallEvent, Chat, RawFrame
from polyport_gateway.calls.adapt import TURN_BREAK
from polyport_gateway.wires.http import Scope, Send, info_of, send_bytes, send_json
from polyport_gateway.wires.openai.calls import JSONEndpoint, new_id, now, usage_body
from polyport_gateway.wires.openai.sse import DONE, EventStream, data_frame

__all__ = ["ChatEndpoint", "citation_body"]


def citation_body(citation: Citation, length: int) -> dict[str, Any]:
    """Return a citation as OpenAI's ``url_citation`` annotation, the only kind that chats have.

    Of a document, what it says and where stands beside: without them nobody could check it.

    Args:
        citation: A source; one without a range stands for all of the answer so far.
        length: How many characters of the answer have come.
    """
    more = {"document": citation.document, "quote": citation.text, "page": citation.page}
    return {
        "type": "url_citation",
        "url_citation": {
            "title": citation.title,
            "url": citation.url or "",
            "start_index": citation.start or 0,
            "end_index": length if citation.end is None else citation.end,
            **{name: value for name, value in more.items() if value is not None},
        },
    }


class ChatEndpoint(JSONEndpoint):
    """Chat with anything that has a name."""

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer with one JSON body, or with a stream."""
        chat = Chat.from_body(body)
        for position, tool in enumerate(chat.request.tools or ()):
            if tool.type in ("code_interpreter", "file_search"):
                where = f"tools.{position}"
                raise UnsupportedParameterError(
                    f"{where}: chat completions have no {tool.type}; ask /v1/responses for it.", param=where
                )
        call = self.call(scope, chat.request.model, chat, raw=True)
        async with aclosing(call.run()) as events:
            if chat.stream:
                await self._stream(call, chat, events, send, info_of(scope).request_id)
            else:
                await self._answer(chat, events, send)

    async def _answer(self, chat: Chat, events: AsyncGenerator[CallEvent, None], send: Send) -> None:
        raw: bytes | None = None
        answer = _Answer()
        async for event in events:
            if isinstance(event, RawFrame):
                raw = event.data
            elif raw is None:
                answer.add(event)
        if raw is not None:
            await send_bytes(send, raw)
        else:
            await send_json(send, answer.body(chat.request.model))

    async def _stream(
        self, call: Call, chat: Chat, events: AsyncGenerator[CallEvent, None], send: Send, request_id: str
    ) -> None:
        stream = EventStream(send)
        options = chat.request.stream_options
        chunks = _Chunks(chat.request.model, include_usage=bool(options and options.include_usage))
        raw = False
        try:
            async for event in events:
                if isinstance(event, RawFrame):
                    raw = True
                    await stream.write(event.data)
                elif not raw:
                    for frame in chunks.frames(event):
                        await stream.write(frame)
        except CallError as error:
            if not stream.started:
                raise
            await stream.fail(error, request_id=request_id)
            return
        if not raw:
            for frame in chunks.last():
                await stream.write(frame)
        await stream.end()


class _Speech:
    """Parts what an agent says before its tool calls from what it says after them, where one text holds both."""

    __slots__ = ("_parted", "_spoken")

    def __init__(self) -> None:
        self._spoken = self._parted = False

    def called(self) -> None:
        """Note a tool call."""
        self._parted = self._spoken

    def said(self, text: str) -> str:
        """Return a piece of text as it should appear."""
        parted, self._spoken, self._parted = self._parted, True, False
        return TURN_BREAK + text if parted else text


@dataclass
class _Choice:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None

    def body(self, index: int) -> dict[str, Any]:
        calls = [self.tool_calls[key] for key in sorted(self.tool_calls)]
        content = "".join(self.text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content if content or not (calls or self.refusal) else None,
            "refusal": "".join(self.refusal) or None,
            "annotations": self.annotations,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if calls:
            message["tool_calls"] = calls
        return {
            "index": index,
            "message": message,
            "logprobs": {"content": self.logprobs, "refusal": None} if self.logprobs else None,
            "finish_reason": self.finish_reason,
        }


class _Answer:
    """Gathers events into one chat completion."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._speech = _Speech()
        self._usage: Usage | None = None

    def add(self, event: CallEvent) -> None:
        match event:
            case TextDelta():
                choice = self._choice(event.choice)
                choice.text.append(self._speech.said(event.text))
                choice.logprobs.extend(event.logprobs or ())
            case ReasoningDelta():
                self._choice(event.choice).reasoning.append(event.text)
            case RefusalDelta():
                self._choice(event.choice).refusal.append(event.text)
            case ToolCallDelta():
                self._tool_call(event)
            case CitationAdded():
                choice = self._choice(0)
                choice.annotations.append(citation_body(event.citation, sum(map(len, choice.text))))
            case ServerToolCall():
                self._speech.called()
            case Usage():
                self._usage = event
            case Finish():
                self._choice(event.choice).finish_reason = event.reason
            case _:
                pass

    def body(self, model: str) -> dict[str, Any]:
        if not self._choices:
            raise UpstreamError(f"{model!r} ended without an answer.")
        return {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": now(),
            "model": model,
            "choices": [choice.body(index) for index, choice in sorted(self._choices.items())],
            "usage": usage_body(self._usage),
        }

    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())

    def _tool_call(self, delta: ToolCallDelta) -> None:
        calls = self._choice(delta.choice).tool_calls
        call = calls.setdefault(delta.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call["id"] = delta.id or call["id"]
        call["function"]["name"] = delta.name or call["function"]["name"]
        call["function"]["arguments"] += delta.arguments


class _Chunks:
    """Turns events into chunk frames that share one id and one time."""

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._head: dict[str, Any] = {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": now(),
            "model": model,
        }
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._opened: set[int] = set()
        self._speech = _Speech()
        self._length = 0

    def frames(self, event: CallEvent) -> list[bytes]:
        match event:
            case TextDelta():
                logprobs = {"content": event.logprobs, "refusal": None} if event.logprobs else None
                text = self._speech.said(event.text)
                self._length += len(text) if event.choice == 0 else 0
                return self._delta(event.choice, {"content": text}, logprobs=logprobs)
            case ReasoningDelta():
                return self._delta(event.choice, {"reasoning_content": event.text})
            case RefusalDelta():
                return self._delta(event.choice, {"refusal": event.text})
            case ToolCallDelta():
                return self._delta(event.choice, {"tool_calls": [_tool_call_chunk(event)]})
            case CitationAdded():
                return self._delta(0, {"annotations": [citation_body(event.citation, self._length)]})
            case Finish():
                return self._delta(event.choice, {}, finish_reason=event.reason)
            case ServerToolCall():
                self._speech.called()
            case Usage():
                self._usage = event
        return []

    def last(self) -> list[bytes]:
        frames = []
        if self._include_usage:
            frames.append(data_frame({**self._head, "choices": [], "usage": usage_body(self._usage)}))
        return [*frames, DONE]

    def _delta(
        self,
        choice: int,
        delta: dict[str, Any],
        *,
        finish_reason: str | None = None,
        logprobs: dict[str, Any] | None = None,
    ) -> list[bytes]:
        frames = []
        if choice not in self._opened:
            self._opened.add(choice)
            frames.append(self._frame(choice, {"role": "assistant", "content": "", "refusal": None}, None, None))
        frames.append(self._frame(choice, delta, finish_reason, logprobs))
        return frames

    def _frame(
        self, choice: int, delta: dict[str, Any], finish_reason: str | None, logprobs: dict[str, Any] | None
    ) -> bytes:
        chunk = {
            **self._head,
            "choices": [{"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}],
        }
        if self._include_usage:
            chunk["usage"] = None
        return data_frame(chunk)


def _tool_call_chunk(delta: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": delta.arguments}
    chunk: dict[str, Any] = {"index": delta.index, "function": function}
    if delta.name is not None:
        function["name"] = delta.name
    if delta.id is not None:
        chunk["id"] = delta.id
        chunk["type"] = "function"
    return chunk
