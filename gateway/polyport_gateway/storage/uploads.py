"""The records of ``/v1/uploads``: files that come in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.files import lock_files, remove_unnamed
from polyport_gateway.storage.schema import now_ms, upload_parts, uploads

__all__ = ["StoredPart", "StoredUpload", "UploadStatus", "UploadStore"]

UploadStatus: TypeAlias = Literal["pending", "completed", "cancelled"]


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A file that comes in parts.

    Attributes:
        id: ``upload_…``.
        owner: The id of the key that began it.
        filename: Of the file.
        bytes: That the whole file will have.
        purpose: Of the file.
        file_expires_s: Seconds after which the file will be gone.
        created_at: Milliseconds since 1970, UTC.
        expires_at: Until when parts are taken; likewise.
        status: How far it is; one that is pending after its time has expired.
        file: The id of the file, once it is made.
    """

    id: str
    owner: str
    filename: str
    bytes: int
    purpose: str
    file_expires_s: int | None
    created_at: int
    expires_at: int
    status: UploadStatus = "pending"
    file: str | None = None

    @property
    def expired(self) -> bool:
        """Whether it was not completed in time."""
        return self.status == "pending" and self.expires_at <= now_ms()


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of an upload; `sha256` is the key of its bytes among the blobs."""

    id: str
    upload: str
    bytes: int
    sha256: str
    created_at: int


class UploadStore:
    """Keeps the records of uploads.

    Args:
        db: An open database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, upload: StoredUpload) -> None:
        """Add an upload."""
        values = {name: getattr(upload, name) for name in StoredUpload.__slots__}
        await self._db.run(lambda connection: connection.execute(insert(uploads).values(values)))

    async def get(self, id: str, owner: str) -> StoredUpload | None:  # noqa: A002
        """Return an upload; None if it is missing or another owner's."""
        if "\0" in id:
            return None
        query = select(uploads).where(uploads.c.id == id, uploads.c.owner == owner)
        row = await self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _upload(row)

    async def pending(self, owner: str) -> tuple[int, int]:
        """Return how many uploads of an owner are under way, and the bytes that their files will have."""
        count, total = func.count(), func.coalesce(func.sum(uploads.c.bytes), 0)
        query = select(count, total).where(
            uploads.c.owner == owner, uploads.c.status == "pending", uploads.c.expires_at > now_ms()
        )
        row = await self._db.read(lambda connection: connection.execute(query).one())
        return int(row[0]), int(row[1])

    async def add_part(self, part: StoredPart, *, limit: int, most: int, kept: Callable[[], bool]) -> bool:
        """Add a part.

        Args:
            part: It.
            limit: Bytes that all parts of the upload may have.
            most: How many parts it may have.
            kept: Whether the part's bytes are there; asked while no other's can be removed.

        Returns:
            Whether it was added; not if its bytes are gone.

        Raises:
            OverflowError: There are too many bytes, or parts.
            LookupError: The upload is not pending any more.
        """

        def write(connection: Connection) -> bool:
            lock_files(connection)
            status = connection.execute(select(uploads.c.status).where(uploads.c.id == part.upload)).scalar()
            if status != "pending":
                raise LookupError(status)
            count, size = connection.execute(
                select(func.count(), func.coalesce(func.sum(upload_parts.c.bytes), 0)).where(
                    upload_parts.c.upload == part.upload
                )
            ).one()
            if size + part.bytes > limit or count >= most:
                raise OverflowError(int(size))
            if not kept():
                return False
            values = {name: getattr(part, name) for name in StoredPart.__slots__}
            connection.execute(insert(upload_parts).values(values))
            return True

        return await self._db.run(write)

    async def parts(self, id: str) -> dict[str, StoredPart]:  # noqa: A002
        """Return the parts of an upload, by id."""
        query = select(upload_parts).where(upload_parts.c.upload == id)

        def load(connection: Connection) -> dict[str, StoredPart]:
            rows = connection.execute(query)
            return {row.id: StoredPart(*(getattr(row, name) for name in StoredPart.__slots__)) for row in rows}

        return await self._db.read(load)

    async def end(
        self,
        id: str,  # noqa: A002
        status: UploadStatus,
        *,
        file: str | None = None,
        remove: Callable[[str], object],
    ) -> bool:
        """End a pending upload: its parts go. Whether it was pending.

        Args:
            id: Which.
            status: What it is from now on.
            file: What was made of it.
            remove: Removes bytes by their key.
        """
        change = update(uploads).where(uploads.c.id == id, uploads.c.status == "pending")

        def write(connection: Connection) -> bool:
            lock_files(connection)
            if connection.execute(change.values(status=status, file=file)).rowcount == 0:
                return False
            gone = delete(upload_parts).where(upload_parts.c.upload == id).returning(upload_parts.c.sha256)
            remove_unnamed(connection, list(connection.execute(gone).scalars()), remove)
            return True

        return await self._db.run(write)

    async def forget(self, before: int) -> int:
        """Delete the records of uploads that ended, or should have, before a time; return how many."""
        old = delete(uploads).where(uploads.c.expires_at < before, uploads.c.status != "pending")
        return await self._db.run(lambda connection: connection.execute(old).rowcount)

    async def expired(self, limit: int) -> list[StoredUpload]:
        """Return pending uploads whose time has come."""
        query = (
            select(uploads)
            .where(uploads.c.expires_at <= now_ms(), uploads.c.status == "pending")
            .order_by(uploads.c.expires_at)
            .limit(limit)
        )
        return await self._db.read(lambda connection: [_upload(row) for row in connection.execute(query)])


def _upload(row: Row[Any]) -> StoredUpload:
    return StoredUpload(*(getattr(row, name) for name in StoredUpload.__slots__))
