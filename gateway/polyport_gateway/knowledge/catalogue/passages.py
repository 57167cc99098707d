"""Chunks as a search wants them: those that are live, with what is shown of their documents.

These queries are written out: they run for every question, and building them anew would take longer than they do.
Only numbers are put into them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from polyport_gateway.storage.schema import documents_table
from polyport_gateway.storage.schema.knowledge import LIVE

from .records import Records, batches
from .rows import ChunkRow, DocumentBrief

__all__ = ["Passages"]

_PAGE = 500
_DECODE = json.JSONDecoder().raw_decode
_TABLES_AT_A_TIME = 200  # SQLite joins 500 selects at most

_COLUMNS = (
    "c.id, b.base, k.name, b.generation, b.version, b.id, c.ordinal, c.parent, c.searchable, c.title, c.text,"
    " c.span_start, c.span_end, c.heading_path, c.pages, c.tokens, c.content_hash, c.metadata, b.document"
)
_FROM = " FROM knowledge_chunks c JOIN knowledge_builds b ON b.id = c.build JOIN knowledge_bases k ON k.id = b.base"
# A sum, so that no database thinks of finding all that are live and picking from them.
_SEEN = f" b.state + 0 = {LIVE} AND b.generation = k.generation"


class _Raw(NamedTuple):
    """A row of `_COLUMNS`."""

    id: int
    base: int
    knowledge: str
    generation: int
    version: int
    build: int
    ordinal: int
    parent: int | None
    searchable: bool | int
    title: str
    text: str
    start: int | None
    end: int | None
    heading_path: str | None
    pages: str | None
    tokens: int
    content_hash: str
    metadata: str | None
    document: int


class Passages(Records):
    """Chunks that are live."""

    def live(self, chunks: Sequence[int]) -> dict[int, ChunkRow]:
        """Return those of some chunks that are live, by number, as they are at one moment.

        A chunk of a former version, of one that is being built, of a removed document or a deleted base is left out.
        """

        def work(connection: Connection) -> dict[int, ChunkRow]:
            found: list[_Raw] = []
            for some in batches(chunks):
                found += _seen(connection, f"c.id IN ({_numbers(some)})")
            return {row.id: row for row in _whole(connection, found)}

        return self._look(work) if chunks else {}

    def parents(self, chunks: Sequence[ChunkRow]) -> dict[int, ChunkRow]:
        """Return the larger chunk that each is a part of, by the part's number; one that has none is left out."""
        wanted = {(chunk.build, chunk.parent) for chunk in chunks if chunk.parent is not None}

        def work(connection: Connection) -> dict[tuple[int, int], ChunkRow]:
            found: list[_Raw] = []
            for some in batches(sorted(wanted)):
                places = " OR ".join(f"(c.build = {build:d} AND c.ordinal = {ordinal:d})" for build, ordinal in some)
                found += _seen(connection, f"({places})")
            return {(row.build, row.ordinal): row for row in _whole(connection, found)}

        rows = self._look(work) if wanted else {}
        return {
            chunk.id: rows[chunk.build, chunk.parent]
            for chunk in chunks
            if chunk.parent is not None and (chunk.build, chunk.parent) in rows
        }

    def neighbours(self, chunks: Sequence[ChunkRow], before: int, after: int) -> dict[int, list[ChunkRow]]:
        """Return the searchable chunks around each in its document, itself included, in order.

        Args:
            chunks: What `live` gave.
            before: How many before it, at most.
            after: How many after it.
        """

        def work(connection: Connection) -> dict[int, list[ChunkRow]]:
            windows: dict[int, list[int]] = {chunk.id: [] for chunk in chunks}
            found: dict[int, _Raw] = {}
            for chunk in chunks:
                for row in connection.exec_driver_sql(_window(chunk, before, after)):
                    raw = _Raw._make(row)
                    found[raw.id] = raw
                    windows[chunk.id].append(raw.id)
            rows = {row.id: row for row in _whole(connection, list(found.values()))}
            return {
                id_: sorted((rows[one] for one in window if one in rows), key=lambda row: row.ordinal)
                for id_, window in windows.items()
            }

        return self._look(work) if chunks else {}

    def scroll(self, base: int, generation: int, *, size: int = _PAGE) -> Iterator[list[ChunkRow]]:
        """Give all live chunks of a generation, document by document, whether or not it is the one that is searched.

        Each page is read for itself: what is published meanwhile may be among them or not.

        Args:
            base: The base's number.
            generation: Its generation.
            size: Chunks in a page.
        """
        place = (0, -1)
        while True:
            page = self._look(lambda connection, place=place: _page(connection, base, generation, place, size))  # type: ignore[misc]
            if page.rows:
                yield page.rows
            if page.next is None:
                return
            place = page.next

    def chunk_texts(self, base: int, generation: int, *, sample: int | None = None) -> Iterator[tuple[int, str]]:
        """Give the numbers and texts of searchable chunks, by number.

        Args:
            base: The base's number.
            generation: Its generation.
            sample: How many, spread evenly over all; every one when left out.
        """
        for some in batches(self.chunk_ids(base, generation, sample=sample)):
            query = f"SELECT id, text FROM knowledge_chunks WHERE id IN ({_numbers(some)}) ORDER BY id"  # noqa: S608
            yield from self._read(lambda connection, query=query: _pairs(connection, query))  # type: ignore[misc]

    def chunk_ids(self, base: int, generation: int, *, sample: int | None = None) -> list[int]:
        """Return the numbers of searchable chunks, in order: of all, or of so many, spread evenly over all."""
        query = text(
            "SELECT c.id FROM knowledge_chunks c JOIN knowledge_builds b ON b.id = c.build"  # noqa: S608
            f" WHERE b.base = :base AND b.generation = :generation AND b.state = {LIVE} AND c.searchable"
        )
        values = {"base": base, "generation": generation}
        ids = sorted(self._read(lambda connection: connection.execute(query, values).scalars().all()))
        if sample is None or sample >= len(ids):
            return ids
        return [ids[place * len(ids) // sample] for place in range(sample)]

    def existing(self, chunks: Sequence[int]) -> set[int]:
        """Return those of some chunks that have rows at all, whether or not they are seen."""

        def work(connection: Connection) -> set[int]:
            found: set[int] = set()
            for some in batches(chunks):
                query = f"SELECT id FROM knowledge_chunks WHERE id IN ({_numbers(some)})"  # noqa: S608 - numbers
                found.update(connection.exec_driver_sql(query).scalars())
            return found

        return self._read(work) if chunks else set()

    def titles(self, base: int) -> Iterator[tuple[str, str, str]]:
        """Give the public id, key and title of each document that can be searched, by number."""
        table, after = documents_table(base), 0
        while True:
            query = text(
                f"SELECT id, uid, key, title FROM {table.name}"  # noqa: S608 - a number
                f" WHERE version > 0 AND id > {after:d} ORDER BY id LIMIT {_PAGE}"
            )
            rows = self._look_into(base, lambda connection, _, query=query: connection.execute(query).all())  # type: ignore[misc]
            yield from (tuple(row[1:]) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1].id


def _seen(connection: Connection, where: str) -> list[_Raw]:
    """Return the chunks that meet a condition on themselves and are live."""
    if connection.dialect.name == "postgresql":
        # Chunks first, whatever it thinks: of a table that it has not counted yet it may join all builds to them.
        found = f"WITH f AS MATERIALIZED (SELECT c.* FROM knowledge_chunks c WHERE {where}) "  # noqa: S608
        query = f"{found} SELECT {_COLUMNS}{_FROM.replace('knowledge_chunks c', 'f c')} WHERE{_SEEN}"
    else:
        query = f"SELECT {_COLUMNS}{_FROM} WHERE {where} AND{_SEEN}"
    return list(map(_Raw._make, connection.exec_driver_sql(query)))


class _Page(NamedTuple):
    rows: list[ChunkRow]
    next: tuple[int, int] | None


def _page(connection: Connection, base: int, generation: int, place: tuple[int, int], size: int) -> _Page:
    document, ordinal = place
    query = (
        f"SELECT {_COLUMNS}{_FROM} WHERE b.base = {base:d} AND b.generation = {generation:d} AND b.state = {LIVE}"
        f" AND b.document >= {document:d} AND (b.document > {document:d} OR c.ordinal > {ordinal:d})"
        f" ORDER BY b.document, c.ordinal LIMIT {size:d}"
    )
    raw = [_Raw._make(row) for row in connection.exec_driver_sql(query)]
    following = (raw[-1].document, raw[-1].ordinal) if len(raw) == size else None
    return _Page(_whole(connection, raw), following)


def _window(chunk: ChunkRow, before: int, after: int) -> str:
    here = f"{_FROM} WHERE c.build = {chunk.build:d} AND{_SEEN}"
    return (
        f"SELECT * FROM (SELECT {_COLUMNS}{here} AND c.searchable AND c.ordinal < {chunk.ordinal:d}"  # noqa: S608
        f" ORDER BY c.ordinal DESC LIMIT {before:d}) x UNION ALL SELECT * FROM (SELECT {_COLUMNS}{here}"
        f" AND (c.ordinal = {chunk.ordinal:d} OR c.searchable AND c.ordinal > {chunk.ordinal:d})"
        f" ORDER BY c.ordinal LIMIT {after + 1:d}) y"
    )


def _numbers(values: Iterable[int]) -> str:
    return ",".join(str(int(value)) for value in values)


def _pairs(connection: Connection, query: str) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in connection.exec_driver_sql(query)]


def _whole(connection: Connection, rows: Sequence[_Raw]) -> list[ChunkRow]:
    """Return chunks with what is shown of their documents."""
    documents: dict[int, set[int]] = {}
    for row in rows:
        documents.setdefault(row.base, set()).add(row.document)
    briefs = _briefs(connection, documents)
    return [_chunk(row, briefs[row.base, row.document]) for row in rows if (row.base, row.document) in briefs]


def _briefs(connection: Connection, documents: Mapping[int, set[int]]) -> dict[tuple[int, int], DocumentBrief]:
    found: dict[tuple[int, int], DocumentBrief] = {}
    bases = iter(documents.items())
    while some := list(islice(bases, _TABLES_AT_A_TIME)):
        query = " UNION ALL ".join(
            f"SELECT {base:d}, id, uid, key, title, metadata, tags"  # noqa: S608 - numbers
            f" FROM {documents_table(base).name} WHERE id IN ({_numbers(ids)})"
            for base, ids in some
        )
        for base, id_, uid, key, title, metadata, tags in connection.exec_driver_sql(query):
            found[base, id_] = DocumentBrief(id_, uid, key, title, _loaded(metadata, {}), tuple(_loaded(tags, ())))
    return found


def _loaded(text_: str | None, nothing: Any) -> Any:
    # Most are empty, and what `dump_json` wrote has no white space for `json.loads` to look for, which takes it longer
    # than the rest.
    return nothing if text_ is None or text_ in ("{}", "[]") else _DECODE(text_)[0]


def _chunk(row: _Raw, document: DocumentBrief) -> ChunkRow:
    return ChunkRow(
        row.id,
        row.base,
        row.knowledge,
        row.generation,
        row.version,
        row.build,
        row.ordinal,
        row.parent,
        bool(row.searchable),
        row.title,
        row.text,
        None if row.start is None or row.end is None else (row.start, row.end),
        tuple(_loaded(row.heading_path, ())),
        tuple(_loaded(row.pages, ())),
        row.tokens,
        row.content_hash,
        _loaded(row.metadata, {}),
        document,
    )
