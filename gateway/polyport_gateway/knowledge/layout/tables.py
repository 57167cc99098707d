"""The tables of a page."""

from __future__ import annotations

from collections.abc import Sequence

from polyport_gateway.knowledge.documents import Box

from .content import PageContent, Word, centre, covers, overlap
from .regions import TableRegion
from .ruled import Grid, grids_of, table_of_grid
from .unruled import tables_between_rules, tables_by_alignment

__all__ = ["tables_of"]


def tables_of(page: PageContent) -> tuple[list[TableRegion], list[Word]]:
    """Find the tables, and return them with the words that stand in none."""
    words = list(page.words)
    tables: list[TableRegion] = []
    if not words:
        return tables, words
    grids = grids_of(page.rulings)
    # An outer frame first hides the table inside: what holds more lines is the likelier one.
    crossed = [grid for grid in grids if grid.verticals and len(grid.horizontals) >= 2]
    for grid in sorted(crossed, key=lambda grid: -len(grid.horizontals) * len(grid.verticals)):
        if any(overlap(grid.box, table.box) > 0 for table in tables):
            continue
        table = _of_grid(grid, words)
        if table is not None:
            tables.append(table)
            words = _outside(words, table.box)
    for table in tables_between_rules(grids, words):
        if not any(overlap(table.box, other.box) > 0 for other in tables):
            tables.append(table)
            words = _outside(words, table.box)
    for table in tables_by_alignment(words, page.width):
        tables.append(table)
        words = _outside(words, table.box)
    return tables, words


def _of_grid(grid: Grid, words: Sequence[Word]) -> TableRegion | None:
    if not grid.has_cells:
        return None
    inside = [word for word in words if covers(grid.box, centre(word.box), 1.0)]
    table = table_of_grid(grid, inside) if inside else None
    if table is None:
        return None
    prose = sum(len(line.text) > 200 for cell in table.cells for line in cell.lines)
    return None if prose > len(table.cells) / 2 else table


def _outside(words: Sequence[Word], box: Box) -> list[Word]:
    return [word for word in words if not covers(box, centre(word.box), 1.0)]
