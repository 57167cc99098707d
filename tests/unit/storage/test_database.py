from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from polyport.errors import ConfigurationError, ServiceUnavailableError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.migrate import current_revision
from polyport_gateway.storage.schema import REVISION, api_keys

pytestmark = pytest.mark.anyio

KEY = {"id": "k1", "name": "one", "secret_hash": "0" * 64, "created_at": 1}


async def test_a_new_database_is_private_and_up_to_date(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/a/b/x.sqlite3") as db:
        assert await db.read(current_revision) == REVISION
        assert await db.read(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"
        assert await db.read(lambda c: c.exec_driver_sql("PRAGMA foreign_keys").scalar()) == 1
        assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
        files = list((tmp_path / "a/b").iterdir())
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_closed_database_opens_again(url: str) -> None:
    db = Database(url)
    await db.open()
    await db.run(lambda c: c.execute(api_keys.insert().values(KEY)))
    await db.close()
    await db.open()
    assert await db.read(lambda c: c.execute(api_keys.select()).one().name) == "one"
    await db.close()
    await db.close()


def test_opening_a_new_database_loads_no_alembic(url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from polyport_gateway.storage.database import Database\n"
        "async def main():\n"
        "    async with Database(sys.argv[1]): pass\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=60)


async def test_in_memory_database_serves_reads_and_writes() -> None:
    async with Database("sqlite://") as db:
        await asyncio.gather(
            *(
                db.run(lambda c, i=i: c.execute(api_keys.insert().values({**KEY, "id": f"k{i}", "name": f"n{i}"})))
                for i in range(20)
            )
        )
        assert await db.read(lambda c: len(c.execute(api_keys.select()).all())) == 20


async def test_work_runs_in_a_thread_and_rolls_back_when_it_raises(db: Database) -> None:
    threads: list[str] = []

    def work(connection: Connection) -> None:
        threads.append(threading.current_thread().name)
        connection.execute(api_keys.insert().values(KEY))
        raise LookupError("no")

    with pytest.raises(LookupError):
        await db.run(work)
    assert threads[0].startswith("polyport-db-write")
    assert await db.read(lambda c: c.execute(api_keys.select()).all()) == []


async def test_reads_go_on_while_another_connection_writes(db: Database, url: str) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(2):
        assert await db.read(lambda c: c.execute(api_keys.select()).all()) == []
    other.execute("ROLLBACK")
    other.close()


async def test_read_then_write_waits_for_another_writer_instead_of_failing(db: Database, url: str) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: other.execute("COMMIT")).start()

    def work(connection: Connection) -> int:
        before = len(connection.execute(api_keys.select()).all())
        connection.execute(api_keys.insert().values(KEY))
        return before

    assert await db.run(work) == 0
    other.close()


async def test_a_lock_held_too_long_is_a_clear_503_without_detail(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Database(url, busy_timeout_s=0.1) as db:
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailableError) as caught:
            await db.run(lambda c: c.execute(api_keys.insert().values(KEY)))
        assert caught.value.retry_after == 1
        assert url not in caught.value.message
        assert "locked by another program" in caplog.text
        other.execute("ROLLBACK")
        other.close()
        await db.run(lambda c: c.execute(api_keys.insert().values(KEY)))


async def test_many_that_wait_for_a_lock_do_not_wait_one_after_the_other(url: str) -> None:
    async with Database(url, busy_timeout_s=1) as db:
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        writes = [db.run(lambda c: c.execute(api_keys.insert().values(KEY))) for _ in range(10)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(result, ServiceUnavailableError) for result in results)
        assert time.monotonic() - started < 4
        other.execute("ROLLBACK")
        other.close()
        await db.run(lambda c: c.execute(api_keys.insert().values(KEY)))
        timeouts = await db.run(lambda c: c.exec_driver_sql("PRAGMA busy_timeout").scalar())
        assert timeouts == 1000


async def test_the_callers_own_mistakes_are_not_called_an_outage(db: Database) -> None:
    await db.run(lambda c: c.execute(api_keys.insert().values(KEY)))
    with pytest.raises(IntegrityError):
        await db.run(lambda c: c.execute(api_keys.insert().values(KEY)))


async def test_a_newer_database_is_refused(url: str) -> None:
    async with Database(url) as db:
        await db.run(lambda c: c.execute(text("UPDATE polyport_version SET version_num = '9999'")))
    with pytest.raises(ConfigurationError, match=r"newer version of Polyport .*9999.*upgrade Polyport"):
        async with Database(url):
            pass


async def test_another_programs_tables_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite3"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE usage (x)")
    other.close()
    with pytest.raises(ConfigurationError, match="tables named usage that Polyport did not make"):
        async with Database(f"sqlite:///{file}"):
            pass


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite3"
    file.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(ConfigurationError, match="not an SQLite database") as caught:
        async with Database(f"sqlite:///{file}"):
            pass
    assert str(file) in str(caught.value)
    assert file.read_bytes() == b"Dear diary, " * 1000


async def test_places_that_can_not_hold_a_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, words in [(tmp_path, "is a folder"), (tmp_path / "file/x.sqlite3", "below a file")]:
        with pytest.raises(ConfigurationError, match=words):
            async with Database(f"sqlite:///{path}"):
                pass


async def test_a_locked_database_does_not_open(url: str) -> None:
    async with Database(url):
        pass
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigurationError, match="locked by another program"):
        async with Database(url, busy_timeout_s=0.1):
            pass
    other.execute("ROLLBACK")
    other.close()


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ConfigurationError, match="can't be reached") as caught:
        async with Database("postgresql://me:hunter2@127.0.0.1:1/records"):
            pass
    assert "127.0.0.1:1/records" in str(caught.value)
    assert "hunter2" not in str(caught.value)
