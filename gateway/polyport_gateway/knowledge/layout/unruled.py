"""Tables whose columns follow from how their words are aligned."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from polyport_gateway.knowledge.documents import Box

from .aligned import AlignedRow, columns_of, columns_under, table_of_rows, text_rows
from .content import Word, centre, covers, overlap, union
from .lines import Line, lines_of
from .order import Item, gutter_of
from .paragraphs import is_code
from .regions import TableRegion
from .ruled import Grid, header_marked
from .scripts import HAN

__all__ = ["tables_between_rules", "tables_by_alignment"]

_MOST_RULES = 60
_ENDS = 6.0  # points by which rules of one table differ at their ends
_TALLEST = 700.0


def tables_between_rules(grids: Sequence[Grid], words: Sequence[Word]) -> list[TableRegion]:
    """Find the tables with horizontal rules only, as books set them: above, below, and under the header."""
    rules = sorted(
        (line for grid in grids if not grid.verticals and grid.strong for line in grid.horizontals),
        key=lambda box: box.top,
    )
    rules = [rule for rule in rules if rule.right - rule.left > 60]
    found: list[TableRegion] = []
    for family in _families(rules[:_MOST_RULES]):
        start = 0
        while start < len(family) - 1:
            for end in range(len(family) - 1, start, -1):
                table = _between(family[start : end + 1], words)
                if table is not None:
                    found.append(table)
                    start = end
                    break
            start += 1
    return found


def _families(rules: Sequence[Box]) -> list[list[Box]]:
    """Group rules of the same width that stand below each other."""
    families: list[list[Box]] = []
    for rule in rules:
        for family in families:
            if abs(family[0].left - rule.left) < _ENDS and abs(family[0].right - rule.right) < _ENDS:
                family.append(rule)
                break
        else:
            families.append([rule])
    return [family for family in families if len(family) > 1]


def _between(rules: Sequence[Box], words: Sequence[Word]) -> TableRegion | None:
    box = union(*rules)
    if box.bottom - box.top > _TALLEST:
        return None
    inside = [word for word in words if covers(box, centre(word.box), 1.0) and word.box.right <= box.right + _ENDS]
    if len(inside) < 4:
        return None
    rows = text_rows(lines_of(inside, gap=0.8))
    bands = _bands(rows, rules)
    if len(rules) >= 5 and len(rows) <= 4 * len(bands):
        rows = bands  # a rule under every row: what stands between two is one row, however many lines it has
    table = table_of_rows(rows, box, ruled=True, fewest=2, alignment=0.0)
    if table is None:
        return None
    headed = _with_row_above(table, rows, box, words) if len(rules) == 2 else None
    if headed is not None:
        return headed
    head = sum(1 for row in rows if row.bottom <= rules[1].top + 1) if len(rules) > 2 else 1
    return replace(table, cells=header_marked(table.cells, head)) if 0 < head < table.rows else table


def _with_row_above(
    table: TableRegion, rows: Sequence[AlignedRow], box: Box, words: Sequence[Word]
) -> TableRegion | None:
    """Add the header that stands over the first of two rules; None if none does."""
    above = [
        word
        for word in words
        if word.box.bottom <= box.top + 1
        and word.box.top > box.top - 2.4 * (word.box.bottom - word.box.top)
        and box.left - _ENDS <= word.box.left
        and word.box.right <= box.right + _ENDS
    ]
    header = text_rows(lines_of(above, gap=0.8)) if above else []
    if len(header) != 1 or not 1 < len(header[0].cells) <= table.columns:
        return None
    whole = table_of_rows([*header, *rows], box._replace(top=header[0].top), ruled=True, fewest=2, alignment=0.0)
    if whole is None or whole.columns != table.columns:
        return None
    return replace(whole, cells=header_marked(whole.cells, 1))


def _bands(rows: Sequence[AlignedRow], rules: Sequence[Box]) -> list[AlignedRow]:
    bands: list[AlignedRow] = []
    for above, below in itertools.pairwise(rules):
        inside = [row for row in rows if above.top <= (row.top + row.bottom) / 2 < below.top]
        if inside:
            bands.append(AlignedRow(above.top, below.top, [cell for row in inside for cell in row.cells]))
    return bands


def tables_by_alignment(words: Sequence[Word], width: float) -> list[TableRegion]:
    """Find the tables that have no lines: rows of short texts that stand below each other in columns.

    Args:
        words: Of a page, those in other tables taken away.
        width: Of the page.
    """
    upright = [word for word in words if not word.vertical]
    # Code has columns of its own, which its blanks keep.
    lines = [line for line in lines_of(upright, gap=0.95, columns=True, cells=True) if not is_code(line)]
    gutter = gutter_of([Item(line.box, line) for line in lines if _is_prose(line, width)])
    if gutter is None:
        return _tables_in(lines, width)
    middle = sum(gutter) / 2
    left = [line for line in lines if line.box.right <= middle]
    right = [line for line in lines if line.box.left >= middle]
    tables = [*_tables_in(left, width / 2), *_tables_in(right, width / 2)]
    return _over_both(tables, lines, width)


def _is_prose(line: Line, width: float) -> bool:
    length = line.letters
    return line.box.right - line.box.left > 0.2 * width and (len(line.words) > 4 or (length > 12 and bool(
        HAN.match(line.words[0].text))))  # fmt: skip


def _over_both(tables: list[TableRegion], lines: Sequence[Line], width: float) -> list[TableRegion]:
    """Join two tables that stand side by side in the columns of a page: one table over both."""
    for first in tables:
        for other in tables:
            if first.box.left < other.box.left and first.rows == other.rows and abs(first.box.top - other.box.top) < 4:
                box = union(first.box, other.box)
                whole = _tables_in([line for line in lines if covers(box, centre(line.box), 2.0)], width)
                if len(whole) == 1 and whole[0].columns > max(first.columns, other.columns):
                    return [table for table in tables if overlap(table.box, box) <= 0] + whole
    return tables


def _tables_in(lines: Sequence[Line], width: float) -> list[TableRegion]:
    found = []
    for run in _runs(text_rows(lines), width):
        box = union(*(cell.box for row in run for cell in row.cells))
        table = table_of_rows(run, box, ruled=False, fewest=3, width=width)
        if table is not None:
            found.append(table)
    return found


def _runs(rows: Sequence[AlignedRow], width: float) -> list[list[AlignedRow]]:
    """Group rows that may be one table: close together, most of them of several cells."""
    runs: list[list[AlignedRow]] = []
    run: list[AlignedRow] = []
    for row in rows:
        # An item of a list or of a glossary has two cells too: a mark, and a line of prose.
        is_prose = len(row.cells) < 3 and any(_is_long(cell, width) for cell in row.cells)
        if run and (is_prose or not _goes_on(run, row)):
            runs.append(run)
            run = []
        if is_prose:
            continue
        if run or len(row.cells) > 1:
            run.append(row)
    runs.append(run)
    return [trimmed for run in runs if len(trimmed := _trimmed(run)) > 1]


def _is_long(cell: Line, width: float) -> bool:
    return len(cell.words) > 8 and cell.box.right - cell.box.left > 0.45 * width


def _goes_on(run: Sequence[AlignedRow], row: AlignedRow) -> bool:
    height = max(row.bottom - row.top, 4.0)
    steps = [after.top - before.top for before, after in itertools.pairwise(run)]
    usual = max(median(steps) if steps else 0.0, 1.2 * height)
    if row.top - run[-1].top > 2.3 * usual:
        return False
    if len(row.cells) > 1:
        return _shares_columns(run, row)
    if sum(len(other.cells) == 1 for other in run[-2:]) == 2:
        return False
    # A single text may be the second line of a cell, or the name of a group of rows; a line of prose is neither.
    cell = row.cells[0]
    return len(cell.words) <= 8 and any(
        abs(cell.box.left - other.box.left) < 3
        or abs(cell.box.right - other.box.right) < 3
        or abs(cell.box.left + cell.box.right - other.box.left - other.box.right) < 6
        for other in run[-1].cells
    )


def _shares_columns(run: Sequence[AlignedRow], row: AlignedRow) -> bool:
    """Tell whether most cells of a row stand over columns that are there, and none over a gap of all."""
    columns = columns_of([cell for other in run[-6:] for cell in other.cells])
    over = [len(columns_under(cell, columns)) for cell in row.cells]
    return sum(count == 1 for count in over) >= min(2, len(over))


def _trimmed(run: Sequence[AlignedRow]) -> list[AlignedRow]:
    result = list(run)
    while result and len(result[-1].cells) == 1:
        result.pop()
    return result
