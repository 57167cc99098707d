from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyport.errors import (
    BadRequestError,
    CallCancelledError,
    ConfigurationError,
    FunctionError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
    UpstreamError,
)
from polyport_gateway.knowledge.documents import Parsed
from polyport_gateway.knowledge.ingestion.ingest import ingest, origin_of
from polyport_gateway.knowledge.ingestion.repair import recover
from polyport_gateway.knowledge.ingestion.report import Figures, Report
from polyport_gateway.knowledge.ingestion.sources import Folder, Item, Listing, Loaded, Origin, Source, Upload, Uploads
from tests.support.ingesting import Bench, LetterModel, parse


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nTea is hot. It comes from China.\n")
    (folder / "bees.md").write_text("# Bees\n\n蜜蜂采蜜。它们会飞。\n", encoding="utf-8")
    (folder / "notes.txt").write_text("Nothing much.")
    return folder


def run(bench: Bench, *sources: Source, **options: Any) -> Report:
    report = Report()
    changes = options.pop("changes", {})
    ingest(bench.work(**changes), sources, report, **options)
    return report


def counted(report: Report) -> tuple[int, int, int, int, int]:
    figures = report.figures
    return figures.added, figures.updated, figures.unchanged, figures.removed, figures.failed


def test_a_folder_is_taken_in(bench: Bench, docs: Path) -> None:
    report = run(bench, Folder(docs, "docs"), job="job-1", by="key")
    assert counted(report) == (3, 0, 0, 0, 0)
    assert (report.figures.done, report.figures.total) == (3, 3)
    assert set(bench.texts()) == {"docs/tea.md", "docs/bees.md", "docs/notes.txt"}
    assert "蜜蜂采蜜" in bench.texts()["docs/bees.md"]
    bench.check()
    row = bench.catalogue.find(bench.base.id, ["docs/tea.md"])["docs/tea.md"]
    assert (row.title, row.status, row.version, row.format) == ("Tea", "ready", 1, "markdown")
    assert row.keywords
    assert row.receipt is not None
    assert row.receipt["blocks"] == 2
    assert origin_of(row) is not None
    change = bench.catalogue.changes(bench.base.id)[0]
    assert (change.action, change.job, change.by) == ("added", "job-1", "key")


