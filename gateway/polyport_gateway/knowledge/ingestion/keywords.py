"""What a document is about, in a few words: by what is built in, or by a function of the gateway.

The built-in one needs no other documents to compare with, so that a document's keywords do not hang on what came before
it. It weighs words as YAKE does (Campos et al., "YAKE! Keyword extraction from single documents using multiple local
features", Information Sciences 509, 2020): by how often they occur and in how many places, whether they are written as
names, how early they come, and against words that stand beside anything. Words that keep together are one phrase. In
Chinese and other scripts without blanks, pairs of characters are the words, and phrases put them together again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from polyport.errors import InvalidOutputError
from polyport_gateway.knowledge.chunkers.terms import Term, terms_of
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.documents.blocks import Heading

__all__ = ["BuiltInKeywords", "FunctionKeywords", "KeywordMaker", "headings_of", "keywords_of"]

_COUNT = 10
_MOST = 64
_LONGEST = 200
_READ = 50_000
"""Characters of a text that are looked at."""
_LONGEST_PHRASE = 5
_SHARE = 0.4
"""Of the occurrences of a phrase's commonest word, that are in the phrase."""
_PASSAGE = 400
"""Characters; how many of these a word is in says how widely it is used."""


class KeywordMaker(Protocol):
    """Makes keywords of documents; called from worker threads."""

    def __call__(self, document: Document, title: str) -> list[str]:
        """Return a document's keywords, the weightiest first.

        Raises:
            CallError: It fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class BuiltInKeywords:
    """Takes keywords from title, headings and text.

    Args:
        count: How many at most.
    """

    count: int = _COUNT

    def __call__(self, document: Document, title: str) -> list[str]:
        """Return a document's keywords."""
        return keywords_of(document.text, title=title, headings=headings_of(document), count=self.count)


@dataclass(frozen=True, slots=True)
class FunctionKeywords:
    """Has a registered function make keywords.

    Args:
        name: Of the function; it takes ``text``, and may take ``title``, ``headings``, ``language`` and ``metadata``.
            It gives a list of texts, or one text with commas or lines between them.
        call: Calls a function of the gateway by its name.
        parameters: Those that it has.
    """

    name: str
    call: Callable[[str, Mapping[str, Any]], Any]
    parameters: frozenset[str] = frozenset({"text"})

    def __call__(self, document: Document, title: str) -> list[str]:
        """Return a document's keywords.

        Raises:
            CallError: The function fails, or gives something else.
        """
        offered = {
            "text": document.text,
            "title": title,
            "headings": headings_of(document),
            "language": document.language,
            "metadata": dict(document.metadata),
        }
        given = self.call(self.name, {key: value for key, value in offered.items() if key in self.parameters})
        return self._read(given)

    def _read(self, given: Any) -> list[str]:
        if isinstance(given, Mapping) and "keywords" in given:
            given = given["keywords"]
        if isinstance(given, str):
            for mark in ",;，；、":
                given = given.replace(mark, "\n")
            given = given.split("\n")
        if not isinstance(given, Sequence) or not all(isinstance(word, str) for word in given):
            raise InvalidOutputError(
                f"{self.name!r} is to give keywords as a list of texts, and gave {str(given)[:100]!r}."
            )
        words = (" ".join(word.split())[:_LONGEST] for word in given)
        return list(dict.fromkeys(word for word in words if word))[:_MOST]


def headings_of(document: Document) -> list[str]:
    """Return the texts of a document's headings."""
    return [block.text for block in document.blocks if isinstance(block, Heading) and block.text.strip()]


def keywords_of(text: str, *, title: str = "", headings: Sequence[str] = (), count: int = _COUNT) -> list[str]:
    """Return the keywords of a text, the weightiest first, as they are written in it.

    Args:
        text: The text; of a very long one the beginning is looked at.
        title: Whose words weigh more.
        headings: Whose words weigh a little more.
        count: How many at most.
    """
    whole = "\n".join((title, *headings[:200], text[:_READ]))
    terms = [term for term in terms_of(whole) if len(term.text) > 1 and not term.text.isdigit()]
    if not terms:
        return []
    words = [term.text for term in terms]
    together = [_adjoin(whole, one, other) for one, other in pairwise(terms)]
    weights = _weights(whole, terms, together, title, headings)
    return _chosen(whole, terms, _phrases(words, together, weights), count)


