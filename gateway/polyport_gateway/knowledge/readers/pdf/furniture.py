"""Running headers and footers: what stands at the edge of one page after another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from polyport_gateway.knowledge.layout import PictureRegion, Region, TableRegion, TextRegion

__all__ = ["LARGE", "ZONE", "Edge", "Furniture", "edge_of"]

ZONE = 0.15  # of the page's height, at the top and at the bottom
_NUMBER = re.compile(
    r"\W*(?:(?:page|seite|p\.?|s\.?|página|第)\s*)?(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|von|/|de|sur|页|頁|ページ)\s*\d{0,5})?\W*",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\d{1,4}(?=\s{1,3}\D.*\D$)|(?<=\D\s)\d{1,4}$")  # beside a title
_BEFORE = re.compile(r"^\d{1,4}\s+(?=(?:\S+\s+){2})")  # a number and three words: no number of a chapter
_ROMAN = "a roman number"
LARGE = 1.3  # times the running text


@dataclass(frozen=True, slots=True)
class Edge:
    """A region at the edge of a page.

    Args:
        where: ``header`` or ``footer``.
        key: The same for what repeats.
        number: The page's own number, when it is nothing else.
        offset: From the page's place in the file to the number printed in its outermost row; None without one.
    """

    where: Literal["header", "footer"]
    key: str
    number: str = ""
    offset: int | None = None


@dataclass(slots=True)
class Furniture:
    """Counts what stands at the edges of all pages."""

    pages: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    offsets: Counter[int] = field(default_factory=Counter)

    def add(self, edges: Sequence[Edge]) -> None:
        """Count those of one page, each once."""
        self.pages += 1
        self.seen.update({edge.key for edge in edges})
        self.offsets.update({edge.offset for edge in edges if edge.offset is not None})

    def is_one(self, edge: Edge) -> bool:
        """Tell whether an edge repeats, or has beside it a number that rises from page to page."""
        if self.seen[edge.key] >= (2 if self.pages <= 8 else 3):
            return True
        return edge.offset is not None and (self.pages == 1 or self.offsets[edge.offset] > 1)


def edge_of(
    regions: Sequence[Region], page: int, height: float, body_size: float, known: Set[int] = frozenset()
) -> dict[int, Edge]:
    """Return the regions at a page's edges by their index.

    Args:
        regions: Of a page.
        page: Its place in the file, from 1.
        height: Of the page.
        body_size: Of the running text.
        known: Regions that repeat on other pages, whatever stands beside them.
    """
    found: dict[int, Edge] = {}
    for index, region in enumerate(regions):
        if not isinstance(region, TextRegion) or len(region.lines) > 3 or region.kind in ("code", "footnote"):
            continue
        where = _where(region, height)
        if where is None:
            continue
        text = " ".join(line.text for line in region.lines)
        number = text.strip() if _NUMBER.fullmatch(text) else ""
        key = _ROMAN if number and _roman(number) else _BEFORE.sub("", text.casefold())
        if region.size > LARGE * body_size:
            key = f"large {key}"  # a document's title is not what repeats it at the top of each page
        found[index] = Edge(where, f"{where} {key}", number)
    for side in ("header", "footer"):
        mine = [index for index, edge in found.items() if edge.where == side]
        row = _outermost(mine, regions, side, known) if mine else []
        offset = next((value for index in row if (value := _offset(regions[index], page, body_size)) is not None), None)
        for index in row if offset is not None else ():
            edge = found[index]
            key = edge.key if edge.number else f"{side} {_without_number(regions[index], page + (offset or 0))}"
            found[index] = replace(edge, offset=offset, key=key)
    return found


def _offset(region: Region, page: int, body_size: float) -> int | None:
    if not isinstance(region, TextRegion):
        return None
    for line in region.lines:
        alone = _NUMBER.fullmatch(line.text)
        # The number of a chapter is large, and part of its title.
        match = alone or (_NUMBERED.search(line.text) if region.size < LARGE * body_size else None)
        digits = re.search(r"\d+", match.group()) if match else None
        if digits:
            return int(digits.group()) - page
    return None


def _without_number(region: Region, number: int) -> str:
    """Return the text beside a page's number: the same on the next page."""
    if not isinstance(region, TextRegion):
        return ""
    pattern = re.compile(rf"^{number}\b\s*|\s*\b{number}$")
    return " ".join(text for line in region.lines if (text := pattern.sub("", line.text))).casefold()


def _roman(text: str) -> bool:
    return not any(character.isdigit() for character in text)


def _where(region: TextRegion, height: float) -> Literal["header", "footer"] | None:
    if region.box.bottom <= ZONE * height:
        return "header"
    return "footer" if region.box.top >= (1 - ZONE) * height else None


def _outermost(mine: Sequence[int], regions: Sequence[Region], where: str, known: Set[int]) -> list[int]:
    """Return the regions in the outermost row; none if something else stands farther out, or right beside it."""
    sign = 1 if where == "header" else -1
    boxes = [region.box for region in regions]
    first = min(mine, key=lambda index: sign * (boxes[index].top + boxes[index].bottom))
    top, bottom = boxes[first].top, boxes[first].bottom
    row = [index for index in mine if min(boxes[index].bottom, bottom) - max(boxes[index].top, top) > 0]
    for index, box in enumerate(boxes if first not in known else ()):
        if index in row or isinstance(regions[index], PictureRegion):
            continue
        distance = box.top - bottom if where == "header" else top - box.bottom
        # A table that ends right beside says nothing: a line is no part of it.
        if distance < (-1.0 if isinstance(regions[index], TableRegion) else 0.5 * (bottom - top)):
            return []
    return row
