from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select

from polyport.errors import BadRequestError, ConflictError, NotFoundError
from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue, ChunkRow, Failure, NewChunk, NewDocument, Staged
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import (
    knowledge_builds,
    knowledge_chunks,
    knowledge_generations,
    knowledge_links,
)


def document(key: str, **changes: object) -> NewDocument:
    values: dict[str, object] = {"key": key, "title": key.title(), "sha256": "0" * 64}
    return NewDocument(**{**values, **changes})  # type: ignore[arg-type]


def chunks(*texts: str) -> list[NewChunk]:
    return [NewChunk(text, (0, len(text)), len(text)) for text in texts]


def add(catalogue: Catalogue, base: BaseRow, key: str, *texts: str, **changes: object) -> Staged:
    (staged,) = catalogue.stage(base.id, base.generation, [(document(key, **changes), chunks(*texts))])
    assert catalogue.publish(base.id, base.generation, [staged]) == []
    return staged


def seen(catalogue: Catalogue, database: Database) -> dict[str, list[str]]:
    """What a search could show: every chunk that there is, asked for."""
    ids = database.read_sync(lambda connection: connection.execute(select(knowledge_chunks.c.id)).scalars().all())
    found: dict[str, list[str]] = {}
    for row in sorted(catalogue.live(ids).values(), key=lambda row: row.ordinal):
        found.setdefault(row.document.key, []).append(row.text)
    return found


def clear(catalogue: Catalogue) -> set[int]:
    cleared: set[int] = set()
    while garbage := catalogue.garbage(3, grace_ms=0):
        for some in garbage:
            assert not cleared & set(some.chunks)
            cleared |= set(some.chunks)
            catalogue.forget(some.chunks)
    return cleared


def rows(database: Database, *tables: object) -> list[int]:
    def work(connection: Connection) -> list[int]:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]  # type: ignore[arg-type]

    return database.read_sync(work)


