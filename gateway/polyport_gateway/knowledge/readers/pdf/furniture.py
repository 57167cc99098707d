"""Running headers and footers: what stands at the edge of one page after another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from polyport_gateway.knowledge.layout import Region, TextRegion

__all__ = ["Edge", "Furniture", "edge_of"]

_ZONE = 0.12  # of the page's height, at the top and at the bottom
_NUMBER = re.compile(
    r"\W*(?:(?:page|seite|p\.?|s\.?|página|第)\s*)?(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|von|/|de|sur|页|頁|ページ)\s*\d{0,5})?\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Edge:
    """A region at the edge of a page.

    Args:
        where: ``header`` or ``footer``.
        key: The same for what repeats: its words with digits as signs, and about its height on the page.
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
        if region.size >= 1.3 * body_size:
            continue  # a title: the same place on each slide, and other words
        where = _edge(region, height)
        if where is None:
            continue
        text = " ".join(line.text for line in region.lines)
        if region.marker and not text.startswith(region.marker):
            text = f"{region.marker} {text}"
        number = text.strip() if _NUMBER.fullmatch(text) else ""
        key = f"{where} {round(region.box.top / 8)} {re.sub(r'[0-9]+', '#', text.casefold())}"
        found[index] = Edge(where, key, number, sure=False)
    return _made_sure(found, regions)


def _edge(region: TextRegion, height: float) -> Literal["header", "footer"] | None:
    if region.box.bottom <= _ZONE * height:
        return "header"
    return "footer" if region.box.top >= (1 - _ZONE) * height else None


def _made_sure(found: dict[int, Edge], regions: Sequence[Region]) -> dict[int, Edge]:
    """Mark the outermost line if it is a page's number or has one beside it."""
    for where in ("header", "footer"):
        mine = {index: edge for index, edge in found.items() if edge.where == where}
        if not mine:
            continue
        outermost = (
            min(mine, key=lambda index: regions[index].box.top)
            if where == "header"
            else max(mine, key=lambda index: regions[index].box.bottom)
        )
        box = regions[outermost].box
        row = [
            index
            for index in mine
            if min(regions[index].box.bottom, box.bottom) - max(regions[index].box.top, box.top) > 0
        ]
        beyond = [
            region for index, region in enumerate(regions)
            if index not in row and (region.box.top < box.top if where == "header" else region.box.bottom > box.bottom)
        ]  # fmt: skip
        if not beyond and any(mine[index].number for index in row):
            for index in row:
                edge = mine[index]
                found[index] = Edge(edge.where, edge.key, edge.number, sure=True)
    return found
