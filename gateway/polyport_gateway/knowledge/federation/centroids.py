"""The middles of a base's vectors: where, in an embedder's space, its passages lie.

Spherical k-means over batches (Sculley, "Web-scale k-means clustering", WWW 2010; Dhillon and Modha, "Concept
decompositions for large sparse text data using clustering", 2001): a vector goes to the nearest middle and is added to
its sum. Sums, not means, are kept, so that a vector that goes away is subtracted from the nearest one again. Nothing is
scanned twice; the middles are as good as the order of the batches lets them be, which suffices to tell bases apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.dense import normalized

__all__ = ["Centroids"]

_MOST = 16
_ROUNDS = 4


@dataclass(frozen=True)
class Centroids:
    """Sums of vectors, one for each cluster, and how many are in each.

    >>> made = Centroids.empty(2).add(np.eye(2, dtype=np.float32))
    >>> int(made.counts.sum())
    2
    """

    sums: NDArray[np.float32]
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, dimensions: int) -> Centroids:
        """Return none, of so many dimensions."""
        return cls(np.empty((0, dimensions), np.float32), np.empty(0, np.int64))

    @property
    def dimensions(self) -> int:
        """The size of the vectors."""
        return int(self.sums.shape[1])

    @property
    def middles(self) -> NDArray[np.float32]:
        """The middle of each cluster, of length 1."""
        return normalized(self.sums) if len(self.sums) else self.sums

    def add(self, vectors: NDArray[np.float32]) -> Centroids:
        """Return them with a batch of vectors added; vectors of length 0 and such as are not finite count nothing."""
        rows = _usable(vectors)
        if not len(rows):
            return self
        sums, counts = self.sums, self.counts
        missing = _MOST - len(sums)
        if missing > 0:
            seeds = _seeds(rows, self.middles, missing)
            sums = np.concatenate([sums, np.zeros((len(seeds), self.dimensions), np.float32)])
            counts = np.concatenate([counts, np.zeros(len(seeds), np.int64)])
            middles = _settled(rows, np.concatenate([self.middles, seeds]), fixed=len(self.sums))
        else:
            middles = self.middles
        nearest = (rows @ middles.T).argmax(axis=1)
        sums, counts = sums.copy(), counts + np.bincount(nearest, minlength=len(sums))
        np.add.at(sums, nearest, rows)
        return Centroids(sums[counts > 0], counts[counts > 0])

    def remove(self, vectors: NDArray[np.float32]) -> Centroids:
        """Return them without a batch of vectors that had been added."""
        rows = _usable(vectors)
        if not len(rows) or not len(self.sums):
            return self
        nearest = (rows @ self.middles.T).argmax(axis=1)
        sums, counts = self.sums.copy(), self.counts - np.bincount(nearest, minlength=len(self.counts))
        np.subtract.at(sums, nearest, rows)
        kept = (counts > 0) & (np.linalg.norm(sums, axis=1) > 1e-6)
        return Centroids(sums[kept], counts[kept])


def _usable(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.atleast_2d(np.asarray(vectors, np.float32))
    if not rows.size:
        return np.empty((0, rows.shape[1]), np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    kept = np.isfinite(lengths) & (lengths > 0)
    return np.asarray(rows[kept] / lengths[kept, None], np.float32)


def _seeds(rows: NDArray[np.float32], known: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return vectors far from one another and from what is known: k-means++ without chance, the farthest each time."""
    likeness = (rows @ known.T).max(axis=1) if len(known) else np.full(len(rows), -np.inf, np.float32)
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        place = int(likeness.argmin())
        if likeness[place] > 0.999:
            break
        chosen.append(place)
        likeness = np.maximum(likeness, rows @ rows[place])
    return rows[chosen]


def _settled(rows: NDArray[np.float32], middles: NDArray[np.float32], *, fixed: int) -> NDArray[np.float32]:
    """Return the middles after a few of Lloyd's rounds; the first ones, which stand for earlier batches, stay."""
    for _ in range(_ROUNDS):
        nearest = (rows @ middles.T).argmax(axis=1)
        moved = middles.copy()
        for place in range(fixed, len(middles)):
            mine = rows[nearest == place]
            total = mine.sum(axis=0) if len(mine) else middles[place]
            length = float(np.linalg.norm(total))
            if length > 0:
                moved[place] = total / length
        middles = moved
    return middles
