"""`PipelineCapability`: a registered callable that answers, served as a chat model and as a tool."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_type_hints

from polyport.content import Answer, Message
from polyport.context import Context
from polyport.declarations import PipelineDeclaration
from polyport.errors import BadRequestError, DeclarationError, InvalidOutputError
from polyport.events import CitationAdded, Finish, TextDelta
from polyport_gateway.call import Call, CallEvent, Chat, Operation
from polyport_gateway.catalog.capability import CHAT_TOOL, Features, Kind, ToolSchema
from polyport_gateway.catalog.changes import Changes
from polyport_gateway.catalog.event_queue import EventQueue, merge_events
from polyport_gateway.functions.context import make_context
from polyport_gateway.functions.function import is_unicode, user_code
from polyport_gateway.functions.threads import ThreadBudget

__all__ = ["PipelineCapability"]

_END = object()


class PipelineCapability:
    """A pipeline under a name.

    Args:
        declaration: What was registered.
        changes: Where news of resources goes.
        threads: The most worker threads of a plain callable.
        expose_errors: Whether callers see the message of any exception.

    Raises:
        DeclarationError: It takes neither a question nor messages, or something else besides.
    """

    kind: Kind = "pipeline"
    operations: frozenset[Operation] = frozenset({Operation.CHAT})
    tool: ToolSchema = CHAT_TOOL

    def __init__(
        self,
        declaration: PipelineDeclaration,
        *,
        changes: Changes | None = None,
        threads: int = 64,
        expose_errors: bool = False,
    ) -> None:
        self.name = declaration.name
        self.timeout = declaration.timeout
        self._function = declaration.function
        self._parameter, self._context = _parameters(declaration)
        # Only one that takes the messages themselves can look at pictures and files in them.
        self.features: Features = frozenset({"images", "audio", "files"} if self._parameter == "messages" else ())
        self.description = declaration.description or inspect.getdoc(declaration.function) or ""
        self._changes = changes
        self._expose_errors = expose_errors
        self._threads = ThreadBudget(declaration.name, threads)

    async def start(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    async def invoke(self, call: Call) -> AsyncIterator[CallEvent]:
        """Run the pipeline and give its text as it comes."""
        assert isinstance(call.input, Chat)  # noqa: S101 - adapted by the dispatcher
        queue = EventQueue()
        arguments: dict[str, Any] = {self._parameter: self._question(call.input)}
        if self._context is not None:
            arguments[self._context] = make_context(call, self._changes, queue)
        task = asyncio.ensure_future(self._run(call, arguments, queue))
        async for event in merge_events(queue, task):
            yield event
        yield Finish()

    def _question(self, chat: Chat) -> str | list[Message]:
        messages = chat.messages()
        if self._parameter == "messages":
            return messages
        question = next((m.content for m in reversed(messages) if m.role == "user"), None)
        if question is None:
            raise BadRequestError(f"{self.name!r} needs a user message with the question.", param="messages")
        return question

    async def _run(self, call: Call, arguments: dict[str, Any], queue: EventQueue) -> None:
        function = self._function
        with user_code("Pipeline", self.name, call.request_id, expose=self._expose_errors):
            if inspect.isasyncgenfunction(function):
                await self._drain_async(function(**arguments), queue)
            elif _is_async(function):
                await self._put_value(await function(**arguments), queue)
            else:
                await self._put_value(await self._threads.run(function, **arguments), queue)

    async def _put_value(self, value: Any, queue: EventQueue) -> None:
        if isinstance(value, str | Answer):
            await self._put(value, queue)
        elif isinstance(value, AsyncIterator):
            await self._drain_async(value, queue)
        elif isinstance(value, Iterator):
            await self._drain(value, queue)
        else:
            raise self._wrong(value)

    async def _drain_async(self, pieces: AsyncIterator[Any], queue: EventQueue) -> None:
        try:
            async for piece in pieces:
                await self._put(piece, queue)
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    async def _drain(self, pieces: Iterator[Any], queue: EventQueue) -> None:
        """Take pieces in a worker thread one by one, so that none waits for the next."""
        supply = _Supply(pieces)
        try:
            while (piece := await self._threads.run(supply.take)) is not _END:
                await self._put(piece, queue)
        finally:
            if not supply.ended:
                supply.ended = True
                await self._threads.finish(supply.close)

    async def _put(self, piece: Any, queue: EventQueue) -> None:
        match piece:
            case str():
                self._check(piece)
                if piece:
                    await queue.put(TextDelta(piece))
            case Answer():
                self._check(piece.text)
                if piece.text:
                    await queue.put(TextDelta(piece.text))
                for citation in piece.citations:
                    await queue.put(CitationAdded(citation))
            case _:
                raise self._wrong(piece)

    def _check(self, text: str) -> None:
        if not text.isascii() and not is_unicode(text):
            raise InvalidOutputError(
                f"Pipeline {self.name!r} gave a text with half a surrogate pair in it, which is no Unicode; decode "
                "bytes with errors='replace' rather than 'surrogateescape'."
            )

    def _wrong(self, value: Any) -> InvalidOutputError:
        return InvalidOutputError(
            f"Pipeline {self.name!r} gave a value of type {type(value).__name__}; it must give strings or Answers."
        )


class _Supply:
    """A plain iterator of pieces, and its end: what it cleans up is the pipeline's own code, so a thread runs it.

    Attributes:
        ended: Whether no more is wanted.
    """

    def __init__(self, pieces: Iterator[Any]) -> None:
        self.ended = False
        self._pieces = pieces

    def take(self) -> Any:
        """Return the next piece, or `_END`."""
        try:
            piece = next(self._pieces, _END)
        finally:
            if self.ended:
                self.close()  # it was given up meanwhile, when it could not be closed
        if piece is _END:
            self.close()
            self.ended = True
        return piece

    def close(self) -> None:
        """Close it; a generator that is at work in another thread can't be, and is when it has done."""
        close: Callable[[], None] | None = getattr(self._pieces, "close", None)
        if close is not None:
            with contextlib.suppress(ValueError):
                close()


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _parameters(declaration: PipelineDeclaration) -> tuple[str, str | None]:
    """Return the names of the question (or messages) and of the context parameter."""
    function = declaration.function
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    context: str | None = None
    found: str | None = None
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, parameter.annotation)
        if hint is Context or (isinstance(hint, str) and hint.split(".")[-1] == "Context"):
            context = parameter.name
        elif parameter.name in ("question", "messages") and found is None:
            found = parameter.name
        elif parameter.default is inspect.Parameter.empty:
            raise DeclarationError(
                f"pipeline {declaration.name!r}: it can't be given {parameter.name!r}; a pipeline takes "
                "question: str or messages: list[Message], and a Context if it likes"
            )
    if found is None:
        raise DeclarationError(f"pipeline {declaration.name!r} takes neither question: str nor messages: list[Message]")
    return found, context
