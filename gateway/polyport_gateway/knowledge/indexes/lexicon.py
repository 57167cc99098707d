"""BM25's sparse vectors in memory, that come and go: inverted lists in segments, as Lucene has them.

What was added since the last search becomes a segment, and small segments are merged, so that a search never waits for
all lists to be made anew. How rare a term is, is counted at each search, among what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.bm25 import SparseVector

__all__ = ["Lexicon"]

_RATIO = 4
"""A segment is merged with the one before it, unless that is so many times as large."""


@dataclass(frozen=True, slots=True)
class _Segment:
    terms: NDArray[np.uint32]
    starts: NDArray[np.int64]
    slots: NDArray[np.int32]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, terms: NDArray[np.uint32], slots: NDArray[np.int32], values: NDArray[np.float32]) -> _Segment:
        order = np.argsort(terms, kind="stable")
        unique, counts = np.unique(terms, return_counts=True)
        return cls(unique, np.concatenate([[0], np.cumsum(counts)]), slots[order], values[order])

    def posting(self, term: int) -> slice | None:
        place = int(np.searchsorted(self.terms, np.uint32(term)))
        if place == len(self.terms) or self.terms[place] != term:
            return None
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def flat(self, alive: NDArray[np.bool_]) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.float32]]:
        there = alive[self.slots]
        terms = np.repeat(self.terms, np.diff(self.starts))
        return terms[there], self.slots[there], self.values[there]


class Lexicon:
    """Sparse vectors by slot; which slots are alive, each call is told."""

    def __init__(self) -> None:
        self._segments: list[_Segment] = []
        self._new: dict[int, SparseVector] = {}
        self.count = 0

    def put(self, vectors: Mapping[int, SparseVector]) -> None:
        """Add vectors at slots that had none."""
        self._new.update(vectors)
        self.count += len(vectors)

    def drop(self, slot: int) -> None:
        """Say that a slot that had a vector is dead."""
        self._new.pop(slot, None)
        self.count -= 1

    def merge(self, alive: NDArray[np.bool_]) -> None:
        """Make one segment of all, without what is dead."""
        self._gather(alive)
        if len(self._segments) > 1 or any(not alive[one.slots].all() for one in self._segments):
            self._segments = [_joined(self._segments, alive)]

    def _gather(self, alive: NDArray[np.bool_]) -> None:
        if not self._new:
            return
        new, self._new = self._new, {}
        slots = np.repeat(np.array(list(new), np.int32), [len(vector.indices) for vector in new.values()])
        terms = np.concatenate([vector.indices for vector in new.values()]).astype(np.uint32)
        values = np.concatenate([vector.values for vector in new.values()]).astype(np.float32)
        self._segments.append(_Segment.of(terms, slots, values))
        first = len(self._segments) - 1
        size = len(self._segments[first].slots)
        while first and len(self._segments[first - 1].slots) < _RATIO * size:
            first -= 1
            size += len(self._segments[first].slots)
        if first < len(self._segments) - 1:
            self._segments[first:] = [_joined(self._segments[first:], alive)]

    def scores(self, query: SparseVector, alive: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the BM25 score of every slot; of dead ones it means nothing."""
        self._gather(alive)
        found = np.zeros(len(alive), np.float32)
        for term, value in zip(query.indices.tolist(), query.values, strict=True):
            postings = [(one, part) for one in self._segments if (part := one.posting(term)) is not None]
            having = sum(int(alive[one.slots[part]].sum()) for one, part in postings)
            if having:
                rarity = np.float32(np.log1p((self.count - having + 0.5) / (having + 0.5)))
                for one, part in postings:
                    found[one.slots[part]] += one.values[part] * (value * rarity)
        return found


def _joined(segments: Iterable[_Segment], alive: NDArray[np.bool_]) -> _Segment:
    terms, slots, values = zip(*(one.flat(alive) for one in segments), strict=True)
    return _Segment.of(np.concatenate(terms), np.concatenate(slots), np.concatenate(values))
