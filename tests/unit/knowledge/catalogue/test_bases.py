from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from polyport.errors import BadRequestError, ConflictError, NotFoundError
from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue, Failure, NewChunk, NewDocument
from polyport_gateway.storage.database import Database
from tests.support.records import opened


def fill(catalogue: Catalogue, base: BaseRow, keys: list[str], **changes: object) -> None:
    values: dict[str, object] = {"title": "T", "sha256": "0"}
    items = [
        (NewDocument(key=key, **{**values, **changes}), [NewChunk(f"text of {key}")])  # type: ignore[arg-type]
        for key in keys
    ]
    assert catalogue.publish(base.id, 1, catalogue.stage(base.id, 1, items)) == []


def test_bases_come_and_go(catalogue: Catalogue) -> None:
    made = catalogue.create("手册", {"sources": ["./文档"]}, shelf="main", declared=True, by="key")
    assert made == catalogue.base("手册") == catalogue.base_by_id(made.id)
    assert (made.generation, made.shelf, made.declared, made.state) == (1, "main", True, {})
    with pytest.raises(ConflictError, match="手册"):
        catalogue.create("手册", {}, shelf="other")
    for name in ("", "x" * 65):
        with pytest.raises(BadRequestError):
            catalogue.create(name, {}, shelf="main")
    assert catalogue.base("nothing") is None
    assert catalogue.base("\0") is None
    assert catalogue.base_by_id(12345) is None
    second = catalogue.create("a", {}, shelf="main", recipe={"chunker": "x"})
    assert [base.name for base in catalogue.bases()] == ["a", "手册"]
    assert catalogue.generations(second.id)[0].recipe == {"chunker": "x"}
    assert catalogue.generations(second.id)[0].part == second.part
    catalogue.drop(made.id)
    assert [base.name for base in catalogue.bases()] == ["a"]


def test_many_make_the_same_base_at_once(catalogue: Catalogue) -> None:
    def make(n: int) -> bool:
        try:
            catalogue.create("same", {"n": n}, shelf="main")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(make, range(6))) == 1
    assert len(catalogue.bases()) == 1


def test_configuration_and_state(catalogue: Catalogue, base: BaseRow) -> None:
    configured = catalogue.configure(base.id, {"sources": [], "hops": True}, declared=True, by="key")
    assert (configured.config, configured.declared) == ({"sources": [], "hops": True}, True)
    assert catalogue.changes(base.id)[0].details == {"changed": ["hops", "sources"]}
    catalogue.configure(base.id, configured.config)
    assert len(catalogue.changes(base.id)) == 2, "nothing changed, nothing to tell"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: catalogue.keep_state(base.id, **{f"m{n}": n}), range(20)))
    assert catalogue.keep_state(base.id, m0=None).state == {f"m{n}": n for n in range(1, 20)}


def test_documents_by_pages_and_conditions(catalogue: Catalogue, base: BaseRow) -> None:
    keys = [f"docs/{n:02}_a%.md" for n in range(7)] + ["Docs/x.md", "文件/手册.pdf", "docs"]
    fill(catalogue, base, keys[:5], tags=("red", 'with "quotes"'), title="Red Tea")
    fill(catalogue, base, keys[5:], tags=("redder", "红"), title="茶")
    catalogue.record_failure(base.id, Failure(key="docs/bad.pdf", error="broken"))
    everything = sorted([*keys, "docs/bad.pdf"])
    found: list[str] = []
    after: str | None = None
    while True:
        page = catalogue.documents(base.id, after=after, limit=4)
        assert page.total == 11
        found += [row.key for row in page.rows]
        if page.next is None:
            break
        after = page.next
    assert found == everything

    def keys_of(**conditions: str) -> list[str]:
        page = catalogue.documents(base.id, **conditions)  # type: ignore[arg-type]
        assert page.total == len(page.rows)
        return [row.key for row in page.rows]

    assert keys_of(status="failed") == ["docs/bad.pdf"]
    assert keys_of(prefix="docs/") == [key for key in everything if key.startswith("docs/")]
    assert keys_of(prefix="文件/") == ["文件/手册.pdf"]
    assert keys_of(prefix="docs/%") == []
    assert keys_of(tag="red") == sorted(keys[:5])
    assert keys_of(tag='with "quotes"') == sorted(keys[:5])
    assert keys_of(tag="quotes") == []
    assert keys_of(tag="红") == sorted(keys[5:])
    assert keys_of(tag="RED") == []
    assert keys_of(text="red tea") == sorted(keys[:5])
    assert keys_of(text="茶") == sorted(keys[5:])
    assert keys_of(text="手册") == ["文件/手册.pdf"]
    assert keys_of(text="_A%") == sorted(keys[:7])
    assert keys_of(text="%", tag="red") == sorted(keys[:5])
    assert catalogue.documents(base.id, count=False).total is None
    assert catalogue.documents(base.id, limit=11).next is None
    assert set(catalogue.all_keys(base.id)) == set(everything)


def test_keys_that_are_no_text(catalogue: Catalogue, base: BaseRow) -> None:
    key = "docs/\udcff\udcfe.md"  # a file's name that is not UTF-8
    fill(catalogue, base, [key])
    assert catalogue.find(base.id, [key])[key].key == "docs/%FF%FE.md"
    assert catalogue.find(base.id, ["x" * 3000, "", "docs/\0"]) == {}
    assert catalogue.document(base.id, "\0") is None
    assert catalogue.document(base.id, "doc-none") is None


