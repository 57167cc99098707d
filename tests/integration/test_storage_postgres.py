from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count as counter

import pytest
from sqlalchemy import func, select

from polyport.errors import AuthenticationError, ConfigurationError, ConflictError, ServiceUnavailableError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.keys import KeyStore
from polyport_gateway.storage.responses import ResponseStore, StoredResponse
from polyport_gateway.storage.retention import DAY_MS
from polyport_gateway.storage.schema import now_ms, usage
from polyport_gateway.storage.usage import UsageLog, UsageRow
from tests.integration.postgres import PostgresServer, postgres_server

pytest.importorskip("psycopg")
pytestmark = [pytest.mark.anyio, pytest.mark.requires("postgres")]

_numbers = counter()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.create_database(f"records{next(_numbers)}")


@pytest.fixture
async def db(anyio_backend: str, url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened


def row(n: int, **changes: object) -> UsageRow:
    values = {"request_id": f"req_{n:032x}", "key_id": "k", "wire": "mcp", "kind": "function", "name": "add"}
    return UsageRow(**{**values, "operation": "tool", "status": 200, "duration_ms": 3, **changes})  # type: ignore[arg-type]


async def rows_in(db: Database) -> int:
    return await db.read(lambda c: c.execute(select(func.count()).select_from(usage)).scalar_one())


async def test_keys(db: Database) -> None:
    keys = KeyStore(db, refresh_s=0.05)
    await keys.start()
    record, token = await KeyStore(db).create("ci", ["a", "b*"])
    assert (await keys.verify(token)).allow == frozenset({"a", "b*"})
    with pytest.raises(ConflictError):
        await keys.create("ci")
    await KeyStore(db).revoke(record.id)
    await asyncio.sleep(0.5)
    with pytest.raises(AuthenticationError, match="revoked"):
        await keys.verify(token)
    await keys.create("ci")
    assert [key.state for key in await keys.list()] == ["revoked", "live"]
    await keys.close()


async def test_usage_with_text_that_postgresql_refuses(db: Database) -> None:
    log = UsageLog(db)
    for i in range(2500):
        log.record(row(i, prompt_tokens=2))
    log.record(row(1, name="a\x00\ud800" + "x" * 100, prompt_tokens=2**40, status=5000))
    log.record(row(2, depth=70_000))
    await log.start()
    await log.close()
    assert log.health().dropped == 1
    totals = await log.totals(now_ms() - DAY_MS)
    assert sum(total.calls for total in totals if total.name == "add") == 2500
    assert sum(total.prompt_tokens for total in totals if total.name == "add") == 5000
    assert any(total.name == "a??" + "x" * 61 for total in totals)


async def test_responses(db: Database) -> None:
    store = ResponseStore(db, retention_days=1)
    for name, previous in [("r1", None), ("r2", "r1"), ("loop", "loop")]:
        body = {"text": "\ud83d \x00 你好"}
        await store.put(StoredResponse(name, "alice", now_ms(), "completed", "m", body, [{"n": 1}], previous))
    history = await store.history("r2", "alice")
    assert [turn.id for turn in history] == ["r1", "r2"]
    assert history[0].body == {"text": "\ud83d \x00 你好"}
    assert [turn.id for turn in await store.history("loop", "alice")] == ["loop"]
    assert await store.get("r1", "bob") is None
    with pytest.raises(ConflictError):
        await store.put(StoredResponse("r1", "bob", now_ms(), "completed", "m", {}, []))
    assert await store.delete("r1", "alice")


async def test_many_open_a_new_database_at_once(url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from polyport_gateway.storage.database import Database\n"
        "async def main():\n"
        "    async with Database(sys.argv[1]): pass\n"
        "asyncio.run(main())\n"
    )
    openers = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [opener.wait(60) for opener in openers] == [0] * 4
    async with Database(url) as db:
        assert await rows_in(db) == 0


async def test_concurrent_writers(db: Database, url: str) -> None:
    async with Database(url) as second:
        logs = [UsageLog(db), UsageLog(second)]
        for log in logs:
            await log.start()
        for i in range(6000):
            logs[i % 2].record(row(i))
        for log in logs:
            await log.close(20)
    assert await rows_in(db) == 6000


async def test_a_wrong_password_is_named_and_not_shown(server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match="refused the user or password") as caught:
        async with Database(server.url().replace("hunter2", "hunter3")):
            pass
    assert "hunter3" not in str(caught.value)


async def test_a_missing_database_is_named(server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match="no such database or user"):
        async with Database(server.url("nowhere")):
            pass


async def test_while_the_server_is_down_rows_wait_and_keys_work(db: Database, server: PostgresServer) -> None:
    keys, log = KeyStore(db, refresh_s=0.05), UsageLog(db)
    await keys.start()
    await log.start()
    _, token = await keys.create("known")
    await asyncio.to_thread(server.stop)
    try:
        for i in range(1500):
            log.record(row(i))
        await asyncio.sleep(1)
        assert (await keys.verify(token)).name == "known"
        with pytest.raises(ServiceUnavailableError):
            await rows_in(db)
        assert log.health().pending == 1500
        assert "can't be" in str(log.health().error)
    finally:
        await asyncio.to_thread(server.start)
    deadline = time.monotonic() + 15
    while log.health().pending:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert await rows_in(db) == 1500
    await log.close()
    await keys.close()
