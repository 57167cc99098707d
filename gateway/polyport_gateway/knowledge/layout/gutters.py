"""Narrow gutters: strips between two columns of text that are no wider than the blanks of a justified line.

Where a gutter is narrow, no single line tells it from a blank. But blanks do not stand below each other in one line
after another, and the words after them do not begin at one place; those after a gutter do.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from polyport_gateway.knowledge.documents import Box

from .content import Word

__all__ = ["alleys_of", "gutters_of"]

_NARROWEST = 6.0  # points
_EM = 0.55  # that a gutter has at least
_FEWEST = 4  # rows with text on either side
_LETTERS = 14  # in a row of a column, on the mean
_ALIGNED = 0.7  # of the rows whose right half begins at one place
_MOST_ROWS = 600
_MOST_WORDS = 5_000
_ALLEY = 0.36  # em between two columns of a table; a blank that is not stretched is narrower
_BLANK = 0.27  # em: a blank is that wide at the most where it is not stretched
_ROWS = 5  # of a table, at the least, where its columns stand as close as that
_EXACT = 0.85  # of its rows begin at one place there
_WIDE = 1.4  # em that are no blank in any line
_STEP = 3.0  # heights of a row between two of one column


@dataclass(slots=True)
class _Strip:
    """White that goes down a page.

    Args:
        left: Of what is white in all rows so far.
        right: Likewise.
        top: Of its first row.
        bottom: Of its last row with text on either side.
        starts: Where the text on the right begins, by rows.
        letters: On the left and on the right, by rows.
    """

    left: float
    right: float
    top: float
    bottom: float
    starts: list[float] = field(default_factory=list)
    letters: list[tuple[int, int]] = field(default_factory=list)

    @property
    def box(self) -> Box:
        """Its place."""
        return Box(self.left, self.top, self.right, self.bottom)

    @property
    def is_alley(self) -> bool:
        """Whether short texts begin at one place behind it, row after row."""
        rows = len(self.starts)
        if rows < _ROWS:
            return False
        return Counter(round(2 * start) for start in self.starts).most_common(1)[0][1] >= _EXACT * rows

    @property
    def is_gutter(self) -> bool:
        """Whether there is a column of text on either side."""
        rows = len(self.starts)
        if rows < _FEWEST or any(sum(side) < _LETTERS * rows for side in zip(*self.letters, strict=True)):
            return False
        return Counter(round(start) for start in self.starts).most_common(1)[0][1] >= _ALIGNED * rows


def gutters_of(rows: Sequence[Sequence[Word]]) -> list[Box]:
    """Find the strips between columns of running text.

    Args:
        rows: Of words, from top to bottom, each from left to right.
    """
    return [strip.box for strip in _strips(rows, _NARROWEST, _EM) if strip.is_gutter]


def alleys_of(rows: Sequence[Sequence[Word]]) -> list[Box]:
    """Find the strips between columns of short texts that stand closer than is usual in a table.

    Args:
        rows: Of words, from top to bottom, each from left to right.
    """
    return [strip.box for strip in _strips(rows, 0.0, _ALLEY) if strip.is_alley]


def _strips(rows: Sequence[Sequence[Word]], narrowest: float, em: float) -> list[_Strip]:
    if len(rows) > _MOST_ROWS or sum(map(len, rows)) > _MOST_WORDS:
        return []
    open_: list[_Strip] = []
    found: list[_Strip] = []
    for row in rows:
        top, bottom = min(word.box.top for word in row), max(word.box.bottom for word in row)
        size = max(word.size or word.box.bottom - word.box.top for word in row)
        height = max(bottom - top, size, 4.0)
        least = narrowest or _BLANK * size
        gaps = list(_gaps(row, least))
        kept: list[_Strip] = []
        for strip in open_:
            if top - strip.bottom < _STEP * height and _narrowed(strip, row, gaps, bottom, least):
                kept.append(strip)
            else:
                found.append(strip)
        for left, right in gaps:
            if right - left >= max(narrowest, em * size) and not any(
                strip.left < right and left < strip.right for strip in kept
            ):
                strip = _Strip(left, right, top, bottom)
                _add(strip, row, bottom)
                kept.append(strip)
        open_ = kept
    return [*found, *open_]


def _gaps(row: Sequence[Word], least: float) -> Iterable[tuple[float, float]]:
    right = row[0].box.right
    for before, word in itertools.pairwise(row):
        if word.box.left - right >= least and not (before.mono and word.mono):
            yield right, word.box.left
        right = max(right, word.box.right)


def _narrowed(
    strip: _Strip, row: Sequence[Word], gaps: Sequence[tuple[float, float]], bottom: float, least: float
) -> bool:
    """Narrow a strip to what is white in a row too; False if too little is."""
    one_sided = [(max(word.box.right for word in row), strip.right), (strip.left, row[0].box.left)]
    for start, end in (*one_sided, *gaps):
        left, right = max(strip.left, start), min(strip.right, end)
        if right - left >= least:
            strip.left, strip.right = left, right
            if (start, end) not in one_sided:
                _add(strip, row, bottom)
            return True
    return False


def _add(strip: _Strip, row: Sequence[Word], bottom: float) -> None:
    middle = (strip.left + strip.right) / 2
    before = [word for word in row if word.box.left < middle]
    after = [word for word in row if word.box.left >= middle]
    strip.starts.append(after[0].box.left)
    strip.letters.append((_beside(before[::-1]), _beside(after)))
    strip.bottom = bottom


def _beside(words: Sequence[Word]) -> int:
    """Count the letters up to the next wide gap: a mark of a list has few beside a column, whatever is beyond."""
    letters, last = 0, words[0]
    for word in words:
        gap = max(last.box.left, word.box.left) - min(last.box.right, word.box.right)
        if gap > _WIDE * max(word.size, 4.0):
            break
        letters, last = letters + len(word.text), word
    return letters
