from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from polyport.errors import BadRequestError, ConfigurationError, NotFoundError, ServiceUnavailableError
from polyport_gateway.jobs.context import JobContext
from polyport_gateway.jobs.durable import Handler, JobRunner
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.jobs import JobProblem, JobProgress, JobRow, JobStore
from polyport_gateway.storage.retention import DAY_MS, sweep
from polyport_gateway.storage.schema import jobs, now_ms
from polyport_gateway.storage.workers import is_dead, new_worker

pytestmark = pytest.mark.anyio

LEASE = {"lease_ms": 60_000, "most_attempts": 3}


@pytest.fixture
async def database(anyio_backend: str, records_url: str) -> AsyncIterator[Database]:
    async with Database(records_url) as opened:
        yield opened


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


@asynccontextmanager
async def running(store: JobStore, handler: Handler, **options: Any) -> AsyncIterator[JobRunner]:
    runner = JobRunner(store, **{"poll_s": 0.05, "patience_s": 0.3, **options})
    runner.register("work", handler)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def claim(store: JobStore, worker: str = "me", **changes: int) -> JobRow | None:
    return await store.claim(worker, ["work"], **{**LEASE, **changes})


async def expire(database: Database) -> None:
    await database.run(lambda connection: connection.execute(update(jobs).values(lease_until=1)))


async def until(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 10.0) -> None:
    give_up = time.monotonic() + within_s
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        assert time.monotonic() < give_up, "it did not happen in time"
        await asyncio.sleep(0.01)


async def test_the_queue_gives_each_job_once_in_order(store: JobStore) -> None:
    made = [await store.submit("work", {"n": n, "文": "字"}, subject="s", owner="key") for n in range(3)]
    await store.submit("other")
    claimed = [await claim(store) for _ in range(4)]
    assert [job.id if job else None for job in claimed] == [*(job.id for job in made), None]
    first = claimed[0]
    assert first is not None
    assert (first.status, first.attempts, first.worker, first.input) == ("running", 1, "me", {"n": 0, "文": "字"})
    assert first.started_at is not None
    assert await store.finish(first, "completed", JobProgress(3, 3, "done", {"added": 3}), [], result={"ok": True})
    ended = await store.get(first.id)
    assert ended is not None
    assert (ended.status, ended.result, ended.progress) == (
        "completed",
        {"ok": True},
        JobProgress(3, 3, "done", {"added": 3}),
    )
    assert not await store.finish(first, "failed", JobProgress(), [])
    assert [job.id for job in await store.find(subject="s", status=["completed"])] == [first.id]
    assert [job.input["n"] for job in await store.find(kinds=["work"], owner="key", limit=2)] == [2, 1]
    assert await store.get("job-\0") is None
    assert await store.cancel("nothing") is None


async def test_one_job_at_a_time_in_a_lane(store: JobStore) -> None:
    for lane in ("a", "a", "b", None, None):
        await store.submit("work", lane=lane)
    first = [await claim(store) for _ in range(5)]
    assert [job.lane if job else "-" for job in first] == ["a", "b", None, None, "-"]
    assert first[0] is not None
    await store.finish(first[0], "completed", JobProgress(), [])
    following = await claim(store)
    assert following is not None
    assert following.lane == "a"


async def test_a_unique_key_submits_once(store: JobStore) -> None:
    one, two = await asyncio.gather(*(store.submit("work", {"n": n}, unique_key="k") for n in range(2)))
    assert one.id == two.id
    assert (await store.submit("work")).id != (await store.submit("work")).id


async def test_a_job_whose_lease_is_over_is_taken_over(store: JobStore, database: Database) -> None:
    await store.submit("work", lane="a")
    lost = await claim(store, "one")
    assert lost is not None
    assert await store.keep(lost, JobProgress(1), [], {"at": 1})
    assert await claim(store, "two") is None
    await expire(database)
    taken = await claim(store, "two")
    assert taken is not None
    assert (taken.id, taken.attempts, taken.state, taken.progress.done) == (lost.id, 2, {"at": 1}, 1)
    assert not await store.keep(lost, JobProgress(9), [], {"at": 9})
    assert not await store.finish(lost, "failed", JobProgress(), [])
    assert not await store.release(lost, JobProgress(), [])
    assert await store.renew("one", [lost.id], lease_ms=1000) == {}
    assert await store.renew("two", [lost.id], lease_ms=1000) == {lost.id: False}
    assert await store.finish(taken, "completed", JobProgress(), [])


