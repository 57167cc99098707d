"""What counts tokens, and what locates them in one text."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import Protocol, runtime_checkable

__all__ = ["Measure", "TokenMeasure", "Tokenizer"]


class Measure(Protocol):
    """The tokens of one text, located once, so that any part of it is counted without encoding the whole again."""

    def count(self, start: int, end: int) -> int:
        """Return exactly what the tokenizer's ``count(text[start:end])`` returns."""
        ...

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return a position up to ``end`` near where ``limit`` tokens from ``start`` on are used up.

        A guess to begin from: what is cut there is to be counted.
        """
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Counts the tokens of a text. One per model; loading it may need a file, never the network."""

    @property
    def name(self) -> str:
        """Its name, a part of a chunk's id."""
        ...

    def count(self, text: str) -> int:
        """Return how many tokens a text has, without special tokens."""
        ...

    def measure(self, text: str) -> Measure:
        """Locate the tokens of a text."""
        ...


class TokenMeasure:
    """Locates tokens by their ends, one encoding for the whole text.

    A part of the text that begins or ends inside what the tokenizer keeps together can have another count than the tokens
    that lie in it. So the ragged rims of a part, up to the first and from the last place where the tokenizer surely
    cuts, are encoded again, and only between them is the difference of two positions taken. The count is exact.

    Args:
        tokenizer: What counts the rims.
        text: The text.
        ends: Where each token ends, in characters, ascending.
        seam: Matches (without width) where the tokenizer surely cuts, whatever stands further off; None where
            no such place is known, and each part is counted by itself.
    """

    def __init__(self, tokenizer: Tokenizer, text: str, ends: array[int], seam: re.Pattern[str] | None) -> None:
        self._count = tokenizer.count
        self._text = text
        self._ends = ends
        self._seam = seam

    def count(self, start: int, end: int) -> int:
        """Return the tokens of ``text[start:end]``."""
        text, seam = self._text, self._seam
        if seam is not None and end - start > 64 and (first := seam.search(text, start, end - 1)) is not None:
            head, tail = first.start(), self._last_seam(first.start(), end)
            if tail > head:
                inner = bisect_right(self._ends, tail) - bisect_right(self._ends, head)
                outer = self._count(text[start:head]) if head > start else 0
                return outer + inner + self._count(text[tail:end])
        return self._count(text[start:end])

    def _last_seam(self, start: int, end: int) -> int:
        # A seam sees one character after it. What follows must hold a word, for blanks at the very end are cut
        # differently from blanks before a word.
        assert self._seam is not None  # noqa: S101
        text, width = self._text, 32
        while True:
            low = max(start, end - width)
            found = [match.start() for match in self._seam.finditer(text, low, end - 1)]
            for position in reversed(found):
                if position < end and not text[position:end].isspace():
                    return position
            if low == start:
                return start
            width *= 4

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return where about ``limit`` tokens end."""
        ends = self._ends
        index = bisect_right(ends, start) + limit - 1
        return end if index >= len(ends) else min(end, max(start + 1, ends[index]))
