"""Models of the gateway for code that runs in worker threads: every question to one goes through the dispatcher."""

from __future__ import annotations

import asyncio
import logging
import queue
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from polyport.errors import BadRequestError, CallCancelledError, CallError, ServiceUnavailableError, UpstreamError
from polyport.events import Result, TextDelta, Usage
from polyport.types.embeddings import EmbeddingList, EmbeddingRequest
from polyport.types.rerank import RerankRequest, RerankResponse
from polyport_gateway.call import Arguments, Call, Caller, CallEvent, Chat, Dispatch, Embedding, Input, Rerank
from polyport_gateway.telemetry import new_request_id

__all__ = ["GatewayModels", "is_passing"]

Value = TypeVar("Value")
Features = frozenset[str]

_log = logging.getLogger("polyport.knowledge")

_TEXTS = 64
_CHARACTERS = 200_000
"""Of the texts of one request."""
_AT_A_TIME = 4
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 20.0
_SHORTEST_TEXT = 16
_SHORTEST_WINDOW = 32
"""Tokens; whoever says that a model reads fewer does not count them."""
_WORD = "the "
"""A token to about every model."""
_WORTH_ANOTHER_TRY = (429, 502, 503, 504)
_HOPELESS = ("upstream_refused_key", "upstream_not_found", "upstream_invalid")
_TOO_LONG = ("context length", "too long", "maximum length", "too many tokens", "input length", "max_model_len")


