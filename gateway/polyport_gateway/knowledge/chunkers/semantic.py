"""Where the meaning changes: breakpoints between groups of sentences."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .models.base import Embedder
from .models.hashed import HashedEmbedder
from .models.vectors import Vector, cosine, embedded
from .segments import sentence_bounds, within_limit

__all__ = ["SemanticBreakpoints", "Threshold"]

Threshold = Literal["percentile", "standard_deviation", "interquartile", "gradient"]
_AMOUNTS = {"percentile": 70.0, "standard_deviation": 0.5, "interquartile": 0.5, "gradient": 70.0}


@dataclass(frozen=True)
class SemanticBreakpoints(Step):
    """Cuts where neighbouring groups of sentences are far from each other (Kamradt 2023, "5 levels of text splitting").

    Groups of sentences are embedded, all of a document at once; a chunk begins where the distance (one minus cosine)
    between the group before and the group after is above the threshold. The two share no sentence, unlike Kamradt's,
    so that the distance is largest at the seam itself. ``metadata["segment"]`` numbers the segments; one
    that is over the limit is cut between sentences and keeps its number.

    Args:
        max_tokens: Of a chunk.
        embedder: Makes the vectors. The built-in one needs no model, and knows words only.
        threshold: What is far: above the ``percentile`` of all distances; above their mean by a multiple of the
            ``standard_deviation``, or of the ``interquartile`` range; or where their ``gradient`` is above its
            percentile, for texts in which distances drift (elsewhere it found topics worst).
        amount: The percentile or the multiple; by default 70 and 0.5.
        group: Sentences of a group.
        min_tokens: A segment of fewer is put together with the next one, where that fits.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    embedder: Embedder = field(default_factory=HashedEmbedder)
    threshold: Threshold = "percentile"
    amount: float | None = None
    group: int = 3
    min_tokens: int = 0
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        if self.threshold not in _AMOUNTS:
            raise ValueError(f"threshold={self.threshold!r} is none of {', '.join(_AMOUNTS)}.")
        if self.group < 1:
            raise ValueError(f"group={self.group} compares nothing; give 1 or more.")
        if self.amount is not None and not 0 < self.amount <= 100:
            raise ValueError(f"amount={self.amount} must be more than 0, and at most 100.")
        if not 0 <= self.min_tokens <= self.max_tokens:
            raise ValueError(f"min_tokens={self.min_tokens} must be between 0 and max_tokens={self.max_tokens}.")

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Cut all parts, with the vectors and the threshold of the whole document."""
        waiting = list(cuts)
        bounds = [sentence_bounds(work.text, cut.span) if cut.text is None else [] for cut in waiting]
        groups = [self._groups(work.text, places) for places in bounds]
        vectors = iter(embedded(self.embedder, [text for texts in groups for text in texts]))
        distances = [self._distances([next(vectors) for _ in texts]) for texts in groups]
        limits = _limits([value for values in distances for value in values], self.threshold, self._amount)
        measure = work.measure(self.counter())
        for cut, places, values in zip(waiting, bounds, distances, strict=True):
            if cut.text is not None:
                yield cut
                continue
            breaks = _peaks(self._compared(values), limits)
            yield from within_limit(work, cut, measure, places, breaks, self.max_tokens, self.min_tokens)

    @property
    def _amount(self) -> float:
        return _AMOUNTS[self.threshold] if self.amount is None else self.amount

    def _compared(self, distances: list[float]) -> list[float]:
        return _gradient(distances) if self.threshold == "gradient" else distances

    def _groups(self, text: str, bounds: list[int]) -> list[str]:
        # The first ones are short: what stands before the first gaps.
        last = len(bounds) - 1
        starts = range(1 - self.group, last) if last > 1 else ()
        return [text[bounds[max(0, k)] : bounds[min(last, k + self.group)]].strip() for k in starts]

    def _distances(self, vectors: list[Vector]) -> list[float]:
        return [1 - cosine(one, other) for one, other in zip(vectors, vectors[self.group :], strict=False)]


def _peaks(values: list[float], least: float) -> list[int]:
    # Groups overlap, so that next to a seam distances are large too: the largest of neighbours is the one.
    return [
        gap + 1
        for gap, value in enumerate(values)
        if value > least
        and (gap == 0 or values[gap - 1] < value)
        and (gap + 1 == len(values) or values[gap + 1] <= value)
    ]


def _limits(distances: list[float], threshold: Threshold, amount: float) -> float:
    values = _gradient(distances) if threshold == "gradient" else distances
    if len(values) < 2:
        return float("inf") if not values else max(values)
    if threshold in ("percentile", "gradient"):
        return _percentile(values, amount)
    if threshold == "standard_deviation":
        return statistics.fmean(values) + amount * statistics.pstdev(values)
    return statistics.fmean(values) + amount * (_percentile(values, 75) - _percentile(values, 25))


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _gradient(values: list[float]) -> list[float]:
    # How much each rises above the one before it; a central difference would be largest beside the seam.
    return [later - earlier for earlier, later in pairwise([values[0], *values])] if values else []
