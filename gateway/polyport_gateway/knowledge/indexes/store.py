"""Chunks in one SQLite database, for engines that keep vectors alone: a batch is a transaction.

A process killed at any moment leaves all that was acknowledged, and no half of a batch.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyport.errors import ServiceUnavailableError
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector

from .base import Entry
from .folders import damaged

__all__ = ["ChunkStore"]

DATABASE = "chunks.sqlite"
_TABLES = """
create table if not exists chunks (
    id integer primary key, document text not null, metadata text not null, terms blob, weights blob
);
create table if not exists vectors (name text, id integer, vector blob, primary key (id, name)) without rowid;
create table if not exists version (number integer not null);
insert into version select 0 where not exists (select 1 from version);
"""

Vectors = Mapping[str, NDArray[np.float32]]
Change = tuple[str, Iterable[Sequence[Any]]]


class ChunkStore:
    """The database of an index's folder.

    Args:
        folder: That the index owns.

    Raises:
        ConfigurationError: It is damaged.
        ServiceUnavailableError: The disk has no room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._telling():
            self._database = sqlite3.connect(folder / DATABASE, check_same_thread=False, isolation_level=None)
            try:
                self._database.executescript(f"pragma journal_mode=wal; pragma synchronous=normal; {_TABLES}")
            except BaseException:
                self._database.close()
                raise

    def entries(self) -> list[Entry]:
        """Return all chunks by number, without vectors.

        Raises:
            ConfigurationError: The database is damaged.
        """
        found = []
        for chunk, document, metadata, terms, weights in self._rows(
            "select id, document, metadata, terms, weights from chunks order by id"
        ):
            sparse = None
            if terms is not None:
                sparse = SparseVector(np.frombuffer(terms, np.uint32), np.frombuffer(weights, np.float32))
            found.append(Entry(chunk, document, {}, sparse, json.loads(metadata)))
        return found

    def vectors(self, name: str) -> Iterator[tuple[int, bytes | None]]:
        """Yield the vectors of a name by the chunks' numbers; None for one that is to be removed elsewhere."""
        query = "select id, vector from vectors where name = ? and (vector is null or vector != x'') order by id"
        yield from self._rows(query, (name,))

    def elsewhere(self, name: str) -> list[int]:
        """Return the chunks whose vectors of a name were handed over."""
        return [row[0] for row in self._rows("select id from vectors where name = ? and vector = x''", (name,))]

    def version(self) -> int:
        """Return a number that every change makes larger."""
        return int(next(self._rows("select number from version"))[0])

    def put(self, entries: Sequence[Entry], vectors: Sequence[Mapping[str, NDArray[np.float32] | None]]) -> None:
        """Add or replace chunks and their vectors."""
        rows = [
            (
                entry.id,
                entry.document,
                json.dumps(dict(entry.metadata)),
                None if entry.sparse is None else entry.sparse.indices.astype(np.uint32).tobytes(),
                None if entry.sparse is None else entry.sparse.values.astype(np.float32).tobytes(),
            )
            for entry in entries
        ]
        latest = {entry.id: row for entry, row in zip(entries, vectors, strict=True)}
        named = [
            (name, chunk, None if vector is None else vector.tobytes())
            for chunk, row in latest.items()
            for name, vector in row.items()
        ]
        self._change(
            [
                ("delete from vectors where id = ?", [(chunk,) for chunk in latest]),
                ("insert or replace into chunks values (?, ?, ?, ?, ?)", rows),
                ("insert or replace into vectors values (?, ?, ?)", named),
            ]
        )

    def delete(self, ids: Sequence[int], names: Iterable[str] = ()) -> None:
        """Remove chunks and their vectors; of these names, note that they are to be removed elsewhere, too."""
        keys = [(chunk,) for chunk in ids]
        noted = [(name, chunk, None) for name in names for chunk in ids]
        self._change(
            [
                ("delete from chunks where id = ?", keys),
                ("delete from vectors where id = ?", keys),
                ("insert or replace into vectors values (?, ?, ?)", noted),
            ]
        )

    def hand_over(self, name: str, ids: Sequence[int]) -> None:
        """Remove vectors that are now kept elsewhere, but for the note that they are; or that they no longer are."""
        keys = [(name, chunk) for chunk in ids]
        self._change(
            [
                ("delete from vectors where name = ? and id = ? and vector is null", keys),
                ("update vectors set vector = x'' where name = ? and id = ?", keys),
            ]
        )

    def copy(self, folder: Path) -> None:
        """Write a copy to a folder."""
        with self._telling():
            self._database.execute("vacuum into ?", (str(folder / DATABASE),))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        with self._telling():
            yield from self._database.execute(query, values)

    def _change(self, changes: Sequence[Change]) -> None:
        database = self._database
        with self._telling():
            database.execute("begin immediate")
            try:
                for statement, rows in changes:
                    database.executemany(statement, rows)
                database.execute("update version set number = number + 1")
                database.execute("commit")
            except BaseException:
                if database.in_transaction:  # a full disk may have ended it already
                    database.execute("rollback")
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ServiceUnavailableError(f"The index in {self._folder} could not be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise damaged(self._folder, error) from error
