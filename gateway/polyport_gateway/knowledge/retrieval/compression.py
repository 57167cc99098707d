"""The sentences that matter, within a budget of tokens.

Sentences are chosen, never rewritten, so that each can be cited by its place. How relevant one is, is its BM25 score
against the others (or a score that is handed in, from vectors or a reranker), on top of its passage's. They are taken
in the order of what they gain: a term of the query that an earlier sentence has already counts less with each
(a submodular cover, Lin and Bilmes, "A class of submodular functions for document summarization", ACL 2011), so that
the second half of a question gets its sentence before the first half gets its third.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from polyport_gateway.knowledge.chunkers.boundaries import SENTENCES, ends_of
from polyport_gateway.knowledge.documents.values import Span

from .bm25 import BM25, BM25Index, SparseVector

__all__ = ["Excerpt", "Sentence", "compress", "sentences"]

_MOST_WEIGHED = 1000
"""Sentences that are weighed against each other; weighing all of a book would take minutes."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage.

    Args:
        passage: The place of its passage among those handed in.
        span: Its place in the passage's text.
        text: It.
    """

    passage: int
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What was kept.

    Args:
        sentences: In the order of the passages and of their texts.
        tokens: Of them all.
        left_out: How many sentences were not kept.
    """

    sentences: tuple[Sentence, ...]
    tokens: int
    left_out: int


def sentences(texts: Sequence[str]) -> list[Sentence]:
    """Return the sentences of passages, without the blanks around them."""
    found = []
    for passage, text in enumerate(texts):
        start = 0
        for end in ends_of(SENTENCES, text, 0, len(text)):
            part = text[start:end]
            if part.strip():
                first = start + len(part) - len(part.lstrip())
                last = start + len(part.rstrip())
                found.append(Sentence(passage, Span(first, last), text[first:last]))
            start = end
    return found


def compress(
    query: str,
    texts: Sequence[str],
    budget: int,
    *,
    bm25: BM25,
    count: Callable[[str], int],
    scores: Sequence[float] | None = None,
    repeated: float = 0.5,
) -> Excerpt:
    """Return the sentences of passages that say most on a query, within a budget.

    Args:
        query: The question.
        texts: Of the passages, the best first.
        budget: Tokens at most.
        bm25: What makes vectors of terms.
        count: Counts the tokens of a text.
        scores: Of the passages, from 0 to 1: what a sentence gains by where it stands; by default 1, ½, ⅓ …
        repeated: What a term counts when a kept sentence has it already, and again each time.

    Raises:
        ValueError: The budget is not positive.
    """
    if budget < 1:
        raise ValueError(f"A budget of {budget} tokens keeps nothing; give 1 or more.")
    parts = sentences(texts)
    ranks = scores if scores is not None else [1 / place for place in range(1, len(texts) + 1)]
    sizes = [count(part.text) for part in parts]
    gains = _gains([part.text for part in parts], query, bm25)
    seen: Counter[int] = Counter()
    likely = sorted(range(len(parts)), key=lambda place: (-sum(gains[place].values()), place))
    free = set(likely[:_MOST_WEIGHED])
    kept: list[int] = []
    left = budget
    while free := {place for place in free if sizes[place] <= left}:
        worth = {
            place: sum(value * repeated ** seen[term] for term, value in gains[place].items())
            + 0.1 * ranks[parts[place].passage]
            for place in free
        }
        best = min(free, key=lambda place: (-worth[place], place))
        kept.append(best)
        free.discard(best)
        left -= sizes[best]
        seen.update(gains[best].keys())
    chosen = tuple(parts[place] for place in sorted(kept))
    return Excerpt(chosen, budget - left, len(parts) - len(kept))


def _gains(texts: Sequence[str], query: str, bm25: BM25) -> list[dict[int, float]]:
    """Return what each term of the query gains in each sentence, so that the best sentence gains 1 in all."""
    index, made = BM25Index.of(texts, bm25=bm25)
    asked = made.query(query)
    found: list[dict[int, float]] = [{} for _ in texts]
    for term, value in zip(asked.indices, asked.values, strict=True):
        one = SparseVector(np.array([term], np.uint32), np.array([value], np.float32))
        scores = index.scores(one)
        for place in np.flatnonzero(scores).tolist():
            found[place][int(term)] = float(scores[place])
    most = max((sum(gains.values()) for gains in found), default=0.0) or 1.0
    return [{term: value / most for term, value in gains.items()} for gains in found]