def test_what_the_index_gets(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"), changes={"metadata": {"team": "kitchen", "part": 99}, "tags": ("drinks",)})
    target = bench.target()
    (record,) = [one for one in target.index.scroll() if one.metadata["source"] == "docs/tea.md"]
    assert record.metadata["part"] == target.part, "a document can't put itself into another base"
    assert record.metadata["team"] == "kitchen"
    assert record.metadata["tags"] == ["drinks"]
    assert record.metadata["title"] == "Tea"
    assert record.document == bench.catalogue.find(bench.base.id, ["docs/tea.md"])["docs/tea.md"].uid
    found = target.index.search_sparse([target.bm25.query("China")], 5)[0]
    assert record.id in found.documents.tolist()
    query = target.embedders["letters"].queries(["Tea\nTea is hot. It comes from China."])
    assert target.index.search_dense("letters", query, 1)[0].documents[0] == record.id


def test_what_has_not_changed_is_left(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    before = bench.seen()
    asked = len(bench.model.asked)
    parsed: list[str] = []

    def counting(data: bytes, name: str) -> Parsed:
        parsed.append(name)
        return parse(data, name)

    report = run(bench, Folder(docs, "docs"), changes={"parse": counting})
    assert counted(report) == (0, 0, 3, 0, 0)
    assert parsed == []
    assert len(bench.model.asked) == asked
    assert bench.seen() == before


def test_changed_new_and_removed_files(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    (docs / "tea.md").write_text("# Tea\n\nTea is cold now.\n")
    (docs / "milk.md").write_text("# Milk\n\nMilk is white.\n")
    (docs / "notes.txt").unlink()
    report = run(bench, Folder(docs, "docs"))
    assert counted(report) == (1, 1, 1, 1, 0)
    assert set(bench.texts()) == {"docs/tea.md", "docs/bees.md", "docs/milk.md"}
    assert "cold" in bench.texts()["docs/tea.md"]
    assert "hot" not in bench.texts()["docs/tea.md"]
    bench.check()
    actions = [change.action for change in bench.catalogue.changes(bench.base.id)]
    assert sorted(actions[:3]) == ["added", "removed", "updated"]


def test_a_file_is_looked_at_once_after_it_was_touched(
    bench: Bench, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyport_gateway.knowledge.ingestion.sources.folder._FRESH_S", -1.0)
    run(bench, Folder(docs, "docs"))
    (docs / "tea.md").touch()
    read: list[str] = []
    real = Path.resolve

    def resolve(self: Path, strict: bool = False) -> Path:
        if self.name.endswith((".md", ".txt")):
            read.append(self.name)
        return real(self, strict)

    monkeypatch.setattr(Path, "resolve", resolve)
    before = versions(bench)
    assert counted(run(bench, Folder(docs, "docs"))) == (0, 0, 3, 0, 0)
    assert read == ["tea.md"]
    assert counted(run(bench, Folder(docs, "docs"))) == (0, 0, 3, 0, 0)
    assert read == ["tea.md"], "its new stamp was kept"
    assert versions(bench) == before


def versions(bench: Bench) -> dict[str, int]:
    return {row.key: row.version for row in bench.catalogue.documents(bench.base.id).rows}


def test_force_reads_all_again(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    assert counted(run(bench, Folder(docs, "docs"), force=True)) == (0, 3, 0, 0, 0)
    bench.check()


def test_one_bad_file_does_not_stop_the_rest(bench: Bench, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 this is none")
    (docs / "empty.docx").write_bytes(b"")
    report = run(bench, Folder(docs, "docs"))
    assert counted(report) == (3, 0, 0, 0, 2)
    assert {problem.key for problem in report.problems} == {"docs/broken.pdf", "docs/empty.docx"}
    row = bench.catalogue.find(bench.base.id, ["docs/broken.pdf"])["docs/broken.pdf"]
    assert row.status == "failed"
    assert row.error
    again = run(bench, Folder(docs, "docs"))
    assert counted(again)[2] == 5, "it is not read again, for it is the same"
    assert {problem.key for problem in again.problems} == {"docs/broken.pdf", "docs/empty.docx"}, "and still told"
    shutil.copy(docs / "tea.md", docs / "broken.pdf")
    mended = run(bench, Folder(docs, "docs"))
    assert counted(mended) == (1, 0, 4, 0, 0)
    bench.check()


def test_a_file_that_breaks_later_is_searched_as_it_was(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    (docs / "tea.md").write_bytes(b"%PDF-1.7 this is none")
    report = run(bench, Folder(docs, "docs"))
    assert counted(report) == (0, 0, 2, 0, 1)
    assert "hot" in bench.texts()["docs/tea.md"]
    row = bench.catalogue.find(bench.base.id, ["docs/tea.md"])["docs/tea.md"]
    assert row.status == "ready"
    assert row.error


def test_a_reader_that_crashes_fails_one_file(bench: Bench, docs: Path) -> None:
    def crashing(data: bytes, name: str) -> Parsed:
        if name == "tea.md":
            raise ZeroDivisionError
        return parse(data, name)

    report = run(bench, Folder(docs, "docs"), changes={"parse": crashing})
    assert counted(report) == (2, 0, 0, 0, 1)
    assert report.problems[0].code == "internal_error"


def test_a_missing_folder_removes_nothing(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    docs.rename(docs.with_name("elsewhere"))
    report = run(bench, Folder(docs, "docs"), whole=True)
    assert counted(report) == (0, 0, 0, 0, 1)
    assert "no folder" in report.problems[0].message
    assert len(bench.texts()) == 3
    docs.mkdir()
    report = run(bench, Folder(docs, "docs"))
    assert "not be mounted" in report.problems[0].message
    assert len(bench.texts()) == 3


def test_a_folder_that_is_empty_is_an_empty_base(bench: Bench, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = run(bench, Folder(tmp_path / "empty", "empty"))
    assert report.problems == []
    assert "no files" in report.notes[0]
    run(bench, Folder(docs, "docs"))
    for file in docs.iterdir():
        file.unlink()
    assert counted(run(bench, Folder(docs, "docs"))) == (0, 0, 0, 3, 0)
    assert bench.texts() == {}
    bench.check()


def test_a_source_that_is_no_longer_among_them(bench: Bench, docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(docs, other)
    blob = bench.blobs.put(b"uploaded").key
    run(bench, Folder(docs, "docs"), Folder(other, "other"), whole=True)
    run(bench, Uploads([Upload("u.txt", blob)], bench.blobs))
    assert counted(run(bench, Folder(docs, "docs"))) == (0, 0, 3, 0, 0), "not all were looked at"
    assert counted(run(bench, Folder(docs, "docs"), whole=True)) == (0, 0, 3, 3, 0)
    assert set(bench.texts()) == {"docs/tea.md", "docs/bees.md", "docs/notes.txt", "u.txt"}


def test_uploads_and_what_is_said_of_them(bench: Bench) -> None:
    tea, milk = bench.blobs.put(b"Tea is hot.").key, bench.blobs.put(b"Milk is white.").key
    first = [Upload("tea.txt", tea, metadata={"year": 2024}, tags=("a",)), Upload("milk.txt", milk)]
    assert counted(run(bench, Uploads(first, bench.blobs))) == (2, 0, 0, 0, 0)
    assert counted(run(bench, Uploads(first, bench.blobs))) == (0, 0, 2, 0, 0)
    again = [Upload("tea.txt", tea, metadata={"year": 2025}, tags=("b",))]
    asked = len(bench.model.asked)
    assert counted(run(bench, Uploads(again, bench.blobs))) == (0, 1, 0, 0, 0)
    assert len(bench.model.asked) == asked + 1, "the probe alone: the text is the same"
    row = bench.catalogue.find(bench.base.id, ["tea.txt"])["tea.txt"]
    assert (row.metadata["year"], row.tags, row.version) == (2025, ("b",), 2)
    assert len(bench.texts()) == 2, "what is not handed in again is not gone"
    bench.check()


def test_an_upload_whose_bytes_are_gone(bench: Bench) -> None:
    report = run(bench, Uploads([Upload("tea.txt", "0" * 64)], bench.blobs))
    assert counted(report) == (0, 0, 0, 0, 1)


def test_a_parsed_document_that_is_lost_is_read_again(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    row = bench.catalogue.find(bench.base.id, ["docs/tea.md"])["docs/tea.md"]
    assert row.parsed is not None
    bench.blobs.delete(row.parsed)
    assert counted(run(bench, Folder(docs, "docs"))) == (0, 1, 2, 0, 0)
    assert bench.parsed.get(row.parsed).text


def many(folder: Path, count: int) -> None:
    for number in range(count):
        text = "\n\n".join(f"Paragraph {place} of file {number} about subject {number * place}." for place in range(12))
        (folder / f"{number:04}.txt").write_text(text)


def test_many_files_in_few_batches(bench: Bench, docs: Path) -> None:
    many(docs, 90)
    bench.model.delay_s = 0.01
    batches: list[int] = []
    real = bench.catalogue.publish

    def publish(base: int, generation: int, staged: Any, **options: Any) -> Any:
        batches.append(len(staged))
        return real(base, generation, staged, **options)

    bench.catalogue.publish = publish  # type: ignore[method-assign]
    report = run(bench, Folder(docs, "docs"))
    assert counted(report) == (93, 0, 0, 0, 0)
    assert sum(batches) == 93
    assert len(batches) < 12
    bench.check()


def failing(error: Exception, when: str) -> Callable[[str], Exception | None]:
    return lambda text: error if when in text else None


def test_a_text_that_a_model_refuses_fails_one_document(bench: Bench, docs: Path) -> None:
    bench.model.failure = failing(BadRequestError("content policy"), "China")
    report = run(bench, Folder(docs, "docs"))
    assert counted(report) == (2, 0, 0, 0, 1)
    assert report.problems[0].key == "docs/tea.md"
    row = bench.catalogue.find(bench.base.id, ["docs/tea.md"])["docs/tea.md"]
    assert (row.status, row.error) == ("failed", "content policy")
    bench.check()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RateLimitError("full"), ServiceUnavailableError),
        (UpstreamError("down", code="upstream_unreachable"), ServiceUnavailableError),
        (UpstreamError("refused", code="upstream_refused_key"), UpstreamError),
        (ConfigurationError("size"), ConfigurationError),
    ],
)
def test_a_model_that_is_down_ends_the_job_and_marks_no_file(
    bench: Bench, docs: Path, error: Exception, raised: type[Exception]
) -> None:
    bench.model.failure = failing(error, "China")
    with pytest.raises(raised, match=str(error)):
        run(bench, Folder(docs, "docs"))
    assert "docs/tea.md" not in bench.texts()
    assert "docs/tea.md" not in bench.catalogue.find(bench.base.id, ["docs/tea.md"])
    bench.model.failure = lambda text: None
    run(bench, Folder(docs, "docs"))
    assert len(bench.texts()) == 3
    bench.check()


def test_a_full_disk_ends_the_job_and_marks_no_file(bench: Bench, docs: Path) -> None:
    def full(data: Any, *, limit: int | None = None) -> Any:
        raise ServiceUnavailableError("The disk is full.", code="disk_full")

    real = bench.blobs.put
    bench.blobs.put = full  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailableError, match="full"):
        run(bench, Folder(docs, "docs"))
    assert bench.catalogue.documents(bench.base.id).rows == ()
    bench.blobs.put = real  # type: ignore[method-assign]
    assert counted(run(bench, Folder(docs, "docs"))) == (3, 0, 0, 0, 0)
    bench.check()


def test_a_base_that_is_dropped_meanwhile(bench: Bench, docs: Path) -> None:
    def dropping(data: bytes, name: str) -> Parsed:
        bench.catalogue.drop(bench.base.id)
        return parse(data, name)

    with pytest.raises(NotFoundError):
        run(bench, Folder(docs, "docs"), changes={"parse": dropping})
    recover(bench.catalogue, bench.index_of)
    assert bench.shelf("first").count() == 0


def test_a_model_whose_vectors_have_another_size_is_said(bench: Bench, docs: Path) -> None:
    target = bench.target()
    bench.model = LetterModel(16)
    with pytest.raises((ConfigurationError, BadRequestError), match="dimensions"):
        run(bench, Folder(docs, "docs"), changes={"target": lambda generation: target_with(bench, target)})
    assert bench.texts() == {}


def target_with(bench: Bench, target: Any) -> Any:
    from dataclasses import replace

    from polyport_gateway.knowledge.embedding import Embedder

    return replace(target, embedders={"letters": Embedder("letters", bench.model, size=32)})


def test_a_model_that_was_replaced_by_one_of_another_size_fails_no_file(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    before = bench.texts()
    (docs / "tea.md").write_text("# Tea\n\nChanged.")
    bench.model.size = 16
    with pytest.raises(ConfigurationError, match="16 dimensions, and the index holds 32"):
        run(bench, Folder(docs, "docs"))
    assert bench.texts() == before
    assert bench.catalogue.documents(bench.base.id, status="failed").rows == ()


def test_keywords_that_cannot_be_made_leave_a_document_behind(bench: Bench, docs: Path) -> None:
    def keywords(document: Any, title: str) -> list[str]:
        if title == "Tea":
            raise FunctionError("no more words")
        return ["word"]

    report = run(bench, Folder(docs, "docs"), changes={"keywords": keywords, "keywords_version": 3})
    assert counted(report) == (3, 0, 0, 0, 0)
    assert report.problems[0].code == "keywords_failed"
    assert [row.key for row in bench.catalogue.behind(bench.base.id, 3)] == ["docs/tea.md"]


def test_it_stops_where_it_is_told_to_and_goes_on(bench: Bench, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyport_gateway.knowledge.ingestion.pipeline._DOCUMENTS", 10)
    many(docs, 100)
    bench.model.delay_s = 0.05
    told: list[Figures] = []
    stop = threading.Event()

    def tell(figures: Figures) -> None:
        told.append(figures)
        if figures.added:
            stop.set()

    report = Report(tell, cancelled=stop.is_set, every_s=0)
    with pytest.raises(CallCancelledError):
        ingest(bench.work(), [Folder(docs, "docs")], report)
    kept = len(bench.texts())
    assert 0 < kept < 103
    bench.model.delay_s = 0
    rest = run(bench, Folder(docs, "docs"))
    assert counted(rest)[0] == 103 - kept
    assert len(bench.texts()) == 103
    bench.check()
    done = [figures.done for figures in told]
    assert done == sorted(done)


class Given:
    """A source of what it is told."""

    label = "given"
    complete = True

    def __init__(self, *items: Item) -> None:
        self.items = items

    def list(self, known: Any = ()) -> Listing:
        return Listing(self.items)


def test_a_document_that_others_change_meanwhile_is_looked_at_again(bench: Bench) -> None:
    real = bench.catalogue.publish
    published: list[int] = []

    def publish(*arguments: Any, **options: Any) -> Any:
        published.append(1)
        if len(published) == 1:
            run(bench, Given(Item("x", lambda stamp: Loaded(b"Theirs.", "x.txt"))))
            assert bench.texts() == {"x": "Theirs."}
        return real(*arguments, **options)

    bench.catalogue.publish = publish  # type: ignore[method-assign]
    report = run(bench, Given(Item("x", lambda stamp: Loaded(b"Ours.", "x.txt"))))
    assert bench.texts() == {"x": "Ours."}
    assert len(published) == 3
    assert counted(report) == (0, 1, 0, 0, 0)
    bench.check()


def test_a_page_that_is_gone_for_good_is_removed(bench: Bench) -> None:
    def gone(stamp: str | None) -> Loaded:
        raise NotFoundError("gone", code="page_removed")

    def missing(stamp: str | None) -> Loaded:
        raise NotFoundError("missing", code="page_missing")

    keys = ["http://a.example/", "http://b.example/"]
    run(bench, Given(*(Item(key, lambda stamp: Loaded(b"<p>Tea", "a.html", "1")) for key in keys)))
    report = run(bench, Given(Item(keys[0], gone), Item(keys[1], missing)))
    assert counted(report)[3:] == (1, 1)
    assert set(bench.texts()) == {keys[1]}


def test_links_are_written_with_the_chunks(bench: Bench, docs: Path) -> None:
    from dataclasses import replace

    written: list[tuple[int, int, int, str]] = []

    def links(passages: Any) -> Any:
        def write(connection: Any, base: int, generation: int, numbers: Any) -> None:
            written.extend(
                (base, generation, number, passage.address) for number, passage in zip(numbers, passages, strict=True)
            )

        return write

    run(bench, Folder(docs, "docs"), changes={"target": lambda generation: replace(bench.target(), links=links)})
    ids = {row.id for rows in bench.seen().values() for row in rows}
    assert {number for _, _, number, _ in written} == ids
    assert {address for *_, address in written} == set(bench.texts())


def test_the_mean_length_is_learned_from_the_first_batch(bench: Bench, docs: Path) -> None:
    from dataclasses import replace

    from polyport_gateway.knowledge.retrieval import BM25

    learned: list[float] = []

    def settle(mean: float) -> BM25:
        learned.append(mean)
        return replace(bench.bm25, mean_length=mean)

    run(bench, Folder(docs, "docs"), changes={"target": lambda generation: replace(bench.target(), settle=settle)})
    assert len(learned) == 1
    assert 5 < learned[0] < 50


def test_an_origin_tells_where_from(bench: Bench, docs: Path) -> None:
    run(bench, Folder(docs, "docs"))
    row = bench.catalogue.find(bench.base.id, ["docs/tea.md"])["docs/tea.md"]
    origin = origin_of(row)
    assert isinstance(origin, Origin)
    assert origin.source == "docs"
    assert origin.root is not None
