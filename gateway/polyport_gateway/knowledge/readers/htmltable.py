"""The grid of an HTML table (https://html.spec.whatwg.org/multipage/tables.html#forming-a-table)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborNode

from polyport_gateway.knowledge.documents import MOST_POSITIONS, Block, Cell, TableGrid

__all__ = ["CellContent", "grid_of"]

_MOST_COLUMN_SPAN = 1000
_ODD_COLUMN_SPAN = 100


@dataclass(frozen=True, slots=True)
class CellContent:
    """What stands in a cell.

    Args:
        text: All its words.
        nested: Its blocks, where they are more than text.
        bold: All of it is.
    """

    text: str
    nested: tuple[Block, ...] = ()
    bold: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    cells: list[LexborNode]
    left: int  # rows of its group from this one on: how far a cell may reach down
    head: bool


def grid_of(table: LexborNode, content: Callable[[LexborNode], CellContent]) -> TableGrid:
    """Return a table's grid; a cell that would overlap another ends before it.

    Args:
        table: The element.
        content: Reads a cell.

    Raises:
        ValueError: The grid is too large.
    """
    taken: set[tuple[int, int]] = set()
    cells: list[Cell] = []
    rows = list(_rows(table))
    for row, line in enumerate(rows):
        column = 0
        all_heads = line.head or all(node.tag == "th" for node in line.cells)
        for node in line.cells:
            while (row, column) in taken:
                column += 1
            height, width = _free(taken, row, column, _row_span(node, line.left), _column_span(node))
            if len(taken) + height * width > MOST_POSITIONS:
                raise ValueError(f"A table of more than {MOST_POSITIONS:,} positions.")
            taken.update((row + i, column + j) for i in range(height) for j in range(width))
            found = content(node)
            column_header, row_header = _header(node, all_heads=all_heads)
            cells.append(
                Cell(
                    row, column, height, width, found.text, column_header, row_header,
                    bold=found.bold and node.tag == "td", nested=found.nested,
                )
            )  # fmt: skip
            column += width
    # A span of a thousand columns is a way to write "all of them".
    columns = max(
        (cell.column + (cell.column_span if cell.column_span <= _ODD_COLUMN_SPAN else 1) for cell in cells), default=0
    )
    return TableGrid(
        len(rows),
        columns,
        tuple(
            cell if cell.column + cell.column_span <= columns else cell._replace(column_span=columns - cell.column)
            for cell in cells
        ),
    )


def _rows(table: LexborNode) -> Iterator[_Row]:
    groups: list[tuple[str, list[list[LexborNode]]]] = []
    for child in table.iter():
        if child.tag in ("thead", "tbody", "tfoot"):
            groups.append((child.tag, [_cells(row) for row in child.iter() if row.tag == "tr"]))
        elif child.tag == "tr":
            groups.append(("tbody", [_cells(child)]))
    groups.sort(key=lambda group: group[0] == "tfoot")  # it stands last, wherever it is written
    for tag, rows in groups:
        for number, cells in enumerate(rows):
            yield _Row(cells, len(rows) - number, tag == "thead")


def _cells(row: LexborNode) -> list[LexborNode]:
    return [cell for cell in row.iter() if cell.tag in ("td", "th")]


def _span(node: LexborNode, name: str, default: int) -> int:
    value = (node.attributes.get(name) or "").strip()
    return int(value[:9]) if value.isascii() and value.isdigit() else default


def _row_span(node: LexborNode, left: int) -> int:
    span = _span(node, "rowspan", 1)
    return left if span == 0 else min(span, left)  # 0 is "to the end of the group"


def _column_span(node: LexborNode) -> int:
    return min(max(_span(node, "colspan", 1), 1), _MOST_COLUMN_SPAN)


def _free(taken: set[tuple[int, int]], row: int, column: int, height: int, width: int) -> tuple[int, int]:
    width = next((j for j in range(1, width) if (row, column + j) in taken), width)
    for i in range(1, height):
        if any((row + i, column + j) in taken for j in range(width)):
            return i, width
    return height, width


def _header(node: LexborNode, *, all_heads: bool) -> tuple[bool, bool]:
    scope = (node.attributes.get("scope") or "").lower()
    if node.tag == "th" and scope in ("row", "rowgroup"):
        return False, True
    if all_heads or (node.tag == "th" and scope in ("col", "colgroup")):
        return True, False
    return False, node.tag == "th"
