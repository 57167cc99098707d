"""What is done with vectors, in lists, for a document has few enough that nothing heavier is needed."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from .base import Embedder

__all__ = ["Vector", "cosine", "embedded", "unit"]

Vector = Sequence[float]

if sys.version_info >= (3, 12):
    from math import sumprod
else:
    from operator import mul

    def sumprod(one: Vector, other: Vector) -> float:
        """Return the sum of the products, as Python does from 3.12 on."""
        return float(sum(map(mul, one, other)))


def embedded(embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
    """Return vectors of length 1, one of each text, all asked for at once.

    Raises:
        ValueError: The embedder gave another number of vectors, or vectors of different lengths.
    """
    if not texts:
        return []
    vectors = [unit(vector) for vector in embedder.embed(texts)]
    if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1:
        lengths = sorted({len(vector) for vector in vectors})
        raise ValueError(
            f"The embedder {embedder.name!r} gave {len(vectors)} vectors of lengths {lengths} for {len(texts)} texts."
        )
    return vectors


def unit(vector: Vector) -> Vector:
    """Return a vector of the same direction, of length 1; one of length 0 as it is."""
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        return [0.0] * len(vector)
    return vector if abs(length - 1) < 1e-9 else [value / length for value in vector]


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of two vectors of length 1."""
    return float(sumprod(one, other))
