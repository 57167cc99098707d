"""Garbage: chunks that nothing needs any more, and that an index may still hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, select

from polyport_gateway.knowledge.links.store import LinkStore, Part
from polyport_gateway.storage.schema import (
    knowledge_builds,
    knowledge_chunks,
    knowledge_generations,
    knowledge_links,
    now_ms,
)
from polyport_gateway.storage.schema.knowledge import DEAD, LIVE, STAGED, in_state
from polyport_gateway.storage.workers import is_dead

from .builds import Builds, bury
from .records import MOST_VALUES, batches
from .rows import Garbage

__all__ = ["Waste"]

_GRACE_MS = 3_600_000

_Found: TypeAlias = Row[tuple[int, int, int, str]]
"""Number of a chunk, its base, generation and shelf."""


class Waste(Builds):
    """The clearing away."""

    def garbage(self, limit: int = 1000, *, grace_ms: int = _GRACE_MS) -> list[Garbage]:
        """Return some chunks that nothing needs: delete them from their index, then `forget` them; again until none.

        What this process has staged and still holds is left alone, and so is what another one staged not long ago,
        unless that one has ended: it may be about to put it into the index, or to publish it. Should it come later
        still, it is told so.

        Args:
            limit: The most chunks.
            grace_ms: How long ago another process must have staged what it never published, in milliseconds.
        """
        latest = now_ms() - grace_ms
        if expired := self._expired(latest):
            self._write(lambda connection: bury(connection, expired))
        found = self._look(lambda connection: self._dead(connection, limit, latest))
        if len(found) < limit:
            found += self._look(lambda connection: _dropped(connection, limit - len(found)))
        if not found:
            self._tidy()
            return []
        chunks: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        for row in found:
            chunks[row.shelf, row.base, row.generation].append(row.id)
        return [Garbage(*where, tuple(ids)) for where, ids in chunks.items()]

    def forget(self, chunks: Sequence[int]) -> None:
        """Delete rows of chunks, and their links; no index may hold them any more. One that is needed stays."""
        for some in batches(chunks):
            self._write(lambda connection, some=some: _forget(connection, some))  # type: ignore[misc]

    def _expired(self, latest: int) -> list[int]:
        builds = knowledge_builds.c

        def work(connection: Connection) -> list[int]:
            query = select(builds.id, builds.worker, builds.at).where(in_state(STAGED))
            rows = connection.execute(query).all()
            # Looked up after the rows were read: whatever is among them has been held since before.
            return [id_ for id_, worker, at in rows if self._is_left(id_, worker, at <= latest)]

        return self._read(work)

    def _dead(self, connection: Connection, limit: int, latest: int) -> list[_Found]:
        """Return chunks of dead builds, but for those that somebody may still be putting into an index."""
        found: list[_Found] = []
        builds, after = knowledge_builds.c, 0
        while len(found) < limit:
            query = select(builds.id, builds.worker, builds.at).where(in_state(DEAD), builds.id > after)
            rows = connection.execute(query.order_by(builds.id).limit(MOST_VALUES)).all()
            left = [id_ for id_, worker, at in rows if self._is_left(id_, worker, at <= latest)]
            if left:
                found += _chunks(connection, builds.id.in_(left), limit - len(found))
            if len(rows) < MOST_VALUES:
                break
            after = rows[-1].id
        return found

    def _is_left(self, build: int, worker: str, is_old: bool) -> bool:
        if worker == self.worker:
            return build not in self._held
        return is_old or is_dead(worker)

    def _tidy(self) -> None:
        """Delete builds and generations of which no chunk is left."""

        def wanted(connection: Connection) -> bool:
            empty = connection.execute(select(knowledge_builds.c.id).where(in_state(DEAD)).limit(1))
            dropped = select(knowledge_generations.c.base).where(knowledge_generations.c.dropped.is_(True)).limit(1)
            return empty.first() is not None or connection.execute(dropped).first() is not None

        if self._read(wanted):
            self._write(_tidy)


_IS_DROPPED = exists().where(
    knowledge_generations.c.base == knowledge_builds.c.base,
    knowledge_generations.c.generation == knowledge_builds.c.generation,
    knowledge_generations.c.dropped.is_(True),
)


def _dropped(connection: Connection, limit: int) -> list[_Found]:
    found: list[_Found] = []
    query = select(knowledge_generations.c.base, knowledge_generations.c.generation)
    for base, generation in connection.execute(query.where(knowledge_generations.c.dropped.is_(True))).all():
        if len(found) < limit:
            builds = knowledge_builds.c
            here = (builds.base == base) & (builds.generation == generation) & in_state(LIVE)
            found += _chunks(connection, here, limit - len(found))
    return found


def _chunks(connection: Connection, which: ColumnElement[bool], limit: int) -> list[_Found]:
    builds, generations = knowledge_builds.c, knowledge_generations.c
    query = (
        select(knowledge_chunks.c.id, builds.base, builds.generation, generations.shelf)
        .join(knowledge_builds, builds.id == knowledge_chunks.c.build)
        .join(knowledge_generations, (generations.base == builds.base) & (generations.generation == builds.generation))
        .where(which)
        .limit(limit)
    )
    return list(connection.execute(query))


def _forget(connection: Connection, chunks: Sequence[int]) -> None:
    builds = knowledge_builds.c
    query = (
        select(knowledge_chunks.c.id, builds.id)
        .join(knowledge_builds, builds.id == knowledge_chunks.c.build)
        .where(knowledge_chunks.c.id.in_(chunks), in_state(DEAD) | _IS_DROPPED)
    )
    rows = connection.execute(query).all()
    ids, parents = [row[0] for row in rows], list({row[1] for row in rows})
    connection.execute(delete(knowledge_links).where(knowledge_links.c.chunk.in_(ids)))
    connection.execute(delete(knowledge_chunks).where(knowledge_chunks.c.id.in_(ids)))
    left = exists().where(knowledge_chunks.c.build == builds.id)
    connection.execute(delete(knowledge_builds).where(builds.id.in_(parents), ~left))


def _tidy(connection: Connection) -> None:
    builds, generations = knowledge_builds.c, knowledge_generations.c
    left = exists().where(knowledge_chunks.c.build == builds.id)
    connection.execute(delete(knowledge_builds).where(in_state(DEAD), ~left))
    query = select(generations.base, generations.generation).where(generations.dropped.is_(True))
    for base, generation in connection.execute(query).all():
        here = (builds.base == base) & (builds.generation == generation)
        connection.execute(delete(knowledge_builds).where(here, ~left))
        if connection.execute(select(builds.id).where(here).limit(1)).first() is None:
            LinkStore.drop(connection, Part(base, generation))
            connection.execute(
                delete(knowledge_generations).where(generations.base == base, generations.generation == generation)
            )
