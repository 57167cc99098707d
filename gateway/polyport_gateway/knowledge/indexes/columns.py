"""The dense vectors of one name, in memory: numbered places that are only ever added to, the dead ones passed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.ranking import Ranking, best

__all__ = ["Column", "Finder", "NumpyFinder"]


class Finder(Protocol):
    """Vectors at places 0, 1, 2 …, and a way to search them."""

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Put more at the end."""
        ...

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of places."""
        ...

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best places among those allowed."""
        ...


class NumpyFinder:
    """Exact, by one product of a matrix."""

    def __init__(self, size: int) -> None:
        self._kept = np.empty((0, size), np.float32)
        self._used = 0

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Put more at the end; the room is doubled where it is full."""
        needed = self._used + len(vectors)
        if needed > len(self._kept):
            grown = np.empty((max(needed, 2 * len(self._kept)), self._kept.shape[1]), np.float32)
            grown[: self._used] = self._kept[: self._used]
            self._kept = grown
        self._kept[self._used : needed] = vectors
        self._used = needed

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of places."""
        return self._kept[places]

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best places."""
        scores = self._kept[: self._used] @ query
        if allowed is not None:
            scores = np.where(allowed, scores, np.float32(-np.inf))
        return best(scores, limit)


class Column:
    """Vectors by the numbers of chunks.

    Args:
        finder: Holds them.
    """

    def __init__(self, finder: Finder) -> None:
        self.finder = finder
        self.places: dict[int, int] = {}
        self._owners: list[int] = []
        self._owned: NDArray[np.int64] | None = None

    @classmethod
    def over(cls, finder: Finder, ids: Sequence[int]) -> Column:
        """Return a column of vectors that a finder holds already, in this order."""
        found = cls(finder)
        found._owners = list(ids)
        found.places = dict(zip(ids, range(len(ids)), strict=True))
        return found

    @property
    def ordered(self) -> bool:
        """Whether all places are alive, and in the order of numbers."""
        return not self.dead and self._owners == sorted(self._owners)

    @property
    def dead(self) -> int:
        """How many places hold what was replaced or removed."""
        return len(self._owners) - len(self.places)

    def put(self, ids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors, or replace those of the same numbers."""
        start = len(self._owners)
        self.finder.add(vectors)
        self._owners.extend(ids)
        self.places.update(zip(ids, range(start, start + len(ids)), strict=True))
        self._owned = None

    def drop(self, chunk: int) -> None:
        """Remove a vector."""
        self.places.pop(chunk, None)

    def search(self, query: NDArray[np.float32], limit: int, allowed: set[int] | None) -> Ranking:
        """Return the best chunks among those allowed."""
        owners = self._owners_array()
        mask: NDArray[np.bool_] | None = None
        if allowed is not None or self.dead:
            mask = np.zeros(len(owners), np.bool_)
            mask[[place for chunk, place in self.places.items() if allowed is None or chunk in allowed]] = True
        if not self.places or (mask is not None and not mask.any()):
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        found = self.finder.search(query, limit, mask)
        return Ranking(owners[found.documents], found.scores)

    def rate(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the cosine of chunks; NaN where there is no vector."""
        found = np.full(len(ids), np.nan, np.float32)
        places = np.array([self.places.get(chunk, -1) for chunk in ids.tolist()], np.int64)
        there = places >= 0
        found[there] = self.finder.take(places[there]) @ query
        return found

    def vectors(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of chunks, all of which have one."""
        return self.finder.take(np.array([self.places[chunk] for chunk in ids], np.int64))

    def _owners_array(self) -> NDArray[np.int64]:
        owned = self._owned
        if owned is None:
            owned = self._owned = np.array(self._owners, np.int64)
        return owned
