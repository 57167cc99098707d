"""The documents of a base."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from polyport.errors import BadRequestError
from polyport_gateway.storage.schema import documents_table, knowledge_bases, knowledge_builds, now_ms
from polyport_gateway.storage.schema.base import dump_json, storable
from polyport_gateway.storage.schema.knowledge import DEAD, LIVE, in_state

from .records import Records, batches, locked_base, write_log
from .rows import ChangeRow, DocumentPage, DocumentRow, DocumentStatus

__all__ = [
    "Documents",
    "Failure",
    "document_of",
    "documents_by",
    "new_uid",
    "next_documents",
    "stale_documents",
    "storable_key",
]

LONGEST_KEY = 2000
"""Bytes of a key; PostgreSQL's index takes 2,700."""

LONGEST_FORMAT, LONGEST_LANGUAGE = 64, 35  # as their columns have it
_LONGEST_ERROR = 2000
_BYTE = re.compile("[\udc80-\udcff]")  # of a file's name that is not UTF-8, as Python has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A file that could not be taken in.

    Args:
        key: Its path, address or name.
        error: Why, for a user.
        sha256: Of the file; empty if it could not be read.
        bytes: Of the file.
        title: As it is shown.
        format: Such as ``pdf``.
        receipt: What became of it.
    """

    key: str
    error: str
    sha256: str = ""
    bytes: int = 0
    title: str = ""
    format: str | None = None
    receipt: Mapping[str, Any] | None = None


class Documents(Records):
    """The documents of each base."""

    def find(self, base: int, keys: Sequence[str]) -> dict[str, DocumentRow]:
        """Return the documents of keys; a key that has none is left out.

        Raises:
            NotFoundError: The base is gone.
        """
        stored = {stored: key for key in keys if (stored := _stored(key)) is not None}

        def work(connection: Connection, table: Table) -> dict[str, DocumentRow]:
            found = documents_by(connection, table, table.c.key, list(stored))
            return {stored[row.key]: row for row in found}

        return self._look_into(base, work)

    def document(self, base: int, uid: str) -> DocumentRow | None:
        """Return the document of a public id.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection, table: Table) -> DocumentRow | None:
            return next(iter(documents_by(connection, table, table.c.uid, [uid])), None)

        return self._look_into(base, work) if "\0" not in uid else None

    def by_ids(self, base: int, ids: Sequence[int]) -> dict[int, DocumentRow]:
        """Return documents by number; one that is gone is left out.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection, table: Table) -> dict[int, DocumentRow]:
            return {row.id: row for row in documents_by(connection, table, table.c.id, list(ids))}

        return self._look_into(base, work)

    def documents(
        self,
        base: int,
        *,
        after: str | None = None,
        limit: int = 100,
        status: DocumentStatus | None = None,
        prefix: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        count: bool = True,
    ) -> DocumentPage:
        """Return some documents, in the order of their keys.

        Args:
            base: The base's number.
            after: The `next` of the page before.
            limit: The most on a page.
            status: Only these.
            prefix: Only those whose key begins with it.
            tag: Only those that have it.
            text: Only those whose title or key has it, upper or lower case.
            count: Whether to count those on all pages.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection, table: Table) -> DocumentPage:
            conditions = _conditions(table, status, prefix, text)
            if tag is not None:
                # As it stands in the list of JSON: with its quotes, one tag is not found in another.
                position = func.strpos if connection.dialect.name == "postgresql" else func.instr
                conditions.append(position(table.c.tags, literal(dump_json(storable(tag)), Text)) > 0)
            total = None
            if count:
                total = connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
            if after is not None:
                conditions.append(table.c.key > storable_key(after))
            query = select(table).where(*conditions).order_by(table.c.key).limit(limit + 1)
            rows = tuple(document_of(row) for row in connection.execute(query))
            more = len(rows) > limit
            return DocumentPage(rows[:limit], total, rows[limit - 1].key if more and limit else None)

        return self._look_into(base, work)

    def parsed_of(self, keys: Sequence[str]) -> set[str]:
        """Return which keys of blobs are those of parsed documents, of any base."""

        def work(connection: Connection) -> set[str]:
            found: set[str] = set()
            for base in connection.execute(select(knowledge_bases.c.id)).scalars():
                column = documents_table(base).c.parsed
                for some in batches(keys):
                    found.update(connection.execute(select(column).where(column.in_(some))).scalars())
            return found

        return self._look(work)

    def all_keys(self, base: int) -> dict[str, int]:
        """Return the number of each document by its key.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection, table: Table) -> dict[str, int]:
            return dict(connection.execute(select(table.c.key, table.c.id)).all())

        return self._look_into(base, work)

    def chunk_counts(self, base: int, ids: Sequence[int]) -> dict[int, int]:
        """Return how many chunks of documents are searched; a document that has none is left out."""
        builds = knowledge_builds.c

        def work(connection: Connection) -> dict[int, int]:
            found: dict[int, int] = {}
            for some in batches(ids):
                query = (
                    select(builds.document, builds.chunks)
                    .join(knowledge_bases, knowledge_bases.c.id == builds.base)
                    .where(builds.base == base, builds.generation == knowledge_bases.c.generation)
                    .where(builds.document.in_(some), in_state(LIVE))
                )
                found |= dict(connection.execute(query).all())
            return found

        return self._look(work)

    def stale(self, base: int, generation: int, limit: int = 100, *, after: int = 0) -> list[DocumentRow]:
        """Return the next documents, by number, whose present version is not wholly in a generation.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection, table: Table) -> list[DocumentRow]:
            ids = connection.execute(stale_documents(base, generation, after, limit)).scalars().all()
            return documents_by(connection, table, table.c.id, ids)

        return self._look_into(base, work)

    def behind(self, base: int, keywords_version: int, limit: int = 100, *, after: int = 0) -> list[DocumentRow]:
        """Return the next documents, by number, whose keywords are of an earlier version.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection, table: Table) -> list[DocumentRow]:
            query = select(table).where(table.c.keywords_version < keywords_version, table.c.version > 0)
            query = query.where(table.c.id > after).order_by(table.c.id).limit(limit)
            return [document_of(row) for row in connection.execute(query)]

        return self._look_into(base, work)

    def record_failure(
        self, base: int, failure: Failure, *, job: str | None = None, by: str | None = None
    ) -> DocumentRow:
        """Write down that a file could not be taken in; an earlier version of it is searched as before.

        What is written down already, of the same file, is not written again.

        Raises:
            NotFoundError: The base is gone.
            BadRequestError: The key is too long.
        """
        key, error = storable_key(failure.key), storable(failure.error)[:_LONGEST_ERROR]

        def work(connection: Connection) -> DocumentRow:
            locked_base(connection, base)
            table = documents_table(base)
            now = now_ms()
            known = documents_by(connection, table, table.c.key, [key])
            if known and (known[0].error, known[0].failed_sha256) == (error, failure.sha256):
                return known[0]
            values: dict[str, Any] = {"error": error, "failed_sha256": failure.sha256, "updated_at": now}
            if not known or known[0].version == 0:
                values |= {
                    "title": storable(failure.title) or key,
                    "sha256": failure.sha256,
                    "bytes": failure.bytes,
                    "format": None if failure.format is None else storable(failure.format)[:LONGEST_FORMAT],
                    "receipt": failure.receipt,
                }
            query: Any = update(table).where(table.c.key == key).values(values)
            if not known:
                values |= _nothing_yet(next_documents(connection, base, 1), key, now)
                query = insert(table).values(values)
            row = document_of(connection.execute(query.returning(table)).one())
            line = ChangeRow(0, base, now, "failed", row.uid, key, job, by, {"error": error})
            write_log(connection, [line])
            return row

        return self._write(work)

    def keep_receipts(self, base: int, receipts: Sequence[tuple[int, int, Mapping[str, Any]]]) -> None:
        """Give documents other receipts; nothing else of them changes, and their versions stay.

        Args:
            base: The base's number.
            receipts: The number of each document, the version that it has still, and its receipt; one that has changed
                meanwhile keeps its own.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection) -> None:
            locked_base(connection, base)
            table = documents_table(base)
            for id_, version, receipt in receipts:
                here = (table.c.id == id_) & (table.c.version == version)
                connection.execute(update(table).where(here).values(receipt=dict(receipt)))

        if receipts:
            self._write(work)

    def remove(self, base: int, ids: Sequence[int], *, job: str | None = None, by: str | None = None) -> int:
        """Delete documents; none of them is seen from now on. How many there were.

        Raises:
            NotFoundError: The base is gone.
        """

        def work(connection: Connection) -> int:
            locked_base(connection, base)
            table, now, removed = documents_table(base), now_ms(), 0
            for some in batches(ids):
                rows = connection.execute(
                    delete(table).where(table.c.id.in_(some)).returning(table.c.id, table.c.uid, table.c.key)
                ).all()
                gone = [row.id for row in rows]
                builds = knowledge_builds.c
                theirs = (builds.base == base) & builds.document.in_(gone) & (builds.state != DEAD)
                connection.execute(update(knowledge_builds).where(theirs).values(state=DEAD))
                write_log(connection, [ChangeRow(0, base, now, "removed", row.uid, row.key, job, by) for row in rows])
                removed += len(rows)
            if removed:
                query = update(knowledge_bases).where(knowledge_bases.c.id == base)
                connection.execute(query.values(updated_at=now))
            return removed

        return self._write(work)


