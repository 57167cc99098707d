"""Tables and paragraphs that go on over a page break."""

from __future__ import annotations

from dataclasses import replace

from polyport_gateway.knowledge.documents import ListItem, Paragraph, Table, TableGrid
from polyport_gateway.knowledge.documents.grid import MOST_POSITIONS
from polyport_gateway.knowledge.layout import joined

__all__ = ["with_continuation", "with_rest"]


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


def with_rest(block: Paragraph | ListItem, rest: Paragraph) -> Paragraph | ListItem:
    """Join a paragraph to what goes on with it on the next page."""
    text, start = joined(block.text, rest.text)
    marks = tuple(mark for mark in block.marks if mark.end <= start)
    moved = tuple(mark._replace(start=mark.start + start, end=mark.end + start) for mark in rest.marks)
    return replace(block, text=text, marks=(*marks, *moved))
