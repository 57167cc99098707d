"""Excel workbooks (SpreadsheetML, ECMA-376 part 1, section 18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import JSON, Block, Heading, Parsed, Provenance
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, naming_damage
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.references import References
from polyport_gateway.knowledge.readers.office.sheets.content import Placed, SheetContent
from polyport_gateway.knowledge.readers.office.sheets.sheet import Area, Sheet, area

from .beside import read_comments, read_drawing
from .styles import S
from .workbook import SheetEntry, Workbook
from .worksheet import read_sheet

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
        content = _Worksheet(gathering, workbook, entry)
        blocks += content.blocks()
        sheets.append(content.about)
    return blocks, sheets


class _Worksheet:
    """One sheet on its way to blocks."""

    def __init__(self, gathering: PackageGathering, workbook: Workbook, entry: SheetEntry) -> None:
        self._gathering = gathering
        self._workbook = workbook
        self._entry = entry
        self._relationships: dict[str, Relationship] = gathering.package.relationships(entry.part)
        self._content = SheetContent(gathering, entry.name, hidden=entry.hidden, styles=workbook.styles)
        self.about = self._content.about

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
        declared = dict(found for id_ in sheet.tables if (found := self._declared(id_)) is not None)
        placed: list[Placed] = list(self._content.tables(sheet, declared, self._target(sheet)))
        drawing = self._relationships.get(sheet.drawing or "")
        if drawing is not None:
            placed += read_drawing(self._gathering, drawing.target, self._entry.name)
        placed.sort(key=lambda item: item[0])
        references = References(self._gathering, self._entry.part)
        where = Provenance(sheet=self._entry.name)
        embedded = [
            block
            for id_, program in sheet.objects.items()
            for block in references.embedded(id_, program or "another program", where)
        ]
        notes = read_comments(self._gathering, self._relationships, self._entry.name)
        return [*(block for _, block in placed), *embedded, *notes]

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
