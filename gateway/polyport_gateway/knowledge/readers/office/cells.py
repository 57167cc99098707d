"""Cells of a table in a text or on a slide: what is inside, and how deep the header is."""

from __future__ import annotations

from collections.abc import Sequence

from polyport_gateway.knowledge.documents import Block, Cell, Paragraph, place

from .gathering import words

__all__ = ["header_depth", "make_cell"]


def header_depth(top: Sequence[tuple[int, int]], rows: int) -> int:
    """Tell how many rows the header has, of a table whose first row is one.

    Args:
        top: Rows and columns that each cell of the first row spans.
        rows: Of the whole table.
    """
    depth = max((height for height, _ in top), default=1)
    # A tall cell beside wide ones is a header of several rows; one beside narrow ones is just a tall first cell.
    grouped = any(width > 1 and height == 1 for height, width in top)
    return depth if grouped and depth < rows else 1


def make_cell(
    at: tuple[int, int],
    spans: tuple[int, int],
    inside: list[Block],
    *,
    column_header: bool = False,
    row_header: bool = False,
    colour: str | None = None,
) -> Cell:
    """Make a cell of the blocks in it; they are kept where they are more than plain paragraphs.

    Args:
        at: Its row and column.
        spans: Rows and columns that it takes.
        inside: What is in it.
        column_header: It heads the columns it stands over.
        row_header: It heads the rows it stands beside.
        colour: Of its background.
    """
    plain = all(type(block) is Paragraph for block in inside)
    bold = bool(inside) and plain and all(_all_bold(block) for block in inside)
    keep = not plain or (any(block.marks for block in inside) and not (bold and _only_bold(inside)))
    return Cell(
        *at,
        *spans,
        words(inside),
        column_header,
        row_header,
        None,
        bold,
        colour,
        tuple(place(block) for block in inside) if keep else (),
    )


def _all_bold(block: Block) -> bool:
    return any(mark.kind == "bold" and mark.start == 0 and mark.end == len(block.text) for mark in block.marks)


def _only_bold(blocks: list[Block]) -> bool:
    return all(mark.kind == "bold" for block in blocks for mark in block.marks)
