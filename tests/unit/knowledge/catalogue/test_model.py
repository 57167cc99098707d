"""Random histories of a base, beside a model of it that is a few dictionaries: what is seen is what the model says."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from polyport.errors import ConflictError
from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue, Failure, NewChunk, NewDocument, Staged
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import knowledge_builds, knowledge_chunks, knowledge_generations
from tests.support.records import opened

KEYS = ("a", "b", "c", "文")


@dataclass
class Held:
    """What was staged, and what would be seen of it."""

    generation: int
    staged: list[Staged]
    texts: dict[str, list[str]]


@dataclass
class World:
    """A base, an index beside it, and what both should hold.

    The index is a set of numbers: whatever was put in and not taken out.
    """

    database: Database
    chance: random.Random
    catalogue: Catalogue = field(init=False)
    base: BaseRow = field(init=False)
    index: set[int] = field(default_factory=set)
    held: list[Held] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    built: dict[int, dict[str, list[str]]] = field(default_factory=lambda: {1: {}})
    current: int = 1
    made: int = 0

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.database)
        self.base = self.catalogue.create("base", {}, shelf="main")

    def texts(self) -> list[str]:
        self.made += 1
        return [f"{self.made}.{place}" for place in range(self.chance.randrange(4))]

    def stage(self) -> None:
        """Stage one or two documents; put their chunks into the index, or not all of them before a crash."""
        keys = self.chance.sample(KEYS, self.chance.choice((1, 2)))
        self._stage(self.current, [NewDocument(key=key, title=key, sha256="0") for key in keys])

    def _stage(self, generation: int, items: list[NewDocument]) -> None:
        texts = {item.key: self.texts() for item in items}
        chunks = [(item, [NewChunk(text) for text in texts[item.key]]) for item in items]
        staged = self.catalogue.stage(self.base.id, generation, chunks)
        self.index |= {chunk for one in staged for chunk in one.chunks if self.chance.random() < 0.9}
        self.held.append(Held(generation, staged, texts))

    def change(self) -> None:
        """Stage a change of metadata by the row."""
        rows = self.catalogue.documents(self.base.id).rows
        rows = tuple(row for row in rows if row.version)
        if rows:
            row = self.chance.choice(rows)
            texts = {row.key: self.texts()}
            changed = replace(row, version=row.version + 1, metadata={"made": self.made})
            chunks = [NewChunk(text) for text in texts[row.key]]
            staged = self.catalogue.stage(self.base.id, self.current, [(changed, chunks)])
            self.held.append(Held(self.current, staged, texts))

    def publish(self) -> None:
        """Publish something that is held, however old it is."""
        if not self.held:
            return
        held = self.held.pop(self.chance.randrange(len(self.held)))
        self.index |= {chunk for one in held.staged for chunk in one.chunks}
        try:
            late = self.catalogue.publish(self.base.id, held.generation, held.staged)
        except ConflictError:
            # Its generation is dropped or no longer searched, or another has taken the key.
            return
        for one in held.staged:
            key = one.document.key
            if one in late:
                continue
            self.built[held.generation][key] = held.texts[key]
            if one.change:
                self.versions[key] = one.document.version
                self.failed.discard(key)
                for generation, texts in self.built.items():
                    if generation != self.current:
                        texts.pop(key, None)  # of a former version

    def remove(self) -> None:
        key = self.chance.choice(KEYS)
        row = self.catalogue.find(self.base.id, [key]).get(key)
        assert (row is not None) == (key in self.versions or key in self.failed)
        if row is not None:
            self.catalogue.remove(self.base.id, [row.id])
            self.versions.pop(key, None)
            self.failed.discard(key)
            for texts in self.built.values():
                texts.pop(key, None)

    def fail(self) -> None:
        key = self.chance.choice(KEYS)
        self.catalogue.record_failure(self.base.id, Failure(key=key, error="broken"))
        if key not in self.versions:
            self.failed.add(key)

    def crash(self) -> None:
        """The process dies: nobody holds anything any more."""
        self.held.clear()
        self.catalogue = Catalogue(self.database)

    def clear(self) -> None:
        """Clear some of the garbage away; the process may die between the index and the tables."""
        for some in self.catalogue.garbage(self.chance.choice((1, 3, 1000)), grace_ms=0):
            self.index -= set(some.chunks)
            if self.chance.random() < 0.8:
                self.catalogue.forget(some.chunks)

    def prepare(self) -> None:
        recipe = {"n": self.chance.randrange(2)}
        following = self.catalogue.prepare_generation(self.base.id, "main", recipe)
        for generation in list(self.built):
            if generation not in (self.current, following.generation):
                del self.built[generation]
        self.built.setdefault(following.generation, {})

    def build(self) -> None:
        """Stage what the next generation lacks; it is published at some other time."""
        following = max(self.built)
        if following == self.current:
            return
        rows = self.catalogue.stale(self.base.id, following, limit=2)
        texts = {row.key: self.texts() for row in rows}
        staged = self.catalogue.stage(
            self.base.id, following, [(row, [NewChunk(text) for text in texts[row.key]]) for row in rows]
        )
        if staged:
            self.held.append(Held(following, staged, texts))

    def switch(self) -> None:
        following = max(self.built)
        if following == self.current:
            return
        whole = not self.catalogue.stale(self.base.id, following)
        if not whole:
            with pytest.raises(ConflictError):
                self.catalogue.switch(self.base.id, following)
            return
        self.catalogue.switch(self.base.id, following)
        self.catalogue.drop_generation(self.base.id, self.current)
        del self.built[self.current]
        self.current = following

    def check(self) -> None:
        rows = self.catalogue.live(self._chunk_ids())
        seen: dict[str, list[tuple[int, str]]] = {}
        for row in rows.values():
            seen.setdefault(row.document.key, []).append((row.ordinal, row.text))
        found = {key: [text for _, text in sorted(places)] for key, places in seen.items()}
        expected = {key: texts for key, texts in self.built[self.current].items() if texts}
        assert found == expected
        assert self.index >= set(rows), "what is seen is in the index"
        documents = self.catalogue.documents(self.base.id)
        assert {row.key: row.version for row in documents.rows if row.version} == self.versions
        assert {row.key for row in documents.rows if not row.version} == self.failed
        assert documents.total == len(documents.rows)
        counts = self.catalogue.counts()[self.base.id]
        assert (counts.documents, counts.failed) == (len(self.versions), len(self.failed))
        assert counts.chunks == sum(map(len, expected.values()))

    def _chunk_ids(self) -> list[int]:
        query = select(knowledge_chunks.c.id)
        return list(self.database.read_sync(lambda connection: connection.execute(query).scalars().all()))

    def finish(self) -> None:
        """After a crash, and when all garbage is cleared away, nothing is left but what is live."""
        self.crash()
        while garbage := self.catalogue.garbage(5, grace_ms=0):
            for some in garbage:
                self.index -= set(some.chunks)
                self.catalogue.forget(some.chunks)
        self.check()
        chunks = set(self._chunk_ids())
        assert len(chunks) == sum(len(texts) for built in self.built.values() for texts in built.values())
        assert self.index == chunks
        with self.database._engine.connect() as connection:
            states = connection.execute(select(knowledge_builds.c.state)).scalars().all()
            generations = connection.execute(select(knowledge_generations.c.generation)).scalars().all()
        assert set(states) <= {1}
        assert set(generations) == set(self.built)


STEPS = ("stage", "change", "publish", "remove", "fail", "crash", "clear", "prepare", "build", "switch")
WEIGHTS = (6, 2, 8, 2, 1, 1, 4, 1, 5, 2)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(STEPS), max_size=40))
def test_any_history(seed: int, steps: list[str]) -> None:
    with opened("sqlite://") as database:
        world = World(database, random.Random(seed))
        for step in steps:
            getattr(world, step)()
            world.check()
        world.finish()


def test_a_long_history(database: Database) -> None:
    world = World(database, random.Random(11))
    for step in world.chance.choices(STEPS, WEIGHTS, k=80):
        getattr(world, step)()
        world.check()
    world.finish()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_many_long_histories(database: Database, seed: int) -> None:
    world = World(database, random.Random(seed))
    for step in world.chance.choices(STEPS, WEIGHTS, k=400):
        getattr(world, step)()
        world.check()
    world.finish()
