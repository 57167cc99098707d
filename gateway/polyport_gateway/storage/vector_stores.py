"""What OpenAI's vector stores know beyond a knowledge base: whose they are, when they expire, which files they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import (
    knowledge_bases,
    vector_store_batches,
    vector_store_files,
    vector_stores,
)

__all__ = ["FileStatus", "StoreBatch", "StoreFile", "StoreRecord", "VectorStoreRecords"]

FileStatus: TypeAlias = Literal["in_progress", "completed", "failed", "cancelled"]

_MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """A vector store that was made over OpenAI's wire.

    Attributes:
        base: The id of its knowledge base.
        name: The name of its knowledge base, and its own id: ``vs_…``.
        owner: The id of the key that made it.
        label: What its owner calls it.
        metadata: The owner's notes.
        expires_days: Days after its last use; None for never.
        last_active_at: Milliseconds since 1970, UTC.
        created_at: Likewise.
    """

    base: int
    name: str
    owner: str
    label: str
    metadata: Mapping[str, str]
    expires_days: int | None
    last_active_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file in a vector store.

    Attributes:
        base: The id of the knowledge base.
        file: The file's id.
        batch: The batch that it came with.
        document: The document's id in the base, once it is taken in.
        status: How far it is.
        attributes: What it is labelled with.
        chunking: How it is cut, as OpenAI has it; None for the gateway's own way.
        usage_bytes: How many bytes of it are in the store.
        last_error: Why it failed.
        created_at: Milliseconds since 1970, UTC.
    """

    base: int
    file: str
    batch: str
    created_at: int
    document: str | None = None
    status: FileStatus = "in_progress"
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)
    chunking: Mapping[str, Any] | None = None
    usage_bytes: int = 0
    last_error: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class StoreBatch:
    """Files that were added together.

    Attributes:
        id: ``vsfb_…``.
        base: The id of the knowledge base.
        job: The job that takes them in; None where it is done already.
        status: ``cancelled`` once that was asked for; the rest is its job's.
        created_at: Milliseconds since 1970, UTC.
    """

    id: str
    base: int
    job: str | None
    created_at: int
    status: FileStatus = "in_progress"


