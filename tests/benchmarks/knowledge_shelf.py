"""One index with many bases: how fast it is filled, opened and asked, and where questions are led."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.federation import Profile, Router, Routing, shares
from polyport_gateway.knowledge.indexes import Entry, IndexRetriever, Samples, Schema
from polyport_gateway.knowledge.indexes.qdrant_edge import QdrantEdgeIndex
from polyport_gateway.knowledge.retrieval import BM25, Ranking, Weights
from tests.benchmarks.knowledge_topics import Question, Text

__all__ = ["Shelf", "filling", "latencies", "routes"]

EMBEDDER = "minilm"
BATCH = 500
POOL = 50


@dataclass
class Shelf:
    """An open index, what is in it, and what has to be known to ask it."""

    index: QdrantEdgeIndex
    bm25: BM25
    names: list[str]
    owner: NDArray[np.int64]
    router: Router
    samples: Samples
    weights: Weights

    def where(self, bases: Sequence[int]) -> dict[str, Any]:
        """Return the filter on some bases."""
        return {"part": {"in": [part(base) for base in bases]}}

    def retriever(self, bases: Sequence[int], vector: NDArray[np.float32] | None) -> IndexRetriever:
        """Return what searches some bases, for the question of a vector."""
        where = self.where(bases)
        more: dict[str, Any] = {} if vector is None else {"name": EMBEDDER, "embed": lambda texts: vector[None]}
        return IndexRetriever(
            self.index, self.bm25, weights=self.weights, where=where, among=where, samples=self.samples, **more
        )

    def found(self, ranking: Ranking) -> dict[str, float]:
        """Return each base's share of a ranking."""
        return shares([self.names[self.owner[chunk]] for chunk in ranking.documents.tolist()], ranking.scores.tolist())


def part(base: int) -> int:
    """Return a base's number in the index, as the service makes it."""
    return (base + 1) * 65536 + 1


def filling(
    folder: Path, names: list[str], texts: list[tuple[int, Text]], vectors: NDArray[np.float32], bm25: BM25
) -> tuple[dict[str, float], list[Profile]]:
    """Make the index, and the bases' profiles; say how long each took."""
    index = QdrantEdgeIndex(Schema({EMBEDDER: vectors.shape[1]}, {"part": "integer"}), folder)
    profiles = [Profile() for _ in names]
    seconds = dict.fromkeys(("terms", "index", "profiles"), 0.0)
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]
        rows = vectors[start : start + BATCH]
        began = time.perf_counter()
        sparse = [bm25.document(text.text, text.title) for _, text in some]
        seconds["terms"] += time.perf_counter() - began
        entries = [
            Entry(start + at, f"d{start + at}", {EMBEDDER: rows[at]}, sparse[at], {"part": part(base)})
            for at, (base, _) in enumerate(some)
        ]
        began = time.perf_counter()
        index.upsert(entries)
        seconds["index"] += time.perf_counter() - began
        began = time.perf_counter()
        for base in {base for base, _ in some}:
            mine = [at for at, (owner, _) in enumerate(some) if owner == base]
            profiles[base] = profiles[base].add([sparse[at] for at in mine], vectors={EMBEDDER: rows[mine]})
        seconds["profiles"] += time.perf_counter() - began
    began = time.perf_counter()
    index.optimize()
    seconds["optimize"] = time.perf_counter() - began
    seconds["MiB on disk"] = index.stats().bytes / 2**20
    index.close()
    return seconds, profiles


def timed(calls: Sequence[Callable[[], Any]]) -> tuple[list[float], list[float]]:
    """Return milliseconds of each, and of the processor, all threads together, after one to warm up."""
    calls[0]()
    wall, cpu = [], []
    for call in calls:
        began, worked = time.perf_counter(), time.process_time()
        call()
        cpu.append((time.process_time() - worked) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
    return wall, cpu


def latencies(
    shelf: Shelf, asked: list[Question], vectors: NDArray[np.float32]
) -> dict[str, tuple[list[float], list[float]]]:
    """Ask one base, ten and all, in each way; ten are others for each question."""
    chance = np.random.default_rng(0)
    every = range(len(shelf.names))
    found: dict[str, tuple[list[float], list[float]]] = {}
    for count in sorted({1, min(10, len(every)), len(every)}):
        chosen = [sorted({question.topic, *chance.permutation(len(every))[: count - 1].tolist()}) for question in asked]
        label = f"{count} base{'s' if count > 1 else ''}"
        cases = list(zip(asked, vectors, chosen, strict=True))
        terms = [shelf.bm25.query(question.text) for question in asked]
        found[f"dense, {label}"] = timed(
            [lambda v=v, b=b: shelf.index.search_dense(EMBEDDER, v, 10, shelf.where(b)) for _, v, b in cases]
        )
        found[f"BM25, {label}"] = timed(
            [
                lambda t=t, b=b: shelf.index.search_sparse([t], 10, shelf.where(b))
                for t, (_, _, b) in zip(terms, cases, strict=True)
            ]
        )
        found[f"hybrid, {label}"] = timed(
            [lambda q=q, v=v, b=b: shelf.retriever(b, v).search(q.text, 10) for q, v, b in cases]
        )
    found["routed and searched, all bases"] = timed(
        [lambda q=q, v=v: route(shelf, q, v, hybrid=True) for q, v in zip(asked, vectors, strict=True)]
    )
    ready = shelf.found(shelf.retriever(every, vectors[0]).search(asked[0].text, POOL))
    found["the router alone"] = timed(
        [
            lambda q=q, v=v: shelf.router.route(q.text, vectors={EMBEDDER: v}, found=ready)
            for q, v in zip(asked, vectors, strict=True)
        ]
    )
    return found


def route(shelf: Shelf, question: Question, vector: NDArray[np.float32], *, hybrid: bool) -> Routing:
    """Search all bases, and say which of them the question is for."""
    every = range(len(shelf.names))
    found = shelf.found(shelf.retriever(every, vector if hybrid else None).search(question.text, POOL))
    return shelf.router.route(question.text, vectors={EMBEDDER: vector} if hybrid else None, found=found)


def routes(shelf: Shelf, asked: list[Question], vectors: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Lead every question in each way, and count."""
    router = shelf.router
    ways: dict[str, Callable[[Question, NDArray[np.float32]], Routing]] = {
        "words": lambda q, v: router.route(q.text),
        "words and vectors": lambda q, v: router.route(q.text, vectors={EMBEDDER: v}),
        "without a model: BM25's finds and words": lambda q, v: route(shelf, q, v, hybrid=False),
        "hybrid finds, words and vectors": lambda q, v: route(shelf, q, v, hybrid=True),
    }
    rows = []
    for way, lead in ways.items():
        ranks, chosen, covered = [], [], 0
        for question, vector in zip(asked, vectors, strict=True):
            right = shelf.names[question.topic]
            routing = lead(question, vector)
            ranks.append([one.knowledge for one in routing.routes].index(right))
            chosen.append(len(routing.chosen))
            covered += right in routing.chosen
        places = np.array(ranks)
        rows.append(
            {
                "way": way,
                "first": float((places < 1).mean()),
                "first three": float((places < 3).mean()),
                "first ten": float((places < 10).mean()),
                "searched": float(np.mean(chosen)),
                "right among them": covered / len(asked),
            }
        )
    return rows
