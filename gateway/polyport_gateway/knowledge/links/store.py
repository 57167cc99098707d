"""Links in a database: added and removed chunk by chunk, and followed by two short queries for each step.

A row says what one chunk is to one clue (`rows`); a clue is put together of its rows when it is asked for, by the same
rule as in memory (`clues.clue_of`), so that nothing has to be kept up to date but the rows. They are written in the
transaction that writes the chunk. Mentions of titles that do not look like names come later, when the titles are known
(`settling`).

Only rows of live chunks count, of any number of knowledge bases at once: a clue that two have leads from one
to the other.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, literal, or_, select

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import knowledge_builds, knowledge_chunks, knowledge_links
from polyport_gateway.storage.schema.knowledge import LIVE, in_state

from .clues import Clue, LinkLimits, Surroundings, clue_of, in_order
from .rows import Role, Row

__all__ = ["LinkStore", "Live", "Part", "StoredLinks", "chunk_batches", "is_live"]

links = knowledge_links.c
Live = Callable[[ColumnElement[int]], ColumnElement[bool]]
"""Makes of the column of a chunk's number the condition that it is live."""

_BATCH = 500
_MANY = 1000
"""Rows of one clue beyond which none is read: at least twice what any clue may have."""
_FRESH_S = 30.0
"""How long the size of a part is taken for what it was."""


class Part(NamedTuple):
    """One generation of a knowledge base."""

    base: int
    generation: int

    @property
    def keeper(self) -> int:
        """The number that stands for a chunk's in the rows that keep the books of a part."""
        return -(self.base * 65536 + self.generation + 1)


