"""Where shapes stand on a slide, and in which order a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.readers.office.ooxml import A, points
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import P, whole

__all__ = ["WHOLE", "Frame", "box_of", "reading_order"]

_T = TypeVar("_T")
_OVERLAP = 0.05  # of the smaller of two shapes: boxes are drawn by hand
_MOST_CUTS = 40  # cuts inside cuts


@dataclass(frozen=True, slots=True)
class Frame:
    """The coordinates inside a group, in those of the slide."""

    left: float = 0
    top: float = 0
    across: float = 1
    down: float = 1

    def inside(self, group: Element) -> Frame:
        """Return the frame of a group in this one."""
        place = group.find(f"{P}grpSpPr/{A}xfrm")
        if place is None:
            return self
        offset, extent = place.find(A + "off"), place.find(A + "ext")
        child_offset, child_extent = place.find(A + "chOff"), place.find(A + "chExt")
        across = whole(extent, "cx") / (whole(child_extent, "cx") or whole(extent, "cx") or 1)
        down = whole(extent, "cy") / (whole(child_extent, "cy") or whole(extent, "cy") or 1)
        return Frame(
            self.left + self.across * (whole(offset, "x") - across * whole(child_offset, "x")),
            self.top + self.down * (whole(offset, "y") - down * whole(child_offset, "y")),
            self.across * across,
            self.down * down,
        )


WHOLE = Frame()


def box_of(shape: Element, frame: Frame) -> Box | None:
    """Return a shape's place in points; None when the shape itself doesn't say."""
    place = shape.find(f"{P}spPr/{A}xfrm")
    place = shape.find(P + "xfrm") if place is None else place
    offset = None if place is None else place.find(A + "off")
    if place is None or offset is None:
        return None
    extent = place.find(A + "ext")
    left, top = frame.left + frame.across * whole(offset, "x"), frame.top + frame.down * whole(offset, "y")
    right, bottom = left + frame.across * whole(extent, "cx"), top + frame.down * whole(extent, "cy")
    return Box(points(left), points(top), points(right), points(bottom))


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
