"""Models of this gateway for chunkers that ask one: further calls of the call that cuts, with its caller's rights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from polyport.errors import CallError, UpstreamError
from polyport.events import Result, TextDelta
from polyport.types.embeddings import EmbeddingRequest
from polyport_gateway.call import Call, Chat, Embedding

__all__ = ["CallModels"]

Value = TypeVar("Value")

_AT_A_TIME = 8
_TEXTS_AT_A_TIME = 128


class _EndedError(BaseException):
    """Nobody waits for the chunks any more; no step may take it for a model's failure, and ask on."""


class CallModels:
    """Models by name for one call; made on the event loop, used from the thread that cuts.

    Args:
        call: The call.
        knows: Whether there is a name that its caller may use.
    """

    def __init__(self, call: Call, knows: Callable[[str], bool]) -> None:
        self._call = call
        self._knows = knows
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self._asked: set[Future[Any]] = set()

    def close(self) -> None:
        """End what is still being asked."""
        self._ended = True
        for future in list(self._asked):
            future.cancel()

    def text_model(self, name: str) -> _TextModel:
        """Return what answers prompts with the model of that name.

        Raises:
            LookupError: There is none, for this caller.
        """
        return _TextModel(self._known(name), self)

    def embedder(self, name: str) -> _Embedder:
        """Return what makes vectors with the model of that name.

        Raises:
            LookupError: There is none, for this caller.
        """
        return _Embedder(self._known(name), self)

    def _known(self, name: str) -> str:
        if not self._knows(name):
            raise LookupError("it does not exist, or you do not have access to it")
        return name

    def wait(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Do something on the event loop and wait for it in this thread."""
        if self._ended:
            raise _EndedError
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        self._asked.add(future)
        try:
            return future.result()
        except CancelledError:
            raise _EndedError from None
        finally:
            self._asked.discard(future)

    async def answers(self, name: str, prompts: Sequence[str]) -> list[str]:
        """Return an answer to each prompt."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(name, prompt)) for prompt in prompts]
        return [task.result() for task in tasks]

    async def _answer(self, name: str, prompt: str) -> str:
        given = Chat.from_body({"model": name, "messages": [{"role": "user", "content": prompt}], "temperature": 0})
        async with self._room, aclosing(self._call.child(name, given).run()) as events:
            pieces = [event.text async for event in events if isinstance(event, TextDelta) and event.choice == 0]
        return "".join(pieces)

    async def vectors(self, name: str, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of each text."""
        body = {"model": name, "input": list(texts), "encoding_format": "float"}
        given = Embedding(EmbeddingRequest.model_validate(body), body)
        found: Result | None = None
        async with self._room, aclosing(self._call.child(name, given).run()) as events:
            async for event in events:
                if isinstance(event, Result):
                    found = event
        if found is None:
            raise UpstreamError(f"{name!r} ended without an answer.")
        entries = sorted(found.value["data"], key=lambda entry: int(entry["index"]))
        return [list(entry["embedding"]) for entry in entries]


@dataclass(frozen=True, slots=True)
class _TextModel:
    name: str
    models: CallModels

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return an answer to each prompt; some are asked at the same time."""
        try:
            return self.models.wait(partial(self.models.answers, self.name, prompts))
        except ExceptionGroup as group:
            # One failure is what there is to tell; the others were cancelled for it.
            first = next((error for error in group.exceptions if isinstance(error, CallError)), group.exceptions[0])
            raise first from None


@dataclass(frozen=True, slots=True)
class _Embedder:
    name: str
    models: CallModels

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of each text."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            # An empty text is refused by many models.
            asked = [text or " " for text in texts[start : start + _TEXTS_AT_A_TIME]]
            vectors += self.models.wait(partial(self.models.vectors, self.name, asked))
        return vectors