def is_live(chunk: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that a chunk is of a build that is published."""
    builds, chunks = knowledge_builds.c, knowledge_chunks.c
    return exists().where(chunks.id == chunk, builds.id == chunks.build, in_state(LIVE))


class LinkStore:
    """The links of all knowledge bases.

    Args:
        database: Of the records.
        live: Which chunks count.
        limits: What is too common.

    Example::

        store.add(connection, Part(1, 1), rows_of([(chunk, Passage("Ann Lee wrote it.", "The Book"))]))
        MultiHop(retriever, store.over([Part(1, 1)]))
    """

    def __init__(self, database: Database, *, live: Live = is_live, limits: LinkLimits | None = None) -> None:
        self.database = database
        self._live = live
        self._limits = limits or LinkLimits()
        self._sizes: dict[tuple[int, int], tuple[float, int]] = {}

    @staticmethod
    def add(connection: Connection, part: Part, rows: Iterable[Row]) -> None:
        """Write rows of chunks that have none yet, in the caller's transaction."""
        left = iter(rows)
        while batch := [
            {**row._asdict(), "base": part.base, "generation": part.generation} for row in islice(left, 10 * _BATCH)
        ]:
            connection.execute(insert(knowledge_links), batch)

    @staticmethod
    def remove(connection: Connection, chunks: Sequence[int]) -> None:
        """Remove the rows of chunks, in the caller's transaction; those that have none are no error."""
        for batch in chunk_batches(chunks):
            connection.execute(delete(knowledge_links).where(links.chunk.in_(batch)))

    @staticmethod
    def drop(connection: Connection, part: Part) -> None:
        """Forget what `settling` keeps of a part, whose chunks are removed by `remove`."""
        connection.execute(delete(knowledge_links).where(links.chunk == part.keeper))

    def over(self, parts: Sequence[tuple[int, int]], size: int | None = None) -> StoredLinks:
        """Return the links among the live chunks of some parts, to be followed.

        Args:
            parts: Among which clues lead: numbers of bases and of their generations; there may be many.
            size: How many live chunks they have together, by which `LinkLimits` says what is too common. None: what
                the catalogue says, a moment ago.
        """
        of = tuple(Part(*part) for part in parts)
        return StoredLinks(self.database, of, self._limits.most(self._size(of) if size is None else size), self._live)

    def _size(self, parts: Sequence[Part]) -> int:
        now = time.monotonic()
        stale = [part for part in parts if now - self._sizes.get(part, (-_FRESH_S, 0))[0] >= _FRESH_S]
        if stale:
            counted = self.database.read_sync(lambda connection: _counted(connection, stale))
            self._sizes.update({part: (now, counted.get(part, 0)) for part in stale})
        return sum(self._sizes[part][1] for part in parts)


def _counted(connection: Connection, parts: Iterable[Part]) -> dict[tuple[int, int], int]:
    builds = knowledge_builds.c
    asked = (
        select(builds.base, builds.generation, func.sum(builds.chunks))
        .where(_of_parts(builds.base, builds.generation, parts), in_state(LIVE))
        .group_by(builds.base, builds.generation)
    )
    return {(base, generation): int(count) for base, generation, count in connection.execute(asked)}


def _of_parts(base: ColumnElement[int], generation: ColumnElement[int], parts: Iterable[Part]) -> ColumnElement[bool]:
    bases: dict[int, list[int]] = defaultdict(list)
    for part in parts:
        bases[part.generation].append(part.base)
    return or_(*(and_(base.in_(sorted(some)), generation == number) for number, some in sorted(bases.items())))


def chunk_batches(chunks: Iterable[int]) -> Iterable[list[int]]:
    """Yield chunks by as many as a statement may name."""
    left = iter(chunks)
    while batch := list(islice(left, _BATCH)):
        yield batch


@dataclass
class _Holders:
    """The chunks of one clue, by what they are to it."""

    by_role: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    written: dict[bool, tuple[int, str]] = field(default_factory=dict)
    """How the first that bears it writes it, and the first that doesn't."""

    def put(self, chunk: int, role: int, written: str) -> None:
        """Take a row in."""
        self.by_role[role].append(chunk)
        bears = role in (Role.BORNE, Role.MARKED)
        if bears not in self.written or (chunk, written) < self.written[bears]:
            self.written[bears] = chunk, written

    def clue(self, most: int) -> Clue | None:
        """Return the clue that they have, where they have one."""
        of = self.by_role
        text = (self.written.get(True) or self.written[False])[1]
        return clue_of(
            text,
            most,
            borne=of[Role.BORNE] + of[Role.MARKED],
            named=of[Role.HELD],
            titled=of[Role.TITLED],
            small=of[Role.SMALL],
            mark=bool(of[Role.MARKED]),
        )


class StoredLinks:
    """The links among the live chunks of some knowledge bases, as `LinkStore.over` gives them: a `Links`."""

    def __init__(self, database: Database, parts: tuple[Part, ...], most: int, live: Live) -> None:
        self._database = database
        self._parts, self._most, self._live = parts, most, live

    def clues(self, chunk: int) -> list[Clue]:
        """Return the clues of a chunk: first those that others bear, the rarest of each kind first."""
        return self.around([chunk], _MANY)[0].clues

    def names_of(self, chunk: int) -> list[str]:
        """Return what a chunk is called by, the longest first."""
        return self.around([chunk], 0)[0].names

    def around(self, passages: Sequence[int], limit: int) -> list[Surroundings]:
        """Return the surroundings of each chunk, with so many clues at most."""
        if not passages or not self._parts:
            return [Surroundings([], []) for _ in passages]
        return self._database.read_sync(lambda connection: self._around(connection, passages, limit))

    def _around(self, connection: Connection, passages: Sequence[int], limit: int) -> list[Surroundings]:
        names: dict[int, set[str]] = defaultdict(set)
        keys: dict[int, set[str]] = defaultdict(set)
        other = knowledge_links.alias()
        crowded = (
            select(literal(1))
            .where(other.c.key == links.key, _of_parts(other.c.base, other.c.generation, self._parts))
            .limit(1)
            .offset(_MANY)
            .scalar_subquery()
        )
        asked = select(links.chunk, links.key, links.role, links.written, crowded).where(
            links.chunk.in_(sorted({int(passage) for passage in passages})), links.role != Role.SMALL
        )
        for chunk, key, role, written, many in connection.execute(asked).all():
            if role == Role.BORNE:
                names[chunk].add(written)
            if not many:
                keys[chunk].add(key)
        wanted = set().union(*keys.values()) if limit else set()
        clues = self._clues(connection, wanted) if wanted else {}
        return [
            Surroundings(
                sorted(names[passage], key=lambda name: (-len(name), name)),
                in_order([clues[key] for key in keys[passage] if _has(clues.get(key), passage)], passage)[:limit],
            )
            for passage in map(int, passages)
        ]

    def _clues(self, connection: Connection, keys: set[str]) -> dict[str, Clue]:
        holders: dict[str, _Holders] = defaultdict(_Holders)
        asked = select(links.key, links.chunk, links.role, links.written).where(
            links.key.in_(sorted(keys)),
            _of_parts(links.base, links.generation, self._parts),
            links.chunk > 0,
            self._live(links.chunk),
        )
        for key, chunk, role, written in connection.execute(asked).all():
            holders[key].put(chunk, role, written)
        found = {key: held.clue(self._most) for key, held in holders.items()}
        return {key: clue for key, clue in found.items() if clue is not None}


def _has(clue: Clue | None, passage: int) -> bool:
    return clue is not None and (passage in clue.borne or passage in clue.held)
