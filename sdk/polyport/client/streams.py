"""Answers that arrive piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

import httpx

from polyport.client.decoding import ChatDecoder, ChatEvent, CompletionDecoder, Decoder
from polyport.client.exchange import broken
from polyport.errors import CallError
from polyport.events import TextDelta
from polyport.types.chat import ChatCompletion
from polyport.types.completions import Completion

__all__ = [
    "AsyncChatStream",
    "AsyncCompletionStream",
    "AsyncEventStream",
    "ChatStream",
    "CompletionStream",
    "EventStream",
]

E = TypeVar("E")


def _failure(error: BaseException, request_id: str | None) -> BaseException:
    """Describe what went wrong in a stream, under its request's id."""
    if isinstance(error, httpx.TransportError):
        failure: CallError = broken(error, request_id=request_id)
        failure.__cause__ = error
        return failure
    if isinstance(error, CallError) and error.request_id is None:
        error.request_id = request_id
    return error


class EventStream(Generic[E]):
    """Events as they arrive: iterate once, and close it (or use ``with``) when leaving early.

    Args:
        response: A successful answer whose body has not been read.
        decoder: Turns its bytes into events.
    """

    def __init__(self, response: httpx.Response, decoder: Decoder[E]) -> None:
        self._response = response
        self._decoder = decoder
        self.request_id: str | None = response.headers.get("x-request-id")
        decoder.request_id = self.request_id
        self._events = self._read()

    def _read(self) -> Iterator[E]:
        try:
            for data in self._response.iter_bytes():
                yield from self._decoder.feed(data)
            self._decoder.finish()
        except (httpx.TransportError, CallError) as error:
            raise _failure(error, self.request_id) from error.__cause__
        finally:
            self._response.close()

    def __iter__(self) -> Iterator[E]:
        return self._events

    def __next__(self) -> E:
        return next(self._events)

    def __enter__(self) -> EventStream[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; the gateway cancels what it was doing for this call."""
        self._response.close()


class AsyncEventStream(Generic[E]):
    """Events as they arrive: iterate once, and close it (or use ``async with``) when leaving early.

    Args:
        response: A successful answer whose body has not been read.
        decoder: Turns its bytes into events.
    """

    def __init__(self, response: httpx.Response, decoder: Decoder[E]) -> None:
        self._response = response
        self._decoder = decoder
        self.request_id: str | None = response.headers.get("x-request-id")
        decoder.request_id = self.request_id
        self._events = self._read()

    async def _read(self) -> AsyncIterator[E]:
        try:
            async for data in self._response.aiter_bytes():
                for event in self._decoder.feed(data):
                    yield event
            self._decoder.finish()
        except (httpx.TransportError, CallError) as error:
            raise _failure(error, self.request_id) from error.__cause__
        finally:
            await self._response.aclose()

    def __aiter__(self) -> AsyncIterator[E]:
        return self._events

    async def __anext__(self) -> E:
        return await anext(self._events)

    async def __aenter__(self) -> AsyncEventStream[E]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening; the gateway cancels what it was doing for this call."""
        await self._response.aclose()


class _Texts:
    """The text of the first choice, gathered from events."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, event: Any) -> None:
        if isinstance(event, TextDelta) and event.choice == 0:
            self._pieces.append(event.text)

    def __str__(self) -> str:
        return "".join(self._pieces)


class ChatStream(EventStream[ChatEvent]):
    """A chat's answer as it arrives.

    >>> with Client().chat("echo", "hi", stream=True) as stream:  # doctest: +SKIP
    ...     for event in stream:
    ...         print(event)
    """

    def __init__(self, response: httpx.Response) -> None:
        self._chat = ChatDecoder()
        super().__init__(response, self._chat)

    def __enter__(self) -> ChatStream:
        return self

    def text(self) -> str:
        """Wait for what is left and return its text (of the first choice)."""
        texts = _Texts()
        for event in self:
            texts.add(event)
        return str(texts)

    def collect(self) -> ChatCompletion:
        """Wait for what is left and return the whole answer, as if it had not been streamed."""
        for _ in self:
            pass
        return self._chat.whole()


class CompletionStream(EventStream[ChatEvent]):
    """A text completion as it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._completion = CompletionDecoder()
        super().__init__(response, self._completion)

    def __enter__(self) -> CompletionStream:
        return self

    def text(self) -> str:
        """Wait for what is left and return its text (of the first choice)."""
        texts = _Texts()
        for event in self:
            texts.add(event)
        return str(texts)

    def collect(self) -> Completion:
        """Wait for what is left and return the whole answer, as if it had not been streamed."""
        for _ in self:
            pass
        return self._completion.whole()


class AsyncChatStream(AsyncEventStream[ChatEvent]):
    """A chat's answer as it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._chat = ChatDecoder()
        super().__init__(response, self._chat)

    async def __aenter__(self) -> AsyncChatStream:
        return self

    async def text(self) -> str:
        """Wait for what is left and return its text (of the first choice)."""
        texts = _Texts()
        async for event in self:
            texts.add(event)
        return str(texts)

    async def collect(self) -> ChatCompletion:
        """Wait for what is left and return the whole answer, as if it had not been streamed."""
        async for _ in self:
            pass
        return self._chat.whole()


class AsyncCompletionStream(AsyncEventStream[ChatEvent]):
    """A text completion as it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._completion = CompletionDecoder()
        super().__init__(response, self._completion)

    async def __aenter__(self) -> AsyncCompletionStream:
        return self

    async def text(self) -> str:
        """Wait for what is left and return its text (of the first choice)."""
        texts = _Texts()
        async for event in self:
            texts.add(event)
        return str(texts)

    async def collect(self) -> Completion:
        """Wait for what is left and return the whole answer, as if it had not been streamed."""
        async for _ in self:
            pass
        return self._completion.whole()