async def test_a_job_that_kills_its_workers_fails(store: JobStore, database: Database) -> None:
    job = await store.submit("work")
    for _ in range(3):
        assert await claim(store) is not None
        await expire(database)
    assert await claim(store) is None
    ended = await store.get(job.id)
    assert ended is not None
    assert ended.status == "failed"
    assert "begun 3 times" in str(ended.error)


async def test_a_job_that_gets_further_each_time_is_never_given_up(store: JobStore, database: Database) -> None:
    await store.submit("work")
    for attempt in range(1, 9):
        job = await claim(store)
        assert job is not None
        assert (job.attempts, job.fruitless) == (attempt, 1)
        if attempt % 2:
            assert await store.keep(job, JobProgress(attempt), [])
        else:
            assert await store.keep(job, JobProgress(1), [], {"at": attempt})
        await expire(database)
    for _ in range(3):
        job = await claim(store)
        assert job is not None
        await store.keep(job, JobProgress(1), [], {"at": 8})  # as far as before
        await expire(database)
    assert await claim(store) is None
    assert (await store.find())[0].status == "failed"


async def test_a_cancelled_job_whose_worker_died_is_cancelled(store: JobStore, database: Database) -> None:
    one, two = await store.submit("work"), await store.submit("work")
    first, second = await claim(store), await claim(store)
    assert first is not None
    assert second is not None
    await store.cancel(one.id)
    await store.cancel(two.id)
    await store.release(second, JobProgress(), [])
    await expire(database)
    assert await claim(store) is None
    assert {job.status for job in await store.find()} == {"cancelled"}


async def test_finished_jobs_are_kept_for_a_while(store: JobStore, database: Database) -> None:
    done, waiting = await store.submit("work"), await store.submit("work")
    job = await claim(store)
    assert job is not None
    await store.finish(job, "completed", JobProgress(), [])
    assert not await store.delete(waiting.id)
    await database.run(lambda connection: sweep(connection, 1))
    assert await store.get(done.id) is not None
    old = update(jobs).values(created_at=1, finished_at=now_ms() - 2 * DAY_MS).where(jobs.c.id == done.id)
    await database.run(lambda connection: connection.execute(old))
    await database.run(lambda connection: sweep(connection, None))
    assert await store.get(done.id) is not None
    await database.run(lambda connection: sweep(connection, 1))
    assert await store.get(done.id) is None
    assert await store.get(waiting.id) is not None


async def test_a_runner_does_jobs_and_says_how_far_they_are(store: JobStore) -> None:
    gate = asyncio.Event()

    async def handler(context: JobContext) -> dict[str, int]:
        context.progress(1, 3, "one", added=1)
        await gate.wait()
        await context.run(context.advance, added=1)
        await context.run(context.error, "b.pdf", "broken", "bad")
        await context.checkpoint({"at": 2})
        context.advance(failed=1)
        return {"n": context.input["n"]}

    async with running(store, handler) as runner:
        job = await runner.submit("work", {"n": 7})
        seen: list[JobRow] = []
        async for state in runner.follow(job.id):
            seen.append(state)
            if state.progress.done == 1:
                gate.set()
        assert [state.progress.done for state in seen] == sorted(state.progress.done for state in seen)
        last = seen[-1]
        assert last == await store.get(job.id) == await runner.wait(job.id)
        assert (last.status, last.result, last.state) == ("completed", {"n": 7}, {"at": 2})
        assert last.progress == JobProgress(3, 3, "one", {"added": 2, "failed": 1})
        assert last.errors == (JobProblem("b.pdf", "broken", "bad"),)
        with pytest.raises(NotFoundError):
            await runner.wait("job-none")


