"""The records of ``/v1/files``: each file is seen by the key that made it and no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, text, union

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import files, now_ms, upload_parts

__all__ = ["FileStore", "StoredFile", "lock_files", "remove_unnamed"]

_LOCK = 0x66696C65  # "file": names our advisory lock among those of a shared PostgreSQL database
_MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file.

    Attributes:
        id: ``file-…``.
        owner: The id of the key that made it.
        filename: Without folders.
        bytes: How many there are.
        purpose: What it was uploaded for.
        sha256: Of its bytes, and their key among the blobs.
        created_at: Milliseconds since 1970, UTC.
        expires_at: Likewise; None for never.
        status: ``processed``: nothing is done with a file before it is used.
    """

    id: str
    owner: str
    filename: str
    bytes: int
    purpose: str
    sha256: str
    created_at: int
    expires_at: int | None = None
    status: str = "processed"


class FileStore:
    """Keeps the records of files; their bytes are a blob store's.

    Args:
        db: An open database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, file: StoredFile, *, kept: Callable[[], bool], quota: int | None = None) -> bool:
        """Add a file.

        Args:
            file: It.
            kept: Whether its bytes are there; asked while no other file's can be removed.
            quota: Bytes that all files of an owner may have.

        Returns:
            Whether it was added; not if its bytes are gone, which the last file with the same ones took with it when it
            was deleted in that moment.

        Raises:
            OverflowError: The quota does not allow it; with the bytes that the owner has.
        """
        values = {name: getattr(file, name) for name in StoredFile.__slots__}

        def write(connection: Connection) -> bool:
            lock_files(connection)
            if quota is not None:
                have = connection.execute(_total(file.owner)).scalar_one()
                if have + file.bytes > quota:
                    raise OverflowError(have)
            if not kept():
                return False
            connection.execute(insert(files).values(values))
            return True

        return await self._db.run(write)

    async def get(self, id: str, owner: str) -> StoredFile | None:  # noqa: A002
        """Return a file; None if it is missing, expired or another owner's."""
        return (await self.get_all([id], owner)).get(id)

    async def get_all(self, ids: Collection[str], owner: str) -> dict[str, StoredFile]:
        """Return those of some files that are there and this owner's, by id."""
        # PostgreSQL refuses a NUL even in what it is only asked to compare.
        wanted = [id_ for id_ in dict.fromkeys(ids) if "\0" not in id_]

        def load(connection: Connection) -> dict[str, StoredFile]:
            found: dict[str, StoredFile] = {}
            for start in range(0, len(wanted), _MOST_AT_ONCE):
                some = wanted[start : start + _MOST_AT_ONCE]
                rows = connection.execute(select(files).where(files.c.id.in_(some), files.c.owner == owner, _alive()))
                found.update((row.id, _stored(row)) for row in rows)
            return found

        return await self._db.read(load)

    async def names(self, ids: Collection[str]) -> dict[str, str]:
        """Return the names of some files, whoever's they are, by id."""
        wanted = list(ids)

        def load(connection: Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            for start in range(0, len(wanted), _MOST_AT_ONCE):
                some = files.c.id.in_(wanted[start : start + _MOST_AT_ONCE])
                found.update(
                    (row.id, row.filename)
                    for row in connection.execute(select(files.c.id, files.c.filename).where(some))
                )
            return found

        return await self._db.read(load) if wanted else {}

    async def page(
        self, owner: str, *, purpose: str | None, after: StoredFile | None, limit: int, newest_first: bool
    ) -> tuple[list[StoredFile], bool]:
        """Return a page of an owner's files by their age, and whether there are more.

        Args:
            owner: Whose.
            purpose: Only those of this purpose.
            after: The last file of the page before.
            limit: The most files.
            newest_first: Or the oldest.
        """
        if purpose is not None and "\0" in purpose:
            return [], False
        age = [files.c.created_at, files.c.id]
        query = select(files).where(files.c.owner == owner, _alive())
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        if after is not None:
            query = query.where(_beyond(after, older=newest_first))
        query = query.order_by(*(column.desc() if newest_first else column for column in age)).limit(limit + 1)
        found = await self._db.read(lambda connection: [_stored(row) for row in connection.execute(query)])
        return found[:limit], len(found) > limit

    async def total(self, owner: str) -> int:
        """Return how many bytes an owner's files have."""
        return await self._db.read(lambda connection: int(connection.execute(_total(owner)).scalar_one()))

    async def delete(self, id: str, owner: str, *, remove: Callable[[str], object]) -> bool:  # noqa: A002
        """Delete a file; whether there was one to delete.

        Args:
            id: Which.
            owner: The id of the key that asks.
            remove: Removes bytes by their key, where no other file has the same.
        """
        query = delete(files).where(files.c.id == id, files.c.owner == owner)

        def write(connection: Connection) -> bool:
            lock_files(connection)
            sha256 = connection.execute(query.returning(files.c.sha256)).scalar_one_or_none()
            if sha256 is not None:
                remove_unnamed(connection, [sha256], remove)
            return sha256 is not None

        return "\0" not in id and await self._db.run(write)

    async def release(self, key: str, *, remove: Callable[[str], object]) -> None:
        """Remove bytes that were kept for a file which was refused, where nobody else has the same."""

        def write(connection: Connection) -> None:
            lock_files(connection)
            remove_unnamed(connection, [key], remove)

        await self._db.run(write)

    async def expired(self, limit: int) -> list[StoredFile]:
        """Return files whose time has come, the longest expired first."""
        query = select(files).where(files.c.expires_at <= now_ms()).order_by(files.c.expires_at).limit(limit)
        return await self._db.read(lambda connection: [_stored(row) for row in connection.execute(query)])

    def named(self, keys: list[str]) -> list[str]:
        """Return which of some blobs are a file's, or a part's of one; in the thread that asks."""
        return self._db.read_sync(lambda connection: _named(connection, keys))


def lock_files(connection: Connection) -> None:
    """Let files and parts be added and removed one at a time; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def remove_unnamed(connection: Connection, keys: Sequence[str], remove: Callable[[str], object]) -> None:
    """Remove those of some blobs that are nobody's any more, under the lock."""
    named = set(_named(connection, keys))
    for key in dict.fromkeys(keys):
        if key not in named:
            remove(key)


def _named(connection: Connection, keys: Sequence[str]) -> list[str]:
    query = union(*(select(table.c.sha256).where(table.c.sha256.in_(keys)) for table in (files, upload_parts)))
    return list(connection.execute(query).scalars())


def _total(owner: str) -> Any:
    return select(func.coalesce(func.sum(files.c.bytes), 0)).where(files.c.owner == owner, _alive())


def _beyond(file: StoredFile, *, older: bool) -> Any:
    time, id_ = files.c.created_at, files.c.id
    if older:
        return or_(time < file.created_at, and_(time == file.created_at, id_ < file.id))
    return or_(time > file.created_at, and_(time == file.created_at, id_ > file.id))


def _alive() -> Any:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > now_ms())


def _stored(row: Row[Any]) -> StoredFile:
    return StoredFile(*(getattr(row, name) for name in StoredFile.__slots__))
