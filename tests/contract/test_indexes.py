"""What every index does, whichever engine it has; the others are compared with the exact one in memory."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyport.errors import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ServiceUnavailableError,
    UnsupportedOperationError,
)
from polyport_gateway.knowledge.indexes import (
    Entry,
    IndexRetriever,
    MemoryIndex,
    Schema,
    VectorIndex,
    names,
    open_index,
    restore,
)
from polyport_gateway.knowledge.retrieval import (
    BM25,
    Analyzer,
    BM25Index,
    DenseIndex,
    HybridRetriever,
    Ranking,
    SparseVector,
    Weights,
)

WORDS = ["river", "mountain", "harbour", "engine", "bridge", "winter", "copper", "letter", "signal"]
WORDS += ["图书馆", "发动机", "山川", "garden", "cafe"]
SCHEMA = Schema(
    {"small": 8, "large": 24},
    {
        "year": "integer",
        "price": "float",
        "tags": "keyword",
        "open": "bool",
        "when": "datetime",
        "author.name": "keyword",
    },
)
PACKAGES = {
    "chroma": "chromadb",
    "faiss": "faiss",
    "milvus": "milvus_lite",
    "qdrant": "qdrant_client",
    "qdrant-edge": "qdrant_edge",
}
IN_FOLDERS = ("chroma", "faiss", "faiss-hnsw", "milvus", "qdrant-edge")
Make = Callable[..., VectorIndex]


def engine(kind: str) -> str:
    """The entry point's name."""
    return kind.removesuffix("-hnsw").removesuffix("-url")


def options(kind: str, folder: Path, url: str | None = None) -> dict[str, Any]:
    """What an engine needs to be told."""
    if url is not None:
        return {"url": url, "collection": folder.name}
    if kind == "qdrant":
        return {"url": str(folder), "collection": "chunks"}
    if kind == "faiss-hnsw":
        return {"folder": folder, "kind": "hnsw"}
    return {} if kind == "memory" else {"folder": folder}


@pytest.fixture(
    params=[
        "memory",
        "faiss",
        "qdrant-edge",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("chroma", "faiss-hnsw", "milvus", "qdrant", "qdrant-url")
        ),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    package = PACKAGES.get(engine(request.param))
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return request.param


@pytest.fixture
def make(kind: str, tmp_path: Path) -> Iterator[Make]:
    """Open an index; each call another, unless it is given a folder."""
    made: list[VectorIndex] = []
    numbers = itertools.count()
    servers = contextlib.ExitStack()
    url = None
    if kind == "qdrant-url":
        from tests.support.qdrant_server import QdrantServer

        url = servers.enter_context(QdrantServer()).url

    def opened(schema: Schema | None = SCHEMA, folder: Path | None = None) -> VectorIndex:
        told = options(kind, folder or tmp_path / f"index-{next(numbers)}", url)
        index = open_index(engine(kind), schema, **told)
        made.append(index)
        return index

    with servers:
        yield opened
        for index in made:
            index.close()


class Corpus:
    """Chunks of a small made-up collection."""

    def __init__(self, count: int = 120) -> None:
        chance = np.random.default_rng(5)
        self.texts = [" ".join(chance.choice(WORDS, 12)) for _ in range(count)]
        self.index, self.bm25 = BM25Index.of(self.texts)
        self.vectors = {name: chance.normal(size=(count, size)) for name, size in SCHEMA.vectors.items()}
        self.entries = [
            Entry(
                number,
                f"document-{number // 5}",
                {name: rows[number] for name, rows in self.vectors.items()},
                self.bm25.document(text),
                self.metadata(number),
            )
            for number, text in enumerate(self.texts)
        ]

    @staticmethod
    def metadata(number: int) -> dict[str, Any]:
        """Fields of all kinds, missing in some, a list or null in others."""
        found: dict[str, Any] = {
            "year": 2000 + number % 25,
            "price": number / 4,
            "open": number % 2 == 0,
            "tags": ["red", "green", "blue"][: number % 4],
            "when": f"2025-{1 + number % 12:02d}-01T00:00:00Z",
            "author": {"name": f"name {number % 3}"},
        }
        if number % 7 == 0:
            del found["year"]
        if number % 11 == 0:
            found["price"] = None
        return found


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus()


def same(found: Ranking, wanted: Ranking, *, off: float = 1e-4) -> None:
    """The same scores; the same chunks, but for those as good as one another."""
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=off, atol=1e-5)
    scores = dict(zip(wanted.documents.tolist(), wanted.scores.tolist(), strict=True))
    last = float(wanted.scores[-1]) if len(wanted.scores) else 0.0
    for chunk, score in zip(found.documents.tolist(), found.scores.tolist(), strict=True):
        assert scores.get(chunk, last) == pytest.approx(score, rel=off, abs=1e-5)
    assert len(set(found.documents.tolist())) == len(found.documents)


