from __future__ import annotations

import asyncio

import pytest

from polyport_gateway.jobs.background import BackgroundTasks, EventLog

pytestmark = pytest.mark.anyio


async def finish(tasks: BackgroundTasks, id_: str, events: int) -> EventLog:
    """Run a task that leaves so many events behind, to its end."""
    log = EventLog()

    async def work() -> None:
        for number in range(events):
            log.append({"number": number})

    tasks.start(id_, work(), log)
    while tasks.running(id_):
        await asyncio.sleep(0)
    return log


async def test_logs_of_ended_tasks_are_kept_up_to_a_number() -> None:
    tasks = BackgroundTasks()
    for number in range(70):
        await finish(tasks, f"task {number}", 1)
    kept = [number for number in range(70) if tasks.log(f"task {number}") is not None]
    assert kept == list(range(6, 70))


async def test_logs_of_ended_tasks_are_kept_up_to_a_number_of_events_in_all() -> None:
    tasks = BackgroundTasks()
    first = await finish(tasks, "first", 20_000)
    await finish(tasks, "second", 20_000)
    assert tasks.log("first") is first
    await finish(tasks, "third", 20_000)
    assert tasks.log("first") is None
    assert tasks.log("second") is not None
    # Whoever was reading goes on, and the newest is always there.
    assert len([event async for event in first.follow()]) == 20_000
    await finish(tasks, "huge", 60_000)
    assert [tasks.log(name) is None for name in ("second", "third", "huge")] == [True, True, False]
