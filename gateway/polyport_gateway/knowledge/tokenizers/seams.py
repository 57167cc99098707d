"""Exact counts of any part of a text that is encoded once."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable

from .words import WordCounts

__all__ = ["SeamMeasure"]

_SLICE = 1 << 15
"""Characters, at least, that are looked up at once."""

_LARGE, _PART = 1 << 15, 1 << 9
"""Characters of the longest block that is encoded at once, and of the parts that a longer one is guessed by."""

_BEFORE_WORD = re.compile(r"(?= \S)")


class SeamMeasure:
    """Counts tokens word by word or block by block, once for the whole text, where these end at seams.

    A seam is a place where the tokenizer surely cuts, whatever stands further off. So a part of the text has as many
    tokens as what lies between the seams inside it, and those of its rims before the first and after the last of these,
    which alone are encoded again. The count is exact.

    Args:
        count: Counts the tokens of a text.
        text: The text.
        seam: Matches, without width, at a seam; looks at one character on each side.
        block: Characters that a block has at least.
        words: What knows the words; text that has long stretches without a blank is encoded in blocks all the same.
    """

    def __init__(
        self,
        count: Callable[[str], int],
        text: str,
        seam: re.Pattern[str],
        block: int,
        words: WordCounts | None = None,
    ) -> None:
        self._count, self._text, self._seam = count, text, seam
        self._known: tuple[int, int] = (0, 0)
        self._ends, self._sums = array("I", [0]), array("I", [0])
        # Blocks whose tokens are not known exactly: where each ends, and where each part of them ends.
        self._guessed: list[int] = []
        self._part_ends, self._part_sums = array("I"), array("I")
        start = 0
        while start < len(text):
            found = _BEFORE_WORD.search(text, start + _SLICE)
            stop = found.start() if found is not None else len(text)
            if words is None or not words.locate(text[start:stop], self._ends, self._sums):
                self._add_blocks(start, stop, block)
            start = stop

    def _add_blocks(self, start: int, stop: int, block: int) -> None:
        total = self._sums[-1]
        while start < stop:
            found = self._seam.search(self._text, start + block, stop)
            end = found.start() if found is not None else stop
            if end - start > _LARGE:
                total = self._guess(start, end, total)
            else:
                total += self._count(self._text[start:end])
            self._ends.append(end)
            self._sums.append(total)
            start = end

    def _guess(self, start: int, end: int, total: int) -> int:
        # To encode millions of characters without a seam at once takes long and much memory, and no chunk needs it.
        self._guessed.append(end)
        self._part_ends.append(start)
        self._part_sums.append(total)
        for at in range(start, end, _PART):
            stop = min(end, at + _PART)
            total += self._count(self._text[at:stop])
            self._part_ends.append(stop)
            self._part_sums.append(total)
        return total

    def _is_guessed(self, start: int, end: int) -> bool:
        index = bisect_right(self._guessed, start)
        return index < len(self._guessed) and self._guessed[index] <= end

    def count(self, start: int, end: int) -> int:
        """Return the tokens of ``text[start:end]``."""
        text, ends = self._text, self._ends
        first, last = bisect_left(ends, start), bisect_right(ends, end) - 1
        # After the last seam must stand a word, for blanks at the very end are cut differently from blanks before one.
        while last > first and ends[last] < end and text[ends[last] : end].isspace():
            last -= 1
        if last <= first or (self._guessed and self._is_guessed(start, ends[last])):
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
        index = bisect_left(self._ends, start, 1)
        ends, sums = self._inside(self._ends[index])
        target = _between(ends, sums, start) + limit
        index = bisect_left(self._sums, target, 1)
        if index >= len(self._sums):
            return end
        ends, sums = self._inside(self._ends[index])
        return min(end, max(start + 1, _between(sums, ends, target)))

    def _inside(self, end: int) -> tuple[array[int], array[int]]:
        # What is known of the inside of the block that ends there.
        index = bisect_left(self._guessed, end)
        guessed = index < len(self._guessed) and self._guessed[index] == end
        return (self._part_ends, self._part_sums) if guessed else (self._ends, self._sums)


def _between(places: array[int], values: array[int], place: int) -> int:
    # The value at a place between two where it is known.
    index = max(1, bisect_left(places, place))
    step = places[index] - places[index - 1]
    return values[index - 1] + (values[index] - values[index - 1]) * (place - places[index - 1]) // max(1, step)
