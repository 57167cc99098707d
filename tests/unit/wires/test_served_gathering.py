"""Output that is gathered: nothing lost, nothing late, nothing out of order."""

from __future__ import annotations

import asyncio
import time

import pytest

from polyport_gateway.wires.sandbox.e2b.gathering import gathered
from polyport_sandbox.types import CodeError, EndEvent, ErrorEvent, OutputEvent, RunResult

pytestmark = pytest.mark.anyio

END = EndEvent(RunResult("ok", 0))


def out(data: bytes, kind: str = "stdout") -> OutputEvent:
    return OutputEvent(kind, data)


async def play(*steps, closed: list[bool] | None = None):
    try:
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, Exception):
                raise step
            else:
                yield step
    finally:
        if closed is not None:
            closed.append(True)


async def test_a_text_and_its_newline():
    found = [event async for event in gathered(play(out(b"a"), out(b"\n"), out(b"b"), out(b"\n"), END))]
    assert found == [out(b"a\n"), out(b"b\n"), END]


async def test_order_is_kept():
    error = ErrorEvent(CodeError("E", "e", ""))
    steps = [out(b"a"), out(b"e", "stderr"), out(b"b"), error, out(b"c"), END]
    assert [event async for event in gathered(play(*steps))] == steps


async def test_what_has_no_newline_comes_soon():
    began = time.monotonic()
    async for event in gathered(play(out(b"..."), 1.0, END)):
        assert event == out(b"...")
        break
    assert time.monotonic() - began < 0.5


async def test_a_long_line_is_not_held():
    pieces = [out(b"x" * 50_000)] * 5
    found = [event async for event in gathered(play(*pieces, END))]
    assert b"".join(event.data for event in found[:-1]) == b"x" * 250_000
    assert max(len(event.data) for event in found[:-1]) <= 100_000


async def test_many_events_through_a_slow_reader():
    steps = [out(b"%d\n" % number) for number in range(1000)]
    found = []
    async for event in gathered(play(*steps, END)):
        found.append(event)
        await asyncio.sleep(0)
    assert found == [*steps, END]


async def test_a_failure_gets_out_after_what_came_before():
    events = gathered(play(out(b"a"), ValueError("broke")))
    assert await anext(events) == out(b"a")
    with pytest.raises(ValueError, match="broke"):
        await anext(events)


@pytest.mark.parametrize("full", [False, True])
async def test_closing_closes_the_run(full: bool):
    closed: list[bool] = []
    steps = [out(b"a\n")] * 500 if full else [out(b"a\n"), 60.0]
    events = gathered(play(*steps, closed=closed))
    assert await anext(events) == out(b"a\n")
    await events.aclose()
    assert closed == [True]


async def test_cancelling_closes_the_run():
    closed: list[bool] = []

    async def read():
        async for _ in gathered(play(out(b"a\n"), 60.0, closed=closed)):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert closed == [True]
