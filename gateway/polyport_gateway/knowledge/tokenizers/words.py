"""How many tokens each word has, kept from one text to the next."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, filterfalse
from operator import sub

__all__ = ["WordCounts"]

_MOST = 1 << 16
"""Words kept, about 10 MB."""

_LONGEST = 32
"""Characters of a word that is kept: what is longer seldom comes again."""

_FEW = 16
"""Characters to a word from which on a text is encoded as a whole: it has long words, or Chinese."""

_ONE_MORE = bytes([*range(1, 256), 0])

_BLANK = re.compile(r" (?=\S)")
_OTHER_BLANK = re.compile(r" (?!\S)")


class WordCounts(dict[str, int]):
    """Counts the tokens of a text by looking its words up, each with the one blank before it.

    For vocabularies that never join what stands before a blank to that blank, when something other than a blank comes
    after it (so do OpenAI's). Then a text has as many tokens as its words together, and looking a word up is faster
    than encoding it.

    Args:
        encode: Gives the tokens of a text.
        width: Gives the bytes of a token.
    """

    def __init__(self, encode: Callable[[str], Sequence[int]], width: Callable[[int], int]) -> None:
        super().__init__()
        self._encode, self._width = encode, width

    def __missing__(self, word: str) -> int:
        return len(self._encode(f" {word}"))

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        words = _split(text)
        if len(words) * _FEW < len(text):
            return len(self._encode(text))
        return len(self._encode(words.pop(0))) + sum(self._counts(words))

    def locate(self, text: str, ends: array[int], sums: array[int]) -> bool:
        """Add where each word of a text ends, and the tokens up to there, to those of the text before.

        Args:
            text: The text, which begins with a blank and a word unless nothing stands before it.
            ends: Where words end; the last is where the text begins.
            sums: The tokens up to each of these ends.

        Returns:
            False where a stretch of 255 characters has no blank, and nothing was added.
        """
        words = _split(text)
        try:
            lengths = bytes(map(len, words)).translate(_ONE_MORE)
        except ValueError:
            return False
        if 0 in lengths:
            return False
        at, total = ends[-1], sums[-1]
        first = words.pop(0)
        if first:  # no blank stands before it
            at += len(first)
            total += len(self._encode(first))
            ends.append(at)
            sums.append(total)
        ends.extend(_after_first(accumulate(lengths[1:], initial=at)))
        sums.extend(_after_first(accumulate(self._counts(words), initial=total)))
        return True

    def _counts(self, words: list[str]) -> list[int]:
        found = list(map(self.get, words))
        if None not in found:
            return found  # type: ignore[return-value]
        self._learn(set(words))
        return list(map(self.__getitem__, words))

    def _learn(self, words: set[str]) -> None:
        if len(self) + len(words) > _MOST:
            self.clear()
        new = [word for word in filterfalse(self.__contains__, words) if len(word) <= _LONGEST]
        joined = " ".join(new)
        try:
            lengths = map(len, new) if joined.isascii() else [len(word.encode()) for word in new]
        except UnicodeEncodeError:  # half a surrogate pair: each is counted by itself
            return
        # One call for all of them. How many tokens have come by the end of each word tells how many it has.
        tokens = self._encode(f" {joined}")
        order = {end: place for place, end in enumerate(accumulate(map(self._width, tokens)), 1)}
        places = [order[end + index] for index, end in enumerate(accumulate(lengths), 1)]
        self.update(zip(new, map(sub, places, [0, *places]), strict=True))


def _split(text: str) -> list[str]:
    return text.split(" ") if _OTHER_BLANK.search(text) is None else _BLANK.split(text)


def _after_first(values: Iterable[int]) -> Iterable[int]:
    found = iter(values)
    next(found)
    return found
