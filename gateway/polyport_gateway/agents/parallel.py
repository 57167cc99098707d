"""Run the tool calls of one turn side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from polyport.errors import CallCancelledError, CallError
from polyport.events import Log, Progress, Result, ServerToolCall, TextDelta, Usage
from polyport_gateway.call import Call, CallEvent, RequestTool

__all__ = ["Outcome", "OwnCall", "Runnable", "closing", "run_calls"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one tool call gave: the text for the model, the tokens it took, and of an `OwnCall` its value."""

    output: str
    error: bool = False
    usage: Usage | None = None
    value: Any = None


class Runnable(Protocol):
    """What can be run beside others: a `Call`, or a call of a request's own tool."""

    @property
    def name(self) -> str:
        """What is called."""
        ...

    @property
    def parent(self) -> Call | None:
        """The chat in which it is."""
        ...

    def run(self) -> AsyncGenerator[CallEvent, None]:
        """Do it."""
        ...


@dataclass(frozen=True, slots=True)
class OwnCall:
    """A call of a request's own tool."""

    tool: RequestTool
    parent: Call
    arguments: str

    @property
    def name(self) -> str:
        """What is called."""
        return self.tool.name

    def run(self) -> AsyncGenerator[CallEvent, None]:
        """Let the tool answer."""
        return self.tool.invoke(self.parent, self.arguments)


@asynccontextmanager
async def closing(events: AsyncIterator[CallEvent]) -> AsyncGenerator[AsyncIterator[CallEvent], None]:
    """Close an iterator on the way out, so that what makes its events stops at once."""
    try:
        yield events
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def run_calls(calls: Sequence[Runnable]) -> AsyncGenerator[tuple[int, Outcome] | Progress | Log, None]:
    """Run calls at once; give their news as it comes and each outcome with its position.

    Leaving the generator cancels whatever still runs and waits until it has ended.

    Raises:
        CallCancelledError: One was cancelled from outside.
    """
    news: asyncio.Queue[int | Progress | Log] = asyncio.Queue()
    tasks = [asyncio.create_task(_run(call, news.put_nowait)) for call in calls]
    for position, task in enumerate(tasks):
        task.add_done_callback(partial(_announce, news, position))
    left = len(tasks)
    try:
        while left:
            item = await news.get()
            if not isinstance(item, int):
                yield item
                continue
            left -= 1
            if tasks[item].cancelled():
                raise CallCancelledError(f"The call of {calls[item].name!r} was cancelled.")
            yield item, tasks[item].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _announce(news: asyncio.Queue[int | Progress | Log], position: int, _: asyncio.Task[Outcome]) -> None:
    news.put_nowait(position)


async def _run(call: Runnable, tell: Callable[[Progress | Log], None]) -> Outcome:
    """Make one call; a failure is an outcome too, for the model to read."""
    text: list[str] = []
    result: Result | None = None
    usage: Usage | None = None
    try:
        async with closing(call.run()) as events:
            async for event in events:
                match event:
                    case Result():
                        result = event
                    case TextDelta():
                        text.append(event.text)
                    case Usage():
                        usage = event if usage is None else usage + event
                    case Progress():
                        tell(_named(call.name, event))
                    case Log():
                        tell(event)
                    case ServerToolCall():
                        tell(Progress(0, message=f"{call.name}: calls {event.name}"))
                    case _:
                        pass
    except CallError as error:
        if call.parent is not None and call.parent.cancelled:
            raise
        return Outcome(error.message, error=True, usage=usage)
    if result is None:
        return Outcome("".join(text), usage=usage)
    return Outcome(result.text, usage=usage, value=result.value if isinstance(call, OwnCall) else None)


def _named(name: str, event: Progress) -> Progress:
    """Say in the message whose progress it is: several tools report to one caller."""
    if event.message:
        message = f"{name}: {event.message}"
    elif event.total:
        message = f"{name}: {event.progress:g} of {event.total:g}"
    else:
        message = f"{name}: {event.progress:g}"
    return Progress(event.progress, event.total, message)
