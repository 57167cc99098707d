"""Excel workbooks (SpreadsheetML, ECMA-376 part 1, section 18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import JSON, Block, Heading, Paragraph, Parsed, Provenance, Table
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, naming_damage
from polyport_gateway.knowledge.readers.office.package import Relationship

from .beside import read_comments, read_drawing
from .grids import make_grid, rows_at_once
from .regions import find_regions
from .sheet import Area, Sheet, area, column_letters, read_sheet, reference
from .styles import S
from .workbook import SheetEntry, Workbook

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["XlsxReader"]

_MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class XlsxReader:
    """Reads XLSX (and XLSM and XLTX; macros are never looked at).

    Each sheet is a heading and its tables: every block of cells that empty rows and columns hold apart is one. A block
    of a single cell is a paragraph. Formulas show their stored result, and stand themselves in the document's metadata.
    """

    name = "xlsx"
    formats = frozenset({"xlsx"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            UnreadableDocumentError: It is damaged, protected by a password, a bomb, or no workbook.
        """
        gathering = PackageGathering(data, name, options, _MIME)
        with naming_damage(name):
            blocks, sheets = _read(gathering)
        gathering.core_properties()
        return gathering.finish(blocks, reader=self.name, format="xlsx", metadata={"sheets": sheets})


def _read(gathering: PackageGathering) -> tuple[list[Block], list[JSON]]:
    workbook = Workbook(gathering)
    blocks: list[Block] = []
    sheets: list[JSON] = []
    for entry in workbook.sheets:
        if entry.hidden and not gathering.options.hidden:
            gathering.skip("sheet", "Hidden sheets were not asked for.", part=entry.name)
            continue
        blocks.append(Heading(text=entry.name, level=1, provenance=Provenance(sheet=entry.name)))
        content = _SheetContent(gathering, workbook, entry)
        blocks += content.blocks()
        sheets.append(content.about)
    return blocks, sheets


class _SheetContent:
    """One sheet on its way to blocks."""

    def __init__(self, gathering: PackageGathering, workbook: Workbook, entry: SheetEntry) -> None:
        self._gathering = gathering
        self._workbook = workbook
        self._entry = entry
        self._relationships: dict[str, Relationship] = gathering.package.relationships(entry.part)
        self.about: dict[str, JSON] = {"name": entry.name, "hidden": entry.hidden}
        if entry.hidden:
            gathering.warn(f"The sheet {entry.name!r} is hidden.")

    def blocks(self) -> list[Block]:
        """Give tables, charts, pictures and comments, from top to bottom."""
        if self._entry.kind == "worksheet":
            return self._worksheet()
        placed = [
            block
            for relationship in self._relationships.values()
            if relationship.kind == "drawing"
            for _, block in read_drawing(self._gathering, relationship.target, self._entry.name)
        ]
        if not placed:
            self._gathering.skip("sheet", f"A sheet of the kind {self._entry.kind!r}.", part=self._entry.name)
        return placed

    def _worksheet(self) -> list[Block]:
        with self._gathering.package.open(self._entry.part) as source:
            sheet = read_sheet(
                source, self._workbook.strings, self._workbook.styles, epoch_1904=self._workbook.epoch_1904
            )
        self._report(sheet)
        placed: list[tuple[tuple[int, int], Block]] = list(self._tables(sheet))
        drawing = self._relationships.get(sheet.drawing or "")
        if drawing is not None:
            placed += read_drawing(self._gathering, drawing.target, self._entry.name)
        placed.sort(key=lambda item: item[0])
        notes = read_comments(self._gathering, self._relationships, self._entry.name)
        return [*(block for _, block in placed), *notes]

    def _report(self, sheet: Sheet) -> None:
        name = self._entry.name
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

    def _tables(self, sheet: Sheet) -> Iterator[tuple[tuple[int, int], Block]]:
        filled = {row: [value[0] for value in values] for row, values in sheet.rows.items() if values}
        if not filled:
            return
        last_row, last_column = max(filled), max(max(columns) for columns in filled.values())
        declared: dict[Area, int] = {}
        for id_ in sheet.tables:
            found = self._declared(id_)
            if found is not None and found[0][0] <= last_row and found[0][1] <= last_column:
                (top, left, bottom, right), header = found
                declared[top, left, min(bottom, last_row), min(right, last_column)] = header
        for region in find_regions(filled, sheet.merged, list(declared)):
            yield from self._region(sheet, region, declared.get(region))

    def _region(self, sheet: Sheet, region: Area, header: int | None) -> Iterator[tuple[tuple[int, int], Block]]:
        top, left, bottom, right = region
        step = rows_at_once(region)
        for start in range(top, bottom + 1, step):
            end = min(start + step - 1, bottom)
            cells = f"{reference(start, left)}:{reference(end, right)}" if (start, left) != (end, right) else None
            where = Provenance(sheet=self._entry.name, cells=cells or reference(start, left))
            grid = make_grid(
                sheet,
                (start, left, end, right),
                self._workbook.styles,
                header if start == top else 0,
                self._target(sheet),
            )
            single = len(grid.cells) == 1 and not grid.cells[0].nested
            block = (
                Paragraph(text=grid.cells[0].text, provenance=where) if single else Table(grid=grid, provenance=where)
            )
            yield (start, left), block

    def _target(self, sheet: Sheet) -> Callable[[int, int], str]:
        def target(row: int, column: int) -> str:
            id_, place = sheet.links.get((row, column), ("", ""))
            relationship = self._relationships.get(id_)
            return (relationship.target if relationship else "") + place

        return target

    def _declared(self, id_: str) -> tuple[Area, int] | None:
        """Read the range of a table that the file declares, and how many header rows it has."""
        relationship = self._relationships.get(id_)
        root = self._gathering.optional_part(relationship.target) if relationship else None
        found = None if root is None or root.tag != S + "table" else area(root.get("ref", ""))
        if root is None or found is None:
            return None
        rows = root.get("headerRowCount", "1")
        return found, int(rows) if rows.isdecimal() else 1
