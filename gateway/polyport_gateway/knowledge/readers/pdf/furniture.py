"""Running headers and footers: what stands at the edge of one page after another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from polyport_gateway.knowledge.layout import PictureRegion, Region, TextRegion

__all__ = ["Edge", "Furniture", "edge_of"]

_ZONE = 0.15  # of the page's height, at the top and at the bottom
_NUMBER = re.compile(
    r"\W*(?:(?:page|seite|p\.?|s\.?|página|第)\s*)?(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|von|/|de|sur|页|頁|ページ)\s*\d{0,5})?\W*",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\d{1,4}\s{1,3}\D.*\D$|\D\s\d{1,4}$")  # a title and the page's number


@dataclass(frozen=True, slots=True)
class Edge:
    """A region at the edge of a page.

    Args:
        where: ``header`` or ``footer``.
        key: The same for what repeats: its words, with signs for digits.
        number: The page's own number, when it is nothing else.
        sure: It is furniture although it need not repeat: a page's number, or what stands beside one.
    """

    where: Literal["header", "footer"]
    key: str
    number: str = ""
    sure: bool = False


@dataclass(slots=True)
class Furniture:
    """Counts what stands at the edges of all pages."""

    pages: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, edges: Sequence[Edge]) -> None:
        """Count those of one page, each once."""
        self.pages += 1
        self.seen.update({edge.key for edge in edges})

    def is_one(self, edge: Edge) -> bool:
        """Tell whether an edge repeats, or is furniture anyway."""
        return edge.sure or self.seen[edge.key] >= (2 if self.pages <= 8 else 3)


def edge_of(regions: Sequence[Region], height: float, body_size: float) -> dict[int, Edge]:
    """Return the regions at a page's edges by their index."""
    found: dict[int, Edge] = {}
    for index, region in enumerate(regions):
        if not isinstance(region, TextRegion) or len(region.lines) > 3 or region.kind in ("code", "footnote"):
            continue
        where = _where(region, height)
        if where is None:
            continue
        text = " ".join(line.text for line in region.lines)
        number = text.strip() if _NUMBER.fullmatch(text) else ""
        if region.size >= 1.3 * body_size and not number and not _NUMBERED.search(text):
            continue  # a title: the same place on each slide, and other words
        key = f"{where} {re.sub(r'[0-9]+', '#', text.casefold())}"
        found[index] = Edge(where, key, number)
    return _made_sure(found, regions)


def _where(region: TextRegion, height: float) -> Literal["header", "footer"] | None:
    if region.box.bottom <= _ZONE * height:
        return "header"
    return "footer" if region.box.top >= (1 - _ZONE) * height else None


def _made_sure(found: dict[int, Edge], regions: Sequence[Region]) -> dict[int, Edge]:
    """Mark the outermost row if a page's number stands in it, and running text does not follow close by."""
    sure = dict(found)
    for where in ("header", "footer"):
        mine = [index for index, edge in found.items() if edge.where == where]
        if not mine:
            continue
        row = _outermost(mine, regions, where)
        if row and any(_has_number(regions[index]) for index in row):
            for index in row:
                sure[index] = replace(found[index], sure=True)
    return sure


def _outermost(mine: Sequence[int], regions: Sequence[Region], where: str) -> list[int]:
    """Return the regions in the outermost row; none if something else stands farther out, or right beside it."""
    sign = 1 if where == "header" else -1
    boxes = [region.box for region in regions]
    first = min(mine, key=lambda index: sign * (boxes[index].top + boxes[index].bottom))
    top, bottom = boxes[first].top, boxes[first].bottom
    row = [index for index in mine if min(boxes[index].bottom, bottom) - max(boxes[index].top, top) > 0]
    for index, box in enumerate(boxes):
        if index in row or isinstance(regions[index], PictureRegion):
            continue
        distance = box.top - bottom if where == "header" else top - box.bottom
        if distance < 0.5 * (bottom - top):
            return []
    return row


def _has_number(region: Region) -> bool:
    return isinstance(region, TextRegion) and any(
        _NUMBER.fullmatch(line.text) or _NUMBERED.search(line.text) for line in region.lines
    )
