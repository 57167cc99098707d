"""`EchoEngine`: a model that needs no model, for a first start, for tests and for trying agents offline."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from polyport.content import Message
from polyport.errors import BadRequestError
from polyport.events import Finish, FinishReason, Result, TextDelta, ToolCallDelta, Usage
from polyport.types.chat import ChatRequest
from polyport_gateway.call import Call, CallEvent, Chat, Completion, Embedding, Operation
from polyport_gateway.catalog.capability import Features
from polyport_gateway.engines.base import BaseEngine
from polyport_gateway.engines.vectors import embedding_body, hashed_vector
from polyport_gateway.tokens import count_tokens, split_pieces

__all__ = ["EchoEngine"]

_TOOL_LINE = re.compile(r"/tool[ \t]+(\S+)[ \t]*(.*)")
_LONG_TEXT = 4000
_DEFAULT_DIMENSIONS = 256


@dataclass(frozen=True, slots=True)
class _Reply:
    pieces: Sequence[str]
    reason: FinishReason


class EchoEngine(BaseEngine):
    """Answers with what it was told. Deterministic, offline, and no intelligence at all.

    - A chat gets the last user message's text back, cut by ``stop`` and by ``max_tokens``.
    - With ``tools`` in the request, each line ``/tool NAME {"json": "arguments"}`` of the last user message
      becomes a call of that tool, if the request offers it; several lines are parallel calls. After the tools'
      results it answers with those results, one per line. ``tool_choice`` is honoured: ``"none"`` calls
      nothing; ``"required"`` or a named function that the message doesn't call is called with ``{}``.
    - A completion continues a text with the same text once more.
    - Embeddings are hashed character n-grams: near in spelling, not in meaning.
    - A token is a word, or one Chinese, Japanese or Korean character.

    >>> sorted(EchoEngine("echo").operations)
    ['chat', 'completion', 'embedding']

    Args:
        model: Its name, shown in embeddings.
        dimensions: The length of embeddings that don't ask for another.
        delay_s: Seconds to wait before each piece of a streamed answer, and before any other.
    """

    operations = frozenset({Operation.CHAT, Operation.COMPLETION, Operation.EMBEDDING})
    features: Features = frozenset(
        {
            "dimensions",
            "echo",
            "max_completion_tokens",
            "max_tokens",
            "n",
            "parallel_tool_calls",
            "seed",
            "stop",
            "tool_choice",
            "tools",
        }
    )

    def __init__(self, model: str, *, dimensions: int = _DEFAULT_DIMENSIONS, delay_s: float = 0.0) -> None:
        if dimensions < 1:
            raise ValueError(f"dimensions is {dimensions}; it must be at least 1")
        if delay_s < 0:
            raise ValueError(f"delay_s is {delay_s}; it can't be negative")
        self._model = model
        self._dimensions = dimensions
        self._delay_s = delay_s

    async def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        """Say it back, or make the tool calls that it spells out."""
        request = chat.request
        messages = chat.messages()
        prompt_tokens = sum(count_tokens(message.content) for message in messages)
        choices = range(request.n or 1)
        calls = _tool_calls(request, messages)
        if calls:
            await self._pause()
            for choice in choices:
                for index, (name, arguments) in enumerate(calls):
                    yield ToolCallDelta(index, f"call_{choice}_{len(messages)}_{index}", name, arguments, choice)
                yield Finish("tool_calls", choice)
            spent = sum(count_tokens(arguments) + 1 for _, arguments in calls)
            yield Usage(prompt_tokens, spent * len(choices))
            return
        limit = request.max_completion_tokens or request.max_tokens
        reply = _reply(_answer(messages), request.stop, limit)
        for choice in choices:
            async for event in self._say(reply, choice, stream=chat.stream):
                yield event
        yield Usage(prompt_tokens, len(reply.pieces) * len(choices))

    async def complete(self, call: Call, completion: Completion) -> AsyncIterator[CallEvent]:
        """Continue each prompt with itself."""
        request = completion.request
        prompts = _texts(request.prompt, "prompt")
        copies = request.n or 1
        spent = 0
        for position, prompt in enumerate(prompts):
            reply = _reply(prompt, request.stop, request.max_tokens)
            for copy in range(copies):
                choice = position * copies + copy
                if request.echo:
                    yield TextDelta(prompt, choice)
                async for event in self._say(reply, choice, stream=bool(request.stream)):
                    yield event
                spent += len(reply.pieces)
        yield Usage(sum(count_tokens(prompt) for prompt in prompts), spent)

    async def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        """Hash each text's n-grams into a vector."""
        request = embedding.request
        texts = _texts(request.input, "input")
        if not texts or not all(texts):
            raise BadRequestError("input has no text, or an empty one, which can't be embedded.", param="input")
        dimensions = request.dimensions or self._dimensions
        await self._pause()
        if sum(map(len, texts)) > _LONG_TEXT:
            vectors = await asyncio.to_thread(_vectors, texts, dimensions)
        else:
            vectors = _vectors(texts, dimensions)
        tokens = sum(count_tokens(text) for text in texts)
        body = embedding_body(vectors, model=self._model, encoding=request.encoding_format, prompt_tokens=tokens)
        yield Result(value=body, text="")
        yield Usage(prompt_tokens=tokens)
        yield Finish()

    async def _say(self, reply: _Reply, choice: int, *, stream: bool) -> AsyncIterator[CallEvent]:
        pieces = reply.pieces if stream else ["".join(reply.pieces)]
        for piece in pieces:
            await self._pause()
            yield TextDelta(piece, choice)
        yield Finish(reply.reason, choice)

    async def _pause(self) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)


