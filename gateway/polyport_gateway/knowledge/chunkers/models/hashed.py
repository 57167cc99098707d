"""An embedder that needs no model."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from polyport_gateway.knowledge.chunkers.terms import term_texts

__all__ = ["HashedEmbedder"]


@dataclass(frozen=True)
class HashedEmbedder:
    """Counts the terms of each text, damped by the logarithm, and hashes them into a vector of length 1.

    Two texts are near each other when they share words. It knows no synonyms, so it tells where a topic changes, not
    what a sentence means. Terms are hashed with signs (Weinberger et al. 2009, arXiv 0902.2206); English words are
    stemmed, Chinese is taken in pairs of characters. Terms are not weighed by their rarity: on passages strung together
    that found topics worse, for the words that hold a passage together are its frequent ones.

    Args:
        dimensions: Of a vector.
    """

    dimensions: int = 256

    def __post_init__(self) -> None:
        if not 16 <= self.dimensions <= 65536:
            raise ValueError(f"dimensions={self.dimensions} must be between 16 and 65,536.")

    @property
    def name(self) -> str:
        """Its name, a part of a chunk's id."""
        return f"hashed-{self.dimensions}"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of each text; of one without words it is all zeros."""
        return [self._vector(term_texts(text)) for text in texts]

    def _vector(self, terms: list[str]) -> list[float]:
        weights: dict[int, float] = {}
        for term, count in Counter(terms).items():
            code = _code(term)
            place, weight = code % self.dimensions, 1 + math.log(count) if count > 1 else 1.0
            weights[place] = weights.get(place, 0.0) + (weight if code & 0x80000000 else -weight)
        vector = [0.0] * self.dimensions
        length = math.hypot(*weights.values())
        if length:
            for place, weight in weights.items():
                vector[place] = weight / length
        return vector


@lru_cache(maxsize=1 << 16)
def _code(term: str) -> int:
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))