FILTERS: list[Mapping[str, Any]] = [
    {"year": 2005},
    {"year": {"ne": 2005}},
    {"year": {"gte": 2010, "lt": 2015}},
    {"year": 2005.0},
    {"price": 7},
    {"price": {"gt": 7.25}},
    {"price": {"exists": False}},
    {"tags": "green"},
    {"tags": {"in": ["blue", "black"]}},
    {"tags": {"nin": ["blue", "black"]}},
    {"tags": {"contains": ["red", "green"]}},
    {"tags": {"exists": True}},
    {"open": True},
    {"open": {"ne": True}},
    {"when": {"gte": "2025-06-01", "lte": "2025-08-01T00:00:00+00:00"}},
    {"author.name": "name 1"},
    {"document": {"in": ["document-1", "document-7"]}},
    {"year": {"in": [2001, 2002]}, "open": False},
    {"or": [{"year": 2001}, {"and": [{"open": True}, {"tags": "blue"}]}]},
    {"not": {"or": [{"open": True}, {"year": {"exists": False}}]}},
    {
        "type": "and",
        "filters": [{"type": "gte", "key": "year", "value": 2010}, {"type": "eq", "key": "open", "value": True}],
    },
    {"tags": "black"},
]


def test_engines_come_by_entry_points() -> None:
    assert {"memory", *PACKAGES} <= set(names())
    with pytest.raises(ConfigurationError, match=r"no index 'qdrnat'; there are: .*qdrant"):
        open_index("qdrnat", SCHEMA)


def test_it_is_an_index(make: Make) -> None:
    assert isinstance(make(), VectorIndex)


def test_finds_what_the_exact_index_finds(make: Make, corpus: Corpus) -> None:
    index, exact = make(), MemoryIndex(SCHEMA)
    for one in (index, exact):
        one.upsert(corpus.entries)
    asked = [corpus.bm25.query(text) for text in ("river mountain", "图书馆 的 发动机", "nowhere", "")]
    chance = np.random.default_rng(9)
    for where in (None, *FILTERS):
        assert index.count(where) == exact.count(where), where
        for name, size in SCHEMA.vectors.items():
            rows = chance.normal(size=(2, size)).astype(np.float32)
            for found, wanted in zip(
                index.search_dense(name, rows, 7, where), exact.search_dense(name, rows, 7, where), strict=True
            ):
                same(found, wanted)
        for found, wanted in zip(
            index.search_sparse(asked, 7, where), exact.search_sparse(asked, 7, where), strict=True
        ):
            same(found, wanted)
        assert index.scroll(where=where) == exact.scroll(where=where)


def test_the_exact_index_is_the_retrieval_core(corpus: Corpus) -> None:
    exact = MemoryIndex(SCHEMA)
    exact.upsert(corpus.entries)
    query = corpus.bm25.query("river harbour")
    same(exact.search_sparse([query], 9)[0], corpus.index.search(query, 9))
    vector = np.ones(8, np.float32)
    same(exact.search_dense("small", vector, 9)[0], DenseIndex(corpus.vectors["small"]).search(vector, 9))


