"""Where shapes stand on a slide."""

from __future__ import annotations

from dataclasses import dataclass

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.readers.office.ooxml import A, points
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import P, whole

__all__ = ["WHOLE", "Frame", "box_of"]


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
