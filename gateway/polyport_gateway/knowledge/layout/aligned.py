"""Rows of short texts to a grid: which columns they stand in, and which of them are one cell."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from polyport_gateway.knowledge.documents import Box

from .breaks import with_breaks
from .lines import Line
from .paragraphs import is_marker
from .regions import CellRegion, TableRegion
from .ruled import with_headers

__all__ = ["AlignedRow", "columns_of", "columns_under", "table_of_rows", "text_rows"]

_MOST_CELLS = 20_000


@dataclass(slots=True)
class AlignedRow:
    """Texts side by side.

    Args:
        top: Of the highest.
        bottom: Of the lowest.
        cells: From left to right.
    """

    top: float
    bottom: float
    cells: list[Line]


def text_rows(lines: Sequence[Line]) -> list[AlignedRow]:
    """Group lines that stand at one height, from top to bottom."""
    rows: list[AlignedRow] = []
    for line in sorted(lines, key=lambda line: (line.box.top + line.box.bottom, line.box.left)):
        top, bottom = line.box.top, line.box.bottom
        last = rows[-1] if rows else None
        if last is not None and min(bottom, last.bottom) - max(top, last.top) > 0.55 * min(
            bottom - top, last.bottom - last.top
        ):
            last.cells.append(line)
            last.top, last.bottom = min(last.top, top), max(last.bottom, bottom)
        else:
            rows.append(AlignedRow(top, bottom, [line]))
    for row in rows:
        row.cells.sort(key=lambda line: line.box.left)
    return rows


def columns_of(cells: Sequence[Line]) -> list[tuple[float, float]]:
    """Return the columns that texts stand in: narrow ones first, so that what spans several joins none of them."""
    lows: list[float] = []
    highs: list[float] = []
    for cell in sorted(cells, key=lambda cell: cell.box.right - cell.box.left):
        left, right = cell.box.left, cell.box.right
        first = bisect_right(highs, left)
        last = first
        while last < len(lows) and lows[last] < right:
            last += 1
        if last == first:
            lows.insert(first, left)
            highs.insert(first, right)
        elif last == first + 1:
            lows[first], highs[first] = min(left, lows[first]), max(right, highs[first])
    return list(zip(lows, highs, strict=True))


def columns_under(cell: Line, columns: Sequence[tuple[float, float]]) -> list[int]:
    """Return which of some columns, that are sorted and stand apart, a text reaches over."""
    left, right = cell.box.left, cell.box.right
    index = bisect_right(columns, left, key=lambda column: column[1])
    found = []
    while index < len(columns) and columns[index][0] < right:
        found.append(index)
        index += 1
    return found


def table_of_rows(
    rows: Sequence[AlignedRow], box: Box, *, ruled: bool, fewest: int, alignment: float = 0.6, width: float = 0.0
) -> TableRegion | None:
    """Make a table of rows; None if what stands there is running text, a list, or too loose to be one.

    Args:
        rows: From top to bottom.
        box: Around the table.
        ruled: For the region.
        fewest: Rows with several cells that it has at least.
        alignment: Share of the cells of a column that begin, end or have their middle at one place.
        width: Of the page or its column, to tell running text by.
    """
    cells = [cell for row in rows for cell in row.cells]
    columns = columns_of(cells)
    several = [row for row in rows if len(row.cells) > 1]
    if len(columns) < 2 or len(several) < fewest or len(cells) > _MOST_CELLS:
        return None
    members: list[list[Line]] = [[] for _ in columns]
    for cell in cells:
        under = columns_under(cell, columns)
        if len(under) == 1:
            members[under[0]].append(cell)
    if not _is_table(members, several, columns, alignment, width):
        return None
    placed = _merged_rows(rows, columns)
    regions = _cells(placed, columns)
    return TableRegion(box, len(placed), len(columns), with_headers(regions), ruled=ruled)


def _is_table(
    members: Sequence[Sequence[Line]],
    several: Sequence[AlignedRow],
    columns: Sequence[tuple[float, float]],
    alignment: float,
    width: float,
) -> bool:
    filled = [column for column in members if column]
    if len(filled) < 2:
        return False
    prose = [column for column in filled if _is_prose(column, width)]
    if len(filled) - len(prose) < 2 and (len(filled) > 2 or len(prose) > 1 or alignment != 0.0):
        return False
    if all(is_marker(cell.text) for cell in filled[0]) and len(filled) == 2:
        return False
    share = sum(len(row.cells) for row in several) / (len(several) * len(columns))
    return share >= 0.5 and (not alignment or mean(_alignment(column) for column in filled) >= alignment)


def _is_prose(column: Sequence[Line], width: float) -> bool:
    words = mean(len(cell.words) for cell in column)
    letters = mean(cell.letters for cell in column)
    broad = mean(cell.box.right - cell.box.left for cell in column)
    return (words > 6 or letters > 40) and (not width or broad > 0.25 * width)


def _alignment(column: Sequence[Line]) -> float:
    """Return the largest share of texts that begin, end, or have their middle at one place."""
    best = 0.0
    for places in (
        [cell.box.left for cell in column],
        [cell.box.right for cell in column],
        [(cell.box.left + cell.box.right) / 2 for cell in column],
    ):
        middle = median(places)
        best = max(best, sum(abs(place - middle) < 3.0 for place in places) / len(places))
    return best


def _merged_rows(rows: Sequence[AlignedRow], columns: Sequence[tuple[float, float]]) -> list[list[Line]]:
    """Put further lines of cells to their rows: closer than rows are, and nothing in the first column."""
    starts = [row.top for row in rows if columns_under(row.cells[0], columns)[:1] == [0]]
    steps = [after - before for before, after in itertools.pairwise(starts)]
    usual = median(steps) if steps else 0.0
    placed: list[list[Line]] = []
    last: AlignedRow | None = None
    for row in rows:
        first = columns_under(row.cells[0], columns)[:1] == [0]
        close = last is not None and row.top - last.top < 0.8 * usual
        size = row.cells[0].size or 10.0
        tight = last is not None and row.top - last.top < 1.45 * size
        if placed and len(placed) > 1 and ((not first and close) or (len(row.cells) == 1 and tight and not first)):
            placed[-1] += row.cells
        else:
            placed.append(list(row.cells))
        last = row
    return placed


def _cells(rows: Sequence[Sequence[Line]], columns: Sequence[tuple[float, float]]) -> list[CellRegion]:
    regions = []
    for number, row in enumerate(rows):
        taken: dict[int, tuple[int, list[Line]]] = {}
        owner: dict[int, int] = {}
        for line in row:
            under = columns_under(line, columns) or [_nearest(line, columns)]
            start = next((owner[index] for index in under if index in owner), under[0])
            end, lines = taken.get(start, (start, []))
            # Where it would reach over a neighbour's cell it ends before it.
            last = start
            while last < under[-1] and owner.get(last + 1, start) == start:
                last += 1
            end = max(end, last)
            taken[start] = end, [*lines, line]
            owner.update(dict.fromkeys(range(start, end + 1), start))
        for start in sorted(taken):
            end, lines = taken[start]
            regions.append(CellRegion(number, start, 1, end - start + 1, tuple(with_breaks(lines))))
    return regions


def _nearest(line: Line, columns: Sequence[tuple[float, float]]) -> int:
    middle = (line.box.left + line.box.right) / 2
    return min(range(len(columns)), key=lambda index: abs(sum(columns[index]) / 2 - middle))
