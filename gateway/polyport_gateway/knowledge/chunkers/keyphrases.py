"""Words and phrases that are frequent in one text and rare in the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .terms import Term, terms_of

__all__ = ["keyphrases"]

_LONGEST = 4
"""Terms of a phrase; of Chinese, which is taken in pairs, one character more."""


class _Phrase(NamedTuple):
    terms: tuple[str, ...]
    score: float
    first: int


def keyphrases(texts: Sequence[str], count: int) -> Iterator[list[str]]:
    """Yield up to ``count`` phrases of each text, the weightiest first, as they are written there.

    A term weighs its frequency in the text times the logarithm of its rarity among the texts (TF-IDF). Terms that
    stand together at least twice, and mostly do, are one phrase.
    """
    found = [[term for term in terms_of(text) if not term.text.isdigit()] for text in texts]
    within = Counter(term for terms in found for term in {term.text for term in terms})
    for text, terms in zip(texts, found, strict=True):
        counts = Counter(term.text for term in terms)
        weights = {
            term: count_ * (math.log((1 + len(texts)) / (1 + within[term])) + 1) for term, count_ in counts.items()
        }
        phrases = _phrases(text, terms, counts, weights)
        yield [_written(text, terms, phrase) for phrase in _chosen(phrases, count)]


def _phrases(text: str, terms: list[Term], counts: Counter[str], weights: dict[str, float]) -> list[_Phrase]:
    places: dict[tuple[str, ...], list[int]] = {}
    for index in range(len(terms)):
        for length in range(1, _LONGEST + 1):
            if length > 1 and not _together(text, terms, index + length - 2):
                break
            places.setdefault(tuple(term.text for term in terms[index : index + length]), []).append(index)
    phrases: list[_Phrase] = []
    for words, found in places.items():
        share = len(found) / max(counts[word] for word in words)
        if len(words) > 1 and (len(found) < 2 or share < 0.5):
            continue
        score = sum(weights[word] for word in words) / len(words) * math.sqrt(share) * (1 + 0.4 * (len(words) - 1))
        phrases.append(_Phrase(words, score, found[0]))
    return sorted(phrases, key=lambda phrase: (-phrase.score, phrase.first))


def _together(text: str, terms: list[Term], index: int) -> bool:
    if index + 1 >= len(terms):
        return False
    one, other = terms[index], terms[index + 1]
    return other.start == one.start + 1 or (other.start >= one.end and text[one.end : other.start] in (" ", "-"))


def _chosen(phrases: list[_Phrase], count: int) -> list[_Phrase]:
    chosen: list[_Phrase] = []
    used: set[str] = set()
    for phrase in phrases:
        if len(chosen) == count:
            break
        if not used.intersection(phrase.terms):
            chosen.append(phrase)
            used.update(phrase.terms)
    return chosen


def _written(text: str, terms: list[Term], phrase: _Phrase) -> str:
    start, end = terms[phrase.first].start, terms[phrase.first + len(phrase.terms) - 1].end
    return " ".join(text[start:end].split())
