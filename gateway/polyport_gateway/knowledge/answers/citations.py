"""Citations that are checked: which passages support what a sentence says, and with which words.

A marker that a model sets is a claim like any other. It stands only if the passage it names supports the words before
it, alone or with the other passages named at the same place; otherwise it is dropped, and counted. A sentence without a
marker gets one where a passage clearly says the same. So each citation of an answer is a pair of exact spans, of the
answer and of a document, that were held against each other (the citation precision and recall of Gao et al., "Enabling
large language models to generate text with citations", EMNLP 2023, made a condition instead of a score).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from polyport.content import Citation
from polyport.types.knowledge import KnowledgeCitation, KnowledgeHit

from .facts import Facts, facts_of
from .found import LONGEST_QUESTION
from .support import Body, Evidence, Likeness, Support, share

__all__ = ["CLEAR", "SUPPORTED", "CitationChecker", "Judge", "Verdict", "citation_of", "wire_citation"]

Judge = Callable[[str, str], float]
"""Tells from 0 to 1 how well a quote (second) supports a sentence (first): a model, asked by the `judge` template."""

SUPPORTED = 0.6
"""From this on, a marker that is set stands."""
CLEAR = 0.75
"""From this on, a sentence without a marker gets one."""
_SHOWN = re.compile(r"\s?\[\d{1,3}\]")
"""Markers inside a claim, which are no numbers of it."""
_SAID = 0.5
"""What words of the question weigh in the answer: to repeat them is to say what one talks about."""
_SHORT = 2.0
"""Below this weight, a claim such as "Paris" says something only together with the question."""
_TELLING = 3.0
_WHOLLY, _ASIDE, _NOT_SAID = 0.95, 0.3, 0.4
_EACH = 0.12
_ADDS = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the markers at one place.

    Args:
        kept: The passages that support the claim, with their quotes, in the order they were named.
        dropped: How many do not, or don't exist.
    """

    kept: tuple[tuple[int, Support], ...]
    dropped: int


