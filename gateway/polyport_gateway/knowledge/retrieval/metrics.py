"""How good a ranking is, given which documents are right.

Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002) for nDCG; the rest is
textbook (Manning, Raghavan and Schütze, "Introduction to information retrieval", chapter 8).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Quality", "all_gold", "evaluate", "ndcg", "recall", "reciprocal_rank"]


def recall(found: Sequence[Hashable], gold: Collection[Hashable], k: int) -> float:
    """Return the share of the right documents that is among the first k."""
    return len(set(found[:k]) & set(gold)) / len(set(gold))


def all_gold(found: Sequence[Hashable], gold: Collection[Hashable], k: int) -> float:
    """Return 1 when every right document is among the first k: an answer that needs them all can be given."""
    return float(set(gold) <= set(found[:k]))


def reciprocal_rank(found: Sequence[Hashable], gold: Collection[Hashable]) -> float:
    """Return 1 / the rank of the first right document, or 0."""
    right = set(gold)
    return next((1 / rank for rank, document in enumerate(found, 1) if document in right), 0.0)


def ndcg(found: Sequence[Hashable], gold: Collection[Hashable], k: int) -> float:
    """Return the discounted cumulated gain of the first k, as a share of the best possible; each right one gains 1."""
    left = set(gold)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(left)) + 1))
    gain = 0.0
    for rank, document in enumerate(found[:k], 1):
        if document in left:
            left.discard(document)  # a document that is given twice gains once
            gain += 1 / math.log2(rank + 1)
    return gain / best


@dataclass(frozen=True, slots=True)
class Quality:
    """The means over all questions.

    Args:
        questions: How many there were.
        recall: By k.
        all_gold: By k.
        ndcg: By k.
        mrr: The mean reciprocal rank.
    """

    questions: int
    recall: dict[int, float]
    all_gold: dict[int, float]
    ndcg: dict[int, float]
    mrr: float


def evaluate(
    results: Iterable[tuple[Sequence[Hashable], Collection[Hashable]]], ks: Sequence[int] = (1, 5, 10)
) -> Quality:
    """Return the quality of rankings.

    Args:
        results: For each question the documents found, the best first, and the right ones.
        ks: Where rankings are cut.

    Raises:
        ValueError: There is no question, or one has no right document.
    """
    rows = [(found, set(gold)) for found, gold in results]
    if not rows or not all(gold for _, gold in rows):
        raise ValueError("There is nothing to evaluate: give questions, each with at least one right document.")
    count = len(rows)
    return Quality(
        count,
        {k: sum(recall(found, gold, k) for found, gold in rows) / count for k in ks},
        {k: sum(all_gold(found, gold, k) for found, gold in rows) / count for k in ks},
        {k: sum(ndcg(found, gold, k) for found, gold in rows) / count for k in ks},
        sum(reciprocal_rank(found, gold) for found, gold in rows) / count,
    )
