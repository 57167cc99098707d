"""Builds: versions of documents, staged, then published."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from polyport.errors import BadRequestError, ConflictError, NotFoundError, ServiceUnavailableError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import (
    documents_table,
    knowledge_bases,
    knowledge_builds,
    knowledge_chunks,
    knowledge_generations,
    now_ms,
)
from polyport_gateway.storage.schema.base import storable
from polyport_gateway.storage.schema.knowledge import DEAD, LIVE, STAGED, in_state
from polyport_gateway.storage.workers import new_worker

from .documents import LONGEST_FORMAT, LONGEST_LANGUAGE, documents_by, new_uid, next_documents, storable_key
from .records import Records, allocate, batches, locked_base, write_log
from .rows import BaseRow, ChangeRow, DocumentRow, NewChunk, NewDocument, Staged

__all__ = ["Builds", "Stageable", "Within", "bury"]

Stageable: TypeAlias = NewDocument | DocumentRow
"""What can be built: a document that is new (or takes the place of its key's), or one that is known, with its version
as it is (to build it once more) or one more (a change)."""

Within: TypeAlias = Callable[[Connection, Sequence[Staged]], None]
"""What else is to be written in the same transaction."""

_OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A document as it will be, what it takes the place of, and its chunks."""

    document: DocumentRow
    before: int | None
    chunks: Sequence[NewChunk]


class Builds(Records):
    """The builds of documents.

    Args:
        database: An open one.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.worker = new_worker()
        self._held: WeakValueDictionary[int, Staged] = WeakValueDictionary()

    def stage(
        self,
        base: int,
        generation: int,
        items: Sequence[tuple[Stageable, Sequence[NewChunk]]],
        *,
        within: Within | None = None,
    ) -> list[Staged]:
        """Write versions of documents, which nobody sees before they are published; all of them, or none.

        What was staged of the same documents and generation before becomes garbage: of two that build the same, the
        later one publishes. So a build that was broken off is simply begun anew.

        Args:
            base: The base's number.
            generation: What they are built for.
            items: Documents and their chunks.
            within: What else is to be written with it, such as links.

        Returns:
            One for each document, in order. Until they are published, abandoned, or nobody holds them any more, garbage
            leaves them alone.

        Raises:
            NotFoundError: The base is gone.
            ConflictError: A document has changed since it was read, or is gone; or the generation is dropped; or is
                not the one that is searched, and a document would change (code ``overtaken``).
            BadRequestError: A document is there twice, or a key is too long.
        """

        def work(connection: Connection) -> list[Staged]:
            row = locked_base(connection, base)
            _check_generation(connection, row, generation)
            plans = _plans(connection, row, items)
            if generation != row.generation and any(plan.before != plan.document.version for plan in plans):
                raise _overtaken(row, generation)
            documents = [plan.document.id for plan in plans]
            _kill(connection, base, generation, documents, STAGED)
            staged = _write_builds(connection, base, generation, plans, self.worker)
            _write_chunks(connection, staged, plans)
            if within is not None:
                within(connection, staged)
            # Before the commit: once others see the rows, they must know that somebody needs them.
            self._held.update({one.build: one for one in staged})
            return staged

        return self._write(work) if items else []

    def publish(
        self,
        base: int,
        generation: int,
        staged: Sequence[Staged],
        *,
        job: str | None = None,
        by: str | None = None,
        action: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> list[Staged]:
        """Let staged versions be seen, in place of the former ones, which become garbage; all at one moment.

        Args:
            base: The base's number.
            generation: What they were built for.
            staged: What `stage` gave.
            job: For the update log.
            by: Likewise, the id of the key that asked for it.
            action: Likewise; ``added`` and ``updated`` when left out, and nothing for what was built once more.
            details: Likewise.

        Returns:
            Those that came too late, and are garbage: the document was removed, changed or staged anew meanwhile.

        Raises:
            NotFoundError: The base is gone.
            ConflictError: The generation is dropped, or no longer searched although a document would change (code
                ``overtaken``): stage for the one that is.
        """

        def work(connection: Connection) -> list[Staged]:
            row = locked_base(connection, base)
            _check_generation(connection, row, generation)
            if generation != row.generation and any(one.change for one in staged):
                raise _overtaken(row, generation)
            lost = _too_late(connection, row, generation, staged)
            late = set(lost)
            live = [one for one in staged if one not in late]
            changed = [one for one in live if one.change]
            _kill(connection, base, generation, [one.document.id for one in live if not one.change], LIVE)
            _kill(connection, base, None, [one.document.id for one in changed], LIVE)
            for some in batches([one.build for one in live]):
                query = update(knowledge_builds).where(knowledge_builds.c.id.in_(some))
                connection.execute(query.values(state=LIVE))
            bury(connection, [one.build for one in lost])
            now = now_ms()
            _write_documents(connection, base, changed, now)
            logged = live if action else changed
            write_log(connection, [_line(one, now, job, by, action, details) for one in logged])
            if changed:
                query = update(knowledge_bases).where(knowledge_bases.c.id == base)
                connection.execute(query.values(updated_at=now))
            return lost

        try:
            lost = self._write(work) if staged else []
        except (ConflictError, NotFoundError):
            self._let_go(staged)
            raise
        except IntegrityError as error:
            self._let_go(staged)
            raise ConflictError("Another document has the same public id or key.", code=_OVERTAKEN) from error
        self._let_go(staged)
        return lost

    def abandon(self, staged: Sequence[Staged]) -> None:
        """Make garbage of what will not be published; what is published already stays.

        Raises nothing while the database is away: it is the last step of something that failed, and what is not written
        down here, `garbage` finds by itself.
        """
        self._let_go(staged)
        with contextlib.suppress(ServiceUnavailableError):
            self._write(lambda connection: bury(connection, [one.build for one in staged]))

    def _let_go(self, staged: Sequence[Staged]) -> None:
        for one in staged:
            self._held.pop(one.build, None)


def _check_generation(connection: Connection, base: BaseRow, generation: int) -> None:
    row = connection.execute(
        select(knowledge_generations.c.dropped).where(
            knowledge_generations.c.base == base.id, knowledge_generations.c.generation == generation
        )
    ).first()
    if row is None or row.dropped:
        raise ConflictError(f"{base.name!r} has no generation {generation}: it is dropped.", code=_OVERTAKEN)


def _overtaken(base: BaseRow, generation: int) -> ConflictError:
    return ConflictError(
        f"{base.name!r} is searched in generation {base.generation}; documents can't change in {generation}.",
        code=_OVERTAKEN,
    )


def _plans(connection: Connection, base: BaseRow, items: Sequence[tuple[Stageable, Sequence[NewChunk]]]) -> list[_Plan]:
    """Say what each document will be."""
    table, now = documents_table(base.id), now_ms()
    keys = {id(item): storable_key(item.key) for item, _ in items if isinstance(item, NewDocument)}
    by_key = {row.key: row for row in documents_by(connection, table, table.c.key, list(keys.values()))}
    ids = [item.id for item, _ in items if isinstance(item, DocumentRow)]
    by_id = {row.id: row for row in documents_by(connection, table, table.c.id, ids)}
    fresh = iter(next_documents(connection, base.id, sum(key not in by_key for key in keys.values())))
    plans: list[_Plan] = []
    for item, chunks in items:
        if isinstance(item, DocumentRow):
            plans.append(_Plan(*_rebuilt(item, by_id.get(item.id), now), chunks))
        else:
            key = keys[id(item)]
            plans.append(_Plan(*_replaced(item, key, by_key.get(key), fresh, now), chunks))
    if len({plan.document.id for plan in plans}) < len(plans) or len({plan.document.key for plan in plans}) < len(
        plans
    ):
        raise BadRequestError("A document is there twice.")
    return plans


def _rebuilt(item: DocumentRow, known: DocumentRow | None, now: int) -> tuple[DocumentRow, int]:
    if known is None or item.version not in (known.version, known.version + 1) or item.version == 0:
        raise ConflictError(f"The document {item.key!r} has changed, or is gone.", code=_OVERTAKEN)
    if item.version == known.version:
        return known, known.version
    changed = replace(item, uid=known.uid, key=known.key, added_at=known.added_at, updated_at=now)
    return _clean(changed), known.version


def _replaced(
    item: NewDocument, key: str, known: DocumentRow | None, fresh: Any, now: int
) -> tuple[DocumentRow, int | None]:
    row = DocumentRow(
        id=next(fresh) if known is None else known.id,
        uid=(item.uid or new_uid()) if known is None else known.uid,
        key=key,
        title=item.title,
        sha256=item.sha256,
        parsed=item.parsed,
        version=1 if known is None else known.version + 1,
        status="ready",
        error=None,
        failed_sha256=None,
        format=item.format,
        language=item.language,
        pages=item.pages,
        bytes=item.bytes,
        metadata=item.metadata,
        tags=item.tags,
        keywords=item.keywords,
        keywords_version=item.keywords_version,
        receipt=item.receipt,
        added_at=now if known is None or known.version == 0 else known.added_at,
        updated_at=now,
    )
    return _clean(row), None if known is None else known.version


def _clean(row: DocumentRow) -> DocumentRow:
    """Return a document that is ready, with texts that every database takes."""
    return replace(
        row,
        title=storable(row.title),
        tags=tuple(dict.fromkeys(map(storable, row.tags))),
        keywords=tuple(map(storable, row.keywords)),
        format=None if row.format is None else storable(row.format)[:LONGEST_FORMAT],
        language=None if row.language is None else storable(row.language)[:LONGEST_LANGUAGE],
        status="ready",
        error=None,
        failed_sha256=None,
    )


def _write_builds(
    connection: Connection, base: int, generation: int, plans: Sequence[_Plan], worker: str
) -> list[Staged]:
    numbers = allocate(connection, knowledge_builds, len(plans))
    chunks = iter(allocate(connection, knowledge_chunks, sum(len(plan.chunks) for plan in plans)))
    staged = [
        Staged(number, base, generation, plan.document, tuple(next(chunks) for _ in plan.chunks), plan.before)
        for number, plan in zip(numbers, plans, strict=True)
    ]
    now = now_ms()
    rows = [
        {
            "id": one.build,
            "base": base,
            "generation": generation,
            "document": one.document.id,
            "version": one.document.version,
            "state": STAGED,
            "chunks": sum(chunk.searchable for chunk in plan.chunks),
            "worker": worker,
            "at": now,
        }
        for one, plan in zip(staged, plans, strict=True)
    ]
    connection.execute(insert(knowledge_builds), rows)
    return staged


def _write_chunks(connection: Connection, staged: Sequence[Staged], plans: Sequence[_Plan]) -> None:
    rows = [
        {
            "id": number,
            "build": one.build,
            "ordinal": ordinal,
            "parent": chunk.parent,
            "searchable": chunk.searchable,
            "title": storable(chunk.title),
            "text": storable(chunk.text),
            "span_start": None if chunk.span is None else chunk.span[0],
            "span_end": None if chunk.span is None else chunk.span[1],
            "heading_path": chunk.heading_path or None,
            "pages": chunk.pages or None,
            "tokens": chunk.tokens,
            "content_hash": chunk.hash,
            "metadata": dict(chunk.metadata) or None,
        }
        for one, plan in zip(staged, plans, strict=True)
        for ordinal, (number, chunk) in enumerate(zip(one.chunks, plan.chunks, strict=True))
    ]
    if rows:
        connection.execute(insert(knowledge_chunks), rows)


def _too_late(connection: Connection, base: BaseRow, generation: int, staged: Sequence[Staged]) -> list[Staged]:
    """Return those that may not be seen any more."""
    waiting: set[int] = set()
    for some in batches([one.build for one in staged]):
        builds = knowledge_builds.c
        query = select(builds.id).where(builds.id.in_(some), in_state(STAGED), builds.base == base.id)
        query = query.where(builds.generation == generation).with_for_update()  # or another buries them meanwhile
        waiting |= set(connection.execute(query).scalars())
    table = documents_table(base.id)
    known = {row.id: row for row in documents_by(connection, table, table.c.id, [one.document.id for one in staged])}

    def version(one: Staged) -> int | None:
        row = known.get(one.document.id)
        return None if row is None else row.version

    return [one for one in staged if one.build not in waiting or version(one) != one.before]


def _kill(connection: Connection, base: int, generation: int | None, documents: Sequence[int], state: int) -> None:
    """Make garbage of builds in some state, of one generation or of all."""
    builds = knowledge_builds.c
    for some in batches(documents):
        theirs = (builds.base == base) & builds.document.in_(some)
        if generation is not None:
            theirs &= builds.generation == generation
        connection.execute(update(knowledge_builds).where(theirs, in_state(state)).values(state=DEAD))


def bury(connection: Connection, builds: Sequence[int]) -> None:
    """Make garbage of builds that are staged."""
    for some in batches(builds):
        staged = knowledge_builds.c.id.in_(some) & in_state(STAGED)
        connection.execute(update(knowledge_builds).where(staged).values(state=DEAD))


def _write_documents(connection: Connection, base: int, changed: Sequence[Staged], now: int) -> None:
    table = documents_table(base)
    added = [_values(one.document, now) for one in changed if one.before is None]
    if added:
        connection.execute(insert(table), added)
    replaced = [{**_values(one.document, now), "number": one.document.id} for one in changed if one.before is not None]
    if replaced:
        connection.execute(update(table).where(table.c.id == bindparam("number")), replaced)


def _values(document: DocumentRow, now: int) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(document, name) for name in DocumentRow.__slots__}
    return {**values, "updated_at": now}


def _line(
    one: Staged, now: int, job: str | None, by: str | None, action: str | None, details: Mapping[str, Any] | None
) -> ChangeRow:
    action = action or ("updated" if one.before else "added")
    told = {"version": one.document.version, "chunks": len(one.chunks), **(details or {})}
    return ChangeRow(0, one.base, now, action, one.document.uid, one.document.key, job, by, told)