class VectorStoreRecords:
    """Keeps them.

    Args:
        db: An open database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    # Stores.

    async def base_of(self, name: str) -> int | None:
        """Return the id of a knowledge base."""
        return None if "\0" in name else await self._db.read(lambda connection: _base(connection, name))

    async def numbers(self, names: Sequence[str]) -> dict[str, int]:
        """Return the ids of some knowledge bases, by name."""

        def load(connection: Connection) -> dict[str, int]:
            found: dict[str, int] = {}
            for some in _slices(names):
                query = select(knowledge_bases.c.name, knowledge_bases.c.id).where(knowledge_bases.c.name.in_(some))
                found.update((row.name, row.id) for row in connection.execute(query))
            return found

        return await self._db.read(load)

    async def create(self, record: StoreRecord) -> StoreRecord:
        """Add the record of a store whose knowledge base was just made, and return it with the base's id.

        Raises:
            LookupError: There is no such base.
        """

        def write(connection: Connection) -> StoreRecord:
            base = _base(connection, record.name)
            if base is None:
                raise LookupError(record.name)
            added = replace(record, base=base)
            values = {name: getattr(added, name) for name in StoreRecord.__slots__ if name != "name"}
            connection.execute(insert(vector_stores).values(values))
            return added

        return await self._db.run(write)

    async def get(self, name: str) -> StoreRecord | None:
        """Return a store; None where there is none of this name."""
        if "\0" in name:
            return None
        query = _stores().where(knowledge_bases.c.name == name)
        found = await self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if found is None else _store(found)

    async def all(self, owner: str | None = None) -> list[StoreRecord]:
        """Return the stores of an owner, or of all, the oldest first."""
        query = _stores().order_by(vector_stores.c.created_at, knowledge_bases.c.name)
        if owner is not None:
            query = query.where(vector_stores.c.owner == owner)
        return await self._db.read(lambda connection: [_store(row) for row in connection.execute(query)])

    async def count(self, owner: str) -> int:
        """Return how many stores an owner has."""
        query = select(func.count()).select_from(vector_stores).where(vector_stores.c.owner == owner)
        return await self._db.read(lambda connection: int(connection.execute(query).scalar_one()))

    async def change(self, base: int, **values: Any) -> None:
        """Set members of a store."""
        query = update(vector_stores).where(vector_stores.c.base == base).values(**values)
        await self._db.run(lambda connection: connection.execute(query))

    async def forget(self, base: int) -> None:
        """Delete all that is known of a store, once its knowledge base is gone."""

        def write(connection: Connection) -> None:
            for table, column in (
                (vector_store_files, vector_store_files.c.store),
                (vector_store_batches, vector_store_batches.c.store),
                (vector_stores, vector_stores.c.base),
            ):
                connection.execute(delete(table).where(column == base))

        await self._db.run(write)

    async def lost(self) -> list[int]:
        """Return the ids of bases that are gone, and of which something is still known."""
        known = select(vector_store_files.c.store).union(
            select(vector_store_batches.c.store), select(vector_stores.c.base)
        )
        bases = known.subquery()
        query = select(bases.c[0]).where(bases.c[0].not_in(select(knowledge_bases.c.id)))
        return await self._db.read(lambda connection: list(connection.execute(query).scalars()))

    # Files.

    async def add(self, batch: StoreBatch, files: Sequence[StoreFile]) -> None:
        """Add files that come together; those that are there already begin anew."""

        def write(connection: Connection) -> None:
            values = {name: getattr(batch, name) for name in ("id", "job", "status", "created_at")}
            connection.execute(insert(vector_store_batches).values(**values, store=batch.base))
            inserting = postgresql.insert if self._db.dialect == "postgresql" else sqlite.insert
            for some in _slices(files):
                upsert = inserting(vector_store_files).values([_values(file) for file in some])
                changed = {
                    column.name: upsert.excluded[column.name]
                    for column in vector_store_files.c
                    if not column.primary_key
                }
                connection.execute(upsert.on_conflict_do_update(index_elements=["store", "file"], set_=changed))

        await self._db.run(write)

    async def files(self, base: int, ids: Collection[str]) -> dict[str, StoreFile]:
        """Return those of some files that a store has, by id."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if "\0" not in id_]

        def load(connection: Connection) -> dict[str, StoreFile]:
            found: dict[str, StoreFile] = {}
            for some in _slices(wanted):
                mine = (vector_store_files.c.store == base) & vector_store_files.c.file.in_(some)
                found.update(
                    (row.file, _file(row)) for row in connection.execute(select(vector_store_files).where(mine))
                )
            return found

        return await self._db.read(load)

    async def unsettled(self, bases: Collection[int]) -> list[StoreFile]:
        """Return the files of some stores that are still on their way."""
        query = select(vector_store_files).where(vector_store_files.c.status == "in_progress")

        def load(connection: Connection) -> list[StoreFile]:
            found: list[StoreFile] = []
            for some in _slices(list(bases)):
                rows = connection.execute(query.where(vector_store_files.c.store.in_(some)))
                found += [_file(row) for row in rows]
            return found

        return await self._db.read(load)

    async def settle(self, files: Iterable[StoreFile]) -> None:
        """Note what has become of files; those that were added anew meanwhile are left as they are."""
        settled = list(files)

        def write(connection: Connection) -> None:
            for file in settled:
                same = and_(
                    vector_store_files.c.store == file.base,
                    vector_store_files.c.file == file.file,
                    vector_store_files.c.batch == file.batch,
                )
                members = ("status", "document", "usage_bytes", "last_error")
                values = {name: getattr(file, name) for name in members}
                connection.execute(update(vector_store_files).where(same).values(**values))

        if settled:
            await self._db.run(write)

    async def label(self, base: int, file: str, attributes: Mapping[str, Any]) -> None:
        """Set a file's attributes."""
        mine = (vector_store_files.c.store == base) & (vector_store_files.c.file == file)
        query = update(vector_store_files).where(mine).values(attributes=dict(attributes))
        await self._db.run(lambda connection: connection.execute(query))

    async def remove(self, base: int, file: str) -> bool:
        """Delete the record of a file in a store; whether there was one."""
        mine = (vector_store_files.c.store == base) & (vector_store_files.c.file == file)
        query = delete(vector_store_files).where(mine)
        return await self._db.run(lambda connection: connection.execute(query).rowcount > 0)

    async def stores_of(self, file: str) -> list[tuple[int, str]]:
        """Return the id and name of each knowledge base that has a file."""
        query = (
            select(knowledge_bases.c.id, knowledge_bases.c.name)
            .join(vector_store_files, vector_store_files.c.store == knowledge_bases.c.id)
            .where(vector_store_files.c.file == file)
        )
        return await self._db.read(lambda connection: [(row.id, row.name) for row in connection.execute(query)])

    async def page(
        self,
        base: int,
        *,
        batch: str | None = None,
        status: FileStatus | None = None,
        after: StoreFile | None = None,
        before: StoreFile | None = None,
        limit: int,
        newest_first: bool,
    ) -> tuple[list[StoreFile], bool]:
        """Return a page of a store's files by their age, and whether there are more.

        Args:
            base: The id of the knowledge base.
            batch: Only those of this batch.
            status: Only those with this status.
            after: The file after which it begins.
            before: The file before which it ends; without `after` it is the page just before.
            limit: The most files.
            newest_first: Or the oldest.
        """
        query = select(vector_store_files).where(vector_store_files.c.store == base)
        if batch is not None:
            query = query.where(vector_store_files.c.batch == batch)
        if status is not None:
            query = query.where(vector_store_files.c.status == status)
        if after is not None:
            query = query.where(_beyond(after, older=newest_first))
        if before is not None:
            query = query.where(_beyond(before, older=not newest_first))
        backwards = before is not None and after is None
        falling = newest_first != backwards
        age = (vector_store_files.c.created_at, vector_store_files.c.file)
        query = query.order_by(*(column.desc() if falling else column for column in age)).limit(limit + 1)
        found = await self._db.read(lambda connection: [_file(row) for row in connection.execute(query)])
        chosen = found[:limit]
        return chosen[::-1] if backwards else chosen, len(found) > limit

    async def counts(self, bases: Collection[int], batch: str | None = None) -> dict[int, dict[str, tuple[int, int]]]:
        """Return, by store and status, how many files there are and how many bytes they have."""
        columns = (vector_store_files.c.store, vector_store_files.c.status)
        query = select(*columns, func.count(), func.coalesce(func.sum(vector_store_files.c.usage_bytes), 0))
        if batch is not None:
            query = query.where(vector_store_files.c.batch == batch)

        def load(connection: Connection) -> dict[int, dict[str, tuple[int, int]]]:
            found: dict[int, dict[str, tuple[int, int]]] = {}
            for some in _slices(list(bases)):
                rows = connection.execute(query.where(vector_store_files.c.store.in_(some)).group_by(*columns))
                for store, status, count, size in rows:
                    found.setdefault(store, {})[status] = (count, int(size))
            return found

        return await self._db.read(load)

    # Batches.

    async def batch(self, base: int, id: str) -> StoreBatch | None:  # noqa: A002
        """Return a batch of a store; None where there is none."""
        return (await self.batches(base, [id])).get(id)

    async def batches(self, base: int, ids: Collection[str]) -> dict[str, StoreBatch]:
        """Return those of some batches that a store has, by id."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if "\0" not in id_]

        def load(connection: Connection) -> dict[str, StoreBatch]:
            found: dict[str, StoreBatch] = {}
            for some in _slices(wanted):
                mine = (vector_store_batches.c.store == base) & vector_store_batches.c.id.in_(some)
                for row in connection.execute(select(vector_store_batches).where(mine)):
                    found[row.id] = StoreBatch(row.id, row.store, row.job, row.created_at, row.status)
            return found

        return await self._db.read(load)

    async def cancel(self, base: int, id: str) -> None:  # noqa: A002
        """Note that a batch was cancelled."""
        mine = (vector_store_batches.c.store == base) & (vector_store_batches.c.id == id)
        query = update(vector_store_batches).where(mine).values(status="cancelled")
        await self._db.run(lambda connection: connection.execute(query))


def _base(connection: Connection, name: str) -> int | None:
    return connection.execute(select(knowledge_bases.c.id).where(knowledge_bases.c.name == name)).scalar_one_or_none()


def _stores() -> Select[Any]:
    return select(vector_stores, knowledge_bases.c.name).join(
        knowledge_bases, knowledge_bases.c.id == vector_stores.c.base
    )


def _store(row: Row[Any]) -> StoreRecord:
    return StoreRecord(*(getattr(row, name) for name in StoreRecord.__slots__))


def _file(row: Row[Any]) -> StoreFile:
    members = {name: getattr(row, name) for name in StoreFile.__slots__ if name not in ("base", "attributes")}
    return StoreFile(base=row.store, attributes=row.attributes or {}, **members)


def _values(file: StoreFile) -> dict[str, Any]:
    values = {name: getattr(file, name) for name in StoreFile.__slots__ if name != "base"}
    return {**values, "store": file.base}


def _beyond(file: StoreFile, *, older: bool) -> Any:
    time, id_ = vector_store_files.c.created_at, vector_store_files.c.file
    if older:
        return or_(time < file.created_at, and_(time == file.created_at, id_ < file.file))
    return or_(time > file.created_at, and_(time == file.created_at, id_ > file.file))


def _slices(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _MOST_AT_ONCE] for start in range(0, len(values), _MOST_AT_ONCE))
