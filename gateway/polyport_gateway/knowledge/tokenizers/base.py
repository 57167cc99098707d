"""What counts tokens, and what locates them in one text."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Protocol, runtime_checkable

__all__ = ["Measure", "SeamMeasure", "TokenMeasure", "Tokenizer"]


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


class SeamMeasure:
    """Counts tokens block by block, once for the whole text, where blocks end at seams.

    A seam is a place where the tokenizer surely cuts, whatever stands further off. So a part of the text has as many
    tokens as
    the blocks inside it, and those of its rims before the first and after the last seam in it, which alone are encoded
    again. The count is exact.

    Args:
        count: Counts the tokens of a text.
        text: The text.
        seam: Matches, without width, at a seam; looks at one character on each side.
        block: Characters that a block has at least.
    """

    def __init__(self, count: Callable[[str], int], text: str, seam: re.Pattern[str], block: int) -> None:
        self._count, self._text, self._seam = count, text, seam
        self._known: tuple[int, int] = (0, 0)
        ends, sums, start, total = [0], [0], 0, 0
        while start < len(text):
            found = seam.search(text, start + block)
            end = found.start() if found is not None else len(text)
            total += count(text[start:end])
            ends.append(end)
            sums.append(total)
            start = end
        self._ends, self._sums = ends, sums

    def count(self, start: int, end: int) -> int:
        """Return the tokens of ``text[start:end]``."""
        text, ends = self._text, self._ends
        first, last = bisect_left(ends, start), bisect_right(ends, end) - 1
        # After the last seam must stand a word, for blanks at the very end are cut differently from blanks before one.
        while last > first and ends[last] < end and text[ends[last] : end].isspace():
            last -= 1
        if last <= first:
            return self._count(text[start:end])
        after = self._count(text[ends[last] : end]) if ends[last] < end else 0
        before = self._before(start, first)
        if self._seam.match(text, end) is not None:
            self._known = (end, self._sums[last] + after)
        return self._sums[last] + after - before

    def _before(self, start: int, first: int) -> int:
        # The next chunk mostly begins where the last one ended.
        place, total = self._known
        if place == start:
            return total
        if self._ends[first] == start:
            return self._sums[first]
        return self._sums[first] - self._count(self._text[start : self._ends[first]])

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return about where ``limit`` tokens end, as if the tokens of a block were of one length."""
        ends, sums = self._ends, self._sums
        index = bisect_left(ends, start, 1)
        left = sums[index] - (sums[index] - sums[index - 1]) * (ends[index] - start) / (ends[index] - ends[index - 1])
        target = left + limit
        index = bisect_left(sums, target, 1)
        if index >= len(sums):
            return end
        share = (target - sums[index - 1]) / (sums[index] - sums[index - 1])
        place = ends[index - 1] + int((ends[index] - ends[index - 1]) * share)
        return min(end, max(start + 1, place))


class TokenMeasure:
    """Locates tokens by their ends, one encoding for the whole text, and counts each part by itself.

    For tokenizers of which no seams are known. The count is exact.

    Args:
        count: Counts the tokens of a text.
        text: The text.
        ends: Where each token ends, in characters, ascending.
    """

    def __init__(self, count: Callable[[str], int], text: str, ends: array[int]) -> None:
        self._count, self._text, self._ends = count, text, ends

    def count(self, start: int, end: int) -> int:
        """Return the tokens of ``text[start:end]``."""
        return self._count(self._text[start:end])

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return where about ``limit`` tokens end."""
        ends = self._ends
        index = bisect_right(ends, start) + limit - 1
        return end if index >= len(ends) else min(end, max(start + 1, ends[index]))
