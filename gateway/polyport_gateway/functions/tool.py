"""`GatewayTool`: a capability made of a Python function that sees the call it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from polyport.content import Content
from polyport.declarations import Annotations
from polyport.events import Event, Finish, Result
from polyport.signature import describe
from polyport_gateway.call import Arguments, Call, CallEvent, Operation
from polyport_gateway.catalog.capability import Features, Kind, ToolSchema
from polyport_gateway.catalog.event_queue import EventQueue, merge_events
from polyport_gateway.errors import invalid_arguments
from polyport_gateway.functions.function import as_text

__all__ = ["GatewayTool", "Work"]


class Work:
    """What a tool's function sees of its call, and where it says more than it returns.

    Attributes:
        call: The call it serves.
        text: The result as text, where that is more than its JSON.
        content: Pictures and files besides.
    """

    def __init__(self, call: Call, events: EventQueue) -> None:
        self.call = call
        self.text: str | None = None
        self.content: tuple[Content, ...] = ()
        self._events = events

    def report(self, event: Event) -> None:
        """Tell the caller how it goes."""
        self._events.report(event)


class GatewayTool:
    """A tool that the gateway itself brings: its schemas come from a function's signature.

    Args:
        function: An async function; a parameter annotated `Work` is passed in and kept out of the schema.
        name: Its name on every wire.
        description: What it does, beyond its docstring.
        annotations: What a client may assume.
        choices: What an argument may be, where only the gateway's set-up knows.
        hidden: Parameters that this gateway has no use for.
    """

    kind: Kind = "function"
    operations: frozenset[Operation] = frozenset({Operation.TOOL})
    features: Features = frozenset()
    timeout: float | None = None

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        *,
        name: str | None = None,
        description: str = "",
        annotations: Annotations | None = None,
        choices: dict[str, list[str]] | None = None,
        hidden: Iterable[str] = (),
    ) -> None:
        self._function = function
        self._signature = describe(function, context_type=Work)
        self.name = name or self._signature.name
        self.description = "\n\n".join(filter(None, (self._signature.description, description)))
        schema = self._signature.input_schema
        for parameter, values in (choices or {}).items():
            schema["properties"][parameter]["enum"] = values
        for parameter in hidden:
            del schema["properties"][parameter]
        self.tool = ToolSchema(schema, self._signature.output_schema, annotations or Annotations())

    async def start(self) -> None:
        """Open nothing: what it works with is its service's."""

    async def close(self) -> None:
        """Close nothing."""

    async def invoke(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Validate the arguments, do the work, tell how it goes and give its `Result`."""
        assert isinstance(call.input, Arguments)  # noqa: S101 - adapted by the dispatcher
        try:
            values = self._signature.validate(call.input.values)
        except ValidationError as error:
            raise invalid_arguments(self.name, error) from error
        queue = EventQueue()
        work = Work(call, queue)
        task = asyncio.ensure_future(self._work(values, work))
        async with aclosing(merge_events(queue, task)) as events:
            async for event in events:
                yield event
        yield self._result(task.result(), work)
        yield Finish()

    async def _work(self, values: dict[str, Any], work: Work) -> Any:
        positional, named = self._signature.bind(values, work)
        return await self._function(*positional, **named)

    def _result(self, value: Any, work: Work) -> Result:
        data = self._signature.dump(value)
        text = as_text(data) if work.text is None else work.text
        return Result(data, text, work.content, structured=self.tool.output is not None)
