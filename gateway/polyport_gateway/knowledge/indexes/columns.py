"""The dense vectors of one name, in memory: numbered places that are only ever added to, the dead ones passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.ranking import Ranking, best

from .arrays import Growing

__all__ = ["Column", "Finder", "NumpyFinder", "PlacedColumn"]


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
        self._vectors: Growing[np.float32] = Growing(np.float32, size)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Put more at the end."""
        self._vectors.extend(vectors)

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of places."""
        return self._vectors.rows[places]

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best places."""
        if allowed is not None and int(allowed.sum()) * _RARE < len(allowed):
            places = np.flatnonzero(allowed)
            found = best(np.asarray(self._vectors.rows[places] @ query, np.float32), limit)
            return Ranking(places[found.documents], found.scores)
        scores = np.asarray(self._vectors.rows @ query, np.float32)
        if allowed is not None:
            scores = np.where(allowed, scores, np.float32(-np.inf))
        return best(scores, limit)


_RARE = 8
"""Where one of so many is allowed, those alone are compared, though they must be copied first."""


class Column(Protocol):
    """Vectors by the numbers of chunks, which have slots (see `facts`)."""

    @property
    def ids(self) -> list[int]:
        """The chunks that have a vector, ascending."""
        ...

    @property
    def dead(self) -> int:
        """How many places hold what was replaced or removed."""
        ...

    def put(self, ids: Sequence[int], slots: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors of chunks that have none."""
        ...

    def drop(self, ids: Sequence[int]) -> None:
        """Remove the vectors of chunks; those that have none are no error."""
        ...

    def renumber(self, slots: Mapping[int, int]) -> None:
        """Take other slots for the chunks."""
        ...

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best chunks among those whose slots are allowed."""
        ...

    def rate(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the cosine of chunks; NaN where there is no vector."""
        ...

    def vectors(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of chunks, all of which have one."""
        ...


class PlacedColumn:
    """Vectors in this process.

    Args:
        finder: Holds them.
    """

    def __init__(self, finder: Finder) -> None:
        self.finder = finder
        self._places: dict[int, int] = {}
        self._owners: Growing[np.int64] = Growing(np.int64)
        self._slots: Growing[np.int32] = Growing(np.int32)
        self._alive: Growing[np.bool_] = Growing(np.bool_)

    @classmethod
    def over(cls, finder: Finder, ids: Sequence[int], slots: Sequence[int]) -> PlacedColumn:
        """Return a column of vectors that a finder holds already, in this order."""
        found = cls(finder)
        found._own(ids, slots)
        return found

    @property
    def ids(self) -> list[int]:
        """The chunks that have a vector."""
        return sorted(self._places)

    @property
    def ordered(self) -> bool:
        """Whether all places are alive, and in the order of numbers."""
        return not self.dead and bool((np.diff(self._owners.rows) > 0).all())

    @property
    def dead(self) -> int:
        """How many places hold what was replaced or removed."""
        return len(self._owners) - len(self._places)

    def _own(self, ids: Sequence[int], slots: Sequence[int]) -> None:
        start = len(self._owners)
        self._owners.extend(ids)
        self._slots.extend(slots)
        self._alive.extend(np.ones(len(ids), np.bool_))
        self._places.update(zip(ids, range(start, start + len(ids)), strict=True))

    def put(self, ids: Sequence[int], slots: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors."""
        self.finder.add(vectors)
        self._own(ids, slots)

    def drop(self, ids: Sequence[int]) -> None:
        """Remove vectors."""
        places = [place for chunk in ids if (place := self._places.pop(chunk, None)) is not None]
        self._alive.rows[places] = False

    def renumber(self, slots: Mapping[int, int]) -> None:
        """Take other slots for the chunks."""
        self._slots.rows[:] = [slots.get(chunk, 0) for chunk in self._owners.rows.tolist()]

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best chunks."""
        mask: NDArray[np.bool_] | None = self._alive.rows if self.dead else None
        if allowed is not None:
            mask = allowed[self._slots.rows] & self._alive.rows
        if not self._places or (mask is not None and not mask.any()):
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        found = self.finder.search(query, limit, mask)
        return Ranking(self._owners.rows[found.documents], found.scores)

    def rate(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the cosine of chunks."""
        found = np.full(len(ids), np.nan, np.float32)
        places = np.array([self._places.get(chunk, -1) for chunk in ids.tolist()], np.int64)
        there = places >= 0
        found[there] = self.finder.take(places[there]) @ query
        return found

    def vectors(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of chunks."""
        return self.finder.take(np.array([self._places[chunk] for chunk in ids], np.int64))
