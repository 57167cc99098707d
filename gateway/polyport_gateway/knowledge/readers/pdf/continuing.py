"""Tables that go on over a page break."""

from __future__ import annotations

from dataclasses import replace

from polyport_gateway.knowledge.documents import Table, TableGrid
from polyport_gateway.knowledge.documents.grid import MOST_POSITIONS

__all__ = ["with_continuation"]


def with_continuation(table: Table, other: Table) -> Table | None:
    """Join a table at the top of a page to the one at the end of the page before.

    Only if it is sure: both have as many columns, and the second repeats the header of the first.

    Returns:
        The whole table, the repeated header left out; None if they are two.
    """
    first, second = table.grid, other.grid
    header = first.header_rows
    if (
        other.caption
        or first.columns != second.columns
        or not 0 < header < min(first.rows, second.rows)
        or any(first.texts(row) != second.texts(row) for row in range(header))
        or (first.rows + second.rows) * first.columns > MOST_POSITIONS
    ):
        return None
    moved = tuple(
        cell._replace(row=cell.row - header + first.rows, column_header=False)
        for cell in second.cells
        if cell.row >= header
    )
    grid = TableGrid(first.rows + second.rows - header, first.columns, first.cells + moved)
    return replace(table, grid=grid)
