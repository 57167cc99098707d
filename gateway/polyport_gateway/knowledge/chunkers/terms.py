"""The terms of a text: stems of words, and pairs of neighbouring characters where words are not parted by blanks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Term", "stem", "term_texts", "terms_of"]

_RUNS = re.compile(
    r"(?P<joined>[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f\U00020000-\U0003ffff]+)"
    r"|(?P<word>[^\W_]+(?:['’][^\W_]+)?)"
)
_LONGEST = 40
_STOP = frozenset({
    "a", "about", "above", "after", "again", "all", "also", "am", "an", "and", "any", "are", "aren't", "as",
    "at", "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "can't",
    "could", "did", "didn't", "do", "does", "doesn't", "doing", "don't", "down", "during", "each", "few", "for",
    "from", "further", "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how", "i",
    "i'm", "if", "in", "into", "is", "isn't", "it", "it's", "its", "itself", "just", "may", "me", "might",
    "more", "most", "must", "my", "no", "nor", "not", "now", "of", "off", "on", "once", "only", "or", "other",
    "our", "out", "over", "own", "s", "same", "shall", "she", "should", "so", "some", "such", "t", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "through", "to", "too",
    "under", "until", "up", "upon", "us", "very", "was", "wasn't", "we", "were", "weren't", "what", "when",
    "where", "which", "while", "who", "whom", "why", "will", "with", "won't", "would", "you", "your",
})  # fmt: skip
# Characters that bind words rather than being part of one; a pair with one of them says little.
_BINDING = frozenset(
    "的了是在和与及或也都就而但又很这那我你他她它们个之于以为被把从到对等着过吗呢吧啊哦嗯不没有の はがをにで"
)
_ENDINGS = (
    ("ational", "ate"), ("fulness", "ful"), ("iveness", "ive"), ("ization", "ize"), ("ousness", "ous"),
    ("ically", "ic"), ("ation", "ate"), ("ities", "ity"), ("ments", "ment"), ("ingly", ""), ("edly", ""), ("ies", "y"),
    ("sses", "ss"), ("ing", ""), ("ers", "er"), ("ed", ""), ("ly", ""), ("es", "e"), ("s", ""),
)  # fmt: skip


class Term(NamedTuple):
    """A term, and where it stands.

    Args:
        text: In the form in which it is compared.
        start: Where it begins.
        end: Where it ends.
    """

    text: str
    start: int
    end: int


def terms_of(text: str, start: int = 0, end: int | None = None) -> Iterator[Term]:
    """Yield the terms of a part of a text, in its order; words that are in every text are none.

    Args:
        text: The text.
        start: Where the part begins.
        end: Where it ends; with the text by default.
    """
    for match in _RUNS.finditer(text, start, len(text) if end is None else end):
        begin, after = match.span()
        if match.lastgroup == "word":
            if term := _word(match.group()):
                yield Term(term, begin, after)
        else:
            for place, pair in enumerate(_pairs(match.group()), begin):
                if pair:
                    yield Term(pair, place, place + len(pair))


def term_texts(text: str, start: int = 0, end: int | None = None) -> list[str]:
    """Return the same terms without their places, which is faster."""
    found: list[str] = []
    for joined, word in _RUNS.findall(text[start:end]):
        found += (_word(word),) if word else _pairs(joined)
    return [term for term in found if term]


def _pairs(run: str) -> list[str]:
    # Neighbouring characters; empty where one of them only binds words.
    if len(run) < 2:
        return [run] if run not in _BINDING else []
    return ["" if a in _BINDING or b in _BINDING else a + b for a, b in pairwise(run)]


@lru_cache(maxsize=1 << 15)
def _word(written: str) -> str:
    # The term of a word, empty where it is in every text.
    word = written.lower().replace("’", "'")[:_LONGEST]
    return "" if word in _STOP else stem(word)


@lru_cache(maxsize=1 << 15)
def stem(word: str) -> str:
    """Return an English word without its ending: enough to see that ``brewing`` and ``brewed`` are one."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not (ending == "s" and word[-2] in "su"):
            word = word[: -len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word