def test_rates_some_chunks(make: Make, corpus: Corpus) -> None:
    index, exact = make(), MemoryIndex(SCHEMA)
    bare = replace(corpus.entries[3], id=500, vectors={}, sparse=None)
    for one in (index, exact):
        one.upsert([*corpus.entries, bare])
    among = [np.array([4, 500, 119, 7, 999]), np.empty(0, np.int64)]
    rows = np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32)
    terms = [corpus.bm25.query("copper garden"), corpus.bm25.query("signal")]
    for found, wanted in zip(
        index.rate_dense("small", rows, among), exact.rate_dense("small", rows, among), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert np.isnan(index.rate_dense("small", rows, among)[0][[1, 4]]).all()
    for found, wanted in zip(index.rate_sparse(terms, among), exact.rate_sparse(terms, among), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_hops_do_not_pass_a_filter(make: Make, corpus: Corpus) -> None:
    index = make()
    index.upsert(corpus.entries)
    where = {"year": {"gte": 2010}}
    among = np.array([8, 12, 24, 7777])
    assert index.meeting(among, where).tolist() == [False, True, True, False]
    assert index.meeting(among, None).tolist() == [True, True, True, False]
    retriever = IndexRetriever(index, corpus.bm25, where=where)
    assert np.isneginf(retriever.rate(["river"], [among])[0]).tolist() == [True, False, False, True]
    assert all(
        record.metadata["year"] >= 2010 for record in index.fetch(retriever.search("river", 50).documents.tolist())
    )


def test_fields_may_be_added(kind: str, make: Make, corpus: Corpus, tmp_path: Path) -> None:
    if kind == "memory":
        pytest.skip("memory keeps nothing")
    former = make(Schema({"small": 8}, {"year": "integer"}), tmp_path / "kept")
    former.upsert([replace(entry, vectors={}) for entry in corpus.entries])
    former.close()
    index = make(Schema({"small": 8}, {"open": "bool"}), tmp_path / "kept")
    assert index.count({"open": True}) == 60
    if engine(kind) != "qdrant":  # which takes the fields that it is told
        assert index.count({"year": 2005, "open": False}) == 2


def test_replaces_and_removes(make: Make, corpus: Corpus) -> None:
    index, exact = make(), MemoryIndex(SCHEMA)
    changed = [
        Entry(
            number, "other", {"small": -corpus.vectors["small"][number]}, corpus.bm25.document("zebra"), {"year": 1999}
        )
        for number in (3, 4, 50)
    ]
    for one in (index, exact):
        one.upsert(corpus.entries)
        one.upsert(changed)
        one.delete([10, 11, 100_000])
        one.delete_documents(["document-7", "document-8", "none such"])
        one.delete([])
        one.delete_documents([])
        one.upsert([])
    assert index.count() == exact.count() == 108
    assert [record.id for record in index.fetch([50, 10, 3])] == [50, 3]
    assert index.fetch([3])[0] == exact.fetch([3])[0]
    assert index.fetch([3])[0].metadata == {"year": 1999}
    for optimized in (False, True):
        if optimized:
            index.optimize()
        for name, size in SCHEMA.vectors.items():
            row = np.linspace(-1, 1, size, dtype=np.float32)
            same(index.search_dense(name, row, 120)[0], exact.search_dense(name, row, 120)[0])
        found = index.search_sparse([corpus.bm25.query("zebra")], 5)[0]
        assert sorted(found.documents.tolist()) == [3, 4, 50]


def test_of_equal_numbers_in_a_batch_the_last_stays(make: Make, corpus: Corpus) -> None:
    index = make()
    index.upsert([corpus.entries[0], replace(corpus.entries[1], id=0)])
    assert index.count() == 1
    assert index.fetch([0])[0].metadata == corpus.entries[1].metadata


def test_scrolls_in_order(make: Make, corpus: Corpus) -> None:
    index = make()
    index.upsert(corpus.entries[::-1])
    seen: list[int] = []
    while page := index.scroll(after=seen[-1] if seen else -1, limit=17):
        seen += [record.id for record in page]
    assert seen == list(range(120))


def test_samples(make: Make, corpus: Corpus) -> None:
    index = make()
    index.upsert([*corpus.entries, Entry(900, "bare")])
    ids, vectors = index.sample("small", 50)
    assert len(set(ids.tolist())) == 50
    assert 900 not in ids
    rows = DenseIndex(corpus.vectors["small"]).vectors
    np.testing.assert_allclose(vectors, rows[ids], rtol=1e-4, atol=1e-6)
    assert len(index.sample(None, 1000)[0]) == 121
    recent = {"year": {"gte": 2020}}
    met = index.meeting(np.arange(120), recent)
    ids, vectors = index.sample("small", 1000, recent)
    assert ids.tolist() == np.flatnonzero(met).tolist()
    np.testing.assert_allclose(vectors, rows[ids], rtol=1e-4, atol=1e-6)
    few = index.sample("small", 3, recent)[0]
    assert len(set(few.tolist())) == 3
    assert met[few].all()
    assert len(index.sample("small", 5, {"year": 1900})[0]) == 0
    chosen = index.sample("small", 20, {"open": True})[0]
    assert len(set(chosen.tolist())) == 20
    assert all(record.metadata["open"] for record in index.fetch(chosen.tolist()))


def test_an_empty_index_answers(make: Make) -> None:
    index = make()
    assert index.count() == 0
    assert index.scroll() == []
    assert index.sample("small", 5)[1].shape[0] == index.sample(None, 5)[1].shape[0] == 0
    assert len(index.search_dense("small", np.ones(8, np.float32), 5)[0].documents) == 0
    assert (
        len(index.search_sparse([SparseVector(np.array([1], np.uint32), np.ones(1, np.float32))], 5)[0].documents) == 0
    )
    assert index.stats().chunks == 0
    index.optimize()


def test_says_what_does_not_fit(make: Make, corpus: Corpus) -> None:
    index = make()
    index.upsert(corpus.entries[:5])
    with pytest.raises(BadRequestError, match="'small' gives vectors of 9 dimensions, and the index holds 8"):
        index.search_dense("small", np.ones(9, np.float32), 5)
    with pytest.raises(BadRequestError, match="no vectors of 'huge'; it has: small, large"):
        index.search_dense("huge", np.ones(9, np.float32), 5)
    with pytest.raises(BadRequestError, match=r"names the field 'yaer'.*Did you mean 'year'"):
        index.search_dense("small", np.ones(8, np.float32), 5, {"yaer": 2025})
    with pytest.raises(BadRequestError, match="'between' of 'year' is no condition"):
        index.count({"year": {"between": [1, 2]}})
    good = replace(corpus.entries[7], id=7)
    with pytest.raises(BadRequestError, match="dimensions"):
        index.upsert([good, Entry(8, "x", {"small": np.ones(3, np.float32)})])
    with pytest.raises(ValueError, match="finite"):
        index.upsert([good, Entry(8, "x", {"small": np.full(8, np.nan, np.float32)})])
    with pytest.raises(BadRequestError, match="number"):
        index.upsert([good, Entry(-1, "x")])
    assert index.count() == 5


def test_fields_are_free_where_the_schema_names_none(make: Make) -> None:
    index = make(Schema())
    index.upsert(
        [Entry(1, "a", metadata={"文件 名": "一", "deep": {"er": 3}}), Entry(2, "b", metadata={"文件 名": "二"})]
    )
    assert index.count({"文件 名": "二"}) == 1
    assert index.count({"deep.er": {"gte": 3}}) == 1
    assert index.count({"nothing": 1}) == 0


def test_many_threads(make: Make, corpus: Corpus) -> None:
    index = make()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for start in range(number * 30, number * 30 + 30, 10):
                index.upsert(corpus.entries[start : start + 10])
                index.search_dense("small", np.ones(8, np.float32), 5)
                index.search_sparse([corpus.bm25.query("river")], 5, {"open": True})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert index.count() == 120


def test_outlives_being_closed(kind: str, make: Make, corpus: Corpus, tmp_path: Path) -> None:
    if kind == "memory":
        pytest.skip("memory keeps nothing")
    folder = tmp_path / "kept"
    index = make(SCHEMA, folder)
    index.upsert(corpus.entries)
    index.delete([5])
    row = np.linspace(-1, 1, 8, dtype=np.float32)
    before = index.search_dense("small", row, 20)[0], index.search_sparse([corpus.bm25.query("river")], 20)[0]
    index.close()
    again = make(SCHEMA, folder)
    assert again.count() == 119
    same(again.search_dense("small", row, 20)[0], before[0])
    # Qdrant counts the deleted chunk among the terms' until it is loaded anew.
    same(again.search_sparse([corpus.bm25.query("river")], 20)[0], before[1], off=0.02)
    again.close()
    with pytest.raises(ConfigurationError, match=r"'small' gives vectors of 16 dimensions.*Rebuild"):
        make(Schema({"small": 16}), folder)
    with pytest.raises(ConfigurationError, match="no vectors of 'another'"):
        make(Schema({"another": 8}), folder)
    assert make(None, folder).schema.vectors == SCHEMA.vectors


def test_optimizing_leaves_python_free_and_searches_going(tmp_path: Path, corpus: Corpus) -> None:
    pytest.importorskip("qdrant_edge")
    index = open_index("qdrant-edge", SCHEMA, folder=tmp_path / "kept")
    index.upsert(corpus.entries)
    row = np.linspace(-1, 1, 8, dtype=np.float32)
    wanted = index.search_dense("small", row, 9)[0]
    worker = threading.Thread(target=index.optimize)
    worker.start()
    searched = 0
    while worker.is_alive():
        same(index.search_dense("small", row, 9)[0], wanted)
        searched += 1
        time.sleep(0.01)
    worker.join()
    assert searched > 3
    same(index.search_dense("small", row, 9)[0], wanted)
    index.upsert([replace(corpus.entries[0], id=1000)])
    index.close()
    (tmp_path / "kept" / "shard-left").mkdir()  # by a process that was killed while it optimized
    index = open_index("qdrant-edge", None, folder=tmp_path / "kept")
    assert index.count() == 121
    index.close()
    assert len(list((tmp_path / "kept").glob("shard*"))) == 1


def test_a_graph_is_read_back_only_while_it_is_true(tmp_path: Path, corpus: Corpus) -> None:
    faiss = pytest.importorskip("faiss")
    folder = tmp_path / "kept"
    row = np.linspace(-1, 1, 8, dtype=np.float32)
    index = open_index("faiss", SCHEMA, folder=folder, kind="hnsw")
    index.upsert(corpus.entries[:100])
    index.close()
    former = {path: path.read_bytes() for path in folder.glob("*.faiss")}
    assert len(former) == 2
    assert {faiss.read_index(str(path)).ntotal for path in former} == {100}
    index = open_index("faiss", None, folder=folder, kind="hnsw")
    index.upsert(corpus.entries[100:])
    index.delete([0])
    wanted = index.search_dense("small", row, 119)[0]
    index.close()
    for path, content in former.items():  # as a killed process leaves them
        path.write_bytes(content)
    index = open_index("faiss", None, folder=folder, kind="hnsw")
    same(index.search_dense("small", row, 119)[0], wanted)
    index.close()


def test_snapshot_and_restore(kind: str, make: Make, corpus: Corpus, tmp_path: Path) -> None:
    index = make()
    index.upsert(corpus.entries)
    if kind not in IN_FOLDERS:
        with pytest.raises(UnsupportedOperationError):
            index.snapshot(tmp_path / "snapshot")
        return
    index.snapshot(tmp_path / "snapshot")
    index.delete(list(range(60)))
    restore(tmp_path / "snapshot", tmp_path / "restored")
    again = make(None, tmp_path / "restored")
    assert (again.count(), index.count()) == (120, 60)
    row = np.linspace(-1, 1, 8, dtype=np.float32)
    assert again.search_dense("small", row, 3)[0].scores[0] >= index.search_dense("small", row, 3)[0].scores[0]
    with pytest.raises(ConflictError, match="exists"):
        index.snapshot(tmp_path / "snapshot")
    with pytest.raises(ConfigurationError, match="no snapshot"):
        restore(tmp_path, tmp_path / "x")


def test_says_that_it_is_damaged(kind: str, make: Make, corpus: Corpus, tmp_path: Path) -> None:
    if kind not in IN_FOLDERS:
        pytest.skip("not in a folder")
    folder = tmp_path / "kept"
    index = make(SCHEMA, folder)
    index.upsert(corpus.entries[:5])
    index.close()
    for path in folder.rglob("*"):
        if path.name == "segment.json" or path.name.startswith("manifest.json") or path.suffix == ".sqlite":
            path.write_bytes(b"nothing of use" * 1000)
    for _ in range(2):  # the folder is let go of
        with pytest.raises(ConfigurationError, match="is damaged"):
            make(None, folder)
    (folder / "schema.json").write_text('{"vectors"')
    with pytest.raises(ConfigurationError, match="is damaged"):
        make(None, folder)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".sidx", ".idx"])
