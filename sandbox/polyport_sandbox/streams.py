"""Reading a run's events in one task of its own, so that the run can be ended from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from .errors import SandboxError
from .types import (
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    OutputEvent,
    RunEvent,
    RunResult,
    Usage,
)

__all__ = ["Collector", "Pump", "last_result"]

AHEAD = 16  # events read before their reader asks for them


class Pump:
    """Read `events` in a task of its own, a little ahead of who asks for them.

    A generator that is read by one task from its start to its end may hold timeouts and cancel scopes over its
    yields, and ending it never meets a reader that is inside it.
    """

    def __init__(self, events: AsyncGenerator[RunEvent]) -> None:
        self._ahead: deque[RunEvent] = deque()
        self._grew = asyncio.Event()
        self._shrank = asyncio.Event()
        self.task = asyncio.create_task(self._read(events))
        self.task.add_done_callback(lambda _: self._grew.set())

    async def _read(self, events: AsyncGenerator[RunEvent]) -> None:
        async with contextlib.aclosing(events):
            async for event in events:
                while len(self._ahead) >= AHEAD:
                    self._shrank.clear()
                    await self._shrank.wait()
                self._ahead.append(event)
                self._grew.set()

    async def next(self) -> RunEvent | None:
        """Get the next event; None after the last, and after the task was cancelled.

        Raises:
            Exception: What the generator raised.
        """
        while not self._ahead:
            if self.task.done():
                if not self.task.cancelled():
                    self.task.result()
                return None
            self._grew.clear()
            await self._grew.wait()
        self._shrank.set()
        return self._ahead.popleft()

    async def stop(self) -> None:
        """End the run and wait until it has ended."""
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled():
            self.task.exception()  # seen, or nobody is left to see it


class Collector:
    """Keep what a run told so far, for the end of one that can't tell its own."""

    def __init__(self) -> None:
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._displays: list[Display] = []
        self._error: CodeError | None = None

    def add(self, event: RunEvent) -> None:
        """Keep one event."""
        if isinstance(event, OutputEvent):
            self._output[event.type] += event.data
        elif isinstance(event, DisplayEvent):
            self._displays.append(event.display)
        elif isinstance(event, ErrorEvent):
            self._error = event.error

    def killed(self, why: str, *, wall_s: float) -> RunResult:
        """Make the result of a run that was ended from outside."""
        return RunResult(
            "killed",
            stdout=bytes(self._output["stdout"]),
            stderr=bytes(self._output["stderr"]),
            displays=tuple(self._displays),
            error=self._error,
            usage=Usage(wall_s=wall_s),
            detail=why,
        )


async def last_result(events: AsyncGenerator[RunEvent]) -> RunResult:
    """Read a stream to its end and return its result."""
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, EndEvent):
                return event.result
    raise SandboxError("The provider's stream ended without an end.")
