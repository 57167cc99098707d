"""Keywords anew, reindexing, and mending what an index has lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyport.errors import (
    BadRequestError,
    CallCancelledError,
    ConflictError,
    FunctionError,
    RateLimitError,
    ServiceUnavailableError,
)
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.ingestion.build import Target, clear
from polyport_gateway.knowledge.ingestion.ingest import ingest
from polyport_gateway.knowledge.ingestion.reindex import reindex
from polyport_gateway.knowledge.ingestion.rekey import rekey
from polyport_gateway.knowledge.ingestion.repair import Repaired, recover, repair
from polyport_gateway.knowledge.ingestion.report import Report
from polyport_gateway.knowledge.ingestion.sources import Folder
from tests.support.ingesting import Bench

SMALLER = {"chunker": "Recursive(max_tokens=16, tokenizer='estimate')"}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(8):
        write(folder, number, f"Paragraph of file {number}. 蜜蜂采蜜。")
    return folder


def write(folder: Path, number: int, sentence: str) -> None:
    (folder / f"{number:02}.md").write_text(f"# File {number}\n\n" + f"{sentence}\n\n" * 12, encoding="utf-8")


@pytest.fixture
def filled(bench: Bench, docs: Path) -> Bench:
    ingest(bench.work(), [Folder(docs, "docs")], Report())
    return bench


def upper(document: Document, title: str) -> list[str]:
    return [title.upper()]


def versions(bench: Bench) -> dict[str, int]:
    return {row.key: row.version for row in bench.catalogue.documents(bench.base.id).rows}


# Keywords.


def test_all_keywords_are_made_anew(filled: Bench) -> None:
    report = Report()
    rekey(filled.work(keywords=upper, keywords_version=2), report, job="job-2")
    rows = filled.catalogue.documents(filled.base.id).rows
    assert [(row.keywords, row.keywords_version, row.version) for row in rows] == [
        ((f"FILE {number}",), 2, 2) for number in range(8)
    ]
    assert (report.figures.done, report.figures.total, report.figures.updated) == (8, 8, 8)
    target = filled.target()
    found = target.index.search_sparse([target.bm25.query("FILE 3")], 1, {"keywords": "FILE 3"})[0]
    assert len(found.documents) == 1
    assert {change.action for change in filled.catalogue.changes(filled.base.id, limit=8)} == {"rekeyed"}
    filled.check()
    asked = len(filled.model.asked)
    rekey(filled.work(keywords=upper, keywords_version=2), Report())
    assert len(filled.model.asked) == asked, "nothing is behind"


def test_a_change_of_keywords_may_be_deferred(filled: Bench, docs: Path) -> None:
    write(docs, 3, "This one has changed.")
    ingest(filled.work(keywords=upper, keywords_version=2), [Folder(docs, "docs")], Report())
    rows = filled.catalogue.documents(filled.base.id).rows
    assert [row.key for row in rows if row.keywords_version == 2] == ["docs/03.md"]
    filled.check()


def test_keywords_that_cannot_be_made_are_told(filled: Bench) -> None:
    def keywords(document: Document, title: str) -> list[str]:
        if title == "File 5":
            raise FunctionError("no words for it")
        return ["word"]

    report = Report()
    rekey(filled.work(keywords=keywords, keywords_version=2), report)
    assert [(problem.key, problem.message) for problem in report.problems] == [("docs/05.md", "no words for it")]
    assert (report.figures.updated, report.figures.failed, report.figures.done) == (7, 1, 8)
    assert [row.key for row in filled.catalogue.behind(filled.base.id, 2)] == ["docs/05.md"]


def test_a_document_that_changes_while_keywords_are_made(filled: Bench, docs: Path) -> None:
    changed: list[int] = []

    def keywords(document: Document, title: str) -> list[str]:
        if title == "File 2" and not changed:
            changed.append(1)
            write(docs, 2, "Changed meanwhile.")
            (docs / "04.md").unlink()
            ingest(filled.work(), [Folder(docs, "docs")], Report())
        return ["word"]

    rekey(filled.work(keywords=keywords, keywords_version=2), Report())
    rows = {row.key: row for row in filled.catalogue.documents(filled.base.id).rows}
    assert "docs/04.md" not in rows
    assert {row.keywords for row in rows.values()} == {("word",)}
    assert "Changed meanwhile" in filled.texts()["docs/02.md"]
    filled.check()


def test_making_keywords_can_be_stopped(filled: Bench) -> None:
    report = Report(cancelled=lambda: True)
    with pytest.raises(CallCancelledError):
        rekey(filled.work(keywords=upper, keywords_version=2), report)
    assert set(versions(filled).values()) == {1}


# Reindexing.


def prepare(bench: Bench, shelf: str = "second", **recipe: Any) -> int:
    return bench.catalogue.prepare_generation(bench.base.id, shelf, recipe or SMALLER).generation


@pytest.mark.parametrize("shelf", ["first", "second"])
def test_another_chunker_is_built_beside(filled: Bench, shelf: str) -> None:
    before = {key: len(rows) for key, rows in filled.seen().items()}
    texts = filled.texts()
    generation = prepare(filled, shelf)
    ready: list[int] = []

    def look(target: Target) -> None:
        assert {key: len(rows) for key, rows in filled.seen().items()} == before, "the former is searched"
        ready.append(target.index.count({"part": target.part}))

    report = Report()
    reindex(filled.work(), generation, report, ready=look, job="job-3")
    after = {key: len(rows) for key, rows in filled.seen().items()}
    assert all(after[key] > before[key] for key in before)
    assert filled.texts() == texts
    assert ready == [sum(row.searchable for rows in filled.seen().values() for row in rows)]
    assert report.figures.done == 8
    assert filled.catalogue.changes(filled.base.id)[0].action == "reindexed"
    assert [one.generation for one in filled.catalogue.generations(filled.base.id)] == [generation]
    filled.check()
    if shelf == "second":
        assert filled.shelf("first").count() == 0
    reindex(filled.work(), generation, Report())
    assert set(versions(filled).values()) == {1}


def test_documents_that_come_and_go_meanwhile(filled: Bench, docs: Path) -> None:
    generation = prepare(filled)
    turns: list[int] = []

    def change(target: Target) -> None:
        turns.append(1)
        if len(turns) == 1:
            write(docs, 0, "Changed meanwhile.")
            write(docs, 20, "New meanwhile.")
            (docs / "01.md").unlink()
            ingest(filled.work(), [Folder(docs, "docs")], Report())

    reindex(filled.work(), generation, Report(), ready=change)
    assert len(turns) == 2
    texts = filled.texts()
    assert len(texts) == 8
    assert "Changed meanwhile" in texts["docs/00.md"]
    assert "docs/01.md" not in texts
    filled.check()


def test_a_job_that_takes_files_in_follows_the_switch(filled: Bench, docs: Path) -> None:
    """A batch that was cut for the former generation is cut anew for the one that is searched now."""
    write(docs, 0, "Changed while the base is switched.")
    generation = prepare(filled)
    real = filled.catalogue.stage
    staged: list[int] = []

    def stage(base: int, number: int, items: Any, **options: Any) -> Any:
        staged.append(number)
        if len(staged) == 1:
            reindex(filled.work(), generation, Report())
        return real(base, number, items, **options)

    filled.catalogue.stage = stage  # type: ignore[method-assign]
    report = Report()
    ingest(filled.work(), [Folder(docs, "docs")], report)
    assert report.figures.updated == 1
    assert staged[0] == 1
    assert staged[-1] == generation
    assert "while the base is switched" in filled.texts()["docs/00.md"]
    filled.check()


def test_a_document_that_cannot_be_built_anew_is_named_and_nothing_changes(filled: Bench, docs: Path) -> None:
    rows = filled.catalogue.find(filled.base.id, ["docs/03.md", "docs/04.md"])
    for row in rows.values():
        assert row.parsed is not None
        filled.blobs.delete(row.parsed)
    generation = prepare(filled)
    before = filled.seen()
    with pytest.raises(ConflictError, match=r"docs/03\.md, docs/04\.md"):
        reindex(filled.work(), generation, Report())
    assert filled.seen() == before
    filled.catalogue.remove(filled.base.id, [rows["docs/04.md"].id])
    ingest(filled.work(), [Folder(docs, "docs")], Report())
    reindex(filled.work(), generation, Report())
    assert len(filled.texts()) == 8
    filled.check()


def test_a_generation_that_is_dropped_meanwhile(filled: Bench) -> None:
    generation = prepare(filled)
    newer: list[int] = []

    def begin_another(target: Target) -> None:
        newer.append(prepare(filled, "third", chunker="Sentences(max_tokens=32)"))

    with pytest.raises(ConflictError):
        reindex(filled.work(), generation, Report(), ready=begin_another)
    reindex(filled.work(), newer[0], Report())
    filled.check()
    assert filled.shelf("second").count() == 0


def test_reindexing_can_be_stopped_and_goes_on(filled: Bench, docs: Path) -> None:
    for number in range(100, 170):
        write(docs, number, "One of many.")
    ingest(filled.work(), [Folder(docs, "docs")], Report())
    generation = prepare(filled)
    report = Report()
    report._cancelled = lambda: report.figures.done > 10
    with pytest.raises(CallCancelledError):
        reindex(filled.work(), generation, report)
    built = filled.shelf("second").count()
    assert built > 0
    assert filled.catalogue.base_by_id(filled.base.id).generation == 1  # type: ignore[union-attr]
    again = Report()
    reindex(filled.work(), generation, again)
    assert again.figures.done < 78
    filled.check()


def test_reindexing_goes_on_with_an_index_that_has_lost_what_was_built(filled: Bench) -> None:
    generation = prepare(filled)
    with pytest.raises(RuntimeError, match="killed"):
        reindex(filled.work(), generation, Report(), ready=killed)
    assert filled.shelf("second").count() > 0
    lose_all(filled)
    repair(filled.catalogue, filled.target())
    reindex(filled.work(), generation, Report())
    filled.check()


def killed(target: Target) -> None:
    raise RuntimeError("killed")


def test_questions_see_one_or_the_other(filled: Bench, docs: Path) -> None:
    """While files change and the base is reindexed, a reader never sees half a document, or two versions of one."""
    over = threading.Event()
    failures: list[str] = []
    looks: list[int] = []

    def look() -> None:
        while not over.is_set():
            for key, text in filled.texts().items():
                sentences = {line for line in text.split("\n") if line and not line.startswith(("#", "File"))}
                lines = [line for line in text.split("\n") if line and not line.startswith(("#", "File"))]
                if len(sentences) != 1 or len(lines) != 12:
                    failures.append(f"{key}: {len(lines)} lines, {sentences}")
            looks.append(1)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(2):
            for number in range(8):
                write(docs, number, f"Turn {turn} of file {number}.")
            ingest(filled.work(), [Folder(docs, "docs")], Report())
            reindex(
                filled.work(), prepare(filled, f"shelf {turn}", chunker=f"Recursive(max_tokens={24 + turn})"), Report()
            )
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert len(looks) > 2
    filled.check()


# Mending.


def test_an_index_that_is_whole_is_left(filled: Bench) -> None:
    asked = len(filled.model.asked)
    assert repair(filled.catalogue, filled.target()) == Repaired()
    assert repair(filled.catalogue, filled.target(), full=True) == Repaired()
    assert len(filled.model.asked) == asked


def lose_all(bench: Bench) -> None:
    bench._shelves.clear()


def lose_some(bench: Bench) -> None:
    index = bench.target().index
    index.delete([record.id for record in index.scroll()][::3])


def lose_one(bench: Bench) -> None:
    index = bench.target().index
    index.delete([record.id for record in index.scroll()][-1:])


@pytest.mark.parametrize("lose", [lose_all, lose_some, lose_one])
def test_what_an_index_has_lost_is_put_back(filled: Bench, lose: Callable[[Bench], None]) -> None:
    before = filled.target().index.scroll()
    asked = len(filled.model.asked)
    lose(filled)
    repaired = repair(filled.catalogue, filled.target())
    assert repaired.missing > 0
    assert repaired.extra == 0
    filled.check()
    assert filled.target().index.scroll() == before
    target = filled.target()
    assert len(target.index.sample("letters", 1000)[0]) == len(before), "with their vectors"
    assert len(filled.model.asked) <= asked + 2, "which the cache has"


def test_what_is_replaced_while_it_is_put_back_is_not_left_behind(filled: Bench, docs: Path) -> None:
    lose_all(filled)
    target = filled.target()
    embedder = target.embedders["letters"]
    real = embedder.documents
    turns: list[int] = []

    def documents(texts: Any) -> Any:
        turns.append(1)
        if len(turns) == 1:
            write(docs, 1, "Replaced meanwhile.")
            ingest(filled.work(), [Folder(docs, "docs")], Report())
        return real(texts)

    embedder.documents = documents  # type: ignore[method-assign]
    repair(filled.catalogue, target)
    assert "Replaced meanwhile" in filled.texts()["docs/01.md"]
    filled.check()


def test_what_the_catalogue_does_not_know_is_removed(filled: Bench) -> None:
    target = filled.target()
    record = target.index.scroll()[0]
    from polyport_gateway.knowledge.indexes import Entry

    target.index.upsert([Entry(10**9, record.document, {}, None, record.metadata)])
    target.index.upsert([Entry(10**9 + 1, record.document, {}, None, {**record.metadata, "part": 7})])
    assert repair(filled.catalogue, target, full=True) == Repaired(0, 1)
    assert [one.id for one in target.index.scroll(after=10**8)] == [10**9 + 1], "another base's stays"


def test_what_is_being_built_is_not_taken_for_too_much(filled: Bench) -> None:
    target = filled.target()
    real = filled.catalogue.publish
    repaired: list[Repaired] = []

    def publish(*arguments: Any, **options: Any) -> Any:
        repaired.append(repair(filled.catalogue, target, full=True))
        return real(*arguments, **options)

    filled.catalogue.publish = publish  # type: ignore[method-assign]
    rekey(filled.work(keywords=upper, keywords_version=2), Report())
    assert set(repaired) == {Repaired()}
    filled.check()


def test_what_a_killed_reindexing_left_is_cleared(filled: Bench) -> None:
    generation = prepare(filled)
    real = filled.catalogue.drop_generation
    filled.catalogue.drop_generation = lambda base, generation: None  # type: ignore[method-assign]
    reindex(filled.work(), generation, Report())
    filled.catalogue.drop_generation = real  # type: ignore[method-assign]
    assert filled.shelf("first").count() > 0
    assert recover(filled.catalogue, filled.index_of) > 0
    assert filled.shelf("first").count() == 0
    filled.check()


def test_an_index_that_is_down_keeps_its_garbage(filled: Bench) -> None:
    chunks = sum(map(len, filled.seen().values()))
    filled.catalogue.drop(filled.base.id)

    def down(garbage: Any) -> Any:
        raise ServiceUnavailableError("the server does not answer")

    began = time.monotonic()
    assert clear(filled.catalogue, down) == 0
    assert clear(filled.catalogue, lambda garbage: None) == 0
    assert time.monotonic() - began < 5
    assert clear(filled.catalogue, filled.index_of) == chunks
    assert filled.shelf("first").count() == 0
    assert filled.catalogue.garbage() == []


def test_what_is_told_to_stop_stops(filled: Bench) -> None:
    chunks = sum(map(len, filled.seen().values()))
    with pytest.raises(CallCancelledError):
        repair(filled.catalogue, filled.target(), full=True, report=Report(cancelled=lambda: True))
    filled.catalogue.drop(filled.base.id)
    assert clear(filled.catalogue, filled.index_of, stopping=lambda: True) == 0
    assert recover(filled.catalogue, filled.index_of, stopping=lambda: True) == 0
    assert recover(filled.catalogue, filled.index_of, stopping=lambda: False) == chunks


def test_a_model_that_is_down_while_reindexing(filled: Bench) -> None:
    generation = prepare(filled)
    before = filled.seen()
    filled.cache.close()
    filled.cache.file.unlink()
    filled.model.failure = lambda text: RateLimitError("full")
    with pytest.raises(ServiceUnavailableError, match="full"):
        reindex(filled.work(), generation, Report())
    filled.model.failure = lambda text: BadRequestError("policy") if "File 3" in text else None
    with pytest.raises(ConflictError, match="03"):
        reindex(filled.work(), generation, Report())
    assert filled.seen() == before
    filled.model.failure = lambda text: None
    reindex(filled.work(), generation, Report())
    filled.check()


def test_keywords_that_stand_nowhere_in_a_document_find_it(filled: Bench) -> None:
    def keywords(document: Document, title: str) -> list[str]:
        return ["apiculture", "蜜蜂", title] if title == "File 3" else [title]

    def found(query: str) -> set[str]:
        target = filled.target()
        ids = target.index.search_sparse([target.bm25.query(query)], 100)[0].documents.tolist()
        return {row.document.key for row in filled.catalogue.live(ids).values()}

    def scores() -> list[float]:
        target = filled.target()
        return sorted(target.index.search_sparse([target.bm25.query("paragraph")], 100)[0].scores.tolist())

    assert found("apiculture") == set()
    before = scores()
    rekey(filled.work(keywords=keywords, keywords_version=2), Report())
    assert found("apiculture") == {"docs/03.md"}
    after = scores()
    assert sum(one != pytest.approx(other) for one, other in zip(before, after, strict=True)) <= len(before) // 4, (
        "what the others say already is not counted twice"
    )
    filled._shelves.clear()
    repair(filled.catalogue, filled.target())
    assert found("apiculture") == {"docs/03.md"}
