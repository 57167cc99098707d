"""Answers that need several passages: following the links between them, with no model but the embedder, or none.

A question such as "Who is the spouse of the director of *Jump for Glory*?" finds the film, and the film's passage names
Raoul Walsh; it can't find what says who his wife was, for the question does not name him. So each of the best
passages is a step: for each clue in it that the question lacks (`links`), the question is asked again with the clue in
the place of the passage's own name, "Who is the spouse of the director of Raoul Walsh?", and only the passages that
the clue leads to are rated by it. What a passage gets from a chain is its score for the question asked there, times how
good the step before was (its score as a share of the best one's), and once more `decay` for each step after the first;
never more than the step before has, for a chain is as good as its weakest step. Its own score is the best of all these
and of what the question itself gives it. This is the retrieve-and-rewrite of MDR (Xiong et al., "Answering complex
open-domain questions with multi-hop dense retrieval", ICLR 2021) and the reasoning path of Asai et al. (ICLR 2020),
with a link index and a substitution where those have trained models.

Nothing here is learned or tuned per collection. Measured (recall@5 / all-gold@5; MiniLM): HotpotQA .83/.68 without
hops → .92/.86, MuSiQue .67/.36 → .79/.58. With BM25 alone and no model: .83/.66 → .91/.82 and .49/.12 → .62/.38.
Where one passage answers, hops can only push it down: recall@5 of the 120 single-hop questions inside MuSiQue's went
from .933 to .908 (BM25 alone: .892 to .858), of 236 over chunks without titles from .865 to .869 (BM25 alone), of
1,610 Chinese ones from .996 to .998.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.links.clues import Clue, Direction, Links
from polyport_gateway.knowledge.links.titles import find_whole, key_of

from .hybrid import Retriever

__all__ = ["Hop", "HopLimits", "MultiHop", "Result"]


_BEHIND = 0.999
"""What a passage has at most of the score of the one that led to it, so that it comes after."""


@dataclass(frozen=True, slots=True)
class HopLimits:
    """How far links are followed.

    Args:
        depth: Steps from a passage that the question finds by itself; 0 follows none.
        breadth: Passages at each depth that are stepped from.
        clues: Followed from one passage at most, the most telling first.
        decay: What a chain keeps for each step after the first.
        confidence: A passage with a smaller share of the best score is not stepped from.
        longest: Characters of a question; a longer one is not asked again, for it says itself what it is about.
    """

    depth: int = 2
    breadth: int = 3
    clues: int = 16
    decay: float = 0.9
    confidence: float = 0.5
    longest: int = 2000

    def __post_init__(self) -> None:
        if self.depth < 0 or self.breadth < 1 or self.clues < 1:
            raise ValueError(f"Hops need depth ≥ 0, breadth ≥ 1 and clues ≥ 1, not {self}.")
        if not 0 < self.decay <= 1 or not 0 <= self.confidence <= 1:
            raise ValueError(f"decay={self.decay} and confidence={self.confidence} must lie between 0 and 1.")


@dataclass(frozen=True, slots=True)
class Hop:
    """A step from one passage to another.

    Args:
        source: The passage that led there.
        target: The passage it led to.
        clue: What both have.
        direction: ``forward`` to what the clue names, ``backward`` from it, ``sideways`` between two that mention it.
        query: What was asked there.
        score: What the target got for it.
    """

    source: int
    target: int
    clue: str
    direction: Direction
    query: str
    score: float


@dataclass(frozen=True, slots=True)
class Result:
    """A passage that was found.

    Args:
        passage: Its number.
        score: By which it is ranked.
        chain: The steps that led to it, from one that the question found; empty for such a one.
    """

    passage: int
    score: float
    chain: tuple[Hop, ...] = ()


class _Ask(NamedTuple):
    source: int
    clue: Clue
    query: str
    targets: NDArray[np.int64]
    confidence: float


class _Found(NamedTuple):
    ask: _Ask
    score: float


class MultiHop:
    """Finds the passages that a question needs together.

    Args:
        retriever: Finds and rates passages.
        links: Between them, numbered alike; any numbers will do.
        limits: How far they are followed.
        pool: Passages that the question finds by itself.
    """

    def __init__(self, retriever: Retriever, links: Links, limits: HopLimits | None = None, *, pool: int = 50) -> None:
        self._retriever, self._links = retriever, links
        self._limits = limits or HopLimits()
        self._pool = pool

    def search(self, question: str, limit: int = 5) -> list[Result]:
        """Return the best passages, each with the chain that led to it."""
        ranking = self._retriever.search(question, max(limit, self._pool), reserves=False)
        scores = dict(zip(ranking.documents.tolist(), map(float, ranking.scores), strict=True))
        if not scores:
            return []
        found: dict[int, _Found] = {}
        stepped: set[int] = set()
        top = max(scores.values())
        for depth in range(self._limits.depth if len(question) <= self._limits.longest else 0):
            asks = list(self._asks(question, scores, found, stepped, top))
            if not asks:
                break
            self._follow(asks, scores, found, self._limits.decay**depth)
        best = sorted(scores, key=lambda passage: (-scores[passage], passage))[:limit]
        return [Result(passage, scores[passage], _chain(passage, found)) for passage in best]

    def _asks(
        self, question: str, scores: dict[int, float], found: dict[int, _Found], stepped: set[int], top: float
    ) -> Iterator[_Ask]:
        best = sorted(scores, key=lambda passage: (-scores[passage], passage))[: self._limits.breadth]
        shares = {passage: min(1.0, scores[passage] / top) if top > 0 else 0.0 for passage in best}
        least = max(self._limits.confidence, 1e-9)
        steps = [passage for passage in best if passage not in stepped and shares[passage] >= least]
        stepped.update(steps)
        for passage, (names, clues) in zip(steps, self._links.around(steps, self._limits.clues), strict=True):
            asked = found[passage].ask.query if passage in found else question
            for clue in clues:
                targets = np.concatenate([clue.borne, clue.held])
                targets = targets[targets != passage]
                if len(targets):
                    yield _Ask(passage, clue, rewritten(asked, names, clue.text), targets, shares[passage])

    def _follow(self, asks: Sequence[_Ask], scores: dict[int, float], found: dict[int, _Found], decay: float) -> None:
        among: dict[str, list[NDArray[np.int64]]] = {}
        for ask in asks:
            among.setdefault(ask.query, []).append(ask.targets)
        queries = list(among)
        wanted = [np.unique(np.concatenate(targets)) for targets in among.values()]
        rated = dict(zip(queries, zip(wanted, self._retriever.rate(queries, wanted), strict=True), strict=True))
        before = dict(scores)
        for ask in asks:
            documents, values = rated[ask.query]
            gained = values[np.searchsorted(documents, ask.targets)] * (ask.confidence * decay)
            gained = np.minimum(gained, before[ask.source] * _BEHIND)
            for target, value in zip(ask.targets.tolist(), gained.tolist(), strict=True):
                if value > scores.get(target, 0.0) and not _comes_from(ask.source, target, found):
                    found[target] = _Found(ask, value)
                    scores[target] = value


def rewritten(question: str, names: Sequence[str], clue: str) -> str:
    """Return the question with a clue in the place of the first name that it has, or after it; as it is if it has it.

    Args:
        question: What was asked.
        names: Of the passage that has the clue, the longest first.
        clue: What to ask about instead.
    """
    if key_of(clue) in key_of(question):
        return question
    for name in names:
        start = find_whole(question, name)
        if start >= 0:
            return f"{question[:start]}{clue}{question[start + len(name) :]}"
    return f"{question} {clue}"


def _comes_from(passage: int, target: int, found: dict[int, _Found]) -> bool:
    """Tell whether a passage was reached through the target, which a step back to it would make a circle of."""
    while passage != target and passage in found:
        passage = found[passage].ask.source
    return passage == target


def _chain(passage: int, found: dict[int, _Found]) -> tuple[Hop, ...]:
    steps: list[Hop] = []
    while passage in found:
        (source, clue, query, *_), score = found[passage]
        steps.append(Hop(source, passage, clue.text, clue.direction(source, passage), query, score))
        passage = source
    return tuple(reversed(steps))
