"""`FunctionCapability`: a registered function."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError

from polyport.content import Audio, Content, EmbeddedResource, Image, Text
from polyport.context import Context
from polyport.declarations import FunctionDeclaration
from polyport.errors import CallError, FunctionError, InvalidOutputError
from polyport.events import Event, Finish, Result
from polyport.signature import describe
from polyport_gateway.call import Arguments, Call, CallEvent, InputRequired, Operation
from polyport_gateway.catalog.capability import Features, Kind, ToolSchema
from polyport_gateway.catalog.changes import Changes
from polyport_gateway.errors import describe_validation, invalid_arguments
from polyport_gateway.functions.context import make_context
from polyport_gateway.functions.schema import ExtraSchema
from polyport_gateway.functions.threads import ThreadBudget

__all__ = ["FunctionCapability", "function_failure", "merge_events", "to_result"]

_log = logging.getLogger("polyport.functions")

_CONTENT = (Text, Image, Audio, EmbeddedResource)


class FunctionCapability:
    """A function under a name.

    Args:
        declaration: What was registered.
        changes: Where news of resources goes.
        threads: The most worker threads of a plain function.
        expose_errors: Whether callers see the message of any exception.

    Raises:
        DeclarationError: Its signature can't be described.
    """

    kind: Kind = "function"
    operations: frozenset[Operation] = frozenset({Operation.TOOL})
    features: Features = frozenset()

    def __init__(
        self,
        declaration: FunctionDeclaration,
        *,
        changes: Changes | None = None,
        threads: int = 64,
        expose_errors: bool = False,
    ) -> None:
        self.name = declaration.name
        self.timeout = declaration.timeout
        self.signature = describe(declaration.function)
        self.description = declaration.description or self.signature.description or ""
        self._extra = ExtraSchema(self.name, self.signature.input_schema, declaration.schema_extra)
        self.tool = ToolSchema(self._extra.schema, self.signature.output_schema, declaration.annotations)
        self._function = declaration.function
        self._changes = changes
        self._expose_errors = expose_errors
        self._threads = ThreadBudget(declaration.name, threads)

    async def start(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    async def invoke(self, call: Call) -> AsyncIterator[CallEvent]:
        """Validate the arguments, run the function and give its `Result`."""
        assert isinstance(call.input, Arguments)  # noqa: S101 - adapted by the dispatcher
        self._extra.check(call.input.values)
        try:
            values = self.signature.validate(call.input.values)
        except ValidationError as error:
            raise invalid_arguments(self.name, error) from error
        if self.signature.context_parameter is None:
            value = await self._run(call, values, None)
        else:
            queue: asyncio.Queue[Event] = asyncio.Queue()
            task = asyncio.ensure_future(self._run(call, values, make_context(call, self._changes, queue)))
            async for event in merge_events(queue, task):
                yield event
            value = task.result()
        yield self._result(call, value)
        yield Finish()

    async def _run(self, call: Call, values: dict[str, Any], context: Context | None) -> Any:
        positional, named = self.signature.bind(values, context)
        try:
            if self.signature.is_async:
                return await self._function(*positional, **named)
            value = await self._threads.run(self._function, *positional, **named)
            return await value if inspect.isawaitable(value) else value
        except (CallError, InputRequired):
            raise
        except Exception as error:
            raise function_failure("Function", self.name, call, error, expose=self._expose_errors) from error

    def _result(self, call: Call, value: Any) -> Result:
        try:
            return to_result(self.signature.dump, value, structured=self.tool.output is not None)
        except ValidationError as error:
            message, _ = describe_validation(error)
            _log.error("function %r returned what its schema forbids: %s", self.name, message,
                       extra={"request_id": call.request_id})  # fmt: skip
            raise InvalidOutputError(
                f"Function {self.name!r} returned a value that its own return type forbids; the gateway's log says "
                "more under this request's id."
            ) from error
        except (TypeError, ValueError, RecursionError) as error:
            _log.exception("function %r returned what can't be JSON", self.name, extra={"request_id": call.request_id})
            raise InvalidOutputError(
                f"Function {self.name!r} returned a value of type {type(value).__name__}, which can't be sent as JSON."
            ) from error


def function_failure(what: str, name: str, call: Call, error: Exception, *, expose: bool) -> FunctionError:
    """Describe an exception that a user's code raised: its class only, unless exposed; the log has it all."""
    _log.error("%s %r raised %s", what.lower(), name, type(error).__name__, exc_info=error,
               extra={"request_id": call.request_id})  # fmt: skip
    if expose:
        return FunctionError(f"{what} {name!r} raised {type(error).__name__}: {error}")
    return FunctionError(
        f"{what} {name!r} raised {type(error).__name__}; the gateway's log says more under this request's id."
    )


async def merge_events(queue: asyncio.Queue[Event], task: asyncio.Future[Any]) -> AsyncIterator[Event]:
    """Give what is put into `queue` until `task` ends; a consumer that stops cancels the task.

    Raises:
        Exception: Whatever the task raised, once the queue is empty.
    """
    getter: asyncio.Task[Event] | None = None
    try:
        while True:
            while not queue.empty():
                yield queue.get_nowait()
            if task.done():
                break
            getter = asyncio.ensure_future(queue.get())
            await asyncio.wait({getter, task}, return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                yield getter.result()
            else:
                getter.cancel()
        task.result()
    finally:
        if getter is not None:
            getter.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def to_result(dump: Any, value: Any, *, structured: bool) -> Result:
    """Turn a returned value into a `Result`.

    Args:
        dump: Validates and turns it into JSON-compatible data.
        value: What was returned: data, `Content`, or a list with `Content` in it.
        structured: Whether an output schema was declared.
    """
    if isinstance(value, _CONTENT):
        return _content_result([value])
    if isinstance(value, list | tuple) and any(isinstance(item, _CONTENT) for item in value):
        return _content_result(value)
    data = dump(value)
    return Result(value=data, text=as_text(data), structured=structured)


def _content_result(items: list[Any] | tuple[Any, ...]) -> Result:
    content: list[Content] = [item if isinstance(item, _CONTENT) else Text(as_text(item)) for item in items]
    text = "\n".join(item.text for item in content if isinstance(item, Text))
    return Result(value=None, text=text, content=tuple(content), structured=False)


def as_text(data: Any) -> str:
    """Return a value as text: itself if it is a string, compact JSON otherwise, nothing for None."""
    if isinstance(data, str):
        return data
    if data is None:
        return ""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