@pytest.mark.parametrize(
    ("error", "said"),
    [(BadRequestError("no such folder"), "no such folder"), (RuntimeError("secret"), "It failed with RuntimeError")],
)
async def test_a_handler_that_fails(store: JobStore, error: Exception, said: str) -> None:
    async def handler(context: JobContext) -> None:
        context.progress(1)
        raise error

    async with running(store, handler) as runner:
        ended = await runner.wait((await runner.submit("work")).id)
    assert (ended.status, ended.progress.done) == ("failed", 1)
    assert said in str(ended.error)
    assert "secret" not in str(ended.error)


async def test_a_result_that_is_no_json_fails(store: JobStore) -> None:
    async def handler(context: JobContext) -> object:
        return object()

    async with running(store, handler) as runner:
        assert (await runner.wait((await runner.submit("work")).id)).status == "failed"


async def test_only_the_first_hundred_errors_are_kept(store: JobStore) -> None:
    async def handler(context: JobContext) -> None:
        for n in range(150):
            context.error(f"{n}", "x" * 5000)

    async with running(store, handler) as runner:
        ended = await runner.wait((await runner.submit("work")).id)
    assert [error.source for error in ended.errors] == [str(n) for n in range(100)]
    assert len(ended.errors[0].message) == 2000


async def test_cancelling(store: JobStore) -> None:
    stopped: list[str] = []

    async def handler(context: JobContext) -> None:
        def work() -> None:
            while True:
                time.sleep(0.01)
                context.check()

        try:
            await context.run(work) if context.input.get("thread") else await asyncio.sleep(60)
        finally:
            stopped.append(context.id)

    async with running(store, handler, concurrency=2) as runner:
        ids = [(await runner.submit("work", {"thread": thread})).id for thread in (True, False, False)]
        await until(lambda: len(runner._running) == 2)
        waiting = await runner.cancel(ids[2])
        assert waiting is not None
        assert waiting.status == "cancelled"
        for id_ in ids[:2]:
            assert await runner.cancel(id_) is not None
            assert (await runner.wait(id_)).status == "cancelled"
        assert sorted(stopped) == sorted(ids[:2])
        assert await runner.cancel("job-none") is None


async def test_another_process_cancels(store: JobStore) -> None:
    async def handler(context: JobContext) -> None:
        await asyncio.sleep(60)

    async with running(store, handler) as runner:
        id_ = (await runner.submit("work")).id
        await until(lambda: len(runner._running) == 1)
        await store.cancel(id_)
        assert (await runner.wait(id_)).status == "cancelled"


async def test_what_runs_when_the_gateway_stops_goes_on_at_its_next_start(store: JobStore) -> None:
    attempts: list[Any] = []

    async def handler(context: JobContext) -> str:
        attempts.append((context.state, context.job.fruitless))
        if context.state is None:
            context.progress(5)
            await context.checkpoint({"at": 5})
            await asyncio.sleep(60)
        return "done"

    async with running(store, handler) as runner:
        id_ = (await runner.submit("work", lane="a")).id
        await until(lambda: bool(attempts))
        await until(lambda: next(iter(runner._running.values())).context.state is not None)
        waiter = asyncio.create_task(runner.wait(id_))
        await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailableError):
        await waiter
    queued = await store.get(id_)
    assert queued is not None
    assert (queued.status, queued.worker, queued.progress.done) == ("queued", None, 5)
    async with running(store, handler) as runner:
        assert (await runner.wait(id_)).result == "done"
    assert attempts == [(None, 1), ({"at": 5}, 1)]


async def test_a_thread_is_never_left_behind(store: JobStore) -> None:
    inside = threading.Event()
    ended: list[bool] = []

    async def handler(context: JobContext) -> None:
        def work() -> None:
            inside.set()
            time.sleep(0.6)  # deaf, for twice as long as the runner is patient
            ended.append(True)

        await context.run(work)

    async with running(store, handler) as runner:
        id_ = (await runner.submit("work")).id
        await until(inside.is_set)
        await runner.cancel(id_)
        await runner.wait(id_)
        assert ended == [True]


