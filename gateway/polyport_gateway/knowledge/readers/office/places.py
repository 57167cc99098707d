"""In which order a person reads what stands on a slide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from polyport_gateway.knowledge.documents import Box

__all__ = ["around", "reading_order"]

_T = TypeVar("_T")
_OVERLAP = 0.05  # of the smaller of two shapes: boxes are drawn by hand
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
    groups: list[tuple[Box, list[_T]]] = []
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


def _cut(groups: list[tuple[Box, list[_T]]], right_to_left: bool, depth: int) -> list[tuple[Box, list[_T]]]:
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


def _split(groups: list[tuple[Box, list[_T]]], side: int) -> tuple[list[list[tuple[Box, list[_T]]]], float]:
    """Cut along one direction wherever nothing crosses; return the parts, and the widest gap between two."""
    ordered = sorted(groups, key=lambda group: group[0][side])
    parts = [[ordered[0]]]
    end, widest = ordered[0][0][side + 2], 0.0
    for group in ordered[1:]:
        start, size = group[0][side], group[0][side + 2] - group[0][side]
        smallest = min([size, *(other[0][side + 2] - other[0][side] for other in parts[-1])])
        if start >= end - _OVERLAP * max(smallest, 0):
            parts.append([group])
            widest = max(widest, start - end)
        else:
            parts[-1].append(group)
        end = max(end, group[0][side + 2])
    return parts, widest