def _vectors(texts: Sequence[str], dimensions: int) -> list[list[float]]:
    return [hashed_vector(text, dimensions) for text in texts]


def _texts(given: str | list[str] | list[int] | list[list[int]], param: str) -> list[str]:
    if isinstance(given, str):
        return [given]
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) != len(given):
        raise BadRequestError(f"The echo engine has no tokenizer: give {param} as text, not as tokens.", param=param)
    return texts


def _answer(messages: Sequence[Message]) -> str:
    results: list[str] = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        results.append(message.content)
    if results:
        return "\n".join(reversed(results))
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _reply(text: str, stop: str | list[str] | None, limit: int | None) -> _Reply:
    stops = [stop] if isinstance(stop, str) else stop or []
    cuts = [at for at in (text.find(word) for word in stops if word) if at >= 0]
    pieces = split_pieces(text[: min(cuts)] if cuts else text)
    if limit is not None and len(pieces) > limit:
        return _Reply(pieces[:limit], "length")
    return _Reply(pieces, "stop")


def _tool_calls(request: ChatRequest, messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Return the calls that the last message spells out or the request demands, as names and JSON texts."""
    offered = [tool.function.name for tool in request.tools or () if tool.function is not None]
    choice = request.tool_choice
    if not offered or choice == "none" or not messages or messages[-1].role != "user":
        return []
    demanded = _demanded(choice, offered)
    allowed = [demanded] if isinstance(choice, dict) and demanded else offered
    calls = [call for call in _spelled_out(messages[-1].content) if call[0] in allowed]
    if not calls and demanded is not None:
        calls = [(demanded, "{}")]
    return calls[:1] if request.parallel_tool_calls is False else calls


def _demanded(choice: str | dict[str, Any] | None, offered: Sequence[str]) -> str | None:
    if choice in (None, "auto"):
        return None
    if choice == "required":
        return offered[0]
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if name not in offered:
        raise BadRequestError(
            f"tool_choice {json.dumps(choice)} names none of the tools {offered}", param="tool_choice"
        )
    return str(name)


def _spelled_out(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _TOOL_LINE.fullmatch(line.strip())
        if match:
            yield match[1], match[2] or "{}"
