"""Characters of a right-to-left word from their places to logical order."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout.scripts import facing, is_rtl

__all__ = ["Glyph", "logical"]


class Glyph(NamedTuple):
    """A character and its place."""

    text: str
    box: Box


def logical(glyphs: Sequence[Glyph]) -> str:
    """Return the characters of one word from right to left, runs from left to right within them turned back.

    A mark stays with the letter that it stands on. PDFium hands the letters of a ligature out back to front.
    """
    clusters: list[list[str]] = []
    places: list[float] = []
    last: Box | None = None
    for glyph in glyphs:
        if clusters and unicodedata.combining(glyph.text):
            clusters[-1].append(glyph.text)
        elif last is not None and _same(last, glyph.box):
            clusters[-1].insert(0, glyph.text)
        else:
            clusters.append([glyph.text])
            places.append(glyph.box.left + glyph.box.right)
        last = glyph.box
    order = sorted(range(len(clusters)), key=lambda index: -places[index])
    result: list[str] = []
    run: list[str] = []
    for index in order:
        cluster = "".join(clusters[index])
        if is_rtl(cluster[0]) is False:
            run.append(cluster)
        else:
            result += [*reversed(run), cluster]
            run = []
    result += reversed(run)
    return facing("".join(result))


def _same(first: Box, other: Box) -> bool:
    return abs(first.left - other.left) < 0.01 and abs(first.right - other.right) < 0.01