def storable_key(key: str) -> str:
    """Return a key as it is stored: the bytes of a file's name that are not UTF-8 as ``%FF``.

    Raises:
        BadRequestError: It is empty or too long.
    """
    stored = storable(_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", key))
    if not stored or len(stored.encode()) > LONGEST_KEY:
        raise BadRequestError(
            f"A document's key has 1 to {LONGEST_KEY} bytes, not {len(stored.encode())}: {stored[:80]!r}", param="key"
        )
    return stored


def _stored(key: str) -> str | None:
    try:
        return storable_key(key)
    except BadRequestError:
        return None  # No document has it.


def new_uid() -> str:
    """Make up a public id."""
    return f"doc-{secrets.token_hex(12)}"


def next_documents(connection: Connection, base: int, count: int) -> Sequence[int]:
    """Return numbers for new documents of a base, ascending, that none of them ever had."""
    query = update(knowledge_bases).where(knowledge_bases.c.id == base)
    query = query.values(last_document=knowledge_bases.c.last_document + count)
    last = int(connection.execute(query.returning(knowledge_bases.c.last_document)).scalar_one())
    return range(last - count + 1, last + 1)


def stale_documents(base: int, generation: int, after: int, limit: int) -> Select[tuple[int]]:
    """Select the numbers of documents whose present version is not wholly in a generation."""
    table, builds = documents_table(base), knowledge_builds.c
    there = exists().where(
        builds.base == base,
        builds.generation == generation,
        builds.document == table.c.id,
        in_state(LIVE),
        builds.version == table.c.version,
    )
    query = select(table.c.id).where(table.c.id > after, table.c.version > 0, ~there)
    return query.order_by(table.c.id).limit(limit)


def documents_by(
    connection: Connection, table: Table, column: ColumnElement[Any], values: Sequence[Any]
) -> list[DocumentRow]:
    """Return the documents that have one of some values in a column, by number."""
    found: list[DocumentRow] = []
    for some in batches(values):
        found += [document_of(row) for row in connection.execute(select(table).where(column.in_(some)))]
    return sorted(found, key=attrgetter("id"))


def document_of(row: Row[Any]) -> DocumentRow:
    """Return a document from its row."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own public name for it
    for name in ("tags", "keywords"):
        values[name] = tuple(values[name])
    return DocumentRow(**values)


def _nothing_yet(ids: Sequence[int], key: str, now: int) -> dict[str, Any]:
    return {
        "id": ids[0],
        "uid": new_uid(),
        "key": key,
        "version": 0,
        "status": "failed",
        "keywords_version": 0,
        "added_at": now,
        "tags": (),
        "metadata": {},
        "keywords": (),
    }


def _conditions(table: Table, status: str | None, prefix: str | None, text: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if status is not None:
        conditions.append(table.c.status == status)
    if prefix:
        start = storable_key(prefix)
        conditions += [table.c.key >= start, func.substr(table.c.key, 1, len(start)) == start]
    if text:
        sought = storable(text)
        conditions.append(
            or_(table.c.title.icontains(sought, autoescape=True), table.c.key.icontains(sought, autoescape=True))
        )
    return conditions
