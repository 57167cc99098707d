"""How many tokens each word has, kept from one text to the next."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, compress, count, filterfalse
from operator import add, sub

__all__ = ["WordCounts"]

_MOST = 1 << 16
"""Words kept, about 10 MB."""

_LONGEST = 64
"""Characters of a word that is kept: what is longer seldom comes again."""

_FEW = 16
"""Characters to a word from which on a text is encoded as a whole: it has long words, or Chinese."""

_STEP = 4
"""Words from one place to the next at which the tokens up to there are kept."""

_WIDEST = 255
"""Characters without a blank from which on a text is located by blocks."""

_BLANK = re.compile(r" (?=\S)")

_MANY = ("   ", "  \n", "\n  ")
"""Runs of blanks and line breaks, beside a blank between line breaks, that are cut otherwise than before each blank."""


class WordCounts(dict[str, int]):
    """Counts the tokens of a text by looking its words up, each with the one blank before it.

    For vocabularies that surely cut before a blank with something other than a blank on either side of it, and count
    two blanks between words as one and one (so do OpenAI's). Then a text has as many tokens as its words together, and
    looking a word up is faster than encoding it.

    Args:
        encode: Gives the tokens of a text.
        begins: For each token, 1 if it begins with a blank, else 0.
    """

    def __init__(self, encode: Callable[[str], Sequence[int]], begins: Sequence[int]) -> None:
        super().__init__()
        self._encode, self._begins = encode, begins

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        words, counts = self._look_up(text)
        return sum(counts) if words else len(self._encode(text))

    def locate(self, text: str, ends: array[int], sums: array[int]) -> bool:
        """Add where words of a text end, and the tokens up to there, to those of the text before.

        Args:
            text: The text, which begins with a blank and a word unless nothing stands before it.
            ends: Where words end; the last is where the text begins.
            sums: The tokens up to each of these ends.

        Returns:
            False where a long stretch has no blank, and nothing was added.
        """
        words, counts = self._look_up(text)
        if not words:
            return False
        stop = ends[-1] + len(text)
        lengths = list(accumulate(map(len, words), initial=ends[-1] - 1))
        totals = list(accumulate(counts, initial=sums[-1]))
        ends.extend(map(add, lengths[_STEP::_STEP], range(_STEP, len(lengths), _STEP)))
        sums.extend(totals[_STEP::_STEP])
        if ends[-1] != stop:
            ends.append(stop)
            sums.append(totals[-1])
        return True

    def _look_up(self, text: str) -> tuple[list[str], list[int]]:
        # None where a text has long words, or Chinese. No blank stands before the first word.
        if text.count(" ") * _FEW < len(text):
            return [], []
        words = _split(text)
        counts = self._counts(words)
        if 0 in counts:
            words = _BLANK.split(text)
            if len(max(words, key=len)) > _WIDEST:
                return [], []
            counts = self._counts(words)
            for index in _indices(counts, 0):
                counts[index] = len(self._encode(f" {words[index]}"))
        counts[0] = len(self._encode(words[0]))
        return words, counts

    def _counts(self, words: list[str]) -> list[int]:
        try:
            return list(map(self.__getitem__, words))
        except KeyError:
            self._learn(set(words))
        found = list(map(self.get, words))
        for index in _indices(found, None):
            found[index] = self._count(words[index])
        return found  # type: ignore[return-value]

    def _learn(self, words: set[str]) -> None:
        if len(self) + len(words) > _MOST:
            self.clear()
        new = [word for word in filterfalse(self.__contains__, words) if len(word) <= _LONGEST][:_MOST]
        # One call for all that a blank surely parts: each begins with the token that begins with it.
        plain = [word for word in new if word and not word[0].isspace() and not _is_odd(word[-1]) and " " not in word]
        tokens = self._encode(f" {' '.join(plain)}") if plain else []
        starts = [*compress(count(), map(self._begins.__getitem__, tokens)), len(tokens)]
        self.update(zip(plain, map(sub, starts[1:], starts), strict=True))
        if len(plain) < len(new):
            self.update([(word, self._count(word)) for word in new if word not in self])

    def _count(self, word: str) -> int:
        """Return the tokens of a word, or 0 if it is not to be looked up: blanks at its rims, or too long."""
        odd = " " not in word and (_is_odd(word[:1]) or _is_odd(word[-1:]))
        return 0 if odd or len(word) > _WIDEST else len(self._encode(f" {word}"))


def _indices(values: Sequence[object], sought: object) -> Iterator[int]:
    index = -1
    for _ in range(values.count(sought)):
        index = values.index(sought, index + 1)
        yield index


def _is_odd(character: str) -> bool:
    return character.isspace() and character != "\n"


def _split(text: str) -> list[str]:
    many = text[-2:].isspace() or ("  " in text and any(run in text for run in _MANY)) or "\n \n" in text
    return _BLANK.split(text) if many else text.split(" ")
