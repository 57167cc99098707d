"""`ScriptedEngine`: a model that says what a test told it to say."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from polyport.errors import InternalServerError, UnsupportedOperationError
from polyport.events import Event, Finish, Result, TextDelta, ToolCallDelta

__all__ = ["ScriptExhaustedError", "ScriptedEngine", "ToolCall", "Turn"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call for a scripted model to make.

    Attributes:
        name: The tool's name.
        arguments: Its arguments, or JSON text to send as it is (broken JSON, say).
        id: The call's id; made up where not given.
    """

    name: str
    arguments: Mapping[str, Any] | str = ""
    id: str | None = None

    def text(self) -> str:
        """Return the arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


Answer: TypeAlias = str | ToolCall | Mapping[str, Any] | Sequence[Event | ToolCall] | BaseException
Turn: TypeAlias = Answer | Callable[[Any], Any]
"""Text, a tool call, a JSON body (embeddings, moderations, rankings), events and tool calls, an exception to raise, or
a plain or async function from the request to any of these."""


class ScriptExhaustedError(InternalServerError):
    """A scripted engine was asked once more than it has turns."""


class ScriptedEngine:
    """An engine that plays the given turns, one per request.

    Text comes word by word when the request streams. A list of events is given as it is; the `Finish` that
    ends it is added where it has none.

    >>> from polyport import App
    >>> app = App("demo")
    >>> engine = ScriptedEngine(ToolCall("add", {"a": 1, "b": 2}), "It is 3.")
    >>> app.model("scripted", engine=engine)

    Args:
        *turns: What it answers, in order.
        delay: Seconds to wait before each event.
        operations: What it offers: ``chat``, ``completion``, ``embedding``, ``moderation``, ``rerank``.

    Attributes:
        requests: Every request it got, validated (`polyport.types`), in order.
        closed_early: How many answers were cancelled or closed before their end.
    """

    def __init__(
        self,
        *turns: Turn,
        delay: float = 0.0,
        operations: Sequence[str] = ("chat", "completion", "embedding", "moderation", "rerank"),
    ) -> None:
        # The gateway's operations are strings too, and equal to these.
        self.operations: frozenset[Any] = frozenset(operations)
        self.features: frozenset[str] = frozenset({"*"})
        self.requests: list[Any] = []
        self.closed_early = 0
        self._turns = list(turns)
        self._delay = delay

    @property
    def remaining(self) -> int:
        """Turns that were not played yet."""
        return max(0, len(self._turns) - len(self.requests))

    async def start(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    def chat(self, call: Any, chat: Any) -> AsyncIterator[Any]:
        """Play the next turn."""
        return self._play(call, "chat", chat.request)

    def complete(self, call: Any, completion: Any) -> AsyncIterator[Any]:
        """Play the next turn."""
        return self._play(call, "completion", completion.request)

    def embed(self, call: Any, embedding: Any) -> AsyncIterator[Any]:
        """Play the next turn, a body of ``POST /v1/embeddings``."""
        return self._play(call, "embedding", embedding.request)

    def moderate(self, call: Any, moderation: Any) -> AsyncIterator[Any]:
        """Play the next turn, a body of ``POST /v1/moderations``."""
        return self._play(call, "moderation", moderation.request)

    def rerank(self, call: Any, rerank: Any) -> AsyncIterator[Any]:
        """Play the next turn, a body of ``POST /v1/rerank``."""
        return self._play(call, "rerank", rerank.request)

    async def _play(self, call: Any, operation: str, request: Any) -> AsyncIterator[Event]:
        if operation not in self.operations:
            raise UnsupportedOperationError(f"{call.name!r} does not offer {operation}", param="model")
        position = len(self.requests)
        self.requests.append(request)
        if position >= len(self._turns):
            raise ScriptExhaustedError(
                f"the scripted engine has {len(self._turns)} turns and was asked for turn {position + 1}; "
                "give it another, or see in .requests what asked"
            )
        turn = self._turns[position]
        if callable(turn) and not isinstance(turn, BaseException):
            turn = turn(request)
            if inspect.isawaitable(turn):
                turn = await turn
        try:
            for event in _events(turn, request, position):
                if self._delay:
                    await asyncio.sleep(self._delay)
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.closed_early += 1
            raise


def _events(turn: Any, request: Any, position: int) -> Iterator[Event]:
    if isinstance(turn, BaseException):
        raise turn
    if isinstance(turn, str):
        for choice in range(getattr(request, "n", None) or 1):
            for piece in _pieces(turn) if getattr(request, "stream", None) else [turn]:
                yield TextDelta(piece, choice)
            yield Finish("stop", choice)
    elif isinstance(turn, ToolCall):
        yield from _listed([turn], position)
    elif isinstance(turn, Mapping):
        yield Result(value=dict(turn), text="")
        yield Finish()
    elif isinstance(turn, Sequence):
        yield from _listed(turn, position)
    else:
        raise TypeError(f"turn {position + 1} of a scripted engine is {turn!r}; see polyport.testing.Turn")


def _listed(items: Sequence[Any], position: int) -> Iterator[Event]:
    calls = 0
    finished = False
    for item in items:
        if isinstance(item, ToolCall):
            yield ToolCallDelta(calls, item.id or f"call_{position}_{calls}", item.name, item.text())
            calls += 1
        elif isinstance(item, BaseException):
            raise item
        else:
            finished = finished or isinstance(item, Finish)
            yield item
    if not finished:
        tools = calls or any(isinstance(item, ToolCallDelta) for item in items)
        yield Finish("tool_calls" if tools else "stop")


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)]
