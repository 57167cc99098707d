"""Tables whose cells are parted by drawn lines."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.documents import Box

from .breaks import with_breaks
from .content import Ruling, Word, centre
from .lines import lines_of
from .regions import CellRegion, TableRegion

__all__ = ["Grid", "grids_of", "header_marked", "table_of_grid", "with_headers"]

_NEAR = 3.0  # points between lines that are meant to touch
_SAME = 4.0  # points between lines that are meant as one
_YEAR = re.compile(r"(?:19|20)\d\d")
_MOST_RULINGS = 4_000
_MOST_POSITIONS = 40_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines that cross or touch each other.

    Args:
        box: Around them.
        horizontals: From top to bottom.
        verticals: From left to right.
        strong: Some of them were drawn as lines.
    """

    box: Box
    horizontals: tuple[Box, ...]
    verticals: tuple[Box, ...]
    strong: bool

    @property
    def columns(self) -> list[float]:
        """Where its columns begin and end."""
        return _places([line.left for line in self.verticals], self.box.left, self.box.right)

    @property
    def rows(self) -> list[float]:
        """Where its rows begin and end."""
        return _places([line.top for line in self.horizontals], self.box.top, self.box.bottom)

    @property
    def has_cells(self) -> bool:
        """Whether it has more than one row and more than one column: a frame has not."""
        return len(self.columns) > 2 and len(self.rows) > 2


def grids_of(rulings: Sequence[Ruling]) -> list[Grid]:
    """Group the rulings of a page by where they touch; beyond some thousands it is a drawing, and there are none."""
    if len(rulings) > _MOST_RULINGS:
        return []
    horizontals = _merged([ruling for ruling in rulings if ruling.horizontal])
    verticals = _merged([_swapped(ruling) for ruling in rulings if not ruling.horizontal])
    verticals = [_swapped(ruling) for ruling in verticals]
    group = list(range(len(horizontals) + len(verticals)))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    lefts = sorted(range(len(verticals)), key=lambda index: verticals[index].box.left)
    places = [verticals[index].box.left for index in lefts]
    for number, ruling in enumerate(horizontals):
        box = ruling.box
        for index in lefts[bisect_left(places, box.left - _NEAR) : bisect_right(places, box.right + _NEAR)]:
            other = verticals[index].box
            if other.top - _NEAR <= box.top <= other.bottom + _NEAR:
                group[root(len(horizontals) + index)] = root(number)
    parts: dict[int, tuple[list[Ruling], list[Ruling]]] = {}
    for number, ruling in enumerate([*horizontals, *verticals]):
        parts.setdefault(root(number), ([], []))[0 if number < len(horizontals) else 1].append(ruling)
    return [_grid(across, down) for across, down in parts.values() if across or down]


def _swapped(ruling: Ruling) -> Ruling:
    left, top, right, bottom = ruling.box
    return Ruling(Box(top, left, bottom, right), ruling.strong)


def _merged(rulings: Iterable[Ruling]) -> list[Ruling]:
    """Join pieces of horizontal lines: dashes, the borders of cell after cell, lines drawn twice."""
    merged: list[Ruling] = []
    open_lines: list[Ruling] = []
    for ruling in sorted(rulings, key=lambda ruling: (ruling.box.top, ruling.box.left)):
        box = ruling.box
        still = []
        joined = False
        for other in open_lines:
            if box.top - other.box.top > 1.5:
                merged.append(other)
            elif not joined and box.left <= other.box.right + _NEAR and other.box.left <= box.right + _NEAR:
                left, right = min(box.left, other.box.left), max(box.right, other.box.right)
                still.append(Ruling(Box(left, other.box.top, right, other.box.top), ruling.strong or other.strong))
                joined = True
            else:
                still.append(other)
        open_lines = still if joined else [*still, ruling]
    return merged + open_lines


def _grid(horizontals: Sequence[Ruling], verticals: Sequence[Ruling]) -> Grid:
    boxes = [ruling.box for ruling in (*horizontals, *verticals)]
    box = Box(
        min(b.left for b in boxes), min(b.top for b in boxes), max(b.right for b in boxes), max(b.bottom for b in boxes)
    )
    return Grid(
        box,
        tuple(ruling.box for ruling in sorted(horizontals, key=lambda ruling: ruling.box.top)),
        tuple(ruling.box for ruling in sorted(verticals, key=lambda ruling: ruling.box.left)),
        any(ruling.strong for ruling in (*horizontals, *verticals)),
    )


def table_of_grid(grid: Grid, words: Sequence[Word]) -> TableRegion | None:
    """Make a table of a grid and the words that stand in it; None if it is a frame, a chart, or empty.

    A border that is missing between two positions makes one cell of them. Where the outer borders at the sides are
    missing, the ends of the horizontal lines stand for them.
    """
    xs, ys = grid.columns, grid.rows
    columns, rows = len(xs) - 1, len(ys) - 1
    if columns < 2 or rows < 2 or columns * rows > _MOST_POSITIONS:
        return None
    owner = _cells(grid, xs, ys)
    members: dict[int, list[Word]] = {}
    for word in words:
        x, y = centre(word.box)
        column, row = bisect_right(xs, x) - 1, bisect_right(ys, y) - 1
        column, row = min(max(column, 0), columns - 1), min(max(row, 0), rows - 1)
        members.setdefault(owner[row * columns + column], []).append(word)
    cells = _regions(owner, columns, rows, members)
    cells, rows, columns = _compacted(cells)
    filled = sum(bool(cell.lines) for cell in cells)
    if columns < 2 or rows < 2 or filled < 2 or filled < (0.3 if grid.strong else 0.6) * len(cells):
        return None
    letters = [sum(line.letters for line in cell.lines) for cell in cells]
    if max(letters) > 200 and max(letters) > 0.6 * sum(letters):
        return None  # a frame around running text
    return TableRegion(grid.box, rows, columns, with_headers(cells), ruled=True)


