"""A table's grid, from rows, ``gridSpan`` and ``vMerge``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from polyport_gateway.knowledge.documents import Block, Cell, TableGrid
from polyport_gateway.knowledge.readers.office.cells import header_depth, make_cell
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import W, is_on, value
from .styles import Styles

__all__ = ["read_grid"]

_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo"})
_OFF = {"0", "false", "off"}
_BITS = re.compile("[0-9A-Fa-f]{4}")
_MOST_COLUMNS = 10_000


@dataclass(slots=True)
class _Place:
    """A cell as it grows downwards."""

    row: int
    column: int
    columns: int
    element: Element
    rows: int = 1


def _inside(element: Element, name: str) -> Iterator[Element]:
    """Give rows of a table or cells of a row, also those inside content controls and tracked changes."""
    for child in element:
        if child.tag == W + name:
            yield child
        elif child.tag.startswith(W) and local(child) in _WRAPPERS:
            yield from _inside(child, name)


def read_grid(table: Element, styles: Styles, blocks: Callable[[Element], list[Block]]) -> TableGrid:
    """Read a ``w:tbl``.

    Args:
        table: The element.
        styles: The document's.
        blocks: Reads what is inside a cell.
    """
    rows = list(_inside(table, "tr"))
    places, columns = _places(rows)
    marked = 0
    for row in rows:
        if not is_on(row.find(W + "trPr"), "tblHeader"):
            break
        marked += 1
    header_rows = marked if 0 < marked < len(rows) else _guessed_header(table, places, len(rows))
    header_columns = 1 if _first_column_heads(table, styles) and columns > 1 else 0
    cells = tuple(_cell(place_, blocks, header_rows, header_columns) for place_ in places)
    return TableGrid(len(rows), columns, cells)


def _places(rows: Sequence[Element]) -> tuple[list[_Place], int]:
    places: list[_Place] = []
    above: dict[int, _Place] = {}  # by first column: a cell that a continuation below it would lengthen
    columns = 0
    for number, row in enumerate(rows):
        properties = row.find(W + "trPr")
        column = _count(value(properties, "gridBefore"), 0)
        open_: dict[int, _Place] = {}
        last: _Place | None = None
        for cell in _inside(row, "tc"):
            cell_properties = cell.find(W + "tcPr")
            width = max(_count(value(cell_properties, "gridSpan"), 1), 1)
            origin = above.get(column)
            if _merge(cell_properties, "hMerge") == "continue" and last is not None:
                last.columns += width
            elif _merge(cell_properties, "vMerge") == "continue" and origin is not None and origin.columns == width:
                origin.rows += 1
                open_[column] = last = origin
            else:
                last = _Place(number, column, width, cell)
                places.append(last)
                if _merge(cell_properties, "vMerge") is not None:
                    open_[column] = last
            column = min(column + width, _MOST_COLUMNS)
        columns = max(columns, column)
        above = open_
    return places, columns


def _merge(properties: Element | None, name: str) -> str | None:
    found = None if properties is None else properties.find(W + name)
    return None if found is None else found.get(W + "val", "continue")


def _count(text: str | None, default: int) -> int:
    return min(int(text), _MOST_COLUMNS) if text and text.isdecimal() else default


def _guessed_header(table: Element, places: list[_Place], rows: int) -> int:
    """Take the first row as the header where the table is formatted so, and as deep as its tallest cell."""
    look = table.find(f"{W}tblPr/{W}tblLook")
    if rows < 2 or (look is not None and not _marks_first_row(look)):
        return 0
    top = [place_ for place_ in places if place_.row == 0]
    return header_depth([(place_.rows, place_.columns) for place_ in top], rows)


def _marks_first_row(look: Element) -> bool:
    given = look.get(W + "firstRow")
    if given is not None:
        return given not in _OFF
    bits = look.get(W + "val", "")
    # The older form is four hexadecimal digits.
    return not _BITS.fullmatch(bits) or bool(int(bits, 16) & 0x20)


def _first_column_heads(table: Element, styles: Styles) -> bool:
    look = table.find(f"{W}tblPr/{W}tblLook")
    if look is None or (look.get(W + "firstColumn") or "0") in _OFF:
        return False
    return styles.emphasises(value(table.find(W + "tblPr"), "tblStyle"), "firstCol")


def _cell(place_: _Place, blocks: Callable[[Element], list[Block]], header_rows: int, header_columns: int) -> Cell:
    return make_cell(
        (place_.row, place_.column),
        (place_.rows, place_.columns),
        blocks(place_.element),
        column_header=place_.row < header_rows,
        row_header=place_.column < header_columns and place_.row >= header_rows,
        colour=_fill(place_.element.find(W + "tcPr")),
    )


def _fill(properties: Element | None) -> str | None:
    shading = None if properties is None else properties.find(W + "shd")
    fill = "" if shading is None else shading.get(W + "fill", "")
    if len(fill) != 6 or fill.lower() in {"ffffff", "auto"}:
        return None
    return f"#{fill.lower()}"