class CitationChecker:
    """Holds claims against passages.

    Args:
        hits: The passages, in the order in which they are numbered from 1.
        question: What was asked.
        likeness: Knows paraphrases; may block.
        judge: Has the last word on a citation that the words allow; may block.
        supported: From which support on a marker stands.
        clear: From which support on a sentence gets one.
    """

    def __init__(
        self,
        hits: Sequence[KnowledgeHit],
        *,
        question: str = "",
        likeness: Likeness | None = None,
        judge: Judge | None = None,
        supported: float = SUPPORTED,
        clear: float = CLEAR,
    ) -> None:
        self.hits = list(hits)
        self._evidence = [Evidence(hit, likeness) for hit in hits]
        self._question = question[:LONGEST_QUESTION]
        self._asked = facts_of(self._question, question=True)
        self._judge = judge
        self._supported, self._clear = supported, clear

    def prepare(self) -> None:
        """Read the passages now rather than at the first claim."""
        for evidence in self._evidence:
            evidence.covers(self._asked)

    def check(self, claim: str, numbers: Sequence[int]) -> Verdict:
        """Return which of the passages named support a claim.

        Args:
            claim: The words before a marker; markers in them are none of it.
            numbers: Of passages, from 1; those that don't exist are dropped.
        """
        claim = _SHOWN.sub("", claim)
        known = [number for number in dict.fromkeys(numbers) if 1 <= number <= len(self.hits)]
        facts = self._facts(claim)
        rated = {number: self._support(claim, facts, number) for number in known}
        kept = {number: support for number, support in rated.items() if support.score >= self._supported}
        if len(known) > 1 and len(kept) < len(known):
            kept |= self._together(facts, {number: one for number, one in rated.items() if number not in kept}, rated)
        kept = {number: support for number, support in kept.items() if self._confirmed(claim, support)}
        return Verdict(
            tuple((number, kept[number]) for number in known if number in kept),
            len(set(numbers)) - len(kept),
        )

    def find(self, claim: str) -> tuple[int, Support] | None:
        """Return the passage that clearly supports a claim, if there is one."""
        claim = _SHOWN.sub("", claim)
        facts = self._facts(claim)
        if facts.weight < _TELLING * _SAID:
            return None
        likely = sorted(
            ((evidence.covers(facts), -place) for place, evidence in enumerate(self._evidence)), reverse=True
        )[:3]
        best: tuple[int, Support] | None = None
        for covered, place in likely:
            if covered < self._clear:
                break
            support = self._support(claim, facts, 1 - place)
            if support.score >= self._clear and (best is None or support.score > best[1].score):
                best = 1 - place, support
        return best if best is not None and self._confirmed(claim, best[1]) else None

    def _facts(self, claim: str) -> Facts:
        """Return what is claimed beyond what was asked."""
        facts = facts_of(claim)
        words = {word: weight * (_SAID if word in self._asked.words else 1.0) for word, weight in facts.words.items()}
        names = tuple(name for name in facts.names if not all(part in self._asked.words for part in name))
        return replace(facts, words=words, names=names)

    def _support(self, claim: str, facts: Facts, number: int) -> Support:
        evidence = self._evidence[number - 1]
        if facts.weight >= _SHORT:
            return evidence.support(claim, facts)
        # A claim such as "Paris." or "Yes." is the answer to the question: the passage must have both.
        whole = evidence.support(f"{self._question}\n{claim}")
        if not facts.weight:
            return whole
        alone = evidence.support(claim, facts)
        said = not alone.why and alone.score >= _WHOLLY
        return replace(alone, score=min(1.0, _ASIDE + whole.score) if said else min(alone.score, _NOT_SAID))

    def _together(self, facts: Facts, weak: dict[int, Support], rated: dict[int, Support]) -> dict[int, Support]:
        """Return those that support a claim only with the others that are named beside them."""
        quotes = {number: facts_of(_told(self.hits[number - 1], support)) for number, support in rated.items()}
        united = Body(list(quotes.values()))
        if any(number not in united.numbers for number in facts.numbers):
            return {}
        if any(not any(united.word(part) for part in name) for name in facts.names):
            return {}
        whole = share(facts, united)
        if whole < self._supported:
            return {}
        kept = {}
        for number, support in weak.items():
            others = [quote for other, quote in quotes.items() if other != number]
            adds = whole - share(facts, Body(others))
            contradicted = support.why.startswith("One of them")
            if adds >= _ADDS and support.score >= _EACH and not contradicted:
                kept[number] = replace(support, score=round(whole, 4), why="")
        return kept

    def _confirmed(self, claim: str, support: Support) -> bool:
        return self._judge is None or self._judge(claim, support.quote) >= self._supported


def _told(hit: KnowledgeHit, support: Support) -> str:
    return "\n".join([hit.title, *hit.heading_path, support.quote])


def citation_of(hit: KnowledgeHit, support: Support, *, start: int, end: int, number: int) -> KnowledgeCitation:
    """Return a citation of a passage.

    Args:
        hit: The passage.
        support: The quote in it.
        start: First character of the claim in the answer.
        end: One past its last.
        number: Of the source in the answer.
    """
    span = None
    if hit.span is not None and hit.span[1] - hit.span[0] == len(hit.text):
        span = (hit.span[0] + support.span.start, hit.span[0] + support.span.end)
    return KnowledgeCitation(
        start=start,
        end=end,
        number=number,
        knowledge=hit.knowledge,
        document=hit.document,
        chunk=hit.chunk,
        title=hit.title,
        quote=support.quote,
        span=span,
        source=hit.source,
        page=hit.page,
        cells=hit.cells,
        heading_path=list(hit.heading_path),
        support=support.score,
    )


def wire_citation(citation: KnowledgeCitation) -> Citation:
    """Return a citation as the events of every wire carry it."""
    source = citation.source or ""
    return Citation(
        title=citation.title or citation.source or citation.document,
        url=source if source.startswith(("http://", "https://")) else None,
        document=citation.document,
        text=citation.quote,
        start=citation.start,
        end=citation.end,
        page=citation.page,
        score=citation.support,
        source=citation.source,
    )