class GatewayModels:
    """Asks models by their names on the gateway; used from worker threads, never from the event loop's own.

    A model that has no room, or can't be reached, is asked again for a while. A text that is too long for an embedder
    is embedded by its beginning alone: cut by the model where it can (``truncate``), otherwise halved until it is
    taken. Its chunk is then found by what it begins with, and BM25 still knows all of it.

    Args:
        loop: The event loop of the gateway.
        dispatch: The way to further calls.
        caller: Who asks, where there is no call that it is done for.
        parent: The call that it is done for: its caller, deadline and trace are passed on.
        features: What a model honours beyond OpenAI's members, by its name: ``input_type``, ``truncate``.
        patience_s: For how long a model is asked again that has no room.
        wire: How the calls are accounted for where there is no parent.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        dispatch: Dispatch,
        caller: Caller,
        *,
        parent: Call | None = None,
        features: Callable[[str], Features] | None = None,
        patience_s: float = 60.0,
        wire: str = "knowledge",
    ) -> None:
        self._loop, self._dispatch, self._caller = loop, dispatch, caller
        self._parent = parent
        self._features = features or (lambda name: frozenset())
        self._patience_s = patience_s
        self._wire = wire
        self._ended = False
        self._asked: set[Future[Any]] = set()
        self._plain_numbers: set[str] = set()

    def for_call(self, call: Call, *, patience_s: float = 2.0) -> GatewayModels:
        """Return the same for one call, whose caller waits and so has less patience."""
        return GatewayModels(
            self._loop, self._dispatch, call.caller, parent=call, features=self._features, patience_s=patience_s
        )

    def close(self) -> None:
        """End what is being asked: whoever waits for it gets a `CallCancelledError`."""
        self._ended = True
        for future in list(self._asked):
            future.cancel()

    def embed(self, name: str, texts: Sequence[str], role: str = "document") -> NDArray[np.float32]:
        """Return a vector of each text, as rows.

        Args:
            name: Of the model.
            texts: Any number; they are sent in batches, some at the same time.
            role: ``document`` or ``query``, for models that embed the two differently.

        Raises:
            CallError: The model fails, or has had no room for too long.
        """
        # An empty text is refused by many models.
        asked = [text if text.strip() else "-" for text in texts]
        rows = self.wait(lambda: self._vectors(name, asked, role))
        sizes = {len(row) for row in rows}
        if len(sizes) > 1:
            raise UpstreamError(f"{name!r} gave vectors of different sizes: {sorted(sizes)}.", code="upstream_invalid")
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    def window(self, name: str, most: int) -> int | None:
        """Return the most tokens that an embedder reads of a text; None where it reads so many as asked, or more.

        One that cuts texts (``truncate``) says how many it has read. Of one that refuses them it is found by halving,
        to an eighth; one that cuts in silence can't be seen through.

        Args:
            name: Of the model.
            most: Tokens, at least 32.

        Raises:
            CallError: The model fails, or has had no room for too long.
        """
        return self.wait(lambda: self._window(name, most))

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how relevant each text is to a query; higher is more, and only one model's scores compare.

        Raises:
            CallError: The model fails, or has had no room for too long.
        """
        if not texts:
            return np.empty(0, np.float32)
        return self.wait(lambda: self._scores(name, query, list(texts)))

    def complete(self, name: str, messages: Sequence[Mapping[str, Any]], **members: Any) -> str:
        """Return a chat model's answer.

        Args:
            name: Of the model.
            messages: As OpenAI has them.
            members: Further members of the request, such as ``max_tokens``.

        Raises:
            CallError: The model fails, or has had no room for too long.
        """
        given = _chat(name, messages, members)

        async def ask() -> str:
            async with aclosing(self._run(name, given)) as events:
                pieces = [event.text async for event in events if isinstance(event, TextDelta) and event.choice == 0]
            return "".join(pieces)

        return self.wait(lambda: self._patiently(name, ask))

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call a registered function, and return its value.

        Raises:
            CallError: It fails, or has had no room for too long.
        """
        given = Arguments(dict(arguments))
        return self.wait(lambda: self._patiently(name, lambda: self._result(name, given)))

    def stream(
        self,
        name: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        usage: Callable[[Usage], None] | None = None,
        **members: Any,
    ) -> Iterator[str]:
        """Yield a chat model's answer as it comes; closing the iterator ends the call.

        Raises:
            CallError: The model fails. What has come so far has been given.
        """
        given = _chat(name, messages, {"stream": True, **members})
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        async def ask() -> None:
            async with aclosing(self._run(name, given)) as events:
                async for event in events:
                    if isinstance(event, Usage) and usage is not None:
                        usage(event)
                    elif isinstance(event, TextDelta) and event.choice == 0:
                        pieces.put(event.text)

        future = self._begin(ask)
        future.add_done_callback(lambda _: pieces.put(None))
        try:
            while (piece := pieces.get()) is not None:
                yield piece
            self._outcome(future)
        finally:
            future.cancel()

    def wait(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Do something on the event loop and wait for it in this thread.

        Raises:
            CallCancelledError: `close` was called, or the gateway stops.
        """
        return self._outcome(self._begin(work))

    def _begin(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Future[Value]:
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public one raises where there is none
            raise RuntimeError("Models are asked from a worker thread: the event loop would wait for itself.")
        if self._ended or self._loop.is_closed():
            raise CallCancelledError("The gateway no longer asks models for this work.")
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        self._asked.add(future)
        if self._ended:
            future.cancel()
        return future

    def _outcome(self, future: Future[Value]) -> Value:
        try:
            return future.result()
        except CancelledError:
            raise CallCancelledError("The gateway no longer asks models for this work.") from None
        finally:
            self._asked.discard(future)

    async def _vectors(self, name: str, texts: Sequence[str], role: str) -> list[NDArray[np.float32]]:
        room = asyncio.Semaphore(_AT_A_TIME)

        async def one(batch: Sequence[int]) -> list[NDArray[np.float32]]:
            async with room:
                return await self._batch(name, [texts[place] for place in batch], role)

        batches = list(_batches(texts))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(batch)) for batch in batches]
        except* CallError as failed:
            # One failure is what there is to tell; the others were cancelled for it.
            raise _first(failed) from None
        rows = {
            place: row
            for batch, task in zip(batches, tasks, strict=True)
            for place, row in zip(batch, task.result(), strict=True)
        }
        return [rows[place] for place in range(len(texts))]

    async def _batch(self, name: str, texts: Sequence[str], role: str) -> list[NDArray[np.float32]]:
        """Embed some texts; those that are too long are found by halving the batch, then cut."""
        try:
            return await self._patiently(name, partial(self._embedded, name, texts, role))
        except BadRequestError as error:
            if not _is_too_long(error):
                raise
        if len(texts) > 1:
            half = len(texts) // 2
            return [*await self._batch(name, texts[:half], role), *await self._batch(name, texts[half:], role)]
        (text,) = texts
        if len(text) <= _SHORTEST_TEXT:
            raise UpstreamError(f"{name!r} finds {text!r} too long to embed.", code="upstream_invalid")
        _log.debug("a text of %d characters is too long for %r, and embedded by its first half", len(text), name)
        return await self._batch(name, [text[: len(text) // 2]], role)

    async def _window(self, name: str, most: int) -> int | None:
        read = await self._read(name, most)
        if read is not None:
            cuts = "truncate" in self._features(name)
            return read if cuts and _SHORTEST_WINDOW <= read < most else None
        taken, refused = 0, most
        while refused - taken > max(_SHORTEST_WINDOW // 2, taken // 8):
            tried = (taken + refused) // 2
            if await self._read(name, tried) is None:
                refused = tried
            else:
                taken = tried
        return max(taken, _SHORTEST_WINDOW)

    async def _read(self, name: str, words: int) -> int | None:
        """Return how many tokens a model says to have read of so many words; None where they are too many."""
        try:
            _, value = await self._patiently(
                name, partial(self._asked_for, name, [(_WORD * words).strip()], "document")
            )
        except BadRequestError as error:
            if not _is_too_long(error):
                raise
            return None
        usage = value.get("usage") if isinstance(value, Mapping) else None
        tokens = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
        return tokens if isinstance(tokens, int) else 0

    async def _embedded(self, name: str, texts: Sequence[str], role: str) -> list[NDArray[np.float32]]:
        rows, _ = await self._asked_for(name, texts, role)
        return rows

    async def _asked_for(self, name: str, texts: Sequence[str], role: str) -> tuple[list[NDArray[np.float32]], Any]:
        """Return the vectors of some texts, and the whole answer that they came in."""
        features = self._features(name)
        body: dict[str, Any] = {"model": name, "input": list(texts)}
        body["encoding_format"] = "float" if name in self._plain_numbers else "base64"
        if "input_type" in features:
            body["input_type"] = role
        if "truncate" in features:
            body["truncate"] = True
        try:
            value = await self._result(name, Embedding(EmbeddingRequest.model_validate(body), body))
        except BadRequestError as error:
            if body["encoding_format"] == "float" or "encoding_format" not in (error.param or error.message):
                raise
            self._plain_numbers.add(name)
            return await self._asked_for(name, texts, role)
        rows = _rows(name, value)
        if len(rows) != len(texts):
            raise UpstreamError(f"{name!r} gave {len(rows)} vectors for {len(texts)} texts.", code="upstream_invalid")
        return rows, value

    async def _scores(self, name: str, query: str, texts: list[str]) -> NDArray[np.float32]:
        while True:
            try:
                return await self._patiently(name, partial(self._ranked, name, query, texts))
            except BadRequestError as error:
                longest = max(map(len, texts))
                if not _is_too_long(error) or longest <= _SHORTEST_TEXT:
                    raise
                texts = [text[: longest // 2] for text in texts]

    async def _ranked(self, name: str, query: str, texts: list[str]) -> NDArray[np.float32]:
        body: dict[str, Any] = {"model": name, "query": query, "documents": texts}
        if "truncate" in self._features(name):
            body["truncate"] = True
        value = await self._result(name, Rerank(RerankRequest.model_validate(body), body))
        scores = np.full(len(texts), -np.inf, np.float32)
        try:
            for result in RerankResponse.model_validate(value).results:
                scores[result.index] = result.relevance_score
        except (ValueError, IndexError) as error:
            raise _unusable(name, error) from error
        return scores

    async def _result(self, name: str, given: Input) -> Any:
        found: Result | None = None
        async with aclosing(self._run(name, given)) as events:
            async for event in events:
                if isinstance(event, Result):
                    found = event
        if found is None:
            raise UpstreamError(f"{name!r} ended without an answer.", code="upstream_invalid")
        return found.value

    def _run(self, name: str, given: Input) -> AsyncGenerator[CallEvent, None]:
        # The base declares its models, so whoever may ask the base may have it ask them.
        granted = frozenset({name})
        if self._parent is not None:
            return self._parent.child(name, given, granted=granted).run()
        return Call(
            name=name,
            input=given,
            caller=self._caller,
            wire=self._wire,
            request_id=new_request_id(),
            dispatch=self._dispatch,
            granted=granted,
        ).run()

    async def _patiently(self, name: str, ask: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        until, wait_s = self._loop.time() + self._patience_s, _FIRST_WAIT_S
        while True:
            try:
                return await ask()
            except CallError as error:
                pause_s = min(error.retry_after or wait_s, _LONGEST_WAIT_S) * random.uniform(0.75, 1.25)  # noqa: S311
                if not is_passing(error) or self._loop.time() + pause_s > until:
                    raise
                _log.debug("%r has no room (%s); asked again in %.1f s", name, error, pause_s)
            await asyncio.sleep(pause_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[int]]:
    """Deal texts out to requests, and return the places of each one's.

    Texts come the shortest first. Each request gets of every length: those that are under way at a time are then alike,
    and where a model of this process shares its batches among them, these hold texts of one length.
    """
    characters = sum(map(len, texts))
    count = max(-(-len(texts) // _TEXTS), -(-characters // _CHARACTERS))
    for first in range(min(count, len(texts))):
        yield from _within(range(first, len(texts), count), texts)


def _within(places: Sequence[int], texts: Sequence[str]) -> Iterator[Sequence[int]]:
    """Cut what is dealt to a request where long texts came together."""
    start = characters = 0
    for end, place in enumerate(places):
        if end > start and characters + len(texts[place]) > _CHARACTERS:
            yield places[start:end]
            start, characters = end, 0
        characters += len(texts[place])
    yield places[start:]


def _rows(name: str, value: Any) -> list[NDArray[np.float32]]:
    try:
        entries = sorted(EmbeddingList.model_validate(value).data, key=lambda entry: entry.index)
        rows = [
            np.frombuffer(_decoded(entry.embedding), "<f4")
            if isinstance(entry.embedding, str)
            else np.array(entry.embedding, np.float32)
            for entry in entries
        ]
    except ValueError as error:
        raise _unusable(name, error) from error
    return rows


def _decoded(text: str) -> bytes:
    from base64 import b64decode

    return b64decode(text, validate=True)


def _chat(name: str, messages: Sequence[Mapping[str, Any]], members: Mapping[str, Any]) -> Chat:
    return Chat.from_body({"model": name, "messages": [dict(message) for message in messages], **members})


def _is_too_long(error: BadRequestError) -> bool:
    said = error.message.lower()
    return error.code == "context_length_exceeded" or any(sign in said for sign in _TOO_LONG)


def is_passing(error: CallError) -> bool:
    """Whether a model's failure may well be over a little later: it has no room, or can't be reached."""
    return error.status in _WORTH_ANOTHER_TRY and error.code not in _HOPELESS


def _first(failed: BaseExceptionGroup[CallError]) -> CallError:
    for error in failed.exceptions:
        return error if isinstance(error, CallError) else _first(error)
    raise ServiceUnavailableError("Models could not be asked.")


def _unusable(name: str, error: Exception) -> UpstreamError:
    return UpstreamError(f"{name!r} sent an answer that can't be used: {error}", code="upstream_invalid")
