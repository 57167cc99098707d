"""The exact index in memory: the reference that others are compared with, and what FAISS's is made of."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyport.errors import UnsupportedOperationError
from polyport_gateway.knowledge.retrieval.bm25 import BM25Index, SparseVector
from polyport_gateway.knowledge.retrieval.ranking import Ranking, best

from .base import Entry, Record, Schema, Stats, Where
from .columns import Column, Finder, NumpyFinder
from .filters import Filter, matches

__all__ = ["MemoryIndex"]


class MemoryIndex:
    """Holds everything in memory, and finds exactly. Nothing outlives the process.

    The inverted lists of BM25 are made anew at the first search after a change: 200,000 chunks take seconds, so this is
    for what is changed seldom, for tests, and for evaluation.

    Args:
        schema: What it holds.
    """

    engine = "memory"

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._lock = threading.RLock()
        self._records: dict[int, Record] = {}
        self._sparse: dict[int, SparseVector] = {}
        self._documents: dict[str, set[int]] = {}
        self._columns = {name: Column(self._finder(size)) for name, size in schema.vectors.items()}
        self._terms: tuple[BM25Index, NDArray[np.int64], dict[int, int]] | None = None

    def _finder(self, size: int) -> Finder:
        return NumpyFinder(size)

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Add or replace chunks."""
        vectors = [self.schema.entry(entry) for entry in entries]
        with self._lock:
            self._keep(entries, vectors)
            self._put(entries, vectors)

    def _keep(self, entries: Sequence[Entry], vectors: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        """Make a change outlive the process."""

    def _forget(self, ids: Sequence[int]) -> None:
        """Make a removal outlive the process."""

    def _put(self, entries: Sequence[Entry], vectors: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        latest = {entry.id: number for number, entry in enumerate(entries)}
        self._remove(latest)
        for number in latest.values():
            entry = entries[number]
            self._records[entry.id] = Record(entry.id, entry.document, copy.deepcopy(dict(entry.metadata)))
            self._documents.setdefault(entry.document, set()).add(entry.id)
            if entry.sparse is not None:
                self._sparse[entry.id] = entry.sparse
        for name, column in self._columns.items():
            ids = [chunk for chunk, number in latest.items() if name in vectors[number]]
            if ids:
                column.put(ids, np.stack([vectors[latest[chunk]][name] for chunk in ids]))

    def _remove(self, ids: Iterable[int]) -> None:
        self._terms = None
        for chunk in ids:
            record = self._records.pop(chunk, None)
            if record is None:
                continue
            self._sparse.pop(chunk, None)
            for column in self._columns.values():
                column.drop(chunk)
            mates = self._documents[record.document]
            mates.discard(chunk)
            if not mates:
                del self._documents[record.document]

    def delete(self, ids: Sequence[int]) -> None:
        """Remove chunks."""
        with self._lock:
            self._forget(ids)
            self._remove(ids)

    def delete_documents(self, documents: Sequence[str]) -> None:
        """Remove all chunks of documents."""
        with self._lock:
            self.delete([chunk for document in documents for chunk in self._documents.get(document, ())])

    def _allowed(self, where: Filter | None) -> set[int] | None:
        if where is None:
            return None
        return {chunk for chunk, record in self._records.items() if matches(where, record.document, record.metadata)}

    def search_dense(self, name: str, vectors: NDArray[np.float32], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the nearest vectors."""
        rows = self.schema.queries(name, vectors)
        chosen = self.schema.filter(where)
        with self._lock:
            allowed = self._allowed(chosen)
            return [self._columns[name].search(row, limit, allowed) for row in rows]

    def search_sparse(self, vectors: Sequence[SparseVector], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the best BM25 score."""
        chosen = self.schema.filter(where)
        with self._lock:
            allowed = self._allowed(chosen)
            index, ids, _ = self._lists()
        mask = None if allowed is None else np.array([chunk in allowed for chunk in ids.tolist()], np.bool_)
        return [_best(index.scores(vector), ids, mask, limit) for vector in vectors]

    def _lists(self) -> tuple[BM25Index, NDArray[np.int64], dict[int, int]]:
        if self._terms is None:
            ids = sorted(self._sparse)
            index = BM25Index(self._sparse[chunk] for chunk in ids)
            self._terms = index, np.array(ids, np.int64), {chunk: place for place, chunk in enumerate(ids)}
        return self._terms

    def rate_dense(
        self, name: str, vectors: NDArray[np.float32], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the cosine of some chunks."""
        rows = self.schema.queries(name, vectors)
        with self._lock:
            return [self._columns[name].rate(row, ids) for row, ids in zip(rows, among, strict=True)]

    def rate_sparse(
        self, vectors: Sequence[SparseVector], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the BM25 score of some chunks."""
        with self._lock:
            index, _, places = self._lists()
        found = []
        for vector, ids in zip(vectors, among, strict=True):
            scores = np.append(index.scores(vector), np.float32(0))
            found.append(scores[[places.get(chunk, -1) for chunk in ids.tolist()]] if len(ids) else scores[:0])
        return found

    def meeting(self, ids: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
        """Return, for each chunk, whether it meets a filter."""
        chosen = self.schema.filter(where)
        with self._lock:
            records = [self._records.get(chunk) for chunk in ids.tolist()]
        met = [
            record is not None and (chosen is None or matches(chosen, record.document, record.metadata))
            for record in records
        ]
        return np.array(met, np.bool_)

    def sample(self, name: str | None, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return some chunks, and their vectors."""
        chance = random.Random(0)  # noqa: S311  # a sample, not a secret
        with self._lock:
            column = None if name is None else self._columns[name]
            ids = sorted(self._records if column is None else column.places)
            chosen = sorted(chance.sample(ids, min(limit, len(ids))))
            vectors = np.empty((len(chosen), 0), np.float32) if column is None else column.vectors(chosen)
        return np.array(chosen, np.int64), vectors

    def fetch(self, ids: Sequence[int]) -> list[Record]:
        """Return what is kept of chunks."""
        with self._lock:
            return [self._records[chunk] for chunk in ids if chunk in self._records]

    def scroll(self, *, after: int = -1, limit: int = 1000, where: Where = None) -> list[Record]:
        """Return the next chunks by number."""
        chosen = self.schema.filter(where)
        with self._lock:
            allowed = self._allowed(chosen)
            ids = sorted(chunk for chunk in (self._records if allowed is None else allowed) if chunk > after)
            return [self._records[chunk] for chunk in ids[:limit]]

    def count(self, where: Where = None) -> int:
        """Return how many chunks there are."""
        chosen = self.schema.filter(where)
        with self._lock:
            return len(self._records) if chosen is None else len(self._allowed(chosen) or ())

    def stats(self) -> Stats:
        """Say what it holds."""
        return Stats(self.engine, len(self._records))

    def optimize(self) -> None:
        """Make the inverted lists, and columns without what is dead."""
        with self._lock:
            for name, column in self._columns.items():
                if column.dead:
                    ids = sorted(column.places)
                    packed = Column(self._finder(self.schema.vectors[name]))
                    if ids:
                        packed.put(ids, column.vectors(ids))
                    self._columns[name] = packed
            self._lists()

    def snapshot(self, target: Path) -> None:
        """Refuse: there is no folder."""
        raise UnsupportedOperationError(
            "An index in memory has no snapshots; use one in a folder, such as qdrant-edge."
        )

    def close(self) -> None:
        """Let go of nothing: what it holds goes with it."""


def _best(scores: NDArray[np.float32], ids: NDArray[np.int64], mask: NDArray[np.bool_] | None, limit: int) -> Ranking:
    found = best(scores if mask is None else np.where(mask, scores, np.float32(0)), limit, above=0.0)
    return Ranking(ids[found.documents], found.scores)
