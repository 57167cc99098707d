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
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector
from polyport_gateway.knowledge.retrieval.ranking import Ranking, best

from .base import Entry, Record, Schema, Stats, Where
from .columns import Column, NumpyFinder, PlacedColumn
from .facts import Facts
from .lexicon import Lexicon

__all__ = ["MemoryIndex"]


class MemoryIndex:
    """Holds everything in memory, and finds exactly. Nothing outlives the process.

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
        self._facts = self._no_facts()
        self._lexicon = Lexicon()
        self._columns: dict[str, Column] = {name: self._column(name, size) for name, size in schema.vectors.items()}

    def _no_facts(self) -> Facts:
        return Facts(self.schema.filtered)

    def _column(self, name: str, size: int) -> Column:
        return PlacedColumn(NumpyFinder(size))

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
        slots = self._put_records(entries)
        for name, column in self._columns.items():
            found = {entry.id: row[name] for entry, row in zip(entries, vectors, strict=True) if name in row}
            latest = {entry.id: name in row for entry, row in zip(entries, vectors, strict=True)}
            ids = [chunk for chunk, there in latest.items() if there]
            if ids:
                column.put(ids, [slots[chunk] for chunk in ids], np.stack([found[chunk] for chunk in ids]))

    def _put_records(self, entries: Sequence[Entry]) -> dict[int, int]:
        """Add chunks but for their vectors; return their slots."""
        latest = list({entry.id: entry for entry in entries}.values())
        self._remove([entry.id for entry in latest])
        if self._facts.crowded:
            self._renumber()
        for entry in latest:
            self._records[entry.id] = Record(entry.id, entry.document, copy.deepcopy(dict(entry.metadata)))
            self._documents.setdefault(entry.document, set()).add(entry.id)
            if entry.sparse is not None:
                self._sparse[entry.id] = entry.sparse
        return self._number(entry.id for entry in latest)

    def _number(self, ids: Iterable[int]) -> dict[int, int]:
        """Give chunks slots, and make them found by terms and metadata."""
        records = [self._records[chunk] for chunk in ids]
        slots = self._facts.put((record.id, record.document, record.metadata) for record in records)
        found = {record.id: slot for record, slot in zip(records, slots, strict=True)}
        self._lexicon.put({slot: self._sparse[chunk] for chunk, slot in found.items() if chunk in self._sparse})
        return found

    def _remove(self, ids: Sequence[int]) -> None:
        there = [chunk for chunk in dict.fromkeys(ids) if chunk in self._records]
        for column in self._columns.values():
            column.drop(there)
        for chunk in there:
            record = self._records.pop(chunk)
            slot = self._facts.drop(chunk)
            if self._sparse.pop(chunk, None) is not None and slot is not None:
                self._lexicon.drop(slot)
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

    def search_dense(self, name: str, vectors: NDArray[np.float32], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the nearest vectors."""
        rows = self.schema.queries(name, vectors)
        chosen = self.schema.filter(where)
        with self._lock:
            allowed = None if chosen is None else self._facts.meeting(chosen)
            return [self._columns[name].search(row, limit, allowed) for row in rows]

    def search_sparse(self, vectors: Sequence[SparseVector], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the best BM25 score."""
        chosen = self.schema.filter(where)
        with self._lock:
            allowed = self._facts.meeting(chosen)
            return [self._best(self._lexicon.scores(vector, self._facts.alive), allowed, limit) for vector in vectors]

    def _best(self, scores: NDArray[np.float32], allowed: NDArray[np.bool_], limit: int) -> Ranking:
        slots = np.flatnonzero((scores > 0) & allowed)
        ids = self._facts.ids[slots]
        order = np.argsort(ids)  # of equal scores, the smaller number comes first
        found = best(scores[slots[order]], limit)
        return Ranking(ids[order][found.documents], found.scores)

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
        found = []
        with self._lock:
            for vector, ids in zip(vectors, among, strict=True):
                scores = np.append(self._lexicon.scores(vector, self._facts.alive), np.float32(0))
                found.append(scores[self._slots(ids)])
        return found

    def _slots(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the slots of chunks; -1 for those that are not there."""
        return np.array([self._facts.slots.get(chunk, -1) for chunk in ids.tolist()], np.int64)

    def meeting(self, ids: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
        """Return, for each chunk, whether it meets a filter."""
        chosen = self.schema.filter(where)
        with self._lock:
            return np.append(self._facts.meeting(chosen), np.bool_(False))[self._slots(ids)]

    def sample(
        self, name: str | None, limit: int, where: Where = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return some chunks, and their vectors."""
        chance = random.Random(0)  # noqa: S311  # a sample, not a secret
        wanted = self.schema.filter(where)
        with self._lock:
            column = None if name is None else self._columns[name]
            ids = sorted(self._records) if column is None else column.ids
            if wanted is not None:
                met = set(self._facts.ids[self._facts.meeting(wanted)].tolist())
                ids = [chunk for chunk in ids if chunk in met]
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
            ids = self._facts.ids[self._facts.meeting(chosen)]
            return [self._records[chunk] for chunk in np.sort(ids[ids > after])[: max(0, limit)].tolist()]

    def count(self, where: Where = None) -> int:
        """Return how many chunks there are."""
        chosen = self.schema.filter(where)
        with self._lock:
            return len(self._records) if chosen is None else int(self._facts.meeting(chosen).sum())

    def stats(self) -> Stats:
        """Say what it holds."""
        return Stats(self.engine, len(self._records))

    def optimize(self) -> None:
        """Make everything anew without what is dead, where there is any."""
        with self._lock:
            self._renumber()
            for name, column in self._columns.items():
                if column.dead:
                    self._columns[name] = self._packed(name, column)
            self._lexicon.merge(self._facts.alive)

    def _renumber(self) -> None:
        """Give all chunks slots anew, where some are dead."""
        if len(self._facts.ids) == len(self._records):
            return
        self._facts, self._lexicon = self._no_facts(), Lexicon()
        slots = self._number(sorted(self._records))
        for column in self._columns.values():
            column.renumber(slots)

    def _packed(self, name: str, column: Column) -> Column:
        ids = column.ids
        packed = self._column(name, self.schema.vectors[name])
        if ids:
            packed.put(ids, [self._facts.slots[chunk] for chunk in ids], column.vectors(ids))
        return packed

    def snapshot(self, target: Path) -> None:
        """Refuse: there is no folder."""
        raise UnsupportedOperationError(
            "An index in memory has no snapshots; use one in a folder, such as qdrant-edge."
        )

    def close(self) -> None:
        """Let go of nothing: what it holds goes with it."""
