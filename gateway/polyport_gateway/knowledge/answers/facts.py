"""What a text states, in a form that another text can be held against: its words, names, numbers and denials.

Words are folded and stemmed as BM25 does it (`retrieval.terms`); scripts without blanks are compared by pairs of
characters. How much a word says is not taken from a collection, for an answer must mean the same whatever it was made
from: words that only bind others weigh nothing, the few hundred that occur everywhere little, names and numbers most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.retrieval.terms import fold

from .negation import denied, denied_chinese
from .numbers import numbers_of
from .words import ASKED_CHINESE, BINDING, BINDING_CHINESE, COMMON, GENERIC, MODAL_CHINESE

__all__ = [
    "CHARACTER",
    "COMMON_WEIGHT",
    "NAME_WEIGHT",
    "NUMBER_WEIGHT",
    "Facts",
    "facts_of",
    "generic_stems",
    "stem",
    "stems_of",
]

NAME_WEIGHT = 2.0
NUMBER_WEIGHT = 2.0
COMMON_WEIGHT = 0.4
CHARACTER = 0.5
"""What a character of a script without blanks weighs: two of them are about a word."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u1100-\u11ff\uac00-\ud7a3"
)
_TOKEN = re.compile(
    rf"(?P<run>[{_UNSPACED}]+)|(?P<word>[^\W\d_{_UNSPACED}][^\W_{_UNSPACED}]*(?:['’\-.&][^\W_{_UNSPACED}]+)*)"
)
_SIGNS = {ord("%"): " percent ", ord("％"): " percent ", ord("$"): " dollar ", ord("€"): " euro ", ord("£"): " pound "}
_SENTENCE_START = ".!?\n。！？"
_LONGEST_WORD = 64


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text states.

    Args:
        words: What each word weighs, by its stem; names included.
        names: The stems of each name of the text.
        numbers: Their values.
        runs: Of a script without blanks, without the characters that only bind.
        denied: What stands next after a denial, and all that stands soon after one.
        text: Folded.
    """

    words: dict[str, float]
    names: tuple[tuple[str, ...], ...]
    numbers: frozenset[str]
    runs: tuple[str, ...]
    denied: tuple[frozenset[str], frozenset[str]]
    text: str = field(repr=False)

    @property
    def weight(self) -> float:
        """How much it states in all."""
        characters = sum(map(len, self.runs))
        return sum(self.words.values()) + NUMBER_WEIGHT * len(self.numbers) + CHARACTER * characters


@lru_cache(maxsize=1)
def _stemmer() -> Callable[[str], str]:
    try:
        from Stemmer import Stemmer
    except ImportError as error:
        raise MissingDependencyError("PyStemmer", extra="knowledge") from error
    return Stemmer("en").stemWord  # type: ignore[no-any-return]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Return a folded word without its ending and its possessive."""
    word = word.replace("’", "'").removesuffix("'s").rstrip(".'")
    if len(word) > _LONGEST_WORD or not word.isalpha():
        return word.replace(".", "")
    return _stemmer()(word)


@lru_cache(maxsize=1)
def generic_stems() -> frozenset[str]:
    """Return the stems of words that many names have."""
    return frozenset(map(stem, GENERIC))


def facts_of(text: str, *, question: bool = False) -> Facts:
    """Return what a text states, or asks.

    Args:
        text: A sentence, a passage or a question.
        question: Whether words that ask are left out.
    """
    text = text.translate(_SIGNS)
    words: dict[str, float] = {}
    runs: list[str] = []
    tokens: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(text):
        run = match.group("run")
        if run is not None:
            runs.extend(_pieces(fold(run), question=question))
            continue
        written = match.group("word")
        for part in written.split("-") if "-" in written else (written,):
            folded = fold(part)
            stemmed = stem(folded)
            tokens.append((folded, stemmed))
            if folded in BINDING or not stemmed:
                continue
            name = part[0].isupper() and not _begins(text, match.start())
            weight = NAME_WEIGHT if name or _upper(part) else COMMON_WEIGHT if folded in COMMON else 1.0
            words[stemmed] = max(weight, words.get(stemmed, 0.0))
    named = tuple(_names(text))
    for name in named:
        for part in name:
            words[part] = max(words.get(part, 0.0), NAME_WEIGHT)
    folded_text = fold(text)
    first, near = denied(tokens)
    if runs:
        chinese = denied_chinese(folded_text)
        first, near = first | chinese, near | chinese
    return Facts(words, named, numbers_of(text), tuple(runs), (first, near), folded_text)


def stems_of(text: str) -> list[str]:
    """Return the stems of a text's words in order, without those that only bind; not of scripts without blanks."""
    found = []
    for match in _TOKEN.finditer(text):
        for part in (match.group("word") or "").split("-"):
            folded = fold(part)
            if folded and folded not in BINDING:
                found.append(stem(folded))
    return found


def _upper(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _begins(text: str, place: int) -> bool:
    """Tell whether a word begins a sentence, where a capital says nothing."""
    before = text[max(0, place - 4) : place].rstrip(" \t*_#>")
    return not before or before[-1] in _SENTENCE_START


def _names(text: str) -> Iterator[tuple[str, ...]]:
    for match in _NAME.finditer(text):
        parts = match.group().split()
        if _begins(text, match.start()):
            while parts and fold(parts[0]) in BINDING | COMMON:
                parts = parts[1:]
            if len(parts) < 2 and not (parts and _upper(parts[0])):
                continue
        stems = tuple(stem(fold(part)) for part in parts if part[0].isupper() and fold(part) not in BINDING)
        if stems:
            yield stems


_NAME = re.compile(
    r"(?<![\w'’])[^\W\d_a-z][\w.'’&\-]*(?:\s(?:(?:of|the|de|la|van|von|der|and)\s){0,2}[^\W\d_a-z][\w.'’&\-]*){0,9}"
)


def _pieces(run: str, *, question: bool) -> list[str]:
    if question:
        run = MODAL_CHINESE.sub(" ", ASKED_CHINESE.sub(" ", run))
    return [piece for part in BINDING_CHINESE.split(run) for piece in part.split()]
