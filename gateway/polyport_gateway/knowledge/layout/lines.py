"""Words to lines: what stands side by side, in the order in which it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from polyport_gateway.knowledge.documents import Box

from .content import Word, union
from .gutters import alleys_of, gutters_of
from .scripts import facing, rtl_share

__all__ = ["Line", "line_of", "lines_of", "rows_of"]

_GAP = 1.4  # em between two words that still stand on one line; a justified line's blanks are narrower
_RISEN = 0.82  # of the line's size: smaller is a superscript or subscript, if it stands off the line


@dataclass(frozen=True, slots=True)
class Line:
    """Words side by side without a wide gap.

    Args:
        words: In reading order: from right to left where most letters are.
        box: Around them.
        size: Of most of its letters.
        rtl: It runs from right to left.
        broken: It was ended on purpose: the next word had room on it.
    """

    words: tuple[Word, ...]
    box: Box
    size: float
    rtl: bool = False
    broken: bool = False

    @property
    def text(self) -> str:
        """Its words, with blanks where some stand."""
        parts: list[str] = []
        for word in self.words:
            parts += [word.text] if word.glued or not parts else [" ", word.text]
        return "".join(parts)

    @property
    def letters(self) -> int:
        """How many characters it has."""
        return sum(len(word.text) for word in self.words)

    def share(self, style: str) -> float:
        """Return the share of characters that have a style (``bold``, ``italic``, ``mono``)."""
        return sum(len(word.text) for word in self.words if getattr(word, style)) / (self.letters or 1)


def _runs(words: Iterable[Word]) -> list[list[Word]]:
    """Keep with each word what is glued to it: an exponent stands on its line, however far it is raised."""
    runs: list[list[Word]] = []
    for word in words:
        before = runs[-1][-1].box if runs else word.box
        level = min(before.bottom, word.box.bottom) - max(before.top, word.box.top)
        if runs and word.glued and not word.vertical and level > 0 and word.box.left >= before.left:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def rows_of(words: Iterable[Word]) -> list[list[Word]]:
    """Group words whose middles stand at one height, from top to bottom; each row from left to right."""
    rows: list[list[Word]] = []
    bounds: list[tuple[float, float]] = []
    for run in sorted(_runs(words), key=lambda run: (run[0].box.top + run[0].box.bottom, run[0].box.left)):
        top, bottom = run[0].box.top, run[0].box.bottom
        # A superscript's middle is higher than its line's: a few rows back may still be the one.
        for index in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            row_top, row_bottom = bounds[index]
            shared = min(bottom, row_bottom) - max(top, row_top)
            if shared > 0.6 * min(bottom - top, row_bottom - row_top):
                rows[index] += run
                if bottom - top > row_bottom - row_top:
                    bounds[index] = (top, bottom)
                break
        else:
            rows.append(list(run))
            bounds.append((top, bottom))
    for row in rows:
        row.sort(key=lambda word: word.box.left)
    return rows


def lines_of(words: Iterable[Word], *, gap: float = _GAP, columns: bool = False, cells: bool = False) -> list[Line]:
    """Make lines of words.

    Args:
        words: In any order, but each that is glued behind the one that it is glued to.
        gap: Em between two words that begin a new line.
        columns: Begin one at a narrower gap between two columns of text as well.
        cells: And at one between two columns of a table.
    """
    lines = []
    rows = rows_of(words)
    gutters = [*(gutters_of(rows) if columns else ()), *(alleys_of(rows) if cells else ())]
    for row in rows:
        run = [row[0]]
        right = row[0].box.right
        for word in row[1:]:
            wide = word.box.left - right > gap * max(min(word.size or 10.0, run[-1].size or 10.0), 4.0)
            if wide or (gutters and _parted(right, word.box, gutters)):
                lines.append(line_of(run))
                run = []
            run.append(word)
            right = max(right, word.box.right) if len(run) > 1 else word.box.right
        lines.append(line_of(run))
    return lines


def _parted(right: float, box: Box, gutters: Sequence[Box]) -> bool:
    """Tell whether a gutter stands between a word and what ends on its left."""
    middle = (box.top + box.bottom) / 2
    return any(
        right <= gutter.left + 0.1 and gutter.right - 0.1 <= box.left and gutter.top <= middle <= gutter.bottom
        for gutter in gutters
    )


def line_of(words: Sequence[Word]) -> Line:
    """Make one line of words that are sorted from left to right."""
    sizes: Counter[float] = Counter()
    for word in words:
        sizes[round(word.size, 1)] += len(word.text)
    size = max(sizes, key=lambda size: (sizes[size], size))
    box = union(*(word.box for word in words))
    if len(sizes) > 1:
        words = _raised(words, size)
        # A bullet or an initial letter that is larger says nothing about where the line stands.
        usual = union(*(word.box for word in words if abs(word.size - size) <= 0.2 * size + 0.1))
        box = Box(box.left, usual.top, box.right, usual.bottom)
    rtl = rtl_share("".join(word.text for word in words)) > 0.5
    return Line(tuple(_from_right(words) if rtl else words), box, size, rtl)


def _raised(words: Sequence[Word], size: float) -> list[Word]:
    """Mark what stands off the line and is smaller."""
    plain = [word.box for word in words if abs(word.size - size) < 0.1 * size]
    if not plain:
        return list(words)
    top, bottom = sum(box.top for box in plain) / len(plain), sum(box.bottom for box in plain) / len(plain)
    middle = (top + bottom) / 2
    marked: list[Word] = []
    for word in words:
        off = middle - (word.box.top + word.box.bottom) / 2
        if word.size < _RISEN * size and not word.rise and abs(off) > 0.08 * size:
            word = word._replace(rise=1 if off > 0 else -1, glued=word.glued or _touch(marked[-1:], word))
        marked.append(word)
    return marked


def _from_right(words: Sequence[Word]) -> list[Word]:
    """Turn a line round, but not the runs in it that go from left to right (Unicode's annex 9, in the small)."""
    ordered: list[Word] = []
    run: list[Word] = []
    for word in reversed(words):
        if rtl_share(word.text) > 0.5 or not any(character.isalnum() for character in word.text):
            ordered += [*reversed(run), word]
            run = []
        else:
            run.append(word)
    ordered += reversed(run)
    # "Glued" was said of the neighbour on the left; from the right it is the other word that has no blank before it.
    return [word._replace(text=facing(word.text), glued=_touch(ordered[max(0, index - 1) : index], word))
            for index, word in enumerate(ordered)]  # fmt: skip


def _touch(before: Sequence[Word], word: Word) -> bool:
    """Tell whether the last of some words stands right beside another, with no room for a blank."""
    if not before:
        return False
    first = before[-1]
    gap = max(first.box.left, word.box.left) - min(first.box.right, word.box.right)
    return gap < 0.1 * (first.size or 10.0)
