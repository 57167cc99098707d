"""The records of files, uploads and vector stores, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count as counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.files import FileStore, StoredFile
from polyport_gateway.storage.schema import knowledge_bases, now_ms
from polyport_gateway.storage.uploads import StoredPart, StoredUpload, UploadStore
from polyport_gateway.storage.vector_stores import StoreBatch, StoreFile, StoreRecord, VectorStoreRecords
from tests.integration.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.anyio

_numbers = counter()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg")
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.requires("postgres"))])
async def db(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/records.sqlite3"
    if request.param == "postgres":
        url = request.getfixturevalue("server").create_database(f"stores{next(_numbers)}")
    async with Database(url) as opened:
        yield opened


def file(number: int, **changes: Any) -> StoredFile:
    made = StoredFile(f"file-{number:03}", "me", f"手册{number}.md", 10, "user_data", "a" * 64, 1000 + number // 2)
    return replace(made, **changes)


async def add(store: FileStore, *given: StoredFile) -> None:
    for one in given:
        assert await store.add(one, kept=lambda: True)


async def base(db: Database, name: str) -> None:
    values = {
        "name": name, "config": {}, "generation": 1, "shelf": "s", "state": {}, "declared": False,
        "last_generation": 1, "last_document": 0, "created_at": 1, "updated_at": 1,
    }  # fmt: skip
    await db.run(lambda connection: connection.execute(insert(knowledge_bases).values(values)))


async def test_files_in_pages(db: Database) -> None:
    store = FileStore(db)
    await add(store, *(file(number) for number in range(7)), file(9, owner="you"))
    await add(store, file(8, expires_at=now_ms() - 1))
    seen: list[str] = []
    after = None
    while True:
        page, more = await store.page("me", purpose=None, after=after, limit=2, newest_first=True)
        seen += [one.id for one in page]
        after = page[-1]
        if not more:
            break
    assert seen == [f"file-{number:03}" for number in range(6, -1, -1)]
    assert (await store.page("me", purpose="batch\0", after=None, limit=5, newest_first=False)) == ([], False)
    assert await store.get("file-008", "me") is None
    assert await store.get("file-009", "me") is None
    assert await store.get("file\0", "me") is None
    assert await store.get("file-001", "me") == file(1)
    assert await store.names(["file-001", "file-009", "none"]) == {"file-001": "手册1.md", "file-009": "手册9.md"}
    assert await store.total("me") == 70
    assert [one.id for one in await store.expired(10)] == ["file-008"]


async def test_bytes_go_with_the_last_who_has_them(db: Database) -> None:
    store, uploads = FileStore(db), UploadStore(db)
    removed: list[str] = []
    await add(store, file(1), file(2))
    assert not await store.delete("file-001", "you", remove=removed.append)
    assert await store.delete("file-001", "me", remove=removed.append)
    assert removed == []
    await uploads.create(StoredUpload("upload_1", "me", "a.md", 10, "user_data", None, 1, now_ms() + 60_000))
    part = StoredPart("part_1", "upload_1", 10, "a" * 64, 1)
    assert await uploads.add_part(part, limit=10, most=5, kept=lambda: True)
    assert await store.delete("file-002", "me", remove=removed.append)
    assert removed == [], "a part has the same bytes"
    assert store.named(["a" * 64, "b" * 64]) == ["a" * 64]
    assert await uploads.end("upload_1", "cancelled", remove=removed.append)
    assert removed == ["a" * 64]
    assert not await uploads.end("upload_1", "completed", remove=removed.append)


async def test_what_was_taken_away_meanwhile_is_not_added(db: Database) -> None:
    store = FileStore(db)
    assert not await store.add(file(1), kept=lambda: False)
    assert await store.get("file-001", "me") is None


async def test_side_by_side_no_file_loses_its_bytes(db: Database) -> None:
    store, blobs = FileStore(db), {"a" * 64}

    async def work(number: int) -> None:
        mine = file(number)
        blobs.add(mine.sha256)
        if await store.add(mine, kept=lambda: mine.sha256 in blobs):
            assert mine.sha256 in blobs
            await store.delete(mine.id, "me", remove=blobs.discard)

    await add(store, file(999))
    await asyncio.gather(*(work(number) for number in range(40)))
    assert blobs == {"a" * 64}


async def test_quota_holds_for_those_who_come_at_once(db: Database) -> None:
    store = FileStore(db)

    async def work(number: int) -> bool:
        try:
            return await store.add(file(number), kept=lambda: True, quota=45)
        except OverflowError:
            return False

    assert sum(await asyncio.gather(*(work(number) for number in range(12)))) == 4


async def test_parts_are_no_more_than_the_file(db: Database) -> None:
    uploads = UploadStore(db)
    upload = StoredUpload("upload_1", "me", "a.md", 10, "user_data", 7200, 1, now_ms() + 60_000)
    await uploads.create(upload)
    assert await uploads.get("upload_1", "me") == upload
    assert await uploads.get("upload_1", "you") is None
    assert await uploads.pending("me") == (1, 10)

    async def work(number: int) -> bool:
        part = StoredPart(f"part_{number}", "upload_1", 3, "b" * 64, 1)
        try:
            return await uploads.add_part(part, limit=10, most=9, kept=lambda: True)
        except OverflowError:
            return False

    assert sum(await asyncio.gather(*(work(number) for number in range(8)))) == 3
    assert len(await uploads.parts("upload_1")) == 3
    with pytest.raises(LookupError):
        await uploads.add_part(StoredPart("p", "upload_2", 1, "b" * 64, 1), limit=10, most=9, kept=lambda: True)
    late = replace(upload, id="upload_3", expires_at=5)
    await uploads.create(late)
    assert late.expired
    assert [one.id for one in await uploads.expired(5)] == ["upload_3"]
    await uploads.end("upload_3", "cancelled", remove=lambda _: None)
    assert await uploads.forget(now_ms()) == 1


async def test_a_store_and_its_files(db: Database) -> None:
    records = VectorStoreRecords(db)
    for name in ("vs_1", "handbook"):
        await base(db, name)
    given = StoreRecord(0, "vs_1", "me", "我的", {"a": "b"}, 3, 50, 40)
    with pytest.raises(LookupError):
        await records.create(replace(given, name="vs_none"))
    made = await records.create(given)
    assert await records.get("vs_1") == made
    assert [await records.get(name) for name in ("handbook", "vs\0")] == [None, None]
    assert await records.all("me") == [made] == await records.all()
    assert await records.all("you") == []
    assert [await records.count(owner) for owner in ("me", "you")] == [1, 0]
    await records.change(made.base, label="x", expires_days=None)
    assert await records.get("vs_1") == replace(made, label="x", expires_days=None)

    def member(number: int, batch: str = "vsfb_1", **changes: Any) -> StoreFile:
        return StoreFile(made.base, f"file-{number}", batch, 100 + number // 2, **changes)

    files = [member(number, attributes={"n": number}) for number in range(5)]
    await records.add(StoreBatch("vsfb_1", made.base, "job-1", 100), files)
    assert await records.files(made.base, ["file-1", "none", "a\0"]) == {"file-1": files[1]}
    assert len(await records.unsettled([made.base])) == 5
    await records.settle([replace(files[0], status="completed", document="d", usage_bytes=7)])
    # Added anew, a file begins anew, and what became of its former self is no news of it.
    await records.add(StoreBatch("vsfb_2", made.base, None, 200), [member(1, "vsfb_2")])
    await records.settle([replace(files[1], status="failed", last_error={"code": "x", "message": "y"})])
    assert (await records.files(made.base, ["file-1"]))["file-1"].status == "in_progress"
    assert await records.counts([made.base]) == {made.base: {"completed": (1, 7), "in_progress": (4, 0)}}
    assert await records.counts([made.base], "vsfb_2") == {made.base: {"in_progress": (1, 0)}}
    assert (await records.batch(made.base, "vsfb_1")) == StoreBatch("vsfb_1", made.base, "job-1", 100)
    await records.cancel(made.base, "vsfb_1")
    assert (await records.batches(made.base, ["vsfb_1", "no"]))["vsfb_1"].status == "cancelled"
    assert await records.stores_of("file-3") == [(made.base, "vs_1")]
    await records.label(made.base, "file-3", {"k": True})
    assert (await records.files(made.base, ["file-3"]))["file-3"].attributes == {"k": True}
    assert await records.remove(made.base, "file-3")
    assert not await records.remove(made.base, "file-3")


async def test_a_stores_files_in_pages(db: Database) -> None:
    records = VectorStoreRecords(db)
    await base(db, "vs_1")
    made = await records.create(StoreRecord(0, "vs_1", "me", "", {}, None, 50, 40))
    files = [StoreFile(made.base, f"file-{number}", "b", 100 + number // 2) for number in range(7)]
    await records.add(StoreBatch("b", made.base, None, 100), files)

    async def page(**options: Any) -> tuple[list[str], bool]:
        given = {"limit": 3, "newest_first": False, **options}
        found, more = await records.page(made.base, **given)
        return [one.file for one in found], more

    names = [one.file for one in files]
    assert await page() == (names[:3], True)
    assert await page(after=files[2]) == (names[3:6], True)
    assert await page(after=files[5]) == (names[6:], False)
    assert await page(before=files[5]) == (names[2:5], True)
    assert await page(before=files[2]) == (names[:2], False)
    assert await page(after=files[1], before=files[4]) == (names[2:4], False)
    assert await page(newest_first=True) == (names[:3:-1], True)
    assert await page(newest_first=True, before=files[2]) == (names[5:2:-1], True)
    assert await page(status="completed") == ([], False)
    assert await page(batch="other") == ([], False)


async def test_what_is_known_of_lost_bases_goes(db: Database) -> None:
    records = VectorStoreRecords(db)
    await base(db, "vs_1")
    made = await records.create(StoreRecord(0, "vs_1", "me", "", {}, None, 50, 40))
    await records.add(StoreBatch("b", made.base, None, 100), [StoreFile(made.base, "file-1", "b", 1)])
    assert await records.lost() == []
    await db.run(lambda connection: connection.execute(knowledge_bases.delete()))
    assert await records.lost() == [made.base]
    assert await records.stores_of("file-1") == []
    await records.forget(made.base)
    assert await records.lost() == []
