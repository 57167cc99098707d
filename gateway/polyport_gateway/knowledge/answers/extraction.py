"""An answer without a model: the sentences of the passages that say most on the question, each with its exact place.

How much a sentence says is what of the question's words it has, by their rarity among the sentences at hand
(`retrieval.compression`); on top of that

* a word that its passage's title or headings have counts a part for it too, and less a word of the sentence before: a
  text names its subject once, and goes on with "it";
* the passage's rank, for retrieval has seen more than the words;
* whether it has what is asked for, a time for "when" (`kinds`).

They are taken in the order of what they gain: a word that a taken sentence has counts less with each (Lin and Bilmes,
"A class of submodular functions for document summarization", ACL 2011). A passage that was reached over links brings
the sentence that led to it. What is taken is ordered so that it reads: steps of a chain first to last, then the best
passage first, and within a passage as it is written. Nothing is rewritten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np

from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.retrieval.bm25 import BM25, BM25Index, SparseVector
from polyport_gateway.knowledge.retrieval.terms import Analyzer, fold

from .facts import facts_of
from .found import LONGEST_QUESTION
from .kinds import AnswerKind, asked_for, has_kind
from .support import LONGEST_PASSAGE, Likeness
from .units import Unit, units_of
from .words import ASKED_CHINESE

__all__ = ["Extract", "ExtractWeights", "Extracted", "extract"]

_MOST = 600
"""Units that are weighed: a hit may be a whole book."""
_LIKELY = 60
"""Units that vectors or a model look at."""
_SAME = 0.8
_LONGEST = 700
"""Characters of a unit that is shown: a text without a full stop is no sentence."""


@dataclass(frozen=True, slots=True)
class ExtractWeights:
    """What counts how much, beside the words of a sentence, which count 1 in all.

    Args:
        title: A word of the question that only the title and headings have.
        before: One that only the sentence before has.
        rank: The passage's rank: the first gets all of it, the second half …
        kind: That it has what is asked for.
        likeness: Of sentence and question, where vectors or a model can tell.
        repeated: What a word counts when a taken sentence has it already, and again each time.
        enough: A sentence that gains less than this share of the first one's, ranks aside, is not taken.
    """

    title: float = 0.5
    before: float = 0.3
    rank: float = 0.3
    kind: float = 0.2
    likeness: float = 0.3
    repeated: float = 0.8
    enough: float = 0.35


@dataclass(frozen=True, slots=True)
class Extracted:
    """A sentence that was taken.

    Args:
        hit: The place of its passage among the hits.
        unit: It.
        score: What it gained when it was taken.
        clue: What it leads to the next step by, where it was taken for that.
    """

    hit: int
    unit: Unit
    score: float
    clue: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """What was taken, in the order to read it in.

    Args:
        sentences: They.
        kind: What the question asks for.
    """

    sentences: tuple[Extracted, ...]
    kind: AnswerKind = AnswerKind.OTHER


@dataclass(slots=True)
class _Candidate:
    hit: int
    unit: Unit
    gains: dict[int, float] = field(default_factory=dict)
    base: float = 0.0


def extract(
    question: str,
    hits: Sequence[KnowledgeHit],
    *,
    most: int = 4,
    likeness: Likeness | None = None,
    weights: ExtractWeights | None = None,
) -> Extract:
    """Return the sentences that answer a question best; none where no passage has a word of it.

    Args:
        question: It.
        hits: Passages, the best first.
        most: Sentences at most.
        likeness: Knows how like the question is to sentences; may block.
        weights: What counts how much.
    """
    weights = weights or ExtractWeights()
    question = question[:LONGEST_QUESTION]
    kind = asked_for(question)
    candidates = _candidates(hits)
    if not candidates:
        return Extract((), kind)
    _weigh(question, hits, candidates, weights)
    if not any(candidate.gains for candidate in candidates) and likeness is None:
        return Extract((), kind)
    _add_bases(question, candidates, kind, weights, likeness)
    taken = _taken(hits, candidates, most, weights)
    return Extract(tuple(_in_order(hits, taken)), kind)


def _candidates(hits: Sequence[KnowledgeHit]) -> list[_Candidate]:
    found: list[_Candidate] = []
    for place, hit in enumerate(hits):
        found.extend(
            _Candidate(place, unit)
            for unit in units_of(hit.text[:LONGEST_PASSAGE], place)
            if unit.kind != "heading" and len(unit.shown) <= _LONGEST
        )
        if len(found) >= _MOST:
            break
    return found[:_MOST]


def _weigh(
    question: str, hits: Sequence[KnowledgeHit], candidates: Sequence[_Candidate], weights: ExtractWeights
) -> None:
    """Set what each term of the question gains in each sentence, so that the best one gains 1 in all."""
    analyzer = _analyzer()
    texts = [f"{candidate.unit.announced}\n{candidate.unit.text}" for candidate in candidates]
    index, bm25 = BM25Index.of(texts, bm25=BM25(analyzer))
    rarity = dict(zip(index.terms.tolist(), index.rarity.tolist(), strict=True))
    of_hit: dict[int, list[int]] = {}
    for place, candidate in enumerate(candidates):
        of_hit.setdefault(candidate.hit, []).append(place)
    scored: dict[str, list[dict[int, float]]] = {}
    for number, places in of_hit.items():
        hit = hits[number]
        query = _bare(hit.chain[-1].query if hit.chain and hit.chain[-1].query else question)
        if query not in scored:
            scored[query] = _gains(bm25.query(query), index, len(candidates))
        titled = analyzer.document("\n".join([hit.title, *hit.heading_path])).ids.tolist()
        asked = set(bm25.query(query).indices.tolist())
        named = {term: weights.title * rarity.get(term, 1.0) for term in titled if term in asked}
        before: dict[int, float] = {}
        for place in places:
            own = scored[query][place]
            gains = dict(named)
            for term, value in before.items():
                gains[term] = max(gains.get(term, 0.0), weights.before * value)
            for term, value in own.items():
                gains[term] = max(gains.get(term, 0.0), value)
            candidates[place].gains = gains
            before = own
    most = max((sum(candidate.gains.values()) for candidate in candidates), default=0.0) or 1.0
    for candidate in candidates:
        candidate.gains = {term: value / most for term, value in candidate.gains.items()}


def _bare(question: str) -> str:
    """Return a Chinese question without the words that ask: they are no words to find sentences by."""
    bare = _FILLERS.sub(" ", ASKED_CHINESE.sub(" ", question))
    return bare if bare.strip(" ？?。，,") else question


def _gains(asked: SparseVector, index: BM25Index, count: int) -> list[dict[int, float]]:
    found: list[dict[int, float]] = [{} for _ in range(count)]
    for term, value in zip(asked.indices, asked.values, strict=True):
        scores = index.scores(SparseVector(np.array([term], np.uint32), np.array([value], np.float32)))
        for place in np.flatnonzero(scores).tolist():
            found[place][int(term)] = float(scores[place])
    return found


def _add_bases(
    question: str,
    candidates: Sequence[_Candidate],
    kind: AnswerKind,
    weights: ExtractWeights,
    likeness: Likeness | None,
) -> None:
    """Set what a sentence gains whatever else is taken."""
    asked = facts_of(question, question=True)
    likely = sorted(range(len(candidates)), key=lambda place: -sum(candidates[place].gains.values()))[:_LIKELY]
    if likeness is not None:
        rated = likeness(question, [candidates[place].unit.text for place in likely])
        for place, value in zip(likely, rated, strict=True):
            candidates[place].base += weights.likeness * max(0.0, float(value))
    for candidate in candidates:
        if not candidate.gains and not candidate.base:
            continue
        candidate.base += _rank(candidate, weights)
        if kind is not AnswerKind.OTHER and has_kind(kind, candidate.unit.text, facts_of(candidate.unit.text), asked):
            candidate.base += weights.kind


def _taken(
    hits: Sequence[KnowledgeHit], candidates: Sequence[_Candidate], most: int, weights: ExtractWeights
) -> list[Extracted]:
    """Take sentences until no other says enough."""
    seen: Counter[int] = Counter()
    free = {place for place, candidate in enumerate(candidates) if candidate.gains or candidate.base}
    taken: list[Extracted] = []
    first = 0.0
    while free and len(taken) < most:
        worth = {place: _worth(candidates[place], seen, weights) for place in free}
        best = max(free, key=lambda place: (worth[place], -place))
        free.discard(best)
        candidate = candidates[best]
        says = worth[best] - _rank(candidate, weights)
        if taken and says < weights.enough * first:
            break
        if any(_same(candidate.unit.text, other.unit.text) for other in taken):
            continue
        first = first or says
        taken.append(Extracted(candidate.hit, candidate.unit, worth[best]))
        seen.update(candidate.gains.keys())
        taken.extend(_steps(hits, candidates, candidate.hit, taken, most))
    return taken


def _rank(candidate: _Candidate, weights: ExtractWeights) -> float:
    return weights.rank / (candidate.hit + 1)


def _worth(candidate: _Candidate, seen: Counter[int], weights: ExtractWeights) -> float:
    return candidate.base + sum(value * weights.repeated ** seen[term] for term, value in candidate.gains.items())


def _steps(
    hits: Sequence[KnowledgeHit], candidates: Sequence[_Candidate], hit: int, taken: Sequence[Extracted], most: int
) -> list[Extracted]:
    """Return the sentences of the passages that led to one, each with the clue, where none is taken yet."""
    places = {(other.knowledge, other.chunk): place for place, other in enumerate(hits)}
    found: list[Extracted] = []
    for hop in hits[hit].chain:
        source = places.get((hits[hit].knowledge, hop.source))
        if source is None:
            continue
        clue = fold(hop.clue)
        if any(one.hit == source and clue in fold(one.unit.text) for one in (*taken, *found)):
            continue
        leading = [one for one in candidates if one.hit == source and clue in fold(one.unit.text)]
        if leading and len(taken) + len(found) < most:
            best = max(leading, key=lambda one: one.base + sum(one.gains.values()))
            found.append(Extracted(source, best.unit, best.base, hop.clue))
    return found


def _same(one: str, other: str) -> bool:
    """Tell whether two sentences say the same words, or one all that the other does."""
    if one == other:
        return True
    pairs, others = _pairs(one), _pairs(other)
    smaller = min(len(pairs), len(others))
    return smaller > 0 and len(pairs & others) >= _SAME * smaller


def _pairs(text: str) -> set[str]:
    words = fold(text).split()
    if len(words) * 8 < len(text):
        return {text[at : at + 3] for at in range(len(text) - 2)}
    return {f"{one} {other}" for one, other in pairwise(words)} or set(words)


def _in_order(hits: Sequence[KnowledgeHit], taken: Sequence[Extracted]) -> list[Extracted]:
    """Order sentences: what led to a passage before it, the best passage first, each as it is written."""
    places = {(hit.knowledge, hit.chunk): place for place, hit in enumerate(hits)}
    wanted = {one.hit for one in taken}
    order: list[int] = []

    def put(hit: int) -> None:
        if hit in order:
            return
        for hop in hits[hit].chain:
            source = places.get((hits[hit].knowledge, hop.source))
            if source in wanted and source not in order and source is not None and source != hit:
                order.append(source)
        order.append(hit)

    for one in taken:
        put(one.hit)
    rank = {hit: place for place, hit in enumerate(order)}
    return sorted(taken, key=lambda one: (rank[one.hit], one.unit.span.start))


_FILLERS = re.compile("除了|除此|以外|之外|还有|还可以|可以|分别|通常|一般|一共|总共")


@lru_cache(maxsize=1)
def _analyzer() -> Analyzer:
    return Analyzer()
