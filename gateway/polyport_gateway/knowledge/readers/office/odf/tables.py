"""A table's grid in a text or on a slide (OpenDocument 1.4 part 3, section 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents import MOST_POSITIONS, Block, TableGrid
from polyport_gateway.knowledge.readers.office.cells import header_depth, make_cell
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import FO, TABLE, TEXT, count
from .styles import Styles

__all__ = ["breaks_between_rows", "read_grid"]

_CELL, _COVERED, _ROW = TABLE + "table-cell", TABLE + "covered-table-cell", TABLE + "table-row"
_HEADER_ROWS, _COLUMN = TABLE + "table-header-rows", TABLE + "table-column"
_GROUPS = frozenset({TABLE + "table-rows", TABLE + "table-row-group", _HEADER_ROWS})
_COLUMN_GROUPS = frozenset({TABLE + "table-columns", TABLE + "table-column-group", TABLE + "table-header-columns"})
_MOST = 10_000  # rows or columns that an empty or repeated one may stand for


@dataclass(slots=True)
class _Place:
    row: int
    column: int
    rows: int
    columns: int
    element: Element


def _rows(table: Element, *, header: bool = False) -> Iterator[tuple[Element, bool]]:
    """Give the rows of a table, and whether each is a header."""
    for child in table:
        if child.tag == _ROW:
            yield child, header
        elif child.tag in _GROUPS:
            yield from _rows(child, header=header or child.tag == _HEADER_ROWS)


def breaks_between_rows(table: Element) -> int:
    """Count the pages that end between the rows of a table."""
    own = sum(1 for child in table if child.tag == TEXT + "soft-page-break")
    return own + sum(breaks_between_rows(child) for child in table if child.tag in _GROUPS)


def _columns(parent: Element) -> int:
    found = 0
    for child in parent:
        if child.tag == _COLUMN:
            found += count(child, TABLE + "number-columns-repeated")
        elif child.tag in _COLUMN_GROUPS:
            found += _columns(child)
    return found


def read_grid(table: Element, styles: Styles, blocks: Callable[[Element], list[Block]]) -> TableGrid:
    """Read a ``table:table``.

    Args:
        table: The element.
        styles: The document's.
        blocks: Reads what is inside a cell.

    Raises:
        ValueError: The table is too large.
    """
    places, rows, columns, marked = _places(table)
    header_rows = marked if 0 < marked < rows else _guessed_header(table, places, rows, styles)
    heads = table.find(TABLE + "table-header-columns")
    header_columns = 0 if heads is None else _columns(heads)
    if not header_columns and table.get(TABLE + "use-first-column-styles") == "true" and columns > 1:
        header_columns = 1
    cells = tuple(
        make_cell(
            (place.row, place.column),
            (place.rows, place.columns),
            blocks(place.element),
            column_header=place.row < header_rows,
            row_header=place.column < header_columns and place.row >= header_rows,
            colour=_fill(place.element, styles),
        )
        for place in places
    )
    return TableGrid(rows, columns, cells)


def _places(table: Element) -> tuple[list[_Place], int, int, int]:
    """Place the cells; return how many rows, columns and header rows there are as well."""
    places: list[_Place] = []
    taken: set[tuple[int, int]] = set()
    row, columns, marked = 0, 0, 0
    # Pandoc leaves out the covered cells that the standard asks for: its cells then stand where HTML's would.
    covered = any(cell.tag == _COVERED for element, _ in _rows(table) for cell in element)
    for element, header in _rows(table):
        if not covered and marked == row and not header:
            taken = _ended(places, taken, row)
        for _ in range(min(count(element, TABLE + "number-rows-repeated"), _MOST)):
            columns = max(columns, _row(element, row, places, taken, covered=covered))
            row += 1
            if (row + 1) * max(columns, 1) > MOST_POSITIONS:
                raise ValueError(f"a table of more than {MOST_POSITIONS:,} cells")
        marked = row if header and marked == row - count(element, TABLE + "number-rows-repeated") else marked
    columns = max(columns, min(_columns(table), _MOST))
    for place in places:
        # A span that reaches over the table's edge ends there.
        place.rows, place.columns = min(place.rows, row - place.row), min(place.columns, columns - place.column)
    return places, row, columns, marked


def _ended(places: list[_Place], taken: set[tuple[int, int]], row: int) -> set[tuple[int, int]]:
    """End what reaches out of a header at its end, as HTML does; return what is taken below."""
    for place in places:
        place.rows = min(place.rows, row - place.row)
    return {position for position in taken if position[0] < row}


def _row(element: Element, row: int, places: list[_Place], taken: set[tuple[int, int]], *, covered: bool) -> int:
    column = 0
    for cell in element:
        if cell.tag not in {_CELL, _COVERED}:
            continue
        for _ in range(min(count(cell, TABLE + "number-columns-repeated"), _MOST)):
            while not covered and (row, column) in taken:
                column += 1
            if cell.tag == _CELL and (row, column) not in taken:
                _take(cell, row, column, places, taken)
            elif cell.tag == _COVERED and (row, column) not in taken and len(cell):
                _take(cell, row, column, places, taken)  # nothing covers it
            column += 1
    return column


def _take(cell: Element, row: int, column: int, places: list[_Place], taken: set[tuple[int, int]]) -> None:
    height = min(count(cell, TABLE + "number-rows-spanned"), _MOST)
    width = min(count(cell, TABLE + "number-columns-spanned"), _MOST)
    while width > 1 and any((row, column + step) in taken for step in range(width)):
        width -= 1  # a cell from above reaches into it: the file contradicts itself
    if height > 1 or width > 1:
        if height * width + len(taken) > MOST_POSITIONS:
            raise ValueError(f"merged cells over more than {MOST_POSITIONS:,} places")
        taken |= {(row + down, column + right) for down in range(height) for right in range(width)}
    places.append(_Place(row, column, height, width, cell))


def _guessed_header(table: Element, places: list[_Place], rows: int, styles: Styles) -> int:
    """Take the first row as the header where the table or its letters are formatted so."""
    top = [place for place in places if place.row == 0]
    if rows < 2 or not top:
        return 0
    said = table.get(TABLE + "use-first-row-styles") == "true"
    if said or (_all_bold(top, styles) and not _all_bold([place for place in places if place.row == 1], styles)):
        return header_depth([(place.rows, place.columns) for place in top], rows)
    return 0


def _all_bold(places: list[_Place], styles: Styles) -> bool:
    """Tell whether all words of cells stand out, as those of a header do."""
    found = False
    for place in places:
        for paragraph in place.element.iter(TEXT + "p"):
            if not "".join(paragraph.itertext()).strip():
                continue
            found = True
            style = paragraph.get(TEXT + "style-name")
            if not styles.face("paragraph", style).bold and not _spans_bold(paragraph, styles):
                return False
    return found


def _spans_bold(paragraph: Element, styles: Styles) -> bool:
    if (paragraph.text or "").strip() or any((child.tail or "").strip() for child in paragraph):
        return False
    return all(
        styles.face("text", child.get(TEXT + "style-name")).bold for child in paragraph if child.tag == TEXT + "span"
    )


def _fill(cell: Element, styles: Styles) -> str | None:
    name = cell.get(TABLE + "style-name")
    colour = styles.property("table-cell", name, "table-cell", FO + "background-color") or ""
    return colour.lower() if len(colour) == 7 and colour.lower() != "#ffffff" else None
