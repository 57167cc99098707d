"""Leaving out what says the same again.

`near_duplicates` compares texts by their shingles: runs of characters, so that Chinese works alike (Broder, "On the
resemblance and containment of documents", 1997). Results are few, so their sets are compared exactly; no sketch is
needed. `maximal_marginal_relevance` is Carbonell and Goldstein's (SIGIR 1998): each next passage is the one most
relevant and least like those taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .dense import normalized
from .terms import fold

__all__ = ["maximal_marginal_relevance", "near_duplicates", "resemblance", "shingles"]

_WIDTH = 8


def shingles(text: str, width: int = _WIDTH) -> frozenset[int]:
    """Return the hashes of a text's runs of characters, blanks and punctuation left out."""
    plain = "".join(filter(str.isalnum, fold(text)))
    return frozenset(hash(plain[start : start + width]) for start in range(max(1, len(plain) - width + 1)))


def resemblance(one: frozenset[int], other: frozenset[int]) -> float:
    """Return the share of what either has that both have."""
    both = len(one & other)
    return both / (len(one) + len(other) - both) if one or other else 1.0


def near_duplicates(texts: Sequence[str], threshold: float = 0.85) -> dict[int, int]:
    """Return the texts that resemble an earlier one, by place, and that one's place.

    Args:
        texts: The best first.
        threshold: The share of shingles from which two are the same. Two texts of 100 words of which one differs
            share about nine tenths.
    """
    kept: list[tuple[int, frozenset[int]]] = []
    same: dict[int, int] = {}
    for place, text in enumerate(texts):
        own = shingles(text)
        # Two of different sizes can't share so much; to see that is quicker than to look what they share.
        least, most = threshold * len(own), len(own) / threshold if threshold > 0 else float("inf")
        alike = (other for other, its in kept if least <= len(its) <= most and resemblance(own, its) >= threshold)
        first = next(alike, None)
        if first is None:
            kept.append((place, own))
        else:
            same[place] = first
    return same


def maximal_marginal_relevance(
    scores: ArrayLike, vectors: ArrayLike, limit: int, *, relevance: float = 0.7
) -> NDArray[np.int64]:
    """Return the places of up to ``limit`` passages, in the order in which they are taken.

    Args:
        scores: How relevant each is; scaled to 0 … 1 here, for they are weighed against cosines.
        vectors: One row for each.
        limit: How many to take.
        relevance: 1 goes by the scores alone, 0 by the difference alone.

    Raises:
        ValueError: ``relevance`` is not between 0 and 1, or scores and vectors are not of one number.
    """
    values = np.asarray(scores, dtype=np.float32)
    rows = normalized(vectors) if len(values) else np.empty((0, 0), np.float32)
    if not 0 <= relevance <= 1:
        raise ValueError(f"relevance={relevance} must be between 0 and 1.")
    if len(rows) != len(values):
        raise ValueError(f"There are {len(rows)} vectors for {len(values)} scores.")
    if not len(values):
        return np.empty(0, np.int64)
    spread = float(values.max() - values.min())
    scaled = (values - values.min()) / spread if spread > 0 else np.ones_like(values)
    likeness = np.zeros_like(values)
    free = np.ones(len(values), dtype=bool)
    taken: list[int] = []
    for _ in range(min(limit, len(values))):
        gain = np.where(free, relevance * scaled - (1 - relevance) * likeness, -np.inf)
        place = int(gain.argmax())
        taken.append(place)
        free[place] = False
        likeness = np.maximum(likeness, rows @ rows[place])
    return np.array(taken, dtype=np.int64)