def _places(found: Iterable[float], low: float, high: float) -> list[float]:
    """Return the places of the lines, near ones as one, the outer edges with them."""
    places: list[float] = []
    for place in sorted([low, *found, high]):
        if not places or place - places[-1] > _SAME:
            places.append(place)
    return places


def _cells(grid: Grid, xs: Sequence[float], ys: Sequence[float]) -> list[int]:
    """Return for each position the number of its cell: the positions that no line parts."""
    columns, rows = len(xs) - 1, len(ys) - 1
    owner = list(range(columns * rows))
    right = _walls(grid.verticals, xs, ys, vertical=True)
    below = _walls(grid.horizontals, ys, xs, vertical=False)
    for row in range(rows):
        for column in range(columns):
            position = row * columns + column
            if column and not right[column][row]:
                _join(owner, position - 1, position)
            if row and not below[row][column]:
                _join(owner, position - columns, position)
    owner = [_root(owner, position) for position in range(columns * rows)]
    return _rectangles(owner, columns, rows)


def _root(owner: list[int], position: int) -> int:
    while owner[position] != position:
        owner[position] = owner[owner[position]]
        position = owner[position]
    return position


def _join(owner: list[int], first: int, other: int) -> None:
    low, high = sorted((_root(owner, first), _root(owner, other)))
    owner[high] = low


def _walls(
    lines: Sequence[Box], places: Sequence[float], across: Sequence[float], *, vertical: bool
) -> list[list[bool]]:
    """Tell for each place whether a line stands along each step across it: along most of the step."""
    walls = [[False] * (len(across) - 1) for _ in places]
    for line in lines:
        place = line.left if vertical else line.top
        start, end = (line.top, line.bottom) if vertical else (line.left, line.right)
        near = min(range(len(places)), key=lambda index: abs(places[index] - place))
        for step in range(len(across) - 1):
            shared = min(end, across[step + 1]) - max(start, across[step])
            if shared > 0.6 * (across[step + 1] - across[step]):
                walls[near][step] = True
    return walls


def _rectangles(owner: list[int], columns: int, rows: int) -> list[int]:
    """Cut what is no rectangle into its rows."""
    extents: dict[int, tuple[int, int, int, int, int]] = {}
    for position, number in enumerate(owner):
        row, column = divmod(position, columns)
        low_row, low_column, high_row, high_column, count = extents.get(number, (row, column, row, column, 0))
        extents[number] = (
            min(low_row, row), min(low_column, column), max(high_row, row), max(high_column, column), count + 1,
        )  # fmt: skip
    crooked = {
        number for number, (top, left, bottom, right, count) in extents.items()
        if (bottom - top + 1) * (right - left + 1) != count
    }  # fmt: skip
    if not crooked:
        return owner
    result = list(owner)
    for row in range(rows):
        for column in range(columns):
            position = row * columns + column
            if owner[position] in crooked:
                follows = column > 0 and owner[position - 1] == owner[position]
                result[position] = result[position - 1] if follows else position
    return result


def _regions(owner: Sequence[int], columns: int, rows: int, members: dict[int, list[Word]]) -> list[CellRegion]:
    ends: dict[int, tuple[int, int]] = {}
    for position, number in enumerate(owner):
        row, column = divmod(position, columns)
        last_row, last_column = ends.get(number, (0, 0))
        ends[number] = max(row, last_row), max(column, last_column)
    cells = []
    for position in sorted(ends):
        row, column = divmod(position, columns)
        last_row, last_column = ends[position]
        lines = tuple(with_breaks(lines_of(members.get(position, ()), gap=1000.0)))
        cells.append(CellRegion(row, column, last_row - row + 1, last_column - column + 1, lines))
    return cells


def _compacted(cells: list[CellRegion]) -> tuple[list[CellRegion], int, int]:
    """Take away rows and columns in which no cell begins, and outer ones without a word."""
    rows = sorted({cell.row for cell in cells})
    columns = sorted({cell.column for cell in cells})
    result = []
    for cell in cells:
        row, column = bisect_left(rows, cell.row), bisect_left(columns, cell.column)
        last_row = bisect_left(rows, cell.row + cell.row_span)
        last_column = bisect_left(columns, cell.column + cell.column_span)
        result.append(CellRegion(row, column, last_row - row, last_column - column, cell.lines))
    return result, len(rows), len(columns)


def with_headers(cells: Sequence[CellRegion]) -> tuple[CellRegion, ...]:
    """Mark the header: the first row, and the rows that its spans reach over or part into."""
    return header_marked(cells, _header_rows(cells))


def header_marked(cells: Sequence[CellRegion], rows: int) -> tuple[CellRegion, ...]:
    """Mark the cells of so many rows at the top as the header."""
    return tuple(replace(cell, column_header=cell.row + cell.row_span <= rows) for cell in cells)


def _header_rows(cells: Sequence[CellRegion]) -> int:
    rows = max((cell.row + cell.row_span for cell in cells), default=0)
    first = [cell for cell in cells if cell.row == 0]
    deep = max((cell.row_span for cell in first), default=0)
    width = sum(cell.column_span for cell in first)
    if deep == 1 and any(1 < cell.column_span < width for cell in first):
        deep = 2  # a header over several columns has their own headers below
    texts = [line.text for cell in first for line in cell.lines]
    if not texts or deep >= rows:
        return 0
    if deep > 1:
        return deep
    numeric = sum(
        sum(c.isdigit() for c in text) > 0.5 * len(text.replace(" ", "")) and not _YEAR.fullmatch(text)
        for text in texts
    )
    return 0 if numeric > 0.6 * len(texts) else deep
