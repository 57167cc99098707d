"""Running headers and footers that stand as close to the text as its own lines do.

The layout of one page takes such a line for one of the paragraph beside it; only the pages together tell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from polyport_gateway.knowledge.layout import Line, PageContent, Region, TextRegion, lines_of
from polyport_gateway.knowledge.layout.content import union

from .furniture import LARGE, ZONE

__all__ = ["Repeats"]

_FEWEST = 3  # pages
_NUMBER = re.compile(r"\d{1,5}")
_FARTHEST = 0.02  # of a page's height, between the places of one line on two pages


@dataclass(slots=True)
class Repeats:
    """The lines that stand outermost on several pages, at one height.

    Args:
        seen: How many pages have each.
    """

    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def learn(self, page: PageContent, number: int, body_size: float) -> None:
        """Take in what stands outermost on a page."""
        zone = [word for word in page.words if word.box.bottom < ZONE * page.height]
        zone += [word for word in page.words if word.box.top > (1 - ZONE) * page.height]
        lines = lines_of(word for word in zone if not word.vertical)
        if not lines:
            return
        first, last = min(lines, key=lambda line: line.box.top), max(lines, key=lambda line: line.box.bottom)
        outermost = (line for line in lines if _level(line, first) or _level(line, last))
        self.seen.update({key for line in outermost for key in _keys(line, number, page.height, body_size)})

    def parted(self, regions: Sequence[Region], page: PageContent, number: int, body_size: float) -> list[Region]:
        """Part such lines from the regions that they were taken into."""
        found: list[Region] = []
        for region in regions:
            if not isinstance(region, TextRegion) or len(region.lines) < 2 or not self._at_edge(region, page.height):
                found.append(region)
                continue
            lines = list(region.lines)
            above: list[Line] = []
            below: list[Line] = []
            if self._repeats(lines[0], number, page.height, body_size):
                above.append(lines.pop(0))
            if lines and self._repeats(lines[-1], number, page.height, body_size):
                below.append(lines.pop())
            parts = [part for part in (above, lines, below) if part]
            found += [_region(region, part, own=part is lines) for part in parts]
        return found

    def known(self, regions: Sequence[Region], page: PageContent, number: int, body_size: float) -> frozenset[int]:
        """Return which regions are such a line, by their index."""
        return frozenset(
            index
            for index, region in enumerate(regions)
            if isinstance(region, TextRegion)
            and len(region.lines) == 1
            and self._at_edge(region, page.height)
            and self._repeats(region.lines[0], number, page.height, body_size)
        )

    def _at_edge(self, region: TextRegion, height: float) -> bool:
        return region.box.top < ZONE * height or region.box.bottom > (1 - ZONE) * height

    def _repeats(self, line: Line, number: int, height: float, body_size: float) -> bool:
        return any(self.seen[key] >= _FEWEST for key in _keys(line, number, height, body_size))


def _keys(line: Line, number: int, height: float, body_size: float) -> Iterator[tuple[str, int]]:
    """Give what a line is known by: its text and place, and its text with a number that rises with the pages."""
    if line.size > LARGE * body_size:
        return
    text = line.text.casefold()
    edge = line.box.top if line.box.top < height / 2 else line.box.bottom
    for place in {int(edge / (_FARTHEST * height)), int(edge / (_FARTHEST * height) + 0.5) + 100}:
        yield text, place
        for match in _NUMBER.finditer(text):
            offset = int(match.group()) - number
            yield f"{text[: match.start()]}\0{offset}\0{text[match.end() :]}", place


def _level(line: Line, other: Line) -> bool:
    return min(line.box.bottom, other.box.bottom) > max(line.box.top, other.box.top)


def _region(region: TextRegion, lines: Sequence[Line], *, own: bool) -> TextRegion:
    """Return a region of some of the lines of another; what is not its own is plain text."""
    box = union(*(line.box for line in lines))
    if own:
        return replace(region, box=box, lines=tuple(lines))
    return TextRegion("paragraph", box, tuple(lines), size=lines[0].size)
