"""A ranking: numbers of documents, and the score of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranking", "best"]


class Ranking(NamedTuple):
    """Documents by their numbers, the best first, and their scores."""

    documents: NDArray[np.int64]
    scores: NDArray[np.float32]


def best(scores: NDArray[np.float32], limit: int, *, above: float = -np.inf) -> Ranking:
    """Return the documents of the highest scores; of equal ones, the one with the smaller number comes first."""
    limit = min(limit, len(scores))
    if limit <= 0:
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
    if limit < len(scores):
        bound = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        chosen = np.flatnonzero(scores >= max(bound, above))
    else:
        chosen = np.flatnonzero(scores >= above)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:limit]
    chosen = chosen[scores[chosen] > above]
    return Ranking(chosen, scores[chosen])