def test_nothing_is_seen_before_it_is_published(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    (staged,) = catalogue.stage(base.id, 1, [(document("a.md"), chunks("one", "two"))])
    assert catalogue.live(staged.chunks) == {}
    assert catalogue.find(base.id, ["a.md"]) == {}
    assert catalogue.documents(base.id).rows == ()
    assert catalogue.publish(base.id, 1, [staged], job="job-1", by="key") == []
    assert seen(catalogue, database) == {"a.md": ["one", "two"]}
    assert catalogue.find(base.id, ["a.md", "b.md"])["a.md"].version == 1
    line = catalogue.changes(base.id)[0]
    assert (line.action, line.source, line.job, line.by) == ("added", "a.md", "job-1", "key")


def test_what_is_stored_is_what_was_given(catalogue: Catalogue, base: BaseRow) -> None:
    whole = NewDocument(
        key="文件/手册.pdf",
        title="员工手册",
        sha256="ab" * 32,
        bytes=2**40,
        parsed="blob",
        format="pdf",
        language="zh",
        pages=3,
        metadata={"年": 2025, "deep": [{"x": None, "y": 1.5, "z": True}]},
        tags=("人事", "a", "人事"),
        keywords=("年假",),
        keywords_version=2,
        receipt={"notes": ["ok"]},
        uid="file-1",
    )
    chunk = NewChunk(
        "年假十五天。", (3, 9), 7, "第一章", ("第一章", "假期"), (1, 2), 1, metadata={"cells": "Sheet!A1:B2"}
    )
    (staged,) = catalogue.stage(base.id, 1, [(whole, [chunk, NewChunk("第一章 全文", searchable=False)])])
    catalogue.publish(base.id, 1, [staged])
    row = catalogue.find(base.id, ["文件/手册.pdf"])["文件/手册.pdf"]
    for name in NewDocument.__slots__:
        assert getattr(row, name) == (("人事", "a") if name == "tags" else getattr(whole, name)), name
    assert (row.version, row.status, row.error) == (1, "ready", None)
    assert row == catalogue.document(base.id, "file-1") == catalogue.by_ids(base.id, [row.id])[row.id]
    live = catalogue.live(staged.chunks)
    first = live[staged.chunks[0]]
    for name in ("text", "span", "tokens", "title", "heading_path", "pages", "parent", "searchable", "metadata"):
        assert getattr(first, name) == getattr(chunk, name), name
    assert (first.base, first.knowledge, first.generation, first.version) == (base.id, "handbook", 1, 1)
    brief = first.document
    assert (brief.uid, brief.key, brief.title) == ("file-1", "文件/手册.pdf", "员工手册")
    assert (brief.metadata, brief.tags) == (whole.metadata, ("人事", "a"))
    assert catalogue.parents([first]) == {first.id: live[staged.chunks[1]]}
    assert not live[staged.chunks[1]].searchable
    assert catalogue.counts()[base.id].chunks == 1


@pytest.mark.parametrize(
    "text", ["a\0b", "a\ud83db", "\udcff", "x" * 100_000, "", "'; DROP TABLE jobs; --", "%s %(a)s ?:x"]
)
def test_texts_that_databases_dislike(catalogue: Catalogue, base: BaseRow, text: str) -> None:
    title, metadata = text or "-", {text: text, "list": [text]}
    staged = add(
        catalogue, base, f"k{text[:50]}", text, title=title, metadata=metadata, tags=(text,), receipt={"t": text}
    )
    row = catalogue.live(staged.chunks)[staged.chunks[0]]
    expected = text.replace("\0", "\ufffd").replace("\ud83d", "\ufffd").replace("\udcff", "\ufffd")
    assert (row.text, row.document.metadata, row.document.tags) == (expected, metadata, (expected,))
    assert len(row.text) == len(text)  # spans stay true
    assert catalogue.documents(base.id, tag=text).total == 1
    assert catalogue.find(base.id, [f"k{text[:50]}"])[f"k{text[:50]}"].receipt == {"t": text}


def test_a_new_version_takes_the_place_of_the_former_at_once(
    catalogue: Catalogue, base: BaseRow, database: Database
) -> None:
    first = add(catalogue, base, "a.md", "old one", "old two")
    (second,) = catalogue.stage(base.id, 1, [(document("a.md", title="New"), chunks("new"))])
    assert second.document.uid == first.document.uid
    assert seen(catalogue, database) == {"a.md": ["old one", "old two"]}
    assert catalogue.document(base.id, first.document.uid).title == "A.Md"  # type: ignore[union-attr]
    catalogue.publish(base.id, 1, [second])
    assert seen(catalogue, database) == {"a.md": ["new"]}
    assert catalogue.live(second.chunks)[second.chunks[0]].document.title == "New"
    assert catalogue.chunk_counts(base.id, [second.document.id]) == {second.document.id: 1}
    assert [line.action for line in catalogue.changes(base.id)] == ["updated", "added", "created"]
    assert clear(catalogue) == set(first.chunks)
    assert rows(database, knowledge_chunks, knowledge_builds) == [1, 1]


def test_metadata_changes_by_a_row_of_one_version_more(catalogue: Catalogue, base: BaseRow) -> None:
    row = add(catalogue, base, "a.md", "text").document
    changed = replace(row, version=2, metadata={"year": 2025}, uid="other", key="other")
    (staged,) = catalogue.stage(base.id, 1, [(changed, chunks("text"))])
    with pytest.raises(ConflictError):
        catalogue.stage(base.id, 1, [(replace(row, version=3), chunks("text"))])
    catalogue.publish(base.id, 1, [staged], action="configured", details={"n": 1})
    kept = catalogue.find(base.id, ["a.md"])["a.md"]
    assert (kept.uid, kept.version, kept.metadata) == (row.uid, 2, {"year": 2025})
    assert catalogue.changes(base.id)[0].details == {"version": 2, "chunks": 1, "n": 1}


def test_staging_again_makes_the_former_staging_garbage(
    catalogue: Catalogue, base: BaseRow, database: Database
) -> None:
    row = add(catalogue, base, "a.md", "one").document
    earlier = catalogue.stage(base.id, 1, [(replace(row, version=2), chunks("two"))])
    later = catalogue.stage(base.id, 1, [(replace(row, version=2), chunks("two", "three"))])
    assert catalogue.publish(base.id, 1, earlier) == earlier
    assert catalogue.publish(base.id, 1, later) == []
    assert seen(catalogue, database) == {"a.md": ["two", "three"]}
    assert catalogue.publish(base.id, 1, later) == later, "a second time is too late, and harms nothing"
    assert seen(catalogue, database) == {"a.md": ["two", "three"]}


def test_building_the_same_version_once_more(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    row = add(catalogue, base, "a.md", "one").document
    staged = catalogue.stage(base.id, 1, [(row, chunks("uno"))])
    assert seen(catalogue, database) == {"a.md": ["one"]}
    assert catalogue.publish(base.id, 1, staged) == []
    assert seen(catalogue, database) == {"a.md": ["uno"]}
    assert catalogue.find(base.id, ["a.md"])["a.md"].version == 1
    assert len(catalogue.changes(base.id)) == 2


def test_two_that_add_the_same_key(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    one = catalogue.stage(base.id, 1, [(document("a.md"), chunks("one"))])
    two = catalogue.stage(base.id, 1, [(document("a.md"), chunks("two"))])
    assert catalogue.publish(base.id, 1, one) == []
    with pytest.raises(ConflictError):
        catalogue.publish(base.id, 1, two)
    assert seen(catalogue, database) == {"a.md": ["one"]}


def test_a_batch_is_taken_whole_or_not(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    with pytest.raises(BadRequestError):
        catalogue.stage(base.id, 1, [(document("a"), chunks("one")), (document("a"), chunks("two"))])
    with pytest.raises(BadRequestError, match="2000 bytes, not 2001"):
        catalogue.stage(base.id, 1, [(document("a"), chunks("one")), (document("b" * 2001), chunks("two"))])

    def fail(connection: Connection, staged: object) -> None:
        raise RuntimeError("links")

    with pytest.raises(RuntimeError, match="links"):
        catalogue.stage(base.id, 1, [(document("a"), chunks("one"))], within=fail)
    assert rows(database, knowledge_chunks, knowledge_builds) == [0, 0]


def test_removed_while_it_is_built(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    row, other = (add(catalogue, base, key, key).document for key in ("a", "b"))
    staged = catalogue.stage(base.id, 1, [(document("a"), chunks("new a")), (document("b"), chunks("new b"))])
    assert catalogue.remove(base.id, [row.id, 12345], by="key") == 1
    assert seen(catalogue, database) == {"b": ["b"]}
    assert catalogue.publish(base.id, 1, staged) == [staged[0]]
    assert seen(catalogue, database) == {"b": ["new b"]}
    assert [line.action for line in catalogue.changes(base.id, limit=2)] == ["updated", "removed"]
    clear(catalogue)
    assert rows(database, knowledge_chunks, knowledge_builds) == [1, 1]
    assert catalogue.all_keys(base.id) == {"b": other.id}


def test_failures(catalogue: Catalogue, base: BaseRow) -> None:
    new = catalogue.record_failure(base.id, Failure(key="bad.pdf", error="no\0 text", sha256="1", bytes=3), job="j")
    assert catalogue.record_failure(base.id, Failure(key="bad.pdf", error="no\0 text", sha256="1", bytes=3)) == new
    assert (new.status, new.version, new.error, new.title) == ("failed", 0, "no\ufffd text", "bad.pdf")
    assert catalogue.stale(base.id, 1) == []
    row = add(catalogue, base, "a.md", "one").document
    failed = catalogue.record_failure(base.id, Failure(key="a.md", error="broken", sha256="2"))
    assert (failed.status, failed.version, failed.error, failed.failed_sha256) == ("ready", 1, "broken", "2")
    assert failed.sha256 == row.sha256
    counts = catalogue.counts()[base.id]
    assert (counts.documents, counts.failed, counts.chunks) == (1, 1, 1)
    mended = add(catalogue, base, "bad.pdf", "text")
    assert mended.document.uid == new.uid
    assert add(catalogue, base, "a.md", "two").document.version == 2
    assert {row.error for row in catalogue.documents(base.id).rows} == {None}
    assert catalogue.counts()[base.id].failed == 0
    actions = [line.action for line in catalogue.changes(base.id)]
    assert actions == ["updated", "added", "failed", "added", "failed", "created"]


def test_reindexing(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    for key in "abc":
        add(catalogue, base, key, f"old {key}")
    following = catalogue.prepare_generation(base.id, "other", {"chunker": "x"})
    assert following.generation == 2
    assert catalogue.prepare_generation(base.id, "other", {"chunker": "x"}) == following
    with pytest.raises(ConflictError) as caught:
        catalogue.switch(base.id, 2)
    assert caught.value.code == "stale"
    while stale := catalogue.stale(base.id, 2, limit=2):
        staged = catalogue.stage(base.id, 2, [(row, chunks(f"new {row.key}")) for row in stale])
        assert catalogue.publish(base.id, 2, staged) == []
    assert seen(catalogue, database) == {key: [f"old {key}"] for key in "abc"}
    changed = add(catalogue, base, "b", "newer b")
    assert [row.key for row in catalogue.stale(base.id, 2)] == ["b"]
    with pytest.raises(ConflictError):
        catalogue.stage(base.id, 2, [(document("d"), chunks("d"))])
    staged = catalogue.stage(base.id, 2, [(changed.document, chunks("newer b 2"))])
    catalogue.publish(base.id, 2, staged)
    late = catalogue.stage(base.id, 1, [(document("late"), chunks("late"))])
    switched = catalogue.switch(base.id, 2)
    assert (switched.generation, switched.shelf, switched.part) == (2, "other", base.id * 65536 + 2)
    with pytest.raises(ConflictError, match="searched in generation 2"):
        catalogue.publish(base.id, 1, late)
    expected = {"a": ["new a"], "b": ["newer b 2"], "c": ["new c"]}
    assert seen(catalogue, database) == expected
    with pytest.raises(ConflictError):
        catalogue.drop_generation(base.id, 2)
    catalogue.drop_generation(base.id, 1)
    assert {garbage.shelf for garbage in catalogue.garbage()} == {"main", "other"}  # "old b" was built there as well
    clear(catalogue)
    assert catalogue.garbage(grace_ms=0) == []
    assert rows(database, knowledge_chunks, knowledge_builds, knowledge_generations) == [3, 3, 1]
    assert seen(catalogue, database) == expected
    assert catalogue.prepare_generation(base.id, "other", {}).generation == 3


def test_a_generation_begun_with_another_recipe_is_dropped(
    catalogue: Catalogue, base: BaseRow, database: Database
) -> None:
    row = add(catalogue, base, "a", "a").document
    catalogue.prepare_generation(base.id, "main", {"chunker": 1})
    staged = catalogue.stage(base.id, 2, [(row, chunks("2"))])
    assert catalogue.prepare_generation(base.id, "main", {"chunker": 2}).generation == 3
    with pytest.raises(ConflictError, match="no generation 2"):
        catalogue.publish(base.id, 2, staged)
    assert [one.generation for one in catalogue.generations(base.id)] == [1, 3]
    assert clear(catalogue) == set(staged[0].chunks)
    assert rows(database, knowledge_generations) == [2]


def test_dropping_a_base(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    other = catalogue.create("other", {}, shelf="main")
    added = [*add(catalogue, base, "a", "a", "aa").chunks, *add(catalogue, base, "empty").chunks]
    kept = add(catalogue, other, "b", "b")
    waiting = catalogue.stage(base.id, 1, [(document("c"), chunks("c"))])
    assert catalogue.drop(base.id, by="key")
    assert not catalogue.drop(base.id)
    assert seen(catalogue, database) == {"b": ["b"]}
    for call in (
        lambda: catalogue.documents(base.id),
        lambda: catalogue.publish(base.id, 1, waiting),
        lambda: catalogue.stage(base.id, 1, [(document("c"), [])]),
        lambda: catalogue.remove(base.id, [1]),
        lambda: catalogue.find(base.id, ["a"]),
        lambda: catalogue.keep_state(base.id, a=1),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert clear(catalogue) == {*added, *waiting[0].chunks}
    assert rows(database, knowledge_chunks, knowledge_builds, knowledge_generations) == [1, 1, 1]
    assert set(catalogue.live([*added, *kept.chunks])) == set(kept.chunks)
    again = catalogue.create("handbook", {}, shelf="main")
    assert again.id > other.id
    assert catalogue.changes(base.id)[0].action == "dropped"


def test_what_is_held_is_no_garbage(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    staged = catalogue.stage(base.id, 1, [(document("a"), chunks("a"))])
    other = Catalogue(database)
    assert catalogue.garbage(grace_ms=0) == []
    assert other.garbage() == [], "another process may still publish it"
    numbers = staged[0].chunks
    del staged
    assert [garbage.chunks for garbage in catalogue.garbage()] == [numbers]


def test_what_is_removed_while_it_is_put_into_the_index_is_garbage_only_afterwards(
    catalogue: Catalogue, base: BaseRow, database: Database
) -> None:
    """Cleared away too early, its entries would come into the index when nobody knows of them any more."""
    row = add(catalogue, base, "a", "one").document
    staged = catalogue.stage(base.id, 1, [(document("a"), chunks("two"))])
    catalogue.remove(base.id, [row.id])
    assert not clear(catalogue) & set(staged[0].chunks)
    assert Catalogue(database).garbage() == []
    assert catalogue.publish(base.id, 1, staged) == staged
    assert clear(catalogue) == set(staged[0].chunks)


def test_what_another_process_has_staged_long_ago_is_garbage(
    catalogue: Catalogue, base: BaseRow, database: Database
) -> None:
    staged = catalogue.stage(base.id, 1, [(document("a"), chunks("a"))])
    other = Catalogue(database)
    assert [garbage.chunks for garbage in other.garbage(grace_ms=0)] == [staged[0].chunks]
    assert catalogue.publish(base.id, 1, staged) == staged, "and is told that it comes too late"
    other.forget(staged[0].chunks)
    assert seen(catalogue, database) == {}


def test_abandoning(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    published = add(catalogue, base, "a", "a")
    staged = catalogue.stage(base.id, 1, [(document("b"), chunks("b"))])
    catalogue.abandon([published, *staged])
    assert catalogue.publish(base.id, 1, staged) == staged
    assert seen(catalogue, database) == {"a": ["a"]}
    assert clear(catalogue) == set(staged[0].chunks)


def test_what_is_live_can_not_be_forgotten(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    staged = add(catalogue, base, "a", "a")
    held = catalogue.stage(base.id, 1, [(document("b"), chunks("b"))])
    catalogue.forget([*staged.chunks, *held[0].chunks])
    catalogue.publish(base.id, 1, held)
    assert seen(catalogue, database) == {"a": ["a"], "b": ["b"]}


def test_links_go_with_their_chunks(catalogue: Catalogue, base: BaseRow, database: Database) -> None:
    def link(connection: Connection, staged: object) -> None:
        for one in staged:  # type: ignore[attr-defined]
            for chunk in one.chunks:
                values = {"base": one.base, "generation": one.generation, "key": "k", "chunk": chunk, "role": 1}
                connection.execute(knowledge_links.insert().values(**values, written="K"))

    for text in ("one", "two"):
        staged = catalogue.stage(base.id, 1, [(document("a"), chunks(text))], within=link)
        catalogue.publish(base.id, 1, staged)
    assert rows(database, knowledge_links) == [2]
    clear(catalogue)
    assert rows(database, knowledge_links) == [1]


def test_windows(catalogue: Catalogue, base: BaseRow) -> None:
    parts = [NewChunk(str(place), searchable=place != 3, parent=3) for place in range(7)]
    (staged,) = catalogue.stage(base.id, 1, [(document("a"), parts)])
    catalogue.publish(base.id, 1, [staged])
    live = catalogue.live(staged.chunks)

    def window(place: int, before: int, after: int) -> str:
        chunk: ChunkRow = live[staged.chunks[place]]
        return "".join(row.text for row in catalogue.neighbours([chunk], before, after)[chunk.id])

    assert [window(0, 2, 1), window(2, 1, 1), window(4, 2, 0), window(6, 1, 5), window(3, 1, 1)] == [
        "01",
        "124",
        "124",
        "56",
        "234",
    ]
    some = [live[number] for number in staged.chunks[:2]]
    assert [len(found) for found in catalogue.neighbours(some, 1, 1).values()] == [2, 3]
    add(catalogue, base, "a", "new")
    assert catalogue.neighbours(some, 1, 1) == {some[0].id: [], some[1].id: []}
    assert catalogue.parents(some) == {}


def test_walking_through_a_generation(catalogue: Catalogue, base: BaseRow) -> None:
    for key in "abcd":
        add(catalogue, base, key, *(f"{key}{n}" for n in range(3)))
    add(catalogue, base, "b", "bb")
    add(catalogue, base, "empty")
    expected = ["a0", "a1", "a2", "bb", "c0", "c1", "c2", "d0", "d1", "d2"]
    for size in (1, 2, 3, 10, 500):
        pages = list(catalogue.scroll(base.id, 1, size=size))
        assert [row.text for page in pages for row in page] == expected
        assert max(map(len, pages)) <= size
    assert sorted(text for _, text in catalogue.chunk_texts(base.id, 1)) == expected
    assert len(list(catalogue.chunk_texts(base.id, 1, sample=4))) == 4
    assert list(catalogue.scroll(base.id, 2)) == []
    assert [title for _, _, title in catalogue.titles(base.id)] == ["A", "B", "C", "D", "Empty"]
