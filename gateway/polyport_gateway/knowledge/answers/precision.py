"""How good the citations of answers are: for evaluation, over answers that were made, by whatever means.

Precision is the share of citations whose quote supports what it is cited for; recall the share of an answer's sentences
that have such a citation (Gao, Yen, Yu and Chen, "Enabling large language models to generate text with citations",
EMNLP 2023). Whether a quote supports a sentence is told anew, by the words or by a judge that had no part in the
answer. Two things more can be told exactly: whether the spans are right, and, where the passages that answer are known,
whether they are what is cited.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from polyport.types.knowledge import KnowledgeAnswer, KnowledgeCitation, KnowledgeHit

from .citations import SUPPORTED, CitationChecker, Judge
from .facts import facts_of
from .stream import claims_of

__all__ = ["CitationQuality", "citation_quality", "misplaced"]

_TELLING = 1.5


@dataclass(frozen=True, slots=True)
class CitationQuality:
    """How good the citations of some answers are.

    Args:
        answers: That say something.
        citations: They have in all.
        precision: The share of citations that support their sentence; 1 where there are none.
        recall: The share of sentences that have one that does; 1 where there are none.
        misplaced: Citations whose spans do not hold.
        gold: The share of citations of passages that answer, where those are known.
        dropped: Citations that did not hold and were dropped when the answers were made, for each that was kept.
    """

    answers: int
    citations: int
    precision: float
    recall: float
    misplaced: int
    gold: float | None
    dropped: float


def citation_quality(
    answers: Iterable[KnowledgeAnswer],
    *,
    judge: Judge | None = None,
    gold: Sequence[Iterable[tuple[str, str]]] | None = None,
    supported: float = SUPPORTED,
) -> CitationQuality:
    """Return how good the citations of answers are; those that found nothing count for nothing.

    Args:
        answers: They, with their hits.
        judge: Tells whether a quote supports a sentence; the words tell by default.
        gold: For each answer, the passages that answer: knowledge base and document.
        supported: From which support on a citation holds.
    """
    count = total = good = sentences = held = wrong = dropped = on_gold = with_gold = 0
    for place, answer in enumerate(answers):
        dropped += answer.dropped
        if not answer.found:
            continue
        count += 1
        verdicts = [_holds(answer, citation, judge, supported) for citation in answer.citations]
        total += len(verdicts)
        good += sum(verdicts)
        wrong += len(misplaced(answer))
        spans = [(one.start, one.end) for one, holds in zip(answer.citations, verdicts, strict=True) if holds]
        for start, end in claims_of(answer.text):
            if facts_of(answer.text[start:end]).weight >= _TELLING:
                sentences += 1
                held += any(low < end and high > start for low, high in spans)
        if gold is not None:
            wanted = set(gold[place])
            with_gold += len(answer.citations)
            on_gold += sum((one.knowledge, one.document) in wanted for one in answer.citations)
    return CitationQuality(
        count,
        total,
        good / total if total else 1.0,
        held / sentences if sentences else 1.0,
        wrong,
        on_gold / with_gold if gold is not None and with_gold else None,
        dropped / total if total else float(dropped),
    )


def misplaced(answer: KnowledgeAnswer) -> list[KnowledgeCitation]:
    """Return the citations whose span lies outside the answer, or whose quote is not where it says it is."""
    found = []
    for citation in answer.citations:
        hit = _hit(answer, citation)
        inside = 0 <= citation.start < citation.end <= len(answer.text)
        there = hit is not None and citation.quote != "" and citation.quote in hit.text
        if there and hit is not None and hit.span is not None and citation.span is not None:
            low = citation.span[0] - hit.span[0]
            there = hit.text[low : citation.span[1] - hit.span[0]] == citation.quote
        if not inside or not there:
            found.append(citation)
    return found


def _holds(answer: KnowledgeAnswer, citation: KnowledgeCitation, judge: Judge | None, supported: float) -> bool:
    claim = answer.text[citation.start : citation.end]
    if judge is not None:
        return judge(claim, citation.quote) >= supported
    hit = _hit(answer, citation)
    if hit is None:
        return False
    quoted = hit.model_copy(update={"text": citation.quote})
    together = [
        hit.model_copy(update={"text": one.quote, "title": one.title, "heading_path": one.heading_path})
        for one in answer.citations
        if one is not citation and one.start < citation.end and one.end > citation.start
    ]
    checker = CitationChecker([quoted, *together], question=answer.question, supported=supported)
    verdict = checker.check(claim, range(1, len(together) + 2))
    return any(number == 1 for number, _ in verdict.kept)


def _hit(answer: KnowledgeAnswer, citation: KnowledgeCitation) -> KnowledgeHit | None:
    wanted = (citation.knowledge, citation.chunk)
    return next((hit for hit in answer.hits if (hit.knowledge, hit.chunk) == wanted), None)
