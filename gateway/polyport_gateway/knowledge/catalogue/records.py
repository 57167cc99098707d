"""What every part of the catalogue stands on: transactions, and the small pieces of SQL that several of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Row, Table, func, insert, select, text
from sqlalchemy.exc import ProgrammingError

from polyport.errors import NotFoundError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import documents_table, knowledge_bases, knowledge_log, now_ms
from polyport_gateway.storage.schema.base import storable

from .rows import BaseRow, ChangeRow

__all__ = ["MOST_VALUES", "Records", "allocate", "base_of", "batches", "gone", "locked_base", "write_log"]

T = TypeVar("T")

MOST_VALUES = 500
"""Values of one IN: a database takes more, but each number of them is a statement of its own to prepare."""

_TRIES = 3


class Records:
    """A database, reached from worker threads.

    Args:
        database: An open one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def _write(self, work: Callable[[Connection], T]) -> T:
        # In turn with all other writers of this process: SQLite's own waiting is neither fair nor cheap.
        return self._database.submit(work).result()

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._database.read_sync(work)

    def _look(self, work: Callable[[Connection], T]) -> T:
        """Read from one state of the records, whatever is written meanwhile, in several statements."""

        def consistent(connection: Connection) -> T:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return work(connection)

        for _ in range(_TRIES):
            try:
                return self._read(consistent)
            except ProgrammingError:
                # On PostgreSQL, a table of documents that is dropped is gone for those too who still see its base.
                continue
        return self._read(consistent)

    def _look_into(self, base: int, work: Callable[[Connection, Table], T]) -> T:
        """Read from a base's documents.

        Raises:
            NotFoundError: The base is gone.
        """

        def inside(connection: Connection) -> T:
            if connection.execute(select(knowledge_bases.c.id).where(knowledge_bases.c.id == base)).first() is None:
                raise gone(base)
            return work(connection, documents_table(base))

        return self._look(inside)


def locked_base(connection: Connection, base: int) -> BaseRow:
    """Return a base, which nobody else changes or switches until the transaction ends.

    Raises:
        NotFoundError: It is gone.
    """
    row = connection.execute(select(knowledge_bases).where(knowledge_bases.c.id == base).with_for_update()).first()
    if row is None:
        raise gone(base)
    return base_of(row)


def gone(base: int) -> NotFoundError:
    """Say that a base is gone."""
    return NotFoundError(f"There is no knowledge base with the number {base}; it may have been deleted.")


def base_of(row: Row[tuple[object, ...]]) -> BaseRow:
    """Return a base from its row."""
    return BaseRow(
        row.id,
        row.name,
        row.config,
        row.generation,
        row.shelf,
        row.state,
        row.declared,
        row.created_at,
        row.updated_at,
    )


def allocate(connection: Connection, table: Table, count: int) -> Sequence[int]:
    """Return numbers for new rows, ascending, that no row of the table ever had.

    On SQLite they must be used within the transaction, which nobody else's can overlap.
    """
    if not count:
        return ()
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        last = connection.execute(query, {"name": table.name}).scalar() or 0
        return range(last + 1, last + 1 + count)
    series = func.generate_series(1, count).table_valued("place")
    number = func.nextval(func.pg_get_serial_sequence(table.name, "id"))
    return sorted(connection.execute(select(number).select_from(series)).scalars())


def batches(values: Sequence[T], size: int = MOST_VALUES) -> Iterator[Sequence[T]]:
    """Cut values into pieces that one statement takes."""
    return (values[start : start + size] for start in range(0, len(values), size))


def write_log(connection: Connection, changes: Sequence[ChangeRow]) -> None:
    """Add lines to the update log; their numbers are the database's."""
    if not changes:
        return
    lines = [
        {
            "base": change.base,
            "at": change.at or now_ms(),
            "action": change.action,
            "document": change.document,
            "source": None if change.source is None else storable(change.source),
            "job": change.job,
            "by": change.by,
            "details": dict(change.details) or None,
        }
        for change in changes
    ]
    connection.execute(insert(knowledge_log), lines)
