"""Several processes share the jobs, and any of them may be killed."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.jobs import JobRow, JobStore
from tests.support.machine import ROOT

pytestmark = pytest.mark.anyio


@contextmanager
def worker(url: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.job_worker", url, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "ready\n"


async def finished(store: JobStore, within_s: float = 60.0) -> list[JobRow]:
    give_up = time.monotonic() + within_s
    while True:
        jobs = await store.find(limit=1000)
        if all(job.finished for job in jobs):
            return jobs
        assert time.monotonic() < give_up, [job for job in jobs if not job.finished]
        await asyncio.sleep(0.1)


def check_lanes(file: Path, killed: set[int]) -> dict[str, int]:
    """No two jobs of a lane ran at once, whichever process had them; return how often each one ended."""
    inside: dict[str, tuple[str, int]] = {}
    ended: dict[str, int] = {}
    for line in file.read_text().splitlines():
        word, id_, lane, pid, _ = line.split()
        if word == "begin":
            assert lane not in inside or inside[lane][1] in killed, line
            inside[lane] = (id_, int(pid))
        else:
            assert inside.pop(lane) == (id_, int(pid)), line
            ended[id_] = ended.get(id_, 0) + 1
    return ended


async def test_two_processes_do_each_job_once(records_url: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    with worker(records_url, file) as one, worker(records_url, file) as two:
        await asyncio.gather(ready(one), ready(two))
        async with Database(records_url) as database:
            store = JobStore(database)
            for n in range(24):
                await store.submit("work", {"steps": 2, "pause_s": 0.15}, lane=f"{n % 12}")
            jobs = await finished(store)
        assert {(job.status, job.attempts) for job in jobs} == {("completed", 1)}
        assert check_lanes(file, set()) == {job.id: 1 for job in jobs}
        assert len({line.split()[3] for line in file.read_text().splitlines()}) == 2, "both had some"
        one.terminate()
        assert await asyncio.to_thread(one.wait, 30) == 0


async def test_jobs_of_a_killed_process_go_on_elsewhere(records_url: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    with worker(records_url, file) as one:
        await ready(one)
        async with Database(records_url) as database:
            store = JobStore(database)
            for n in range(4):
                await store.submit("work", {"steps": 10, "pause_s": 0.1}, lane=f"{n % 3}")
            while not any(job.state for job in await store.find()):
                await asyncio.sleep(0.02)
            one.kill()
            one.wait()
            with worker(records_url, file) as two:
                await ready(two)
                jobs = await finished(store)
                two.terminate()
                assert await asyncio.to_thread(two.wait, 30) == 0
    assert {(job.status, job.result) for job in jobs} == {("completed", 10)}
    assert max(job.attempts for job in jobs) == 2
    check_lanes(file, {one.pid})
    resumed = [line for line in file.read_text().splitlines() if line.startswith("begin") and f" {two.pid} " in line]
    assert any(not line.endswith(" 0") for line in resumed), "from the checkpoint, not from the start"


async def test_told_to_stop_it_leaves_its_jobs_in_the_queue(records_url: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    with worker(records_url, file) as one:
        await ready(one)
        async with Database(records_url) as database:
            store = JobStore(database)
            await store.submit("work", {"steps": 1000, "pause_s": 0.1})
            while not any(job.state for job in await store.find()):
                await asyncio.sleep(0.02)
            one.terminate()
            assert await asyncio.to_thread(one.wait, 30) == 0
            (job,) = await store.find()
    assert (job.status, job.fruitless, job.worker) == ("queued", 0, None)
    assert job.state > 0
    assert job.progress.done in (job.state - 1, job.state)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_however_often_processes_are_killed(records_url: str, tmp_path: Path) -> None:
    chance = random.Random(2)
    file = tmp_path / "said"
    killed: set[int] = set()
    async with Database(records_url) as database:
        store = JobStore(database)
        for n in range(20):
            await store.submit("work", {"steps": 20, "pause_s": 0.05}, lane=f"{n % 10}")
        for _ in range(4):  # a job may be begun five times
            with worker(records_url, file) as one, worker(records_url, file) as two:
                await asyncio.gather(ready(one), ready(two))
                await asyncio.sleep(chance.uniform(0.05, 1.0))
                killed |= {one.pid, two.pid}
        with worker(records_url, file) as last:
            await ready(last)
            jobs = await finished(store)
    assert {(job.status, job.result) for job in jobs} == {("completed", 20)}
    ended = check_lanes(file, killed)
    assert set(ended) == {job.id for job in jobs}
