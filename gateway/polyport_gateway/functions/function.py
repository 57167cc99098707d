"""`FunctionCapability`: a registered function."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from polyport.content import Audio, Content, EmbeddedResource, Image, Text
from polyport.context import Context
from polyport.declarations import FunctionDeclaration
from polyport.errors import CallError, FunctionError, InvalidOutputError
from polyport.events import Finish, Result
from polyport.signature import describe
from polyport_gateway.call import Arguments, Call, CallEvent, InputRequired, Operation
from polyport_gateway.catalog.capability import Features, Kind, ToolSchema
from polyport_gateway.catalog.changes import Changes
from polyport_gateway.catalog.event_queue import EventQueue, merge_events
from polyport_gateway.errors import describe_validation, invalid_arguments
from polyport_gateway.functions.context import make_context
from polyport_gateway.functions.schema import ExtraSchema
from polyport_gateway.functions.threads import ThreadBudget

__all__ = ["FunctionCapability", "is_unicode", "to_result", "user_code"]

_log = logging.getLogger("polyport.functions")

_DEEPEST = 200  # orjson, which most wires write with, stops at 254
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
            queue = EventQueue()
            task = asyncio.ensure_future(self._run(call, values, make_context(call, self._changes, queue)))
            async for event in merge_events(queue, task):
                yield event
            value = task.result()
        yield self._result(call, value)
        yield Finish()

    async def _run(self, call: Call, values: dict[str, Any], context: Context | None) -> Any:
        positional, named = self.signature.bind(values, context)
        with user_code("Function", self.name, call.request_id, expose=self._expose_errors):
            if self.signature.is_async:
                return await self._function(*positional, **named)
            value = await self._threads.run(self._function, *positional, **named)
            return await value if inspect.isawaitable(value) else value

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


@contextmanager
def user_code(what: str, name: str, request_id: str | None, *, expose: bool) -> Iterator[None]:
    """Turn whatever a user's code raises while inside into a `FunctionError`.

    `SystemExit` and `KeyboardInterrupt` too: let through, they would end the event loop and so the gateway.

    Args:
        what: ``Function``, ``Pipeline`` …, for messages.
        name: Its name.
        request_id: Of the call that runs it.
        expose: Whether callers see an exception's message.
    """
    try:
        yield
    except (CallError, InputRequired, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _failure(what, name, request_id, error, expose=expose) from error
    except BaseException as error:
        raise _failure(what, name, request_id, error, expose=expose) from error


def _failure(what: str, name: str, request_id: str | None, error: BaseException, *, expose: bool) -> FunctionError:
    """Describe an exception that a user's code raised: its class only, unless exposed; the log has it all."""
    _log.error("%s %r raised %s", what.lower(), name, type(error).__name__, exc_info=error,
               extra={"request_id": request_id})  # fmt: skip
    if expose:
        return FunctionError(f"{what} {name!r} raised {type(error).__name__}: {error}")
    return FunctionError(
        f"{what} {name!r} raised {type(error).__name__}; the gateway's log says more under this request's id."
    )


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
    text = as_text(data)
    _check_sendable(data, text)
    return Result(value=data, text=text, structured=structured)


def _check_sendable(data: Any, text: str) -> None:
    """Refuse what one wire could send and another could not.

    Raises:
        ValueError: It nests too deeply, or holds text that is no Unicode.
    """
    if not text.isascii() and not is_unicode(text):
        raise ValueError("a string has half a surrogate pair in it")
    if not isinstance(data, str) and text.count("[") + text.count("{") > _DEEPEST and _depth(data) > _DEEPEST:
        raise ValueError(f"it nests deeper than {_DEEPEST} levels")


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded: `str` may hold lone surrogates, UTF-8 can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(data: Any) -> int:
    depth, level = 0, [data]
    while level := [item for item in level if isinstance(item, list | dict)]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


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
