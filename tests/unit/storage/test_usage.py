from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.responses import ResponseStore, StoredResponse
from polyport_gateway.storage.retention import DAY_MS
from polyport_gateway.storage.schema import now_ms, responses, usage
from polyport_gateway.storage.usage import UsageLog, UsageRow, UsageTotal

pytestmark = pytest.mark.anyio


def row(n: int = 0, **changes: Any) -> UsageRow:
    values: dict[str, Any] = {
        "request_id": f"req_{n:032x}",
        "key_id": "k7f3a9c2e1b0",
        "wire": "openai",
        "kind": "model",
        "name": "qwen3-8b-instruct",
        "operation": "chat",
        "status": 200,
        "duration_ms": 1234,
        "prompt_tokens": 1500,
        "completion_tokens": 300,
    }
    return UsageRow(**{**values, **changes})


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(usage)).scalar_one()


async def until(check: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


async def test_rows_are_written_soon_and_whole(db: Database) -> None:
    log = UsageLog(db)
    await log.start()
    log.record(row(1, code="timeout", depth=2, at=17, prompt_tokens=None))
    await until(lambda: log.health().pending == 0, within_s=2)
    written = (await db.read(lambda c: c.execute(usage.select()).one()))._asdict()
    del written["id"]
    expected = row(1, code="timeout", depth=2, at=17, prompt_tokens=None)
    assert written == {name: getattr(expected, name) for name in written}
    await log.close()


async def test_closing_writes_what_is_pending_and_it_starts_again(db: Database) -> None:
    log = UsageLog(db)
    for i in range(2500):
        log.record(row(i))
    for expected in (2500, 2501):
        await log.start()
        await log.close()
        await log.close()
        assert await db.read(count) == expected
        log.record(row())
    assert log.health().dropped == 0


async def test_many_threads_record_and_nothing_is_lost(db: Database) -> None:
    log = UsageLog(db)
    await log.start()
    threads = [threading.Thread(target=lambda: [log.record(row(i)) for i in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await log.close()
    assert await db.read(count) == 8000


async def test_a_row_takes_at_most_300_bytes(tmp_path: Any) -> None:
    async with Database(f"sqlite:///{tmp_path}/x.sqlite3") as db:

        async def size() -> int:
            return await db.read(
                lambda c: (
                    c.exec_driver_sql("PRAGMA page_count").scalar_one()
                    * c.exec_driver_sql("PRAGMA page_size").scalar_one()
                )
            )

        async def per_row(start: int, **changes: Any) -> float:
            before = await size()
            log = UsageLog(db)
            for i in range(10_000):
                log.record(row(i, at=start + i * 37, **changes))
            await log.start()
            await log.close(30)
            return (await size() - before) / 10_000

        assert await per_row(1_790_000_000_000) <= 150
        worst = await per_row(
            1_800_000_000_000,
            request_id="r" * 500,
            name="n" * 500,
            wire="responses",
            kind="knowledge",
            operation="completion",
            code="unsupported_operation",
        )
        assert worst <= 300


async def test_a_locked_database_delays_rows_and_loses_none(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="polyport.usage")
    async with Database(url, busy_timeout_s=0.2) as db:
        log = UsageLog(db)
        await log.start()
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for i in range(3000):
            log.record(row(i))
            if i % 1000 == 0:
                await asyncio.sleep(0.3)
        await until(lambda: log.health().error is not None)
        assert "locked by another program" in str(log.health().error)
        assert log.health().pending == 3000
        other.execute("COMMIT")
        other.close()
        await until(lambda: log.health().pending == 0)
        assert log.health().error is None
        assert log.health().dropped == 0
        assert await db.read(lambda c: c.execute(select(func.count(usage.c.request_id.distinct()))).scalar()) == 3000
        assert await db.read(count) == 3000
        await log.close()
    assert caplog.text.count("wait in memory") == 1
    assert "written again" in caplog.text


@pytest.mark.parametrize(
    ("broken", "mended", "words"),
    [
        ("PRAGMA query_only=1", "PRAGMA query_only=0", "can't be written"),
        ("PRAGMA max_page_count=1", "PRAGMA max_page_count=1000000", "disk is full"),
    ],
)
async def test_a_read_only_or_full_database_loses_nothing(db: Database, broken: str, mended: str, words: str) -> None:
    def pragma(statement: str) -> Callable[[Connection], Any]:
        return lambda connection: connection.exec_driver_sql(statement).close()

    log = UsageLog(db)
    await db.run(pragma(broken))
    await log.start()
    for i in range(3000):
        log.record(row(i))
    await until(lambda: log.health().error is not None)
    assert words in str(log.health().error)
    assert log.health().pending == 3000
    deadline = time.monotonic() + 10
    while log.health().pending:  # again and again, until it met the connection that the writer uses
        await db.read(pragma(mended))
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert await db.read(count) == 3000
    await log.close()


async def test_beyond_the_limit_the_oldest_rows_go_counted_and_logged(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Database(url, busy_timeout_s=0.1) as db:
        log = UsageLog(db, most_pending=100)
        for i in range(250):
            log.record(row(i))
        await log.start()
        await log.close()
        assert log.health().dropped == 150
        first = await db.read(lambda c: c.execute(select(func.min(usage.c.request_id))).scalar_one())
        assert first == row(150).request_id
    assert "150 usage rows dropped" in caplog.text


async def test_closing_gives_up_in_time_and_says_what_is_lost(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Database(url, busy_timeout_s=0.1) as db:
        log = UsageLog(db)
        await log.start()
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        log.record(row())
        started = time.monotonic()
        await log.close(timeout_s=1)
        assert time.monotonic() - started < 2
        other.execute("ROLLBACK")
        other.close()
    assert "1 usage rows could not be written before shutdown" in caplog.text


async def test_a_row_that_can_not_be_written_does_not_hold_up_the_others(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    log = UsageLog(db)
    log.record(row(1))
    log.record(row(2, depth=2**80))
    log.record(row(3, request_id="req\x00\ud800\n", prompt_tokens=2**80))
    await log.start()
    await log.close()
    ids = await db.read(lambda c: c.execute(select(usage.c.request_id).order_by(usage.c.id)).scalars().all())
    assert ids == [row(1).request_id, "req???"]
    assert log.health().dropped == 1
    assert "can't be written and is dropped" in caplog.text


async def test_recording_is_cheap_and_never_waits(db: Database) -> None:
    log = UsageLog(db)
    await log.start()
    holding = threading.Event()
    stuck = db.submit(lambda _: holding.wait(10))
    started = time.perf_counter()
    for i in range(10_000):
        log.record(row(i))
    assert time.perf_counter() - started < 2
    assert not stuck.done()
    holding.set()
    await log.close()
    assert await db.read(count) == 10_000


async def test_old_rows_and_expired_responses_are_deleted_in_batches(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyport_gateway.storage.usage._FIRST_SWEEP_S", 0.0)
    old = now_ms() - 31 * DAY_MS
    seed = UsageLog(db)
    for i in range(3500):
        seed.record(row(i, at=old if i < 3000 else now_ms()))
    await seed.start()
    await seed.close()
    store = ResponseStore(db, retention_days=30)
    for name, at in [("old", old), ("new", now_ms())]:
        await store.put(StoredResponse(name, "k", at, "completed", "m", {}, []))
    log = UsageLog(db, retention_days=30)
    await log.start()
    deadline = time.monotonic() + 10
    while await db.read(count) != 500:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    await log.close()
    assert await db.read(lambda c: c.execute(select(responses.c.id)).scalars().all()) == ["new"]


async def test_without_retention_usage_stays(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyport_gateway.storage.usage._FIRST_SWEEP_S", 0.0)
    log = UsageLog(db, retention_days=None)
    log.record(row(at=1))
    await log.start()
    await asyncio.sleep(0.5)
    await log.close()
    assert await db.read(count) == 1


async def test_totals_by_day_key_and_name(db: Database) -> None:
    log = UsageLog(db)
    monday, tuesday = 20_000 * DAY_MS, 20_001 * DAY_MS
    log.record(row(at=monday, name="a", prompt_tokens=1, completion_tokens=2, duration_ms=10))
    log.record(
        row(at=monday + DAY_MS - 1, name="a", prompt_tokens=3, completion_tokens=None, duration_ms=5, status=502)
    )
    log.record(row(at=tuesday, name="a", depth=1, prompt_tokens=None, completion_tokens=None, duration_ms=1))
    log.record(row(at=tuesday, name="b", key_id="other", prompt_tokens=7, completion_tokens=8, duration_ms=1))
    await log.start()
    await log.close()
    key = row().key_id
    a_tuesday = UsageTotal(20_001, key, "a", 1, 0, 0, 0, 1)
    b_tuesday = UsageTotal(20_001, "other", "b", 1, 0, 7, 8, 1)
    a_monday = UsageTotal(20_000, key, "a", 2, 1, 4, 2, 15)
    assert await log.totals(monday) == [a_tuesday, b_tuesday, a_monday]
    assert await log.totals(tuesday) == [a_tuesday, b_tuesday]
    assert await log.totals(monday, tuesday) == [a_monday]
    assert await log.totals(tuesday, top_level=True) == [b_tuesday]