class Unreliable:
    """A database that can be away for writers."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        self._run = database.run
        monkeypatch.setattr(database, "run", self._write)

    async def _write(self, work: Any) -> Any:
        if self.away:
            raise ServiceUnavailableError("away")
        return await self._run(work)


@pytest.fixture
def unreliable(database: Database, monkeypatch: pytest.MonkeyPatch) -> Unreliable:
    return Unreliable(database, monkeypatch)


async def test_a_database_that_is_away_loses_no_job(store: JobStore, unreliable: Unreliable) -> None:
    gate, attempts = asyncio.Event(), []

    async def handler(context: JobContext) -> str:
        attempts.append(context.job.attempts)
        context.progress(1)
        await gate.wait()
        if len(attempts) == 1:
            await context.checkpoint({"at": 1})
        return "done"

    async with running(store, handler) as runner:
        id_ = (await runner.submit("work")).id
        await until(lambda: attempts == [1])
        unreliable.away = True
        gate.set()
        await asyncio.sleep(0.5)
        assert not (await runner.get(id_)).finished  # type: ignore[union-attr]
        unreliable.away = False
        ended = await runner.wait(id_)
    assert (ended.status, ended.result, attempts) == ("completed", "done", [1, 2])


async def test_who_can_not_renew_a_lease_gives_its_job_up(store: JobStore, unreliable: Unreliable) -> None:
    reasons: list[str | None] = []

    async def handler(context: JobContext) -> str:
        try:
            while unreliable.away or not reasons:
                await asyncio.sleep(0.02)
                context.progress(context.snapshot().progress.done + 1)
                context.check()
        finally:
            reasons.append(context.stop_reason)
        return "done"

    async with running(store, handler, lease_s=0.4) as runner:
        id_ = (await runner.submit("work")).id
        await until(lambda: len(runner._running) == 1)
        unreliable.away = True
        await until(lambda: bool(reasons))
        unreliable.away = False
        assert (await runner.wait(id_)).result == "done"
    assert reasons == ["lost", None]


@pytest.mark.parametrize("error", [ServiceUnavailableError("the model is away"), asyncio.CancelledError()])
async def test_what_fails_for_a_while_is_begun_again_but_not_for_ever(store: JobStore, error: BaseException) -> None:
    async def handler(context: JobContext) -> None:
        raise error

    async with running(store, handler, most_attempts=2) as runner:
        ended = await runner.wait((await runner.submit("work")).id)
    assert (ended.status, ended.attempts) == ("failed", 2)
    assert "begun 2 times" in str(ended.error)


async def test_a_handler_that_does_not_stop_is_left_behind(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    inside, leave = threading.Event(), threading.Event()

    async def handler(context: JobContext) -> None:
        def work() -> None:
            inside.set()
            leave.wait(20)

        await context.run(work)

    runner = JobRunner(store, poll_s=0.05, patience_s=0.1)
    runner.register("work", handler)
    await runner.start()
    await runner.submit("work")
    await until(inside.is_set)
    task = next(iter(runner._running.values())).task
    await runner.stop(timeout_s=0.3)
    assert "does not stop" in caplog.text
    leave.set()
    await asyncio.wait({task})


async def test_a_job_that_was_lost_is_left_to_the_other(store: JobStore, database: Database) -> None:
    stopped = asyncio.Event()

    async def handler(context: JobContext) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with running(store, handler, lease_s=0.4) as runner:
        id_ = (await runner.submit("work")).id
        await until(lambda: len(runner._running) == 1)
        theft = update(jobs).values(worker="thief", attempts=2, lease_until=now_ms() + 60_000)
        await database.run(lambda connection: connection.execute(theft))
        await asyncio.wait_for(stopped.wait(), 10)
        await until(lambda: not runner._running)
        job = await store.get(id_)
        assert job is not None
        assert (job.status, job.worker) == ("running", "thief")


async def test_leases_are_renewed(store: JobStore, database: Database) -> None:
    def lease(connection: Connection) -> object:
        return connection.execute(select(jobs.c.lease_until)).scalar_one()

    async def handler(context: JobContext) -> int:
        seen = {await database.read(lease)}
        while len(seen) < 3:
            await asyncio.sleep(0.05)
            seen.add(await database.read(lease))
        return context.job.attempts

    async with running(store, handler, lease_s=2) as one, running(store, handler, lease_s=2):
        assert (await one.wait((await one.submit("work")).id)).result == 1


async def test_two_runners_share_the_work(store: JobStore, records_url: str) -> None:
    seen: list[str] = []
    active: dict[str, int] = {}

    async def handler(context: JobContext) -> None:
        lane = context.job.lane or ""
        active[lane] = active.get(lane, 0) + 1
        assert active[lane] == 1
        await asyncio.sleep(0.01)
        active[lane] -= 1
        seen.append(context.id)

    async with (
        Database(records_url) as second,
        running(store, handler, concurrency=8) as one,
        running(JobStore(second), handler, concurrency=8),
    ):
        ids = [(await one.submit("work", lane=f"{n % 3}")).id for n in range(30)]
        ended = [await one.wait(id_) for id_ in ids]
    assert {job.status for job in ended} == {"completed"}
    assert sorted(seen) == sorted(ids)
    assert {job.attempts for job in ended} == {1}


async def test_handlers_are_named_once(store: JobStore) -> None:
    async def one(context: JobContext) -> None: ...

    async def two(context: JobContext) -> None: ...

    runner = JobRunner(store)
    runner.register("work", one)
    runner.register("work", one)
    with pytest.raises(ConfigurationError):
        runner.register("work", two)


async def test_no_more_than_so_many_at_a_time(store: JobStore) -> None:
    active = most = 0
    two = asyncio.Event()

    async def handler(context: JobContext) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        if active == 2:
            two.set()
        await asyncio.wait_for(two.wait(), 10)
        active -= 1

    async with running(store, handler, concurrency=2) as runner:
        ids = [(await runner.submit("work")).id for _ in range(6)]
        for id_ in ids:
            await runner.wait(id_)
    assert most == 2


async def test_a_dead_process_is_not_waited_for(store: JobStore) -> None:
    mine = new_worker()
    place, pid, started, rest = mine.split(":")
    ended = f"{place}:{pid}:{int(started) - 1}:{rest}"
    assert not is_dead(mine)
    assert is_dead(ended)
    assert not is_dead(f"elsewhere:{pid}:1:{rest}")
    await store.submit("work")
    await store.submit("work")
    first = await claim(store, ended)
    assert first is not None
    assert await claim(store, mine) is not None
    assert await claim(store, "other") is None
    assert await store.free_the_dead() == 1
    taken = await claim(store, "other")
    assert taken is not None
    assert taken.id == first.id


async def test_followers_of_what_waits_are_not_woken_by_what_runs(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = store.get

    async def counted(id: str) -> JobRow | None:  # noqa: A002
        read.append(id)
        return await real(id)

    monkeypatch.setattr(store, "get", counted)
    over = asyncio.Event()

    async def busy(context: JobContext) -> None:
        for number in range(100):
            context.progress(number, 100)
            await asyncio.sleep(0.002)
        over.set()

    async with running(store, busy, poll_s=0.02) as runner:
        made = [await runner.submit("work", {"long": "x" * 1000}, lane="one") for _ in range(6)]
        rows = await asyncio.gather(*(runner.wait(job.id) for job in made))
    assert {row.status for row in rows} == {"completed"}
    assert over.is_set()
    # Each: as it is at first, perhaps as it is begun, and as it ends.
    assert len(read) <= 6 * 4


async def test_whoever_follows_hears_of_what_another_process_does(store: JobStore) -> None:
    runner = JobRunner(store, poll_s=0.02)
    job = await store.submit("work")
    seen: list[tuple[str, int]] = []

    async def listen() -> None:
        async for row in runner.follow(job.id):
            seen.append((row.status, row.progress.done))

    listening = asyncio.create_task(listen())
    await until(lambda: bool(seen))
    claimed = await claim(store)
    assert claimed is not None
    await until(lambda: seen[-1] == ("running", 0))
    await store.keep(claimed, JobProgress(done=3), ())
    await until(lambda: seen[-1] == ("running", 3))
    await store.finish(claimed, "completed", JobProgress(done=4), ())
    await asyncio.wait_for(listening, 10)
    assert seen[-1] == ("completed", 4)
