"""In how many chunks of a folder each term is, for Milvus Lite takes long to count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["TermCounts"]


class TermCounts:
    """Counts terms as chunks come and go."""

    def __init__(self) -> None:
        self._terms: dict[int, NDArray[np.uint32]] = {}
        self._counts: Counter[int] = Counter()

    def put(self, chunk: int, terms: Iterable[int] | None) -> None:
        """Add or replace a chunk; None for one that has no terms, which is not the same as an empty text."""
        self.drop([chunk])
        if terms is not None:
            kept = self._terms[chunk] = np.fromiter(terms, np.uint32)
            self._counts.update(kept.tolist())

    def drop(self, chunks: Iterable[int]) -> None:
        """Remove chunks; those that are not there are no error."""
        for chunk in chunks:
            terms = self._terms.pop(chunk, None)
            if terms is not None:
                self._counts.subtract(terms.tolist())

    def of(self, term: int | None) -> int:
        """Return how many chunks have a term; for None, how many have any."""
        return len(self._terms) if term is None else self._counts[term]
