"""Whether an answer is right: what it cites, and whether it holds the answer that was expected."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from polyport.types.knowledge import KnowledgeAnswer, KnowledgeCitation, KnowledgeHit

from .gold import Gold, Place, supports
from .questions import Question

__all__ = ["answer_values", "contains", "place_of_citation", "place_of_hit", "right_citations"]

_ARTICLES = frozenset(("a", "an", "the"))
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A Chinese or Japanese character by itself, or letters and digits."""


def place_of_hit(hit: KnowledgeHit) -> Place:
    """Return a hit as a place."""
    return Place((hit.document, hit.title), hit.text, hit.span, f"{hit.knowledge}/{hit.document}", hit.source or "")


def place_of_citation(citation: KnowledgeCitation) -> Place:
    """Return a citation as a place."""
    names = (citation.document, citation.title)
    document = f"{citation.knowledge}/{citation.document}"
    return Place(names, citation.quote, citation.span, document, citation.source or "")


def contains(text: str, answers: Sequence[str]) -> bool:
    """Tell whether a text holds one of some answers, word by word; case, marks and articles aside (as SQuAD has it)."""
    words = f" {_words(text)} "
    return any(found and f" {found} " in words for found in map(_words, answers))


def _words(text: str) -> str:
    found = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(word for word in found if word not in _ARTICLES)


def right_citations(gold: Sequence[Gold], citations: Sequence[KnowledgeCitation]) -> list[list[int]]:
    """Return, for each citation, the gold passages that it is from."""
    places = [place_of_citation(citation) for citation in citations]
    return [[number for number, one in enumerate(gold) if supports(one, place)] for place in places]


def answer_values(question: Question, answer: KnowledgeAnswer) -> dict[str, float]:
    """Return the figures of one answer.

    ``citation_precision`` is the share of its citations that are from gold passages, and ``citation_recall`` the share
    of gold passages that are cited; an answer that says there is none has neither. ``answered`` tells whether there is
    an answer where there should be, ``refused`` whether there is none where there can't be.
    """
    if not question.answerable:
        return {"refused": float(not answer.found)}
    values = {"answered": float(answer.found)}
    if question.answers:
        values["answer_contains"] = float(answer.found and contains(answer.text, question.answers))
    if question.gold and answer.found:
        right = right_citations(question.gold, answer.citations)
        cited = {number for numbers in right for number in numbers}
        values["citation_precision"] = sum(map(bool, right)) / len(right) if right else 0.0
        values["citation_recall"] = len(cited) / len(question.gold)
    return values
