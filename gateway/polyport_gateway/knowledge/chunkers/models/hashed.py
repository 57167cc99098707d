"""An embedder that needs no model."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from polyport_gateway.knowledge.chunkers.terms import terms_of

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
        vectors = []
        for text in texts:
            vector = [0.0] * self.dimensions
            for term, count in Counter(term.text for term in terms_of(text)).items():
                code = zlib.crc32(term.encode("utf-8", "surrogatepass"))
                weight = 1 + math.log(count)
                vector[code % self.dimensions] += weight if code & 0x80000000 else -weight
            length = math.sqrt(sum(value * value for value in vector))
            vectors.append([value / length for value in vector] if length else vector)
        return vectors
