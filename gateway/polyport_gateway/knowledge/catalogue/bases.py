"""Bases and their generations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from polyport.errors import BadRequestError, ConflictError, NotFoundError
from polyport_gateway.storage.schema import (
    documents_table,
    knowledge_bases,
    knowledge_builds,
    knowledge_generations,
    now_ms,
)
from polyport_gateway.storage.schema.knowledge import DEAD, LIVE, STAGED, in_state

from .documents import stale_documents
from .records import Records, base_of, locked_base, write_log
from .rows import GENERATIONS, BaseCounts, BaseRow, ChangeRow, GenerationRow

__all__ = ["Bases"]

_LONGEST_NAME = 64
_TABLES_AT_A_TIME = 200  # SQLite joins 500 selects at most


class Bases(Records):
    """The bases."""

    def create(
        self,
        name: str,
        config: Mapping[str, Any],
        *,
        shelf: str,
        recipe: Mapping[str, Any] | None = None,
        declared: bool = False,
        by: str | None = None,
    ) -> BaseRow:
        """Make a base, its first generation and its table of documents.

        Args:
            name: What callers know it by.
            config: As it was declared.
            shelf: Key of the index that it is in.
            recipe: What its first generation is built with.
            declared: By the app.
            by: The id of the key that asked for it.

        Raises:
            BadRequestError: The name is too long or empty.
            ConflictError: The name is taken.
        """
        if not name or len(name) > _LONGEST_NAME:
            raise BadRequestError(
                f"A knowledge base's name has 1 to {_LONGEST_NAME} characters, not {len(name)}.", param="name"
            )
        now = now_ms()
        values = {
            "name": name,
            "config": dict(config),
            "generation": 1,
            "shelf": shelf,
            "state": {},
            "declared": declared,
            "last_generation": 1,
            "last_document": 0,
            "created_at": now,
            "updated_at": now,
        }

        def work(connection: Connection) -> BaseRow:
            made = insert(knowledge_bases).values(values).returning(knowledge_bases)
            base = base_of(connection.execute(made).one())
            _insert_generation(connection, base.id, 1, shelf, recipe or {})
            documents_table(base.id).create(connection, checkfirst=False)
            write_log(connection, [ChangeRow(0, base.id, now, "created", by=by, details={"name": name})])
            return base

        try:
            return self._write(work)
        except IntegrityError as error:
            raise ConflictError(f"There is a knowledge base named {name!r} already.", param="name") from error

    def bases(self) -> list[BaseRow]:
        """Return all, by name."""
        query = select(knowledge_bases).order_by(knowledge_bases.c.name)
        return self._read(lambda connection: [base_of(row) for row in connection.execute(query)])

    def base(self, name: str) -> BaseRow | None:
        """Return the base of a name."""
        return self._one(knowledge_bases.c.name == name) if "\0" not in name else None

    def base_by_id(self, base: int) -> BaseRow | None:
        """Return the base of a number."""
        return self._one(knowledge_bases.c.id == base)

    def present(self, bases: Iterable[int]) -> dict[int, int]:
        """Return the generation in which each base is searched now; one that is gone is left out."""
        columns = knowledge_bases.c
        query = select(columns.id, columns.generation).where(columns.id.in_(list(bases)))
        return self._read(lambda connection: {row.id: row.generation for row in connection.execute(query)})

    def _one(self, condition: ColumnElement[bool]) -> BaseRow | None:
        query = select(knowledge_bases).where(condition)

        def work(connection: Connection) -> BaseRow | None:
            row = connection.execute(query).first()
            return None if row is None else base_of(row)

        return self._read(work)

    def configure(
        self, base: int, config: Mapping[str, Any], *, declared: bool | None = None, by: str | None = None
    ) -> BaseRow:
        """Give a base another configuration; what is built stays as it is.

        Raises:
            NotFoundError: It is gone.
        """

        def work(connection: Connection) -> BaseRow:
            before = locked_base(connection, base)
            values: dict[str, Any] = {"config": dict(config), "updated_at": now_ms()}
            if declared is not None:
                values["declared"] = declared
            changed = sorted(name for name in {*before.config, *config} if before.config.get(name) != config.get(name))
            if changed:
                line = ChangeRow(0, base, values["updated_at"], "configured", by=by, details={"changed": changed})
                write_log(connection, [line])
            return _updated(connection, base, values)

        return self._write(work)

    def keep_state(self, base: int, **members: Any) -> BaseRow:
        """Merge members into what was learned of a base; one that is None is taken out.

        Raises:
            NotFoundError: It is gone.
        """

        def work(connection: Connection) -> BaseRow:
            state = {**locked_base(connection, base).state, **members}
            state = {name: value for name, value in state.items() if value is not None}
            return _updated(connection, base, {"state": state})

        return self._write(work)

    def generations(self, base: int) -> list[GenerationRow]:
        """Return those of a base that are not dropped, the oldest first."""
        return self._read(lambda connection: _generations(connection, base))

    def prepare_generation(self, base: int, shelf: str, recipe: Mapping[str, Any]) -> GenerationRow:
        """Begin another generation beside the one that is searched; the one begun before, if it is the same.

        Other unfinished ones are dropped.

        Raises:
            NotFoundError: The base is gone.
            ConflictError: It has had all the generations that it can have.
        """

        def work(connection: Connection) -> GenerationRow:
            row = locked_base(connection, base)
            found: GenerationRow | None = None
            for other in _generations(connection, base):
                if other.generation == row.generation:
                    continue
                if found is None and (other.shelf, other.recipe) == (shelf, dict(recipe)):
                    found = other
                else:
                    _drop_generation(connection, base, other.generation)
            return found or _insert_generation(connection, base, _next_generation(connection, base), shelf, recipe)

        return self._write(work)

    def switch(self, base: int, generation: int, *, job: str | None = None, by: str | None = None) -> BaseRow:
        """Search another generation from now on, if every document is wholly in it.

        Raises:
            NotFoundError: The base is gone.
            ConflictError: The generation is dropped, or a document is missing in it (code ``stale``): build those that
                `stale` gives, and try again.
        """

        def work(connection: Connection) -> BaseRow:
            row = locked_base(connection, base)
            found = [one for one in _generations(connection, base) if one.generation == generation]
            if not found:
                raise ConflictError(f"{row.name!r} has no generation {generation}.")
            if row.generation == generation:
                return row
            if connection.execute(stale_documents(base, generation, 0, 1)).first() is not None:
                raise ConflictError(f"Documents of {row.name!r} are missing in generation {generation}.", code="stale")
            now = now_ms()
            details = {"from": row.generation, "to": generation}
            write_log(connection, [ChangeRow(0, base, now, "reindexed", job=job, by=by, details=details)])
            values = {"generation": generation, "shelf": found[0].shelf, "updated_at": now}
            return _updated(connection, base, values)

        return self._write(work)

    def drop_generation(self, base: int, generation: int) -> None:
        """Make all in a generation garbage; no error if it is dropped already.

        Raises:
            ConflictError: It is the one that is searched.
        """

        def work(connection: Connection) -> None:
            row = connection.execute(
                select(knowledge_bases.c.generation).where(knowledge_bases.c.id == base).with_for_update()
            ).first()
            if row is not None and row.generation == generation:
                raise ConflictError(f"Generation {generation} is the one that is searched; switch first.")
            _drop_generation(connection, base, generation)

        self._write(work)

    def drop(self, base: int, *, by: str | None = None) -> bool:
        """Delete a base and its documents; nothing of it is seen from now on. Whether there was one to delete.

        Its chunks become garbage; its update log is kept.
        """

        def work(connection: Connection) -> bool:
            try:
                row = locked_base(connection, base)
            except NotFoundError:
                return False
            for generation in _generations(connection, base):
                _drop_generation(connection, base, generation.generation)
            connection.execute(delete(knowledge_bases).where(knowledge_bases.c.id == base))
            documents_table(base).drop(connection, checkfirst=False)
            write_log(connection, [ChangeRow(0, base, now_ms(), "dropped", by=by, details={"name": row.name})])
            return True

        return self._write(work)

    def counts(self, bases: Iterable[int] | None = None) -> dict[int, BaseCounts]:
        """Return how much bases hold, by number: of all, or of some; one that is gone is left out."""
        wanted = None if bases is None else set(bases)

        def work(connection: Connection) -> dict[int, BaseCounts]:
            ids = list(connection.execute(select(knowledge_bases.c.id)).scalars())
            found = [id_ for id_ in ids if wanted is None or id_ in wanted]
            chunks = _chunk_counts(connection, None if wanted is None else found)
            documents: dict[int, BaseCounts] = {}
            for start in range(0, len(found), _TABLES_AT_A_TIME):
                documents |= _document_counts(connection, found[start : start + _TABLES_AT_A_TIME], chunks)
            return documents

        return self._look(work)


def _updated(connection: Connection, base: int, values: Mapping[str, Any]) -> BaseRow:
    query = update(knowledge_bases).where(knowledge_bases.c.id == base).values(values).returning(knowledge_bases)
    return base_of(connection.execute(query).one())


def _insert_generation(
    connection: Connection, base: int, generation: int, shelf: str, recipe: Mapping[str, Any]
) -> GenerationRow:
    row = GenerationRow(base, generation, shelf, dict(recipe), False, now_ms())
    values = {
        "base": base,
        "generation": generation,
        "shelf": shelf,
        "recipe": row.recipe,
        "dropped": False,
        "created_at": row.created_at,
    }
    connection.execute(insert(knowledge_generations).values(values))
    return row


def _generations(connection: Connection, base: int) -> list[GenerationRow]:
    query = (
        select(knowledge_generations)
        .where(knowledge_generations.c.base == base, knowledge_generations.c.dropped.is_(False))
        .order_by(knowledge_generations.c.generation)
    )
    return [_generation(row) for row in connection.execute(query)]


def _generation(row: Row[tuple[object, ...]]) -> GenerationRow:
    return GenerationRow(row.base, row.generation, row.shelf, row.recipe, row.dropped, row.created_at)


def _next_generation(connection: Connection, base: int) -> int:
    # A number that an index may still hold is not given out again.
    query = update(knowledge_bases).where(knowledge_bases.c.id == base)
    query = query.values(last_generation=knowledge_bases.c.last_generation + 1)
    number = int(connection.execute(query.returning(knowledge_bases.c.last_generation)).scalar_one())
    if number >= GENERATIONS:
        raise ConflictError(f"This knowledge base has been reindexed {GENERATIONS - 1:,} times; make a new one.")
    return number


def _drop_generation(connection: Connection, base: int, generation: int) -> None:
    here = (knowledge_generations.c.base == base) & (knowledge_generations.c.generation == generation)
    connection.execute(update(knowledge_generations).where(here).values(dropped=True))
    builds = knowledge_builds.c
    staged = in_state(STAGED) & (builds.base == base) & (builds.generation == generation)
    connection.execute(update(knowledge_builds).where(staged).values(state=DEAD))


def _chunk_counts(connection: Connection, bases: list[int] | None) -> dict[int, tuple[int, int]]:
    """Count documents and chunks that are live, by base."""
    builds = knowledge_builds.c
    query = (
        select(builds.base, func.count(), func.coalesce(func.sum(builds.chunks), 0))
        .join(
            knowledge_bases,
            (knowledge_bases.c.id == builds.base) & (knowledge_bases.c.generation == builds.generation),
        )
        .where(in_state(LIVE))
        .group_by(builds.base)
    )
    if bases is not None:
        query = query.where(builds.base.in_(bases))
    return {base: (int(documents), int(chunks)) for base, documents, chunks in connection.execute(query)}


def _document_counts(
    connection: Connection, bases: list[int], chunks: Mapping[int, tuple[int, int]]
) -> dict[int, BaseCounts]:
    if not bases:
        return {}
    query = " UNION ALL ".join(
        f"SELECT {base:d}, status, keywords_version, count(*) FROM {documents_table(base).name}"  # noqa: S608 - numbers
        " GROUP BY status, keywords_version"
        for base in bases
    )
    failed = dict.fromkeys(bases, 0)
    keywords: dict[int, dict[int, int]] = {base: {} for base in bases}
    for base, status, version, count in connection.execute(text(query)):
        if status == "failed":
            failed[base] += count
        else:
            keywords[base][version] = count
    return {
        base: BaseCounts(*chunks.get(base, (0, 0))[:1], failed[base], chunks.get(base, (0, 0))[1], keywords[base])
        for base in bases
    }
