"""A table's grid (DrawingML, ECMA-376 part 1, section 21.1.3)."""

from __future__ import annotations

from collections.abc import Callable

from polyport_gateway.knowledge.documents import MOST_POSITIONS, Block, Cell, TableGrid
from polyport_gateway.knowledge.readers.office.cells import header_depth, make_cell
from polyport_gateway.knowledge.readers.office.ooxml import A
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import on, whole

__all__ = ["read_grid"]

_Place = tuple[int, int, int, int, Element]  # row, column, rows, columns, element


def read_grid(table: Element, blocks: Callable[[Element], list[Block]], lost: Callable[[], None]) -> TableGrid:
    """Read an ``a:tbl``.

    Args:
        table: The element.
        blocks: Reads the text of a cell.
        lost: Called for each cell that a merged one covers although it has text.

    Raises:
        ValueError: The table is too large.
    """
    rows = table.findall(A + "tr")
    declared = len(table.findall(f"{A}tblGrid/{A}gridCol"))
    columns = max([declared, *(len(row.findall(A + "tc")) for row in rows)])
    if len(rows) * columns > MOST_POSITIONS:
        raise ValueError(f"a table of {len(rows)} × {columns} cells")
    places, covered = _places(rows, columns)
    for cell in covered:
        if any((part.text or "").strip() for part in cell.iter(A + "t")):
            lost()
    properties = table.find(A + "tblPr")
    header_rows = 0
    if on(properties, "firstRow") and len(rows) > 1:
        header_rows = header_depth([(place[2], place[3]) for place in places if place[0] == 0], len(rows))
    header_columns = 1 if on(properties, "firstCol") and columns > 1 else 0
    cells = (_cell(place, blocks, header_rows, header_columns) for place in places)
    return TableGrid(len(rows), columns, tuple(cells))


def _cell(place: _Place, blocks: Callable[[Element], list[Block]], header_rows: int, header_columns: int) -> Cell:
    row, column, height, width, element = place
    return make_cell(
        (row, column),
        (height, width),
        blocks(element),
        column_header=row < header_rows,
        row_header=column < header_columns and row >= header_rows,
        colour=_fill(element),
    )


def _places(rows: list[Element], columns: int) -> tuple[list[_Place], list[Element]]:
    """Place the cells that span nothing or more; return those that they cover, too."""
    taken: set[tuple[int, int]] = set()
    places: list[_Place] = []
    covered: list[Element] = []
    for number, row in enumerate(rows):
        for column, cell in enumerate(row.findall(A + "tc")):
            if (number, column) in taken:
                covered.append(cell)
                continue
            height = min(max(whole(cell, "rowSpan", 1), 1), len(rows) - number)
            width = min(max(whole(cell, "gridSpan", 1), 1), columns - column)
            while any((number, column + step) in taken for step in range(width)):
                width -= 1  # a cell from above reaches into it: the file contradicts itself
            places.append((number, column, height, width, cell))
            if height > 1 or width > 1:
                taken |= {(number + down, column + right) for down in range(height) for right in range(width)}
    return places, covered


def _fill(cell: Element) -> str | None:
    colour = cell.find(f"{A}tcPr/{A}solidFill/{A}srgbClr")
    rgb = "" if colour is None else colour.get("val", "").lower()
    return f"#{rgb}" if len(rgb) == 6 and rgb != "ffffff" else None
