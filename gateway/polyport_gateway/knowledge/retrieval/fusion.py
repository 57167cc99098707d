"""Making one ranking of two.

The scores of each retriever are standardised for the query: the mean of all documents becomes 0, their standard
deviation 1. A retriever that can tell the answer from the rest gives it many deviations, one that can't (a model of
English asked in Chinese) gives every document about the same, so that a score says by itself how sure its retriever is.
The two are then added with weights (Fox and Shaw's CombSUM with weights, 1994; that a convex combination of normalised
scores does better than reciprocal ranks, and which normalisation matters less than its weight: Bruch, Gai and Ingber,
"An analysis of fusion functions for hybrid retrieval", TOIS 2023). `calibration` learns the weight.

`reciprocal_ranks` (Cormack, Clarke and Büttcher, SIGIR 2009) needs no scores, and so is blind: where one retriever is
poor, it drags the other down. It is here for rankings whose scores are not known, and as a peer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .ranking import Ranking, best

__all__ = ["combined", "reciprocal_ranks", "standardized"]


def standardized(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores in standard deviations above their mean, row by row; all 0 where they are all alike."""
    if not scores.size:
        return scores
    mean = scores.mean(axis=-1, keepdims=True)
    deviation = scores.std(axis=-1, keepdims=True)
    alike = deviation <= np.abs(mean) * 1e-5
    return np.asarray(np.where(alike, 0, (scores - mean) / np.where(alike, 1, deviation)), dtype=np.float32)


def combined(
    dense: NDArray[np.float32], bm25: NDArray[np.float32], weight: float | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return standardised scores of both as one; ``weight``, from 0 to 1, is the dense one's share."""
    return np.asarray(weight * standardized(dense) + (1 - weight) * standardized(bm25), dtype=np.float32)


def reciprocal_ranks(rankings: Sequence[Ranking], limit: int, *, size: int, k: int = 60) -> Ranking:
    """Return the documents by the sum of 1 / (k + rank) over the rankings.

    Args:
        rankings: Each with the best first.
        limit: How many to return at most.
        size: How many documents there are in all.
        k: How little the first ranks stand out.
    """
    totals = np.zeros(size, dtype=np.float32)
    for ranking in rankings:
        totals[ranking.documents] += 1 / (k + 1 + np.arange(len(ranking.documents), dtype=np.float32))
    return best(totals, limit, above=0.0)
