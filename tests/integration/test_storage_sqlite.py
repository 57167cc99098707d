from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from polyport.errors import ConfigurationError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import usage
from polyport_gateway.storage.usage import UsageLog, UsageRow

pytestmark = pytest.mark.anyio

NOBODY = 65534

OPEN = """
import asyncio, sys, time
from polyport_gateway.storage.database import Database
async def main():
    time.sleep(max(0, float(sys.argv[2]) - time.time()))
    async with Database(sys.argv[1]):
        pass
asyncio.run(main())
"""

WRITE = """
import asyncio, sys
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.usage import UsageLog, UsageRow
async def main():
    first, rows, forever = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "forever"
    async with Database(sys.argv[1]) as db:
        log = UsageLog(db)
        await log.start()
        print("ready", flush=True)
        while True:
            for i in range(rows):
                log.record(UsageRow(request_id=f"{first}-{i}", key_id="k", wire="rest", kind="function", name="add",
                                    operation="tool", status=200, duration_ms=1))
            if not forever:
                break
            await asyncio.sleep(0.05)
        await log.close(30)
asyncio.run(main())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "polyport.sqlite3"


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


def count(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = int(connection.execute("SELECT count(*) FROM usage").fetchone()[0])
    connection.close()
    return found


def row(n: int) -> UsageRow:
    return UsageRow(
        request_id=f"req_{n:032x}",
        key_id="k",
        wire="openai",
        kind="model",
        name="m",
        operation="chat",
        status=200,
        duration_ms=1,
    )


def test_many_processes_open_a_new_database_at_once(file: Path) -> None:
    start_at = time.time() + 2.5  # all have imported what they need by then
    openers = [python(OPEN, f"sqlite:///{file}", start_at) for _ in range(4)]
    assert [(opener.communicate(timeout=60), opener.returncode)[1] for opener in openers] == [0] * 4
    assert count(file) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_concurrent_processes_write_and_nothing_is_lost(file: Path) -> None:
    writers = [python(WRITE, f"sqlite:///{file}", first, 5000, "once") for first in range(3)]
    assert [(writer.communicate(timeout=90), writer.returncode)[1] for writer in writers] == [0] * 3
    assert count(file) == 15_000


async def test_a_process_that_is_killed_leaves_a_sound_database(file: Path) -> None:
    writer = python(WRITE, f"sqlite:///{file}", 0, 500, "forever")
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    await asyncio.sleep(1.2)
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=10)
    assert count(file) >= 500
    async with Database(f"sqlite:///{file}") as db:
        before = await db.read(lambda c: c.execute(select(func.count()).select_from(usage)).scalar_one())
        log = UsageLog(db)
        log.record(row(1))
        await log.start()
        await log.close()
    assert count(file) == before + 1


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of a user who is not root, and the rights of that user."""
    folder = Path(tempfile.mkdtemp(prefix="polyport-storage-"))
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


async def test_a_read_only_file_is_refused_with_what_to_do(unprivileged: Path) -> None:
    file = unprivileged / "x.sqlite3"
    async with Database(f"sqlite:///{file}"):
        pass
    file.chmod(0o400)
    with pytest.raises(ConfigurationError, match="write permission") as caught:
        async with Database(f"sqlite:///{file}"):
            pass
    assert str(file) in str(caught.value)


async def test_a_folder_that_can_not_be_written_is_refused_with_what_to_do(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)
    for path in (unprivileged / "x.sqlite3", unprivileged / "new" / "x.sqlite3"):
        with pytest.raises(ConfigurationError, match="write permission"):
            async with Database(f"sqlite:///{path}"):
                pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_delays_rows_and_loses_none(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    async with Database(f"sqlite:///{small_disk}/x.sqlite3") as db:
        log = UsageLog(db)
        await log.start()
        with ballast.open("wb", buffering=0) as other:
            try:
                while True:
                    other.write(bytes(4096))
            except OSError:
                pass
        for i in range(1000):
            log.record(row(i))
        deadline = time.monotonic() + 10
        while log.health().error is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert log.health().pending == 1000
        assert "full" in str(log.health().error)
        assert await db.read(lambda c: c.execute(select(func.count()).select_from(usage)).scalar_one()) == 0
        ballast.unlink()
        while log.health().pending:
            assert time.monotonic() < deadline + 10
            await asyncio.sleep(0.05)
        await log.close()
    assert count(small_disk / "x.sqlite3") == 1000


async def test_no_space_for_a_new_database(small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb", buffering=0) as other:
        try:
            while True:
                other.write(bytes(4096))
        except OSError:
            pass
    with pytest.raises(ConfigurationError, match="disk"):
        async with Database(f"sqlite:///{small_disk}/x.sqlite3"):
            pass
