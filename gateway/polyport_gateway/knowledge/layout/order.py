"""Reading order: columns before rows, and what spans columns before and after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TypeAlias

from polyport_gateway.knowledge.documents import Box

from .content import PictureBox, union
from .lines import Line
from .regions import TableRegion, TextRegion

__all__ = ["Item", "gutter_of", "reading_order"]

Placed: TypeAlias = Line | TextRegion | TableRegion | PictureBox
_DEEPEST = 12
_MOST_PAIRS = 60_000
_PROSE_LINES = 4  # of either column, where a page has columns in a part of it only
_PROSE_LETTERS = 16  # of a line, on the mean
_PROSE_WIDTH = 100.0  # points, likewise
_NARROWEST = 6.0  # points that a gutter between two columns has at least


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """Something with a place.

    Args:
        box: The place.
        thing: What stands there.
    """

    box: Box
    thing: Placed


def reading_order(items: Sequence[Item], *, rtl: bool = False) -> list[list[Item]]:
    """Sort items as they are read, and group them: each group is one column, from top to bottom.

    An XY-cut (Nagy and Seth, 1984) that looks for the gutter between columns first, and cuts across only where
    something spans it.

    Args:
        items: Of one page.
        rtl: The column on the right is read first.
    """
    return [group for group in _cut(list(items), rtl, 0) if group]


def _cut(items: list[Item], rtl: bool, depth: int) -> list[list[Item]]:
    if len(items) < 2 or depth > _DEEPEST:
        return [_sorted(items, rtl)]
    gutter = gutter_of(items)
    if gutter is None:
        return [_sorted(items, rtl)]
    left, right = gutter
    middle = (left + right) / 2
    spanning = [item for item in items if item.box.left < middle < item.box.right]
    if not spanning:
        sides = (
            [item for item in items if item.box.right <= middle],
            [item for item in items if item.box.left >= middle],
        )
        ordered = sides[::-1] if rtl else sides
        return [group for side in ordered for group in _cut(side, rtl, depth + 1)]
    rest = [item for item in items if not item.box.left < middle < item.box.right]
    spanning.sort(key=lambda item: item.box.top)
    parts: list[tuple[list[Item], bool]] = []
    for band in _bands(spanning, rest):
        above = [item for item in rest if _middle(item) < band[0].box.top + 0.5]
        rest = [item for item in rest if _middle(item) >= band[0].box.top + 0.5]
        parts += [(above, False), (band, True)]
    parts.append((rest, False))
    groups: list[list[Item]] = []
    one: list[Item] = []  # what is one column: bands, and what stands between them on one side of the gutter only
    for part, spans in parts:
        if spans or _one_sided(part, middle):
            one += part
            continue
        groups += [_sorted(one, rtl), *_cut(part, rtl, depth + 1)]
        one = []
    return [*groups, _sorted(one, rtl)]


def _one_sided(items: list[Item], middle: float) -> bool:
    return all(item.box.right <= middle for item in items) or all(item.box.left >= middle for item in items)


def _bands(spanning: list[Item], rest: list[Item]) -> list[list[Item]]:
    """Group what spans the gutter by what stands between: a paragraph over two columns is one band."""
    bands: list[list[Item]] = []
    for item in spanning:
        if bands:
            top, bottom = bands[-1][0].box.top, item.box.bottom
            last = max(other.box.bottom for other in bands[-1])
            if not any(last - 1 <= _middle(other) <= item.box.top + 1 for other in rest) and bottom > top:
                bands[-1].append(item)
                continue
        bands.append([item])
    # What stands beside a band (the last short line of it, a number at the margin) belongs to it.
    for band in bands:
        box = union(*(item.box for item in band))
        beside = [item for item in rest if box.top - 0.5 <= _middle(item) <= box.bottom + 0.5]
        if beside:
            band += beside
            rest[:] = [item for item in rest if not box.top - 0.5 <= _middle(item) <= box.bottom + 0.5]
    return bands


def _middle(item: Item) -> float:
    return (item.box.top + item.box.bottom) / 2


def _sorted(items: list[Item], rtl: bool) -> list[Item]:
    """Sort by rows: what stands side by side is read across."""
    rows: list[list[Item]] = []
    for item in sorted(items, key=lambda item: (item.box.top, item.box.left)):
        # A picture or a table is a row of its own: beside it stand lines, and not one row of them.
        if rows and isinstance(item.thing, Line) and isinstance(rows[-1][0].thing, Line):
            first = rows[-1][0].box
            shared = min(first.bottom, item.box.bottom) - max(first.top, item.box.top)
            if shared > 0.6 * min(first.bottom - first.top, item.box.bottom - item.box.top) and shared > 0:
                rows[-1].append(item)
                continue
        rows.append([item])
    return [item for row in rows for item in sorted(row, key=lambda item: -item.box.right if rtl else item.box.left)]


def gutter_of(items: Sequence[Item]) -> tuple[float, float] | None:
    """Find the widest white strip that parts most of the lines, with a column of text on either side."""
    lines = [item for item in items if isinstance(item.thing, Line)]
    if len(lines) < 4:
        lines = list(items)
    edges = _edges(lines)
    if len(edges) < 2:
        return None
    best: tuple[float, float, float] | None = None
    for right in edges[1:]:
        before = [item for item in lines if item.box.left < right - 0.05]
        # How far left of this edge nothing but what spans it reaches.
        crossing = [item for item in before if item.box.right > right - _NARROWEST]
        beside = [item for item in before if item.box.right <= right - _NARROWEST]
        after = [item for item in lines if item.box.left >= right - 0.05]
        score = _parts(beside, after, crossing)
        if score is None:
            continue
        left = max(item.box.right for item in beside)
        if best is None or score > best[0] + 1e-6 or (abs(score - best[0]) < 1e-6 and right - left > best[2] - best[1]):
            best = (score, left, right)
    return (best[1], best[2]) if best else None


def _edges(lines: Sequence[Item]) -> list[float]:
    """Return where columns may begin; on a page full of scattered texts only where most of them do."""
    counts = Counter(round(item.box.left, 1) for item in lines)
    if len(counts) * len(lines) <= _MOST_PAIRS:
        return sorted(counts)
    most = counts.most_common(max(8, _MOST_PAIRS // len(lines)))
    return sorted({edge for edge, _ in most} | {min(counts)})


def _parts(left: list[Item], right: list[Item], crossing: list[Item]) -> float | None:
    """Rate a gutter by how much text stands beside each other there; None where it is none."""
    if not left or not right:
        return None
    top = max(min(item.box.top for item in left), min(item.box.top for item in right))
    bottom = min(max(item.box.bottom for item in left), max(item.box.bottom for item in right))
    if bottom <= top:
        return None
    within = [sum(1 for item in side if top - 1 <= _middle(item) <= bottom + 1) for side in (left, right)]
    crossed = sum(1 for item in crossing if top <= _middle(item) <= bottom)
    if min(within) < 2:
        return None
    if crossed > 0.5 * min(within):
        return _stretch(left, right, crossing)
    width = min(max(item.box.right for item in side) - min(item.box.left for item in side) for side in (left, right))
    # Marks of list items and numbers of lines stand in a column of their own, and are none.
    if width < 40:
        return None
    return min(within) - 2.0 * crossed


def _stretch(left: list[Item], right: list[Item], crossing: list[Item]) -> float | None:
    """Rate a gutter by the longest stretch of a page that nothing crosses; None unless prose stands on either side.

    A page may have columns in a part of it only, and a header over all that has two texts side by side.
    """
    cuts = sorted(_middle(item) for item in crossing)
    best = 0
    for above, below in pairwise([-inf, *cuts, inf]):
        sides = [[item for item in side if above < _middle(item) < below] for side in (left, right)]
        fewest = min(map(len, sides))
        if fewest >= _PROSE_LINES and all(map(_is_prose, sides)):
            best = max(best, fewest)
    return 0.5 * best if best else None


def _is_prose(side: list[Item]) -> bool:
    letters = sum(item.thing.letters for item in side if isinstance(item.thing, Line))
    wide = sum(item.box.right - item.box.left for item in side)
    return letters > _PROSE_LETTERS * len(side) and wide > _PROSE_WIDTH * len(side)
