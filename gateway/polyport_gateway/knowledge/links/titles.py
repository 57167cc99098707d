"""What a title is called by, and where a text mentions it.

Exact strings, found all at once by an automaton (Aho and Corasick, "Efficient string matching", CACM 1975): a look
at each character, whatever the number of titles, and no words needed, so Chinese works alike. Case is folded, and then
looked at: a name that most passages write small is an ordinary word, and `clues` leaves its mentions out.

A person's last name alone is left out, even where one title alone ends in it: most of its mentions are of others of
that name, and with them all-gold@5 on MuSiQue fell from .38 to .30 (BM25).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from polyport.errors import MissingDependencyError

__all__ = ["Mention", "MentionFinder", "aliases", "find_whole", "fold_evenly", "key_of", "title_mentions"]

_IN_PARENTHESES = re.compile(r"\s*[(（][^()（）]*[)）]\s*$")
_NUMBERED = re.compile(
    r"^\s*(?:\d+(?:\.\d+)*\.?|第[\d一二三四五六七八九十百]+[章节條条款部分篇]|[一二三四五六七八九十]+、)\s+"
)
_SHORTEST, _SHORTEST_UNSPACED, _LONGEST = 3, 2, 120


class _Even(dict[int, str]):
    """Folds one character to one, so that positions stay."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", character).casefold())
        folded = plain[0] if plain and (len(plain) == 1 or unicodedata.combining(plain[1])) else character.lower()
        self[code] = folded if len(folded) == 1 else character
        return self[code]


_EVEN = _Even()


def fold_evenly(text: str) -> str:
    """Fold width, case and accents without moving a character."""
    return text.lower() if text.isascii() else text.translate(_EVEN)


def key_of(name: str) -> str:
    """Return what a name is compared by."""
    return " ".join(fold_evenly(name).split())


def aliases(title: str) -> dict[str, str]:
    """Return what a title goes by, by key: itself, without its number, without a parenthesis, before its comma."""
    whole = " ".join(title.split())
    bare = _NUMBERED.sub("", whole)
    plain = _IN_PARENTHESES.sub("", bare)
    found: dict[str, str] = {}
    for name in (whole, bare, plain, plain.split(",")[0].strip() if "," in plain else ""):
        shortest = _SHORTEST if name.isascii() else _SHORTEST_UNSPACED
        if shortest <= len(name) <= _LONGEST:
            found.setdefault(key_of(name), name)
    return found


class Mention(NamedTuple):
    """Where a text mentions a name."""

    start: int
    end: int
    key: str


class MentionFinder:
    """Finds any of many names in a text.

    Args:
        keys: Of the names, as `key_of` gives them.

    Raises:
        MissingDependencyError: pyahocorasick is not installed.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        try:
            import ahocorasick
        except ImportError as error:
            raise MissingDependencyError("pyahocorasick", extra="knowledge") from error
        self._automaton = ahocorasick.Automaton()
        for key in keys:
            self._automaton.add_word(key, len(key))
        if len(self._automaton):
            self._automaton.make_automaton()

    def find(self, text: str) -> list[Mention]:
        """Return the names in a text, in order; of those that overlap the one that begins first, and is longest."""
        if not len(self._automaton):
            return []
        folded = fold_evenly(text)
        if "\n" in folded:
            folded = folded.replace("\n", " ")
        hits = [(last + 1 - length, last + 1) for last, length in self._automaton.iter(folded)]
        hits.sort(key=lambda hit: (hit[0], -hit[1]))
        found: list[Mention] = []
        end = 0
        for start, stop in hits:
            if start >= end and _whole(folded, start, stop):
                found.append(Mention(start, stop, folded[start:stop]))
                end = stop
        return found


def find_whole(text: str, name: str) -> int:
    """Return where a text first has a name as whole words, whatever the case and accents, or −1."""
    folded, key = fold_evenly(text), fold_evenly(name)
    start = folded.find(key) if key else -1
    while start >= 0 and not _whole(folded, start, start + len(key)):
        start = folded.find(key, start + 1)
    return start


def _whole(text: str, start: int, end: int) -> bool:
    """Tell whether words begin and end where a hit does; scripts without blanks have no such places."""
    return not (
        (start and _joined(text[start - 1], text[start])) or (end < len(text) and _joined(text[end - 1], text[end]))
    )


def _joined(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and left < "\u2e80" and right < "\u2e80"


def written_as_name(text: str, mention: Mention) -> bool:
    """Tell whether a mention begins as names do: with a capital, a digit, or a character that has no case."""
    first = text[mention.start]
    return not first.islower()


def title_mentions(finder: MentionFinder, text: str) -> dict[str, bool]:
    """Return the titles in a text by their keys, and whether it writes them as names anywhere."""
    found: dict[str, bool] = {}
    for mention in finder.find(text):
        found[mention.key] = found.get(mention.key, False) or written_as_name(text, mention)
    return found
