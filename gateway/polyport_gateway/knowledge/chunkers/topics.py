"""Where the topic changes, told from the words alone."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .segments import sentence_bounds, within_limit
from .terms import term_texts

__all__ = ["TopicSegments"]


@dataclass(frozen=True)
class TopicSegments(Step):
    """Cuts where the words change: TextTiling (Hearst 1997, "Segmenting text into multi-paragraph subtopic passages").

    Blocks of sentences on both sides of each gap are compared by the cosine of their term counts; a gap whose score
    lies deep between the peaks around it is where a topic ends. English words are stemmed, Chinese is taken in pairs of
    characters; no model is needed. ``metadata["segment"]`` numbers the topics; one that is over the limit is cut
    between sentences and keeps its number.

    Args:
        max_tokens: Of a chunk.
        block: Terms of a block, about: Hearst's ``w`` times ``k``.
        depth: A gap is taken if its depth is above the mean plus this many standard deviations. Hearst's own are −1
            (more topics) and −0.5 (fewer).
        min_tokens: A topic of fewer is put together with the next one, where that fits.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    block: int = 100
    depth: float = -0.25
    min_tokens: int = 0
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        if self.block < 2:
            raise ValueError(f"block={self.block} compares nothing; give 2 or more.")
        if not 0 <= self.min_tokens <= self.max_tokens:
            raise ValueError(f"min_tokens={self.min_tokens} must be between 0 and max_tokens={self.max_tokens}.")

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part where its topic changes."""
        bounds = sentence_bounds(work.text, cut.span)
        sentences = [Counter(term_texts(work.text, start, end)) for start, end in pairwise(bounds)]
        breaks = self._breaks(sentences)
        yield from within_limit(
            work, cut, work.measure(self.counter()), bounds, breaks, self.max_tokens, self.min_tokens
        )

    def _breaks(self, sentences: list[Counter[str]]) -> list[int]:
        depths = _depths(_smoothed(_scores(sentences, self.block)))
        if len(depths) < 2:
            return []
        least = statistics.fmean(depths) + self.depth * statistics.pstdev(depths)
        # Of neighbouring gaps the deepest is the one.
        return [
            gap + 1
            for gap, value in enumerate(depths)
            if value > max(least, 0)
            and value >= max(depths[max(0, gap - 1) : gap + 2])
            and (gap == 0 or depths[gap - 1] < value)
        ]


class _Block:
    """The terms of neighbouring sentences; the sum of their squares is kept up as sentences come and go."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.squares = 0
        self.size = 0

    def change(self, terms: Counter[str], sign: int) -> None:
        for term, count in terms.items():
            before = self.counts[term]
            after = before + sign * count
            self.squares += after * after - before * before
            if after:
                self.counts[term] = after
            else:
                del self.counts[term]
        self.size += sign * terms.total()


def _scores(sentences: list[Counter[str]], block: int) -> list[float]:
    """Return how like each other the blocks before and after each gap are."""
    scores: list[float] = []
    left, right = _Block(), _Block()
    begin = end = 0  # the left block is sentences[begin:gap], the right one sentences[gap:end]
    for gap in range(1, len(sentences)):
        if end < gap:
            end = gap
        else:
            right.change(sentences[gap - 1], -1)
        left.change(sentences[gap - 1], 1)
        while begin < gap - 1 and left.size - sentences[begin].total() >= block:
            left.change(sentences[begin], -1)
            begin += 1
        while end < len(sentences) and (right.size < block or end == gap):
            right.change(sentences[end], 1)
            end += 1
        small, large = sorted((left.counts, right.counts), key=len)
        product = sum(count * large[term] for term, count in small.items() if term in large)
        length = math.sqrt(left.squares * right.squares)
        scores.append(product / length if length else 0.0)
    return scores


def _smoothed(scores: list[float]) -> list[float]:
    # The middle counts twice, so that a single low score stays the lowest.
    last = len(scores) - 1
    return [(scores[max(0, i - 1)] + 2 * score + scores[min(last, i + 1)]) / 4 for i, score in enumerate(scores)]


def _depths(scores: list[float]) -> list[float]:
    """Return how far each gap's score lies below the nearest peaks on both sides."""
    left = list(scores)
    for gap in range(1, len(scores)):
        if scores[gap - 1] >= scores[gap]:
            left[gap] = left[gap - 1]
    right = list(scores)
    for gap in range(len(scores) - 2, -1, -1):
        if scores[gap + 1] >= scores[gap]:
            right[gap] = right[gap + 1]
    return [(left[gap] - score) + (right[gap] - score) for gap, score in enumerate(scores)]
