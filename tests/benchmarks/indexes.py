"""How fast indexes are filled, searched and opened, beside one another in one run.

    python tests/benchmarks/indexes.py [--chunks 200000] [--engines qdrant-edge,faiss-flat,…] [--json FILE]

Vectors lie around 500 centres, as those of texts do; words are drawn as often as Zipf has it, 100 a chunk. Every engine
runs in a process of its own, so that memory is its own. Recall is of the exact nearest ten. `memory` is numpy.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from polyport_gateway.knowledge.indexes import Entry, IndexRetriever, Schema, VectorIndex, open_index
from polyport_gateway.knowledge.retrieval import BM25, Analyzer, DenseIndex

DIMENSIONS = 384
BATCH = 1000
WORDS = 50_000
QUERIES = 100
SCHEMA = Schema({"made-up": DIMENSIONS}, {"year": "integer", "tags": "keyword"})
ENGINES = ("qdrant-edge", "faiss-flat", "faiss-hnsw", "memory")


class Data:
    """Chunks, the same for every engine."""

    def __init__(self, chunks: int) -> None:
        chance = np.random.default_rng(0)
        self.chunks = chunks
        self.bm25 = BM25(Analyzer(), mean_length=100)
        self._centres = chance.normal(size=(500, DIMENSIONS)).astype(np.float32)
        share = 1 / np.arange(1, WORDS + 1)
        self._share = share / share.sum()
        self.questions = [self._text(chance, 10) for _ in range(QUERIES)]
        self.asked = self._vectors(chance, QUERIES)

    def _vectors(self, chance: np.random.Generator, count: int) -> Any:
        near = self._centres[chance.integers(0, 500, count)]
        return (near + 0.7 * chance.normal(size=(count, DIMENSIONS))).astype(np.float32)

    def _text(self, chance: np.random.Generator, words: int) -> str:
        return " ".join(f"w{number}" for number in chance.choice(WORDS, words, p=self._share))

    def batches(self) -> Iterator[list[Entry]]:
        """Return the chunks."""
        chance = np.random.default_rng(1)
        for start in range(0, self.chunks, BATCH):
            vectors = self._vectors(chance, BATCH)
            yield [
                Entry(
                    start + row,
                    f"document-{(start + row) // 10}",
                    {"made-up": vectors[row]},
                    self.bm25.document(self._text(chance, 100)),
                    {"year": 2000 + (start + row) % 25, "tags": ["a", "b", "c"][: row % 4]},
                )
                for row in range(min(BATCH, self.chunks - start))
            ]


def opened(engine: str, folder: Path) -> VectorIndex:
    """Open an engine's index."""
    if engine == "memory":
        return open_index("memory", SCHEMA)
    kind, _, form = engine.partition("-")
    more = {"kind": form} if kind == "faiss" else {}
    return open_index("faiss" if kind == "faiss" else engine, SCHEMA, folder=folder, **more)


def times(calls: list[Callable[[], Any]]) -> tuple[float, float]:
    """Return the median and the 95th percentile, in milliseconds, after one call to warm up."""
    calls[0]()
    seconds = []
    for call in calls:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    return float(p50), float(p95)


def measured(engine: str, chunks: int) -> dict[str, Any]:
    """Fill, search and open one engine's index."""
    data = Data(chunks)
    found: dict[str, Any] = {"engine": engine}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "index"
        index = opened(engine, folder)
        seconds, vectors = 0.0, []
        for batch in data.batches():
            vectors.append(np.stack([entry.vectors["made-up"] for entry in batch]))
            began = time.perf_counter()
            index.upsert(batch)
            seconds += time.perf_counter() - began
        found["chunks/s"] = chunks / seconds
        began = time.perf_counter()
        index.optimize()
        found["optimize s"] = time.perf_counter() - began
        searches(index, data, np.concatenate(vectors), found)
        del vectors
        found["MiB on disk"] = index.stats().bytes / 2**20
        index.close()
        if engine != "memory":
            began = time.perf_counter()
            index = opened(engine, folder)
            index.search_dense("made-up", data.asked[0], 10)
            index.search_sparse([data.bm25.query(data.questions[0])], 10)
            found["open s"] = time.perf_counter() - began
            index.close()
    found["peak MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return found


def searches(index: VectorIndex, data: Data, vectors: Any, found: dict[str, Any]) -> None:
    """Ask in each way."""
    exact = DenseIndex(vectors)
    hits = [
        len(set(index.search_dense("made-up", row, 10)[0].documents) & set(exact.search(row, 10).documents))
        for row in data.asked
    ]
    found["recall@10"] = sum(hits) / (10 * len(hits))
    rows, terms = list(data.asked), [data.bm25.query(question) for question in data.questions]
    retriever = IndexRetriever(index, data.bm25, name="made-up", embed=lambda texts: data.asked[: len(texts)])
    among = [np.random.default_rng(2).choice(data.chunks, 100) for _ in range(5)]
    year: dict[str, Any] = {"year": {"gte": 2024}}
    ways: dict[str, list[Callable[[], Any]]] = {
        "dense": [lambda v=row: index.search_dense("made-up", v, 10) for row in rows],
        "BM25": [lambda q=query: index.search_sparse([q], 10) for query in terms],
        "dense, 4 % by filter": [lambda v=row: index.search_dense("made-up", v, 10, year) for row in rows[:30]],
        "BM25, 4 % by filter": [lambda q=query: index.search_sparse([q], 10, year) for query in terms[:30]],
        "hybrid": [lambda q=question: retriever.search(q, 10) for question in data.questions[:30]],
        "rate 5 × 100": [lambda q=question: retriever.rate([q] * 5, among) for question in data.questions[:10]],
    }
    for way, calls in ways.items():
        found[f"{way}: p50 ms"], found[f"{way}: p95 ms"] = times(calls)


def main() -> None:
    """Measure each, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=200_000)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(args.one, args.chunks)))
        return
    rows = []
    for engine in args.engines.split(","):
        command = [sys.executable, __file__, "--one", engine, "--chunks", str(args.chunks)]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(f"{args.chunks:,} chunks, {DIMENSIONS} dimensions\n")
    print(f"| | {' | '.join(row['engine'] for row in rows)} |\n|---|{'---|' * len(rows)}")
    for name in dict.fromkeys(key for row in rows for key in row if key != "engine"):
        values = (f"{row[name]:,.2f}" if name in row else "–" for row in rows)
        print(f"| {name} | {' | '.join(values)} |")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
