"""How many tokens each word has, kept from one text to the next."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, filterfalse

__all__ = ["WordCounts"]

_MOST = 1 << 16
"""Words kept, about 10 MB."""

_LONGEST = 32
"""Characters of a word that is kept: what is longer seldom comes again."""

_FEW = 16
"""Characters to a word from which on a text is encoded as a whole: it has long words, or Chinese."""

_MARK = " \n"
"""One token in OpenAI's vocabularies, and a piece of its own between two words."""

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
    """

    def __init__(self, encode: Callable[[str], Sequence[int]]) -> None:
        super().__init__()
        self._encode, self._mark = encode, encode(_MARK)

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
        new = [word for word in filterfalse(self.__contains__, words) if len(word) <= _LONGEST][:_MOST]
        # One call for all that a mark can stand after: the tokens before the next mark are the word's.
        plain = [word for word in new if " " not in word and not word[-1].isspace()] if len(self._mark) == 1 else []
        tokens = self._encode(f" {f'{_MARK} '.join(plain)}{_MARK}") if plain else []
        self.update(zip(plain, _lengths(tokens, self._mark), strict=True))
        if len(plain) < len(new):
            self.update([(word, self[word]) for word in new])


def _lengths(tokens: Sequence[int], mark: Sequence[int]) -> Iterator[int]:
    start = 0
    while start < len(tokens):
        end = tokens.index(mark[0], start)
        yield end - start
        start = end + 1


def _split(text: str) -> list[str]:
    return text.split(" ") if _OTHER_BLANK.search(text) is None else _BLANK.split(text)


def _after_first(values: Iterable[int]) -> Iterable[int]:
    found = iter(values)
    next(found)
    return found
