"""Files whose time has come, over a real database and folder."""

from __future__ import annotations

import io
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from polyport.errors import ConflictError
from polyport_gateway.call import LOCAL
from polyport_gateway.files.service import FileService
from polyport_gateway.files.uploads import UploadService
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.files import FileStore, StoredFile
from polyport_gateway.storage.schema import files, uploads
from polyport_gateway.storage.uploads import UploadStore

pytestmark = pytest.mark.anyio


@pytest.fixture
async def db(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{tmp_path / 'records.sqlite3'}") as opened:
        yield opened


@pytest.fixture
def service(db: Database, tmp_path: Path) -> FileService:
    return FileService(FileStore(db), tmp_path / "files", max_bytes=1 << 20, quota=None)


async def keep(service: FileService, name: str) -> StoredFile:
    data = io.BytesIO(name.encode())
    return await service.keep(LOCAL, name, "user_data", data, len(name), expires_s=3600)


async def expire(db: Database) -> None:
    await db.run(lambda connection: connection.execute(update(files).values(expires_at=1)))


def blobs(service: FileService, tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "files").glob("??/*")]


async def test_nothing_is_made_where_there_is_nothing(service: FileService, tmp_path: Path) -> None:
    assert await service.sweep() == 0
    assert not (tmp_path / "files").exists()


async def test_one_that_must_stay_keeps_no_other(service: FileService, db: Database, tmp_path: Path) -> None:
    kept = [await keep(service, f"{number}.md") for number in range(5)]
    busy = {kept[0].id, kept[3].id}
    seen: list[str] = []

    async def refuse(file: StoredFile) -> None:
        seen.append(file.filename)
        if file.id in busy:
            raise ConflictError("it is being taken in")

    service.on_delete(refuse)
    await expire(db)
    assert await service.sweep() == 3
    assert set(seen) == {one.filename for one in kept}
    assert len(blobs(service, tmp_path)) == 2
    busy.clear()
    assert await service.sweep() == 2
    assert blobs(service, tmp_path) == []


async def test_bytes_that_no_file_has_go_once_they_are_old(service: FileService, tmp_path: Path) -> None:
    """As a process that is killed between writing them and noting them leaves them."""
    stays = await keep(service, "a.md")
    store = await service.blobs()
    lost, young = store.put(b"lost"), store.put(b"young")
    path = tmp_path / "files" / lost.key[:2] / lost.key
    os.utime(path, (time.time() - 7200,) * 2)
    await service.sweep()
    assert sorted(blobs(service, tmp_path)) == sorted([stays.sha256, young.key])


async def test_uploads_that_were_not_completed_in_time(service: FileService, db: Database, tmp_path: Path) -> None:
    taking = UploadService(UploadStore(db), service)
    upload = await taking.create(LOCAL, "a.md", "user_data", 10, expires_s=None)
    await taking.add(upload, io.BytesIO(b"12345"), 5)
    assert len(blobs(service, tmp_path)) == 1
    await db.run(lambda connection: connection.execute(update(uploads).values(expires_at=1)))
    assert (await taking.find(upload.id, LOCAL)).expired
    await service.sweep()
    assert blobs(service, tmp_path) == []
