"""BM25 and vectors together, the weight of each chosen by the query's script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .bm25 import BM25, BM25Index
from .dense import DenseIndex
from .fusion import combined, standardized, with_reserves
from .ranking import Ranking, best
from .terms import unspaced_share

__all__ = ["RESERVED", "Embed", "HybridRetriever", "Retriever", "Weights"]

RESERVED = 50
"""How much further than asked for a fused ranking is looked at for what has a reserved place."""

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Makes vectors of texts: a row for each."""


class Retriever(Protocol):
    """What `hops` goes by: an index in memory, or one that is asked over a wire."""

    def search(self, query: str, limit: int, *, reserves: bool = True) -> Ranking:
        """Return the best documents; without reserves, by their scores alone."""
        ...

    def rate(self, queries: Sequence[str], among: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return, for each query, the scores of some documents, on the scale of `search`."""
        ...


@dataclass(frozen=True)
class Weights:
    """The share of the dense retriever, from 0 to 1, by the script of the query. `calibration` learns them.

    Args:
        spaced: For scripts that put blanks between words.
        unspaced: For Chinese, Japanese, Korean, Thai and so on.
    """

    spaced: float = 0.5
    unspaced: float = 0.3

    def __post_init__(self) -> None:
        for weight in (self.spaced, self.unspaced):
            if not 0 <= weight <= 1:
                raise ValueError(f"A weight must be between 0 and 1, not {weight}.")

    def of(self, query: str) -> float:
        """Return the weight for a query."""
        return self.unspaced if unspaced_share(query) >= 0.5 else self.spaced


class HybridRetriever:
    """Finds documents by BM25, and by vectors too where it is given them; in memory, exactly.

    Args:
        index: The documents' terms.
        bm25: What makes vectors of terms of queries.
        dense: The documents' vectors, in the same order.
        embed: What makes vectors of queries; goes with ``dense``.
        weights: Of the dense retriever.

    Raises:
        ValueError: Vectors without an ``embed``, or of another number of documents.
    """

    def __init__(
        self,
        index: BM25Index,
        bm25: BM25,
        *,
        dense: DenseIndex | None = None,
        embed: Embed | None = None,
        weights: Weights | None = None,
    ) -> None:
        if (dense is None) != (embed is None):
            raise ValueError("Vectors of documents and an embedder of queries go together: give both or none.")
        if dense is not None and dense.size != index.size:
            raise ValueError(f"There are {dense.size} vectors for {index.size} documents.")
        self._index, self._bm25 = index, bm25
        self._dense, self._embed = dense, embed
        self._weights = weights or Weights()

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return the score of every document, in standard deviations above the mean: a row for each query."""
        if not queries:
            return np.empty((0, self._index.size), np.float32)
        lexical = self._lexical(queries)
        if self._dense is None or self._embed is None:
            return standardized(lexical)
        fused = standardized(lexical)
        shares = np.array([self._weights.of(query) for query in queries], np.float32)
        rows = np.flatnonzero(shares)  # where vectors have no say, none is made
        if len(rows):
            near = self._dense.scores(self._embed([queries[row] for row in rows.tolist()]))
            fused[rows] = combined(near, lexical[rows], shares[rows, None])
        return fused

    def _lexical(self, queries: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._index.scores(self._bm25.query(query)) for query in queries])

    def search(self, query: str, limit: int, *, reserves: bool = True) -> Ranking:
        """Return the best documents; without vectors, those that share a term with the query.

        Args:
            query: What to find.
            limit: How many, at most.
            reserves: Keep places for what each retriever puts first, where the fused scores do not.
        """
        if self._dense is None or self._embed is None:
            return best(self.scores([query])[0], limit, above=0.0)
        share = self._weights.of(query)
        if share in (0, 1) or not reserves:
            return best(self.scores([query])[0], limit)
        near, lexical = self._dense.scores(self._embed([query]))[0], self._lexical([query])[0]
        fused, wide = combined(near, lexical, share), limit + RESERVED
        parts = best(near, wide), best(lexical, wide)
        # What one of them puts first has its place, however far down the sum has it.
        ids = np.unique(np.concatenate([part.documents for part in (best(fused, wide), *parts)]))
        order = ids[np.lexsort((ids, -fused[ids]))]
        return with_reserves(Ranking(order, fused[order]), *parts, share, limit)

    def rate(self, queries: Sequence[str], among: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return, for each query, the scores of some documents."""
        return [row[documents] for row, documents in zip(self.scores(queries), among, strict=True)]
