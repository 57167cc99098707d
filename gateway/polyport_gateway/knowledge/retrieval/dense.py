"""Exact search by vectors in memory: the reference that an approximate index is measured by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ranking import Ranking, best

__all__ = ["DenseIndex", "normalized"]


def normalized(vectors: ArrayLike) -> NDArray[np.float32]:
    """Return vectors of length 1, so that their dot product is their cosine; a zero vector stays one.

    Raises:
        ValueError: A value is not a finite number.
    """
    found = np.asarray(vectors, dtype=np.float32)
    if found.ndim != 2:
        found = found.reshape((1, -1) if found.size else (0, 0))
    if not np.isfinite(found).all():
        raise ValueError("A vector has a value that is not a finite number.")
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), dtype=np.float32)


class DenseIndex:
    """Finds documents by the cosine of their vectors, exactly.

    Args:
        vectors: One row for each document; they are numbered in this order.
    """

    def __init__(self, vectors: ArrayLike) -> None:
        self.vectors = normalized(vectors)

    @property
    def size(self) -> int:
        """How many documents it holds."""
        return len(self.vectors)

    def scores(self, queries: ArrayLike) -> NDArray[np.float32]:
        """Return the cosine of every document: a row for each query.

        Raises:
            ValueError: The queries have another number of dimensions than the documents.
        """
        asked = normalized(queries)
        if not self.size:
            return np.empty((len(asked), 0), np.float32)
        if asked.shape[1] != self.vectors.shape[1]:
            raise ValueError(f"The query has {asked.shape[1]} dimensions; the index holds {self.vectors.shape[1]}.")
        if len(asked) == 1:  # reads the vectors as they lie, which is faster than the product of matrices
            return np.asarray((self.vectors @ asked[0])[None], dtype=np.float32)
        return np.asarray(asked @ self.vectors.T, dtype=np.float32)

    def search(self, query: ArrayLike, limit: int) -> Ranking:
        """Return the documents nearest to one query."""
        return best(self.scores(query)[0], limit)
