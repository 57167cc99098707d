"""One ranking of what several searches found.

Bases of one shelf are searched together, and their scores compare as they are. Those of another shelf are on a scale of
their own: other passages, perhaps another model. Such answers are brought onto one scale as CORI merges them (Callan,
"Distributed information retrieval", 2000): each answer's scores to 0 … 1, then weighed by how well its bases suit the
question, (s + 0.4·s·r) / 1.4.

Passages that say the same, word by word or nearly (`diversity.near_duplicates` says how near), are shown once, the best
of them, which remembers where the others stand. What comes out depends on what comes in, not on the order in which it
arrives, and fusing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.retrieval.diversity import resemblance, shingles
from polyport_gateway.knowledge.retrieval.terms import fold

__all__ = ["Answer", "fuse", "on_one_scale"]

_ALIKE = 0.85
_LOOKED_AT = 4
"""Times the limit: what stands after that is only compared word by word once enough is found, for it is not shown."""
_ROUTE = 0.4


@dataclass(frozen=True)
class Answer:
    """What one search found.

    Args:
        scale: Answers with the same name of a scale have scores that compare.
        hits: In any order.
        routes: How well each base suits the question, 0 to 1; one that is not named counts 0.5.
    """

    scale: str
    hits: Sequence[KnowledgeHit]
    routes: Mapping[str, float] = field(default_factory=dict)


def on_one_scale(answers: Iterable[Answer]) -> list[KnowledgeHit]:
    """Return all hits with scores that compare; those of a single scale keep theirs.

    The scores as they were found stay in ``scores["found"]`` where they are changed.
    """
    scales: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.hits:
            scales.setdefault(answer.scale, []).append(answer)
    if len(scales) < 2:
        return [hit for several in scales.values() for answer in several for hit in answer.hits]
    merged = []
    for several in scales.values():
        scores = [hit.score for answer in several for hit in answer.hits]
        lowest, spread = min(scores), max(scores) - min(scores)
        for answer in several:
            for hit in answer.hits:
                share = (hit.score - lowest) / spread if spread > 0 else 1.0
                route = answer.routes.get(hit.knowledge, 0.5)
                score = (share + _ROUTE * share * route) / (1 + _ROUTE)
                merged.append(hit.model_copy(update={"score": score, "scores": {**hit.scores, "found": hit.score}}))
    return merged


def fuse(hits: Iterable[KnowledgeHit], limit: int) -> list[KnowledgeHit]:
    """Return the best hits, each text once.

    Args:
        hits: With scores that compare, in any order; the same chunk may come several times.
        limit: How many to return at most.
    """
    ordered = sorted(hits, key=_order)
    kept = _Kept(limit)
    for place, hit in enumerate(ordered):
        kept.take(hit, near=place < _LOOKED_AT * limit)
    return kept.hits()


def _order(hit: KnowledgeHit) -> tuple[float, str, str, int, int, str]:
    # Of equal scores, by name; of the same chunk, the one that more is known of.
    return (-hit.score, hit.knowledge, hit.document, hit.chunk, -len(hit.duplicates), repr(hit))


class _Kept:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hits: list[KnowledgeHit] = []
        self._others: list[set[str]] = []
        self._shingles: list[frozenset[int]] = []
        self._chunks: dict[tuple[str, int], int] = {}
        self._texts: dict[bytes, int] = {}

    def take(self, hit: KnowledgeHit, *, near: bool) -> None:
        """Keep a hit, or remember it as another place of one that is kept."""
        key = (hit.knowledge, hit.chunk)
        digest = blake2b("".join(filter(str.isalnum, fold(hit.text))).encode("utf-8", "surrogatepass")).digest()
        place = self._chunks.get(key, self._texts.get(digest))
        own = frozenset[int]()
        if place is None and (near or len(self._hits) < self._limit):
            own = shingles(hit.text)
            place = next((at for at, its in enumerate(self._shingles) if _alike(own, its)), None)
        if place is not None:
            self._others[place] |= {f"{hit.knowledge}/{hit.document}", *hit.duplicates}
            return
        if len(self._hits) >= self._limit:
            return
        self._chunks[key] = self._texts[digest] = len(self._hits)
        self._hits.append(hit)
        self._others.append(set(hit.duplicates))
        self._shingles.append(own or shingles(hit.text))

    def hits(self) -> list[KnowledgeHit]:
        """Return what was kept."""
        pairs = zip(self._hits, self._others, strict=True)
        return [_with_others(hit, others - {f"{hit.knowledge}/{hit.document}"}) for hit, others in pairs]


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    small, large = sorted((len(one), len(other)))
    return small >= _ALIKE * large and resemblance(one, other) >= _ALIKE


def _with_others(hit: KnowledgeHit, others: set[str]) -> KnowledgeHit:
    found = sorted(others)
    return hit if found == hit.duplicates else hit.model_copy(update={"duplicates": found})
