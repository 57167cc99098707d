"""Neighbouring sentences that belong together: the best of all ways to cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import add

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Measure, Tokenizer

from .base import Cut, Step, Work, check_limit
from .models.base import Embedder
from .models.hashed import HashedEmbedder
from .models.vectors import Vector, cosine, embedded
from .packing import pack, split_recursively
from .segments import sentence_bounds

__all__ = ["SemanticClusters"]

_WIDEST = 64


@dataclass(frozen=True)
class SemanticClusters(Step):
    """Finds, by dynamic programming, the chunks whose pieces are most like each other, of all that keep the limit.

    The ClusterSemanticChunker of Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024):
    a text is cut into small pieces, here of whole sentences, and each chunk is worth the sum of the likeness of its
    pieces above the average of the document. Chunks are neighbouring pieces, so they stay extractive.

    Args:
        max_tokens: Of a chunk.
        embedder: Makes the vectors. The built-in one needs no model, and knows words only.
        piece_tokens: Of a small piece, at most; a sixteenth to an eighth of the limit serves well.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    embedder: Embedder = field(default_factory=HashedEmbedder)
    piece_tokens: int = 64
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_limit("piece_tokens", self.piece_tokens)
        if self.piece_tokens > self.max_tokens:
            raise ValueError(f"piece_tokens={self.piece_tokens} is more than max_tokens={self.max_tokens}.")

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Cut all parts, with the vectors of the whole document."""
        waiting = list(cuts)
        measure = work.measure(self.counter())
        bounds = [self._pieces(work, measure, cut) if cut.text is None else [] for cut in waiting]
        texts = [work.text[a:b].strip() for places in bounds for a, b in pairwise(places)]
        vectors = embedded(self.embedder, texts)
        average = _average(vectors)
        taken = 0
        for cut, places in zip(waiting, bounds, strict=True):
            if cut.text is not None:
                yield cut
                continue
            own = vectors[taken : taken + len(places) - 1]
            taken += len(own)
            sizes = [measure.count(start, end) for start, end in pairwise(places)]
            for first, after in _best(sizes, own, average, self.max_tokens):
                start, end = places[first], places[after]
                size = measure.count(start, end)
                if size <= self.max_tokens:
                    yield cut.part(Span(start, end), size)
                    continue
                for part in split_recursively(measure, work.text, start, end, self.max_tokens):
                    yield cut.part(Span(part.start, part.end), part.size)

    def _pieces(self, work: Work, measure: Measure, cut: Cut) -> list[int]:
        sentences = sentence_bounds(work.text, cut.span)
        parts = pack(measure, work.text, cut.span.start, sentences[1:], self.piece_tokens)
        bounds = [cut.span.start]
        bounds += [part.end for part in parts if not work.text[part.start : part.end].isspace()]
        if bounds[-1] != cut.span.end:
            bounds.append(cut.span.end)
        return bounds


def _average(vectors: Sequence[Vector]) -> float:
    """Return the mean cosine of all pairs, from the sum of the vectors: nothing of the pairs is kept."""
    count = len(vectors)
    if count < 2:
        return 0.0
    total: Vector = [0.0] * len(vectors[0])
    for vector in vectors:
        total = list(map(add, total, vector))
    own = sum(cosine(vector, vector) for vector in vectors)
    return (cosine(total, total) - own) / (count * (count - 1))


def _best(sizes: list[int], vectors: Sequence[Vector], average: float, limit: int) -> list[tuple[int, int]]:
    # The tokens of a chunk are taken to be the sum of its pieces'; the caller counts what is chosen.
    # best[i]: the worth of the first i pieces, and where the last chunk begins.
    best: list[tuple[float, int]] = [(0.0, 0)]
    worths: dict[int, float] = {}  # of the chunk from a piece to the last one that was looked at
    for after in range(1, len(sizes) + 1):
        last = after - 1
        found, size = (best[last][0], last), sizes[last]
        likeness, grown = 0.0, {last: 0.0}
        for first in range(last - 1, max(-1, last - _WIDEST), -1):
            size += sizes[first]
            if size > limit or first not in worths:
                break
            likeness += cosine(vectors[first], vectors[last]) - average
            grown[first] = worths[first] + likeness
            if best[first][0] + grown[first] > found[0]:
                found = (best[first][0] + grown[first], first)
        worths = grown
        best.append(found)
    chunks: list[tuple[int, int]] = []
    after = len(sizes)
    while after > 0:
        first = best[after][1]
        chunks.append((first, after))
        after = first
    return chunks[::-1]