@dataclass(frozen=True, slots=True)
class _Phrase:
    terms: tuple[str, ...]
    score: float
    first: int


def _weights(
    text: str, terms: Sequence[Term], together: Sequence[bool], title: str, headings: Sequence[str]
) -> dict[str, float]:
    counts: Counter[str] = Counter()
    passages: dict[str, set[int]] = defaultdict(set)
    beside: dict[str, set[str]] = defaultdict(set)
    names: Counter[str] = Counter()
    before = ""
    for place, (word, start, end) in enumerate(terms):
        counts[word] += 1
        passages[word].add(start // _PASSAGE)
        if place and together[place - 1]:
            beside[word].add(before)
            beside[before].add(word)
        if text[start].isupper() and _is_name(text, start, end):
            names[word] += 1
        before = word
    in_title = {term.text for term in terms_of(title)}
    in_headings = {term.text for heading in headings for term in terms_of(heading)}
    early = {term.text for term in terms[: max(20, len(terms) // 10)]}
    found: dict[str, float] = {}
    for word, number in counts.items():
        spread = math.log(1 + len(passages[word]))
        company = 0.5 + len(beside[word]) / (2 * number) if number > 2 else 1.0
        where = 1 + 1.5 * (word in in_title) + 0.7 * (word in in_headings) + 0.2 * (word in early)
        name = 1 + 0.6 * names[word] / number
        found[word] = math.log(1 + number) * (0.5 + spread) * where * name / company
    return found


def _is_name(text: str, start: int, end: int) -> bool:
    """Whether a word with a large letter stands where no sentence begins, or is large as a whole."""
    if text[start:end].isupper():
        return True
    before = text[max(0, start - 2) : start].strip()
    return bool(before) and before[-1] not in ".!?:。！？\"'"


def _adjoin(text: str, one: Term, other: Term) -> bool:
    """Whether two terms stand together: with a blank or a dash between them, or as pairs that share a character."""
    if other.start == one.start + 1 and other.end == one.end + 1:
        return True
    return other.start == one.end + 1 and text[one.end] in " -"


def _phrases(words: Sequence[str], together: Sequence[bool], weights: Mapping[str, float]) -> list[_Phrase]:
    counts = Counter(words)
    firsts: dict[str, int] = {}
    for place, word in enumerate(words):
        firsts.setdefault(word, place)
    found = [_Phrase((word,), weights[word], first) for word, first in firsts.items()]
    # What occurs twice as a whole has parts that do: so only these are made longer.
    begun = [place for place, joined in enumerate(together) if joined]
    for length in range(2, _LONGEST_PHRASE + 1):
        places: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place in begun:
            if place + length <= len(words) and together[place + length - 2]:
                places[tuple(words[place : place + length])].append(place)
        begun = []
        for phrase, where in places.items():
            if len(where) < 2:
                continue
            begun += where
            share = len(where) / max(counts[word] for word in phrase)
            if share >= _SHARE:
                mean = sum(weights[word] for word in phrase) / length
                found.append(_Phrase(phrase, mean * math.sqrt(share) * (1 + 0.3 * (length - 1)), where[0]))
    return sorted(found, key=lambda phrase: (-phrase.score, phrase.first))


def _chosen(text: str, terms: Sequence[Term], phrases: Sequence[_Phrase], count: int) -> list[str]:
    chosen: list[str] = []
    used: set[str] = set()
    for phrase in phrases:
        if len(chosen) == count:
            break
        if used.intersection(phrase.terms):
            continue
        used.update(phrase.terms)
        start, end = terms[phrase.first].start, terms[phrase.first + len(phrase.terms) - 1].end
        chosen.append(" ".join(text[start:end].split())[:_LONGEST])
    return chosen