@pytest.mark.parametrize("left", [0, 0.5])
def test_what_milvus_was_writing_when_it_was_killed_is_made_anew(
    ending: str, left: float, corpus: Corpus, tmp_path: Path
) -> None:
    pytest.importorskip("milvus_lite")
    index = open_index("milvus", SCHEMA, folder=tmp_path)
    index.upsert(corpus.entries)
    index.close()
    open_index("milvus", None, folder=tmp_path).close()
    derived = list(tmp_path.rglob(f"*{ending}"))
    assert derived
    for file in derived:
        os.truncate(file, int(file.stat().st_size * left))
    index = open_index("milvus", None, folder=tmp_path)
    assert index.count() == len(corpus.entries)
    entry = corpus.entries[7]
    assert index.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
    index.close()


@pytest.mark.slow
def test_what_milvus_had_kept_twice_when_it_was_killed_is_there_once(corpus: Corpus, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    index = open_index("milvus", SCHEMA, folder=tmp_path / "index")
    index.upsert(corpus.entries)
    (logs,) = (tmp_path / "index").rglob("wal")
    shutil.copytree(logs, tmp_path / "logs")
    index.close()
    assert not list(logs.iterdir())
    # Killed after it had named the segments, and before it had removed their log.
    shutil.copytree(tmp_path / "logs", logs, dirs_exist_ok=True)
    for _ in range(3):
        index = open_index("milvus", None, folder=tmp_path / "index")
        ids = [record.id for record in index.scroll(limit=10_000)]
        assert len(ids) == len(set(ids)) == index.count() == len(corpus.entries)
        index.upsert(corpus.entries[:3])
        index.close()


@pytest.mark.slow
def test_says_that_a_server_is_down() -> None:
    pytest.importorskip("qdrant_client")
    with pytest.raises(ServiceUnavailableError, match=r"server at http://127\.0\.0\.1:9 failed"):
        open_index("qdrant", SCHEMA, url="http://127.0.0.1:9", collection="chunks")


def test_a_folder_belongs_to_one(kind: str, make: Make, tmp_path: Path) -> None:
    if kind not in IN_FOLDERS:
        pytest.skip("not in a folder")
    make(SCHEMA, tmp_path / "kept")
    with pytest.raises(ConflictError, match=r"open already, in the process \d+"):
        make(SCHEMA, tmp_path / "kept")


def test_retrieves_as_the_core_does(make: Make, corpus: Corpus) -> None:
    index = make()
    index.upsert(corpus.entries)

    def embed(texts: Sequence[str]) -> Any:
        return np.stack([np.random.default_rng(len(text)).normal(size=8) for text in texts]).astype(np.float32)

    dense = DenseIndex(corpus.vectors["small"])
    for weights in (Weights(0.6, 0.3), Weights(0, 0), Weights(1, 1)):
        core = HybridRetriever(corpus.index, corpus.bm25, dense=dense, embed=embed, weights=weights)
        ours = IndexRetriever(index, corpus.bm25, name="small", embed=embed, weights=weights, candidates=120)
        for query in ("river mountain letter", "图书馆发动机"):
            wanted = core.search(query, 10)
            found = ours.search(query, 10)
            np.testing.assert_allclose(found.scores, wanted.scores, rtol=2e-3, atol=2e-3)
            assert found.documents[:3].tolist() == wanted.documents[:3].tolist()
        among = [np.array([1, 2, 3]), np.array([50])]
        for rated, expected in zip(
            ours.rate(["river", "copper"], among), core.rate(["river", "copper"], among), strict=True
        ):
            np.testing.assert_allclose(rated, expected, rtol=2e-3, atol=2e-3)
    lexical = IndexRetriever(index, corpus.bm25)
    same(lexical.search("river", 5), HybridRetriever(corpus.index, corpus.bm25).search("river", 5))
    assert len(lexical.search("nowhere", 5).documents) == 0
    assert BM25(Analyzer()).query("river").indices.size == 1