def test_what_is_behind(catalogue: Catalogue, base: BaseRow) -> None:
    fill(catalogue, base, ["a", "b"], keywords_version=1)
    fill(catalogue, base, ["c"], keywords_version=2)
    catalogue.record_failure(base.id, Failure(key="bad", error="broken"))
    assert [row.key for row in catalogue.behind(base.id, 2)] == ["a", "b"]
    first = catalogue.behind(base.id, 2, limit=1)[0]
    assert [row.key for row in catalogue.behind(base.id, 2, after=first.id)] == ["b"]
    counts = catalogue.counts()[base.id]
    assert [counts.behind(version) for version in (1, 2, 3)] == [0, 2, 3]
    other = catalogue.create("other", {}, shelf="main")
    assert set(catalogue.counts()) == {base.id, other.id}
    assert catalogue.counts([other.id])[other.id].documents == 0
    assert catalogue.counts([12345]) == {}
    assert catalogue.counts([]) == {}


def test_the_update_log(catalogue: Catalogue, base: BaseRow) -> None:
    for n in range(5):
        catalogue.log(base.id, "rekeyed", source=f"文{n}\0", job="job-1", by="key", details={"n": n})
    newest = catalogue.changes(base.id, limit=2)
    assert [line.details for line in newest] == [{"n": 4}, {"n": 3}]
    assert newest[0].source == "文4\ufffd"
    older = catalogue.changes(base.id, before=newest[-1].id, limit=3)
    assert [line.details for line in older] == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert catalogue.changes(base.id + 1) == []


def test_generations_are_never_numbered_twice(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    assert catalogue.prepare_generation(base.id, "main", {"n": 1}).generation == 2
    catalogue.drop_generation(base.id, 2)
    catalogue.drop_generation(base.id, 2)
    assert catalogue.garbage() == []
    assert [one.generation for one in catalogue.generations(base.id)] == [1]
    assert catalogue.prepare_generation(base.id, "main", {"n": 1}).generation == 3
    with pytest.raises(ConflictError, match="no generation 2"):
        catalogue.switch(base.id, 2)
    database.run_sync(
        lambda connection: connection.exec_driver_sql("UPDATE knowledge_bases SET last_generation = 65535")
    )
    with pytest.raises(ConflictError, match="65,535 times"):
        catalogue.prepare_generation(base.id, "main", {"n": 2})
    catalogue.drop(base.id)
    with pytest.raises(NotFoundError):
        catalogue.prepare_generation(base.id, "main", {})


def test_a_base_that_is_dropped_while_it_is_searched(catalogue: Catalogue, base: BaseRow) -> None:
    """On PostgreSQL its table is gone for those too who began to read before; they are told what is left."""
    fill(catalogue, base, [f"{n}" for n in range(20)])
    kept = catalogue.create("kept", {}, shelf="main")
    fill(catalogue, kept, ["k"])
    ids = list(range(1, 22))

    async def race() -> None:
        seen: set[frozenset[str]] = set()
        dropped = threading.Event()

        def look() -> frozenset[str]:
            return frozenset(row.knowledge for row in catalogue.live(ids).values())

        def ask() -> None:
            for asked in itertools.count():
                if asked >= 30 and dropped.is_set():
                    break
                seen.add(look())

        asking = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(3)]
        await asyncio.sleep(0.02)
        try:
            await asyncio.to_thread(catalogue.drop, base.id)
        finally:
            dropped.set()
        assert await asyncio.to_thread(look) == frozenset({"kept"})
        await asyncio.gather(*asking)
        assert seen <= {frozenset({"kept"}), frozenset({"kept", "handbook"})}

    asyncio.run(race())


def test_a_database_in_memory_serves_many_threads() -> None:
    with opened("sqlite://") as database:
        catalogue = Catalogue(database)
        base = catalogue.create("base", {}, shelf="main")

        def work(n: int) -> int:
            fill(catalogue, base, [f"{n}"])
            return len(catalogue.live([1, 2, 3]))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(20)))
        assert catalogue.counts()[base.id].documents == 20


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """How SQLite goes about each statement."""
    found: list[str] = []

    def note(connection: object, cursor: object, statement: str, values: object, *rest: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "sqlite_" not in statement:
            plain = cursor.connection.cursor()  # type: ignore[attr-defined]
            many = isinstance(values, list)
            steps = plain.execute(f"EXPLAIN QUERY PLAN {statement}", values[0] if many else values)  # type: ignore[index]
            found.extend(f"{step[3]} | {statement}" for step in steps)
            plain.close()

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database._engine, "before_cursor_execute", note)


def test_no_query_reads_all_chunks_or_builds() -> None:
    with opened("sqlite://") as database:
        catalogue = Catalogue(database)
        base = catalogue.create("base", {}, shelf="main")
        with plans(database) as found:
            fill(catalogue, base, ["a", "b"])
            fill(catalogue, base, ["a"])
            chunks = list(catalogue.live([1, 2, 3]).values())
            catalogue.neighbours(chunks, 1, 1)
            catalogue.stale(base.id, 1)
            catalogue.remove(base.id, [1])
            catalogue.chunk_counts(base.id, [1, 2])
            catalogue.counts([base.id])
            list(catalogue.scroll(base.id, 1))
            list(catalogue.chunk_texts(base.id, 1))
            following = catalogue.prepare_generation(base.id, "main", {})
            catalogue.drop_generation(base.id, following.generation)
            while garbage := catalogue.garbage():
                for some in garbage:
                    catalogue.forget(some.chunks)
    assert len(found) > 50
    tables = ("knowledge_chunks", "knowledge_builds", "knowledge_links", "knowledge_log", "c ", "b ")
    assert [step for step in found if step.startswith(tuple(f"SCAN {table}" for table in tables))] == []
