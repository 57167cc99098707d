"""A page's words, rulings and pictures to regions in reading order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .captions import with_captions
from .columns import with_next_column
from .content import PageContent, PictureBox, Ruling
from .headings import body_size as usual_size
from .lines import Line, lines_of
from .order import Item, reading_order
from .paragraphs import text_regions
from .regions import PictureRegion, Region
from .scripts import HAN
from .tables import tables_of
from .vertical import vertical_lines, vertical_regions

__all__ = ["arrange"]


def arrange(page: PageContent, *, body_size: float | None = None) -> list[Region]:
    """Find what a page is made of, in reading order.

    Args:
        page: What stands on it.
        body_size: Font size of the document's running text; without it, of most letters on this page.
    """
    tables, words = tables_of(page)
    lines = lines_of((word for word in words if not word.vertical), columns=True)
    columns = vertical_lines([word for word in words if word.vertical])
    if body_size is None:
        letters: Counter[float] = Counter()
        for line in lines:
            letters[line.size] += line.letters
        body_size = usual_size(letters)
    items = [
        *(Item(line.box, line) for line in lines),
        *(Item(region.box, region) for region in vertical_regions(columns)),
        *(Item(table.box, table) for table in tables),
        *(Item(picture.box, picture) for picture in page.pictures),
    ]
    rtl = _from_right(lines, columns)
    regions: list[Region] = []
    for group in reading_order(items, rtl=rtl):
        regions = with_next_column(regions, _column(group, body_size, page))
    return with_captions(regions)


def _from_right(lines: Sequence[Line], columns: Sequence[Line]) -> bool:
    """Tell whether most of a page is written from right to left, or in columns that are."""
    of_it = [line.letters for line in lines if line.rtl]
    of_it += [column.letters for column in columns if HAN.match(column.text)]
    return sum(of_it) > 0.5 * sum(line.letters for line in (*lines, *columns))


def _column(group: list[Item], body_size: float, page: PageContent) -> list[Region]:
    regions: list[Region] = []
    run: list[Line] = []
    foot = _foot(group, page)
    for item in group:
        if isinstance(item.thing, Line):
            run.append(item.thing)
            continue
        regions += text_regions(run, body_size=body_size, foot=foot)
        run = []
        thing = item.thing
        regions.append(PictureRegion(thing.box, thing.key) if isinstance(thing, PictureBox) else thing)
    return [*regions, *text_regions(run, body_size=body_size, foot=foot)]


def _foot(group: list[Item], page: PageContent) -> float | None:
    """Return the height of the rule over a column's footnotes: in the lower half, at its left, smaller text below."""
    lines = [item.thing for item in group if isinstance(item.thing, Line)]
    if not lines:
        return None
    left, right = min(line.box.left for line in lines), max(line.box.right for line in lines)
    for ruling in sorted(page.rulings, key=lambda ruling: ruling.box.top):
        if not _over_notes(ruling, left, right, page.height):
            continue
        below = [line for line in lines if line.box.top > ruling.box.top - 2]
        above = [line for line in lines if line.box.top <= ruling.box.top - 2]
        if below and above and max(line.size for line in below) < 0.95 * max(
            Counter({size: sum(line.letters for line in above if line.size == size)
                     for size in {line.size for line in above}}).most_common(1)[0][0], 1.0,
        ):  # fmt: skip
            return ruling.box.top - 2
    return None


def _over_notes(ruling: Ruling, left: float, right: float, height: float) -> bool:
    box = ruling.box
    return (
        ruling.horizontal
        and box.top > 0.4 * height
        and abs(box.left - left) < 12
        and 30 < box.right - box.left <= right - left + 12
    )
