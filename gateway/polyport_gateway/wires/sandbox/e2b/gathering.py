"""Pieces of output that belong together: ``print`` writes a text and its newline one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from polyport_sandbox.types import OutputEvent, RunEvent

__all__ = ["gathered"]

_WAIT_S = 0.01
_MOST_BYTES = 1 << 16
_MOST_WAITING = 64


async def gathered(events: AsyncGenerator[RunEvent]) -> AsyncGenerator[RunEvent]:
    """Give a run's events, with pieces of a line joined that come within some milliseconds of each other.

    Closing the generator closes `events`.
    """
    queue: asyncio.Queue[RunEvent | None] = asyncio.Queue(_MOST_WAITING)
    pump = asyncio.ensure_future(_pump(events, queue))
    held: OutputEvent | None = None
    try:
        while True:
            over = pump.done() and queue.empty()
            event = None if over else await _next(queue, None if held is None else _WAIT_S)
            if isinstance(event, OutputEvent):
                if held is not None and held.type == event.type:
                    event = OutputEvent(event.type, held.data + event.data)
                elif held is not None:
                    yield held
                held = event
                if not event.data.endswith(b"\n") and len(event.data) < _MOST_BYTES:
                    continue
                event = None
            if held is not None:
                yield held
                held = None
            if event is not None:
                yield event
            elif over:
                await pump  # for what it raised
                return
    finally:
        pump.cancel()
        await asyncio.wait({pump})


async def _pump(events: AsyncGenerator[RunEvent], queue: asyncio.Queue[RunEvent | None]) -> None:
    try:
        async with aclosing(events):
            async for event in events:
                await queue.put(event)
    finally:
        if queue.empty():
            queue.put_nowait(None)  # wakes whoever waits, which nobody does for what is there


async def _next(queue: asyncio.Queue[RunEvent | None], timeout_s: float | None) -> RunEvent | None:
    """Return the next event; None if there was none in time, or nothing more comes."""
    if not queue.empty():
        return queue.get_nowait()
    try:
        async with asyncio.timeout(timeout_s):
            return await queue.get()
    except TimeoutError:
        return None
