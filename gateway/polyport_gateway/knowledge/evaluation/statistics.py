"""How sure a mean is, and a difference of two: by drawing questions again, without assuming how values lie.

Efron and Tibshirani, "An introduction to the bootstrap" (1993) for intervals; Smucker, Allan and Carterette, "A
comparison of statistical significance tests for information retrieval evaluation" (CIKM 2007) for the randomization
test: were the two configurations the same, each question's difference would as well have had the other sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["interval", "percentile", "randomization_p"]

_DRAWS = 4000
_EXACT = 12
"""Of so many differing questions all 2ⁿ signs are tried; of more, some by chance."""
_BLOCK = 1 << 22


def interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return where the mean lies: the bootstrap's percentiles.

    Args:
        values: One for each question.
        confidence: From 0 to 1.
        seed: The same values and seed give the same interval.
    """
    kept = np.asarray(values, np.float64)
    if len(kept) < 2 or kept.min() == kept.max():
        mean = float(kept.mean()) if len(kept) else 0.0
        return mean, mean
    chance = np.random.default_rng(seed)
    step = max(1, _BLOCK // len(kept))
    means = np.concatenate(
        [
            kept[chance.integers(0, len(kept), (min(step, _DRAWS - start), len(kept)))].mean(axis=1)
            for start in range(0, _DRAWS, step)
        ]
    )
    outside = (1 - confidence) / 2 * 100
    low, high = np.percentile(means, [outside, 100 - outside])
    return float(low), float(high)


def randomization_p(differences: Sequence[float], seed: int = 0) -> float:
    """Return how often chance alone gives a mean difference at least as far from 0, two-sided.

    Args:
        differences: One for each question, of the second configuration from the first.
        seed: The same differences and seed give the same answer.
    """
    kept = np.asarray([value for value in differences if value != 0], np.float64)
    if not len(kept):
        return 1.0
    seen = abs(kept.sum()) - 1e-9
    if len(kept) <= _EXACT:
        signs: NDArray[np.float64] = np.array(list(product((-1.0, 1.0), repeat=len(kept))))
        return float((np.abs(signs @ kept) >= seen).mean())
    chance = np.random.default_rng(seed)
    step = max(1, _BLOCK // len(kept))
    hits, draws = 0, 2 * _DRAWS
    for start in range(0, draws, step):
        drawn = chance.integers(0, 2, (min(step, draws - start), len(kept))) * 2.0 - 1
        hits += int((np.abs(drawn @ kept) >= seen).sum())
    return (hits + 1) / (draws + 1)  # what was seen is one of the possible draws


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, between two values in proportion."""
    return float(np.percentile(np.asarray(values, np.float64), percent)) if len(values) else 0.0
