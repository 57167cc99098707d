"""A region of a sheet as a table's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polyport_gateway.knowledge.documents import MOST_POSITIONS, Cell, Mark, Paragraph, TableGrid, place

from .sheet import Area, CellStyle, Sheet, Value

__all__ = ["make_grid", "rows_at_once"]


def rows_at_once(region: Area) -> int:
    """Return how many of a region's rows fit into one grid."""
    return max(MOST_POSITIONS // (region[3] - region[1] + 1), 1)


def make_grid(
    sheet: Sheet, region: Area, styles: Sequence[CellStyle], header: int | None, link: Callable[[int, int], str]
) -> TableGrid:
    """Make the grid of a region.

    Args:
        sheet: The sheet.
        region: Where it is.
        styles: The workbook's.
        header: Rows of column headers, where the file says it; else it is judged by what the rows hold.
        link: Gives what a cell links to.
    """
    top, left, bottom, right = region
    spans = {(area[0], area[1]): area for area in sheet.merged if top <= area[0] <= bottom and left <= area[1] <= right}
    covered = {
        (row, column)
        for area in spans.values()
        for row in range(area[0], min(area[2], bottom) + 1)
        for column in range(area[1], min(area[3], right) + 1)
    } - spans.keys()
    inside = {
        row: values
        for row in range(top, bottom + 1)
        if (values := [value for value in sheet.rows.get(row, ()) if left <= value[0] <= right])
    }
    header_rows = _header_rows(sheet, region, inside, spans, styles) if header is None else header
    header_columns = max(min(sheet.frozen[1] - left, right - left), 0) if sheet.frozen[1] > left else 0
    cells: list[Cell] = []
    filled: set[tuple[int, int]] = set()
    for row, values in inside.items():
        for column, text, style, _ in values:
            if (row, column) in covered or (row, column) in filled:
                continue
            if (row, column) in spans:
                filled.add((row, column))
            area = spans.get((row, column), (row, column, row, column))
            cells.append(
                Cell(
                    row - top,
                    column - left,
                    min(area[2], bottom) - row + 1,
                    min(area[3], right) - column + 1,
                    text,
                    row - top < header_rows,
                    column - left < header_columns and row - top >= header_rows,
                    _code(styles[style]),
                    styles[style].bold,
                    styles[style].colour,
                    _linked(text, link(row, column)) if (row, column) in sheet.links else (),
                )
            )
    return TableGrid(bottom - top + 1, right - left + 1, tuple(cells))


def _code(style: CellStyle) -> str | None:
    return None if style.format.code in {"General", "@"} else style.format.code


def _linked(text: str, target: str) -> tuple[Paragraph, ...]:
    if not target:
        return ()
    linked = place(Paragraph(text=text, marks=(Mark(0, len(text), "link", target),)))
    return (linked,) if isinstance(linked, Paragraph) else ()


def _header_rows(
    sheet: Sheet,
    region: Area,
    inside: dict[int, list[Value]],
    spans: dict[tuple[int, int], Area],
    styles: Sequence[CellStyle],
) -> int:
    """Judge how many rows at the top name what stands below them."""
    top, _, bottom, _ = region
    if top == bottom:
        return 0
    if top < sheet.frozen[0] <= bottom and sheet.frozen[0] - top <= 8:
        return sheet.frozen[0] - top
    if not _names(inside.get(top, []), inside.get(top + 1, []), styles):
        return 0
    areas = [area for (row, _), area in spans.items() if row == top]
    depth = max((area[2] - top + 1 for area in areas), default=1)
    # A title over several columns is divided by the names in the row below it.
    divided = depth == 1 and any(area[3] > area[1] for area in areas) and top + 1 < bottom
    if divided and _names(inside.get(top + 1, []), inside.get(top + 2, []), styles):
        depth = 2
    return depth if depth <= bottom - top else 1


def _names(values: list[Value], below: list[Value], styles: Sequence[CellStyle]) -> bool:
    """Tell whether a row is made of names: of text only, or of bold letters over others that are not."""
    if not values:
        return False
    if not any(value[3] for value in values):
        return True
    return all(styles[value[2]].bold for value in values) and not all(styles[value[2]].bold for value in below)
