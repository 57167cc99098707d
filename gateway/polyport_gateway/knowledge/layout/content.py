"""What stands on a page: words, ruling lines, pictures. All measures in points from the page's top left corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from polyport_gateway.knowledge.documents import Box

__all__ = ["PageContent", "PictureBox", "Ruling", "Word", "centre", "covers", "overlap", "union"]


class Word(NamedTuple):
    """A run of characters without a blank, or as much of a line as its maker knows. A page has thousands.

    Args:
        text: In logical order, whatever the script.
        box: Its place. Words of one font and size on one line should have the same top and bottom.
        size: Of the font in points; the box's height will do.
        bold: Whether it is.
        italic: Likewise.
        mono: Every character of its font is as wide as any other.
        link: Where it leads.
        confidence: Of the recognition, from 0 to 1; None for text that was not recognised but read.
        vertical: It runs from top to bottom.
        glued: No blank stands before it; a style or a font changed within a word.
        spaced: A blank follows in the file. At the end of a line in Korean only this tells.
        rise: 1 for a superscript, −1 for a subscript.
    """

    text: str
    box: Box
    size: float = 0.0
    bold: bool = False
    italic: bool = False
    mono: bool = False
    link: str = ""
    confidence: float | None = None
    vertical: bool = False
    glued: bool = False
    spaced: bool = True
    rise: int = 0


class Ruling(NamedTuple):
    """A drawn line that is horizontal or vertical; a filled rectangle gives its four edges.

    Args:
        box: Flat in the one direction or the other.
        strong: It was drawn as a line; False for the edge of a filled area (a shaded cell, a page's background).
    """

    box: Box
    strong: bool = True

    @property
    def horizontal(self) -> bool:
        """Whether it is wider than high."""
        return self.box.right - self.box.left >= self.box.bottom - self.box.top


class PictureBox(NamedTuple):
    """A picture's place.

    Args:
        box: Where it stands.
        key: By which its maker finds it again.
    """

    box: Box
    key: int = 0


@dataclass(frozen=True, slots=True)
class PageContent:
    """All that `arrange` looks at.

    Args:
        width: Of the upright page.
        height: Likewise.
        words: In any order.
        rulings: Lines between the cells of tables and so on.
        pictures: What else needs its place in the order.
    """

    width: float
    height: float
    words: tuple[Word, ...]
    rulings: tuple[Ruling, ...] = ()
    pictures: tuple[PictureBox, ...] = ()


def union(first: Box, *others: Box) -> Box:
    """Return the smallest box around some."""
    left, top, right, bottom = first
    for box in others:
        left, top = min(left, box[0]), min(top, box[1])
        right, bottom = max(right, box[2]), max(bottom, box[3])
    return Box(left, top, right, bottom)


def overlap(first: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    width = min(first.right, other.right) - max(first.left, other.left)
    height = min(first.bottom, other.bottom) - max(first.top, other.top)
    return width * height if width > 0 and height > 0 else 0.0


def centre(box: Box) -> tuple[float, float]:
    """Return the point in the middle."""
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2


def covers(box: Box, point: tuple[float, float], margin: float = 0.0) -> bool:
    """Tell whether a point is in a box, or at most ``margin`` outside."""
    x, y = point
    return box.left - margin <= x <= box.right + margin and box.top - margin <= y <= box.bottom + margin
