"""Text that runs from top to bottom (Chinese and Japanese, columns from right to left), or up a page's side."""

from __future__ import annotations

from collections.abc import Sequence

from .content import Word, union
from .lines import Line, line_of
from .regions import TextRegion
from .scripts import HAN

__all__ = ["vertical_lines", "vertical_regions"]

_APART = 1.6  # em between the words of a column, and between columns that belong together


def vertical_lines(words: Sequence[Word]) -> list[Line]:
    """Make columns of words that follow each other in one; their order is that in which they are given."""
    runs: list[list[Word]] = []
    for word in words:
        if runs and _follows(runs[-1][-1], word):
            runs[-1].append(word)
        else:
            runs.append([word])
    return [line_of(run) for run in runs]


def _follows(before: Word, word: Word) -> bool:
    size = max(word.size, before.size, 1.0)
    middles = (before.box.left + before.box.right - word.box.left - word.box.right) / 2
    gap = max(before.box.top, word.box.top) - min(before.box.bottom, word.box.bottom)
    return abs(middles) < 0.5 * size and gap < _APART * size


def vertical_regions(lines: Sequence[Line]) -> list[TextRegion]:
    """Group columns that stand side by side to paragraphs."""
    groups: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (-line.box.right, line.box.top)):
        group = next((group for group in groups if _beside(group[-1], line)), None)
        if group is None:
            groups.append([line])
        else:
            group.append(line)
    return [
        TextRegion("paragraph", union(*(line.box for line in group)), tuple(group), size=group[0].size)
        for group in groups
    ]


def _beside(last: Line, line: Line) -> bool:
    """Tell whether a column goes on with the one on its right; only scripts that are written so do."""
    gap = last.box.left - line.box.right
    shared = min(last.box.bottom, line.box.bottom) - max(last.box.top, line.box.top)
    return (
        bool(HAN.match(line.text)) and gap < _APART * max(line.size, 1.0) and shared > 0
        and abs(last.size - line.size) < 0.1 * max(line.size, 1.0)
    )  # fmt: skip
