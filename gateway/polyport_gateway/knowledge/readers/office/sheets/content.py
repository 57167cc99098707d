"""A sheet's values as blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from polyport_gateway.knowledge.documents import JSON, Block, Paragraph, Provenance, Table
from polyport_gateway.knowledge.readers.office.gathering import Gathering

from .grids import make_grid, rows_at_once
from .regions import find_regions
from .sheet import Area, CellStyle, Sheet, column_letters, reference

__all__ = ["Placed", "SheetContent"]

Placed = tuple[tuple[int, int], Block]  # the row and column at which a block begins


class SheetContent:
    """One sheet on its way to blocks.

    Args:
        gathering: The file.
        name: The sheet's.
        hidden: It is not shown.
        styles: The workbook's, as the sheet's values refer to them.
    """

    def __init__(self, gathering: Gathering, name: str, *, hidden: bool, styles: Sequence[CellStyle]) -> None:
        self._gathering = gathering
        self._name = name
        self._styles = styles
        self.about: dict[str, JSON] = {"name": name, "hidden": hidden}
        if hidden:
            gathering.warn(f"The sheet {name!r} is hidden.")

    def tables(self, sheet: Sheet, declared: Mapping[Area, int], target: Callable[[int, int], str]) -> Iterator[Placed]:
        """Give the tables of a sheet.

        Args:
            sheet: Its values.
            declared: Areas that the file itself calls tables, and how many header rows each has.
            target: Gives what a cell links to.
        """
        self._report(sheet)
        filled = {row: [value[0] for value in values] for row, values in sheet.rows.items() if values}
        if not filled:
            return
        last_row, last_column = max(filled), max(max(columns) for columns in filled.values())
        inside: dict[Area, int] = {}
        for (top, left, bottom, right), header in declared.items():
            if top <= last_row and left <= last_column:
                inside[top, left, min(bottom, last_row), min(right, last_column)] = header
        for region in find_regions(filled, sheet.merged, list(inside)):
            yield from self._region(sheet, region, inside.get(region), target)

    def _region(
        self, sheet: Sheet, region: Area, header: int | None, target: Callable[[int, int], str]
    ) -> Iterator[Placed]:
        top, left, bottom, right = region
        step = rows_at_once(region)
        for start in range(top, bottom + 1, step):
            end = min(start + step - 1, bottom)
            cells = f"{reference(start, left)}:{reference(end, right)}" if (start, left) != (end, right) else None
            where = Provenance(sheet=self._name, cells=cells or reference(start, left))
            rows = header if start == top else 0
            grid = make_grid(sheet, (start, left, end, right), self._styles, rows, target)
            single = len(grid.cells) == 1 and not grid.cells[0].nested
            block = (
                Paragraph(text=grid.cells[0].text, provenance=where) if single else Table(grid=grid, provenance=where)
            )
            yield (start, left), block

    def _report(self, sheet: Sheet) -> None:
        name = self._name
        rows = sorted(row + 1 for row in sheet.hidden_rows if row in sheet.rows)
        if rows and not self._gathering.options.hidden:
            self._gathering.skip("rows", f"{len(rows)} hidden rows were not asked for.", part=name)
            sheet.rows = {row: values for row, values in sheet.rows.items() if row not in sheet.hidden_rows}
        elif rows:
            self._gathering.warn(f"The sheet {name!r} has {len(rows)} hidden rows.")
            self.about["hidden_rows"] = rows
        used = {value[0] for values in sheet.rows.values() for value in values} & sheet.hidden_columns
        if used and not self._gathering.options.hidden:
            self._gathering.skip("columns", f"{len(used)} hidden columns were not asked for.", part=name)
            sheet.rows = {row: [v for v in values if v[0] not in used] for row, values in sheet.rows.items()}
        elif used:
            self._gathering.warn(f"The sheet {name!r} has {len(used)} hidden columns.")
            self.about["hidden_columns"] = [column_letters(column) for column in sorted(used)]
        if sheet.formulas:
            self.about["formulas"] = dict(sheet.formulas)
        if sheet.uncalculated:
            self._gathering.warn(
                f"The sheet {name!r} has {sheet.uncalculated} formulas without a stored result: they stand themselves."
            )
        if sheet.dropped:
            self._gathering.warn(f"The sheet {name!r} has {sheet.dropped} merged areas that overlap or are too large.")
