"""Figures that are drawn, not embedded: many shapes close together."""

from __future__ import annotations

from collections.abc import Sequence

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout import Word

from .drawings import Drawings
from .frame import Frame

__all__ = ["figures_of"]

_FEWEST = 6  # shapes
_SMALLEST = 50.0  # points along either side
_APART = 12.0
_MOST_SHAPES = 1_500


def figures_of(drawings: Drawings, images: Sequence[Box], words: Sequence[Word], frame: Frame) -> list[Box]:
    """Return the places of drawn figures; shapes that lie under an image or under running text make none."""
    page_area = frame.width * frame.height
    shapes = [
        box
        for box in drawings.shapes[:_MOST_SHAPES]
        if (box.right - box.left) * (box.bottom - box.top) < 0.4 * page_area and not _inside(box, images)
    ]
    found = []
    for box, count in _clusters(shapes):
        width, height = box.right - box.left, box.bottom - box.top
        if count >= _FEWEST and width >= _SMALLEST and height >= _SMALLEST and width * height < 0.8 * page_area:
            text = sum(
                (word.box.right - word.box.left) * (word.box.bottom - word.box.top)
                for word in words
                if _inside(word.box, [box])
            )
            if text < 0.35 * width * height:
                found.append(box)
    return found


def _inside(box: Box, others: Sequence[Box]) -> bool:
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return any(other.left <= x <= other.right and other.top <= y <= other.bottom for other in others)


def _clusters(shapes: Sequence[Box]) -> list[tuple[Box, int]]:
    """Join shapes that nearly touch, until none do."""
    clusters: list[tuple[Box, int]] = []
    for shape in sorted(shapes):
        box, count = shape, 1
        changed = True
        while changed:
            changed = False
            rest = []
            for other, members in clusters:
                if _near(box, other):
                    box = Box(min(box.left, other.left), min(box.top, other.top), max(box.right, other.right),
                              max(box.bottom, other.bottom))  # fmt: skip
                    count += members
                    changed = True
                else:
                    rest.append((other, members))
            clusters = rest
        clusters.append((box, count))
    return clusters


def _near(first: Box, other: Box) -> bool:
    return (
        first.left <= other.right + _APART
        and other.left <= first.right + _APART
        and first.top <= other.bottom + _APART
        and other.top <= first.bottom + _APART
    )
