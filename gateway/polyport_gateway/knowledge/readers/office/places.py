"""In which order a person reads what stands on a slide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias, TypeVar

from polyport_gateway.knowledge.documents import Box

__all__ = ["around", "reading_order"]

_T = TypeVar("_T")
_Placed: TypeAlias = tuple[Box, list[_T]]
_OVERLAP = 0.05  # of the smaller of two shapes: boxes are drawn by hand
_ALIKE, _LEAST = 0.25, 2.0  # gaps that differ by less (the second in points) are as wide as each other
_MOST_CUTS = 40  # cuts inside cuts


def around(boxes: Sequence[Box]) -> Box | None:
    """Return the smallest box that holds them all."""
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def reading_order(placed: Sequence[tuple[Box | None, _T]], *, right_to_left: bool = False) -> list[_T]:
    """Order things by where they stand (recursive XY cut, Nagy and Seth 1984): along the widest gap first.

    What has no place keeps its place behind what comes before it in the file.
    """
    groups: list[_Placed[_T]] = []
    first: list[_T] = []
    for box, thing in placed:
        if box is not None:
            groups.append((box, [thing]))
        elif groups:
            groups[-1][1].append(thing)
        else:
            first.append(thing)
    ordered = _cut(groups, right_to_left, _MOST_CUTS)
    return [*first, *(thing for _, things in ordered for thing in things)]


def _cut(groups: list[_Placed[_T]], right_to_left: bool, depth: int) -> list[_Placed[_T]]:
    if len(groups) < 2:
        return groups
    rows, between_rows = _split(groups, 1)
    columns, between_columns = _split(groups, 0)
    if depth and (len(rows) > 1 or len(columns) > 1):
        across = len(columns) > 1 and (len(rows) < 2 or between_columns > between_rows)
        parts = columns if across else rows
        if across and right_to_left:
            parts.reverse()
        return [group for part in parts for group in _cut(part, right_to_left, depth - 1)]
    sign = -1 if right_to_left else 1
    return sorted(groups, key=lambda group: (group[0].top, sign * group[0].left))


def _split(groups: list[_Placed[_T]], side: int) -> tuple[list[list[_Placed[_T]]], float]:
    """Cut along one direction at the widest gaps that nothing crosses; return the parts, and the widest gap."""
    ordered = sorted(groups, key=lambda group: group[0][side])
    end, smallest = ordered[0][0][side + 2], ordered[0][0][side + 2] - ordered[0][0][side]
    gaps: dict[int, float] = {}
    for index, (box, _) in enumerate(ordered[1:], 1):
        smallest = min(smallest, box[side + 2] - box[side])
        if box[side] >= end - _OVERLAP * smallest:
            gaps[index] = box[side] - end
        end = max(end, box[side + 2])
    if not gaps:
        return [ordered], 0.0
    widest = max(gaps.values())
    # A title stands nearer to the columns below it than they to what is under them all: that gap is cut first.
    enough = widest - max(_ALIKE * widest, _LEAST)
    cuts = [0, *(index for index, gap in gaps.items() if gap >= enough), len(ordered)]
    return [ordered[start:stop] for start, stop in pairwise(cuts)], widest
