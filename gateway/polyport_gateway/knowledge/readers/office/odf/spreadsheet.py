"""OpenDocument spreadsheets, read as a stream: only values are kept, never the XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    Heading,
    Note,
    ParsingLimitError,
    Provenance,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.sheets.content import Placed, SheetContent
from polyport_gateway.knowledge.readers.office.sheets.formats import number_format
from polyport_gateway.knowledge.readers.office.sheets.sheet import (
    MOST_COLUMNS,
    MOST_FORMULAS,
    MOST_ROWS,
    Area,
    CellStyle,
    MergedAreas,
    Sheet,
    Value,
    area,
    reference,
)
from polyport_gateway.knowledge.readers.office.xml import Element, stream

from .datastyles import format_code
from .inline import read_inline
from .lists import Lists, Outline
from .meta import frozen_panes
from .names import DC, DRAW, FO, LINK, OFFICE, STYLE, TABLE, TEXT, count
from .story import Shared, Story
from .styles import Styles, is_shown, styles_of

__all__ = ["read_spreadsheet"]

_MOST_VALUES = 5_000_000  # a few bytes can repeat a cell over a whole sheet
_NUMBERS = frozenset({"float", "percentage", "currency", "date", "time"})
_VALUES = ("value", "date-value", "time-value", "boolean-value", "string-value")
_HIDDEN = frozenset({"collapse", "filter"})
_CELL = TABLE + "table-cell"
_CELLS = frozenset({_CELL, TABLE + "covered-table-cell"})
_PARAGRAPH, _VALUE_TYPE, _STYLE_NAME = TEXT + "p", OFFICE + "value-type", TABLE + "style-name"
_REPEATED, _FORMULA = TABLE + "number-columns-repeated", TABLE + "formula"
_ROWS, _COLUMNS = TABLE + "number-rows-spanned", TABLE + "number-columns-spanned"


@dataclass(slots=True)
class _Table:
    """A sheet as it is read."""

    sheet: Sheet
    merged: MergedAreas
    row: int = 0
    column: int = 0
    column_styles: list[tuple[int, str | None]] = field(default_factory=list)  # up to which column, which style
    starts: list[int] = field(default_factory=list)  # of the rows read, as the file has them
    drawings: list[tuple[tuple[int, int], Element]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    styles: dict[int, str | None] = field(default_factory=dict)  # of the columns that were asked for
    name: str = ""
    hidden: bool = False


def read_spreadsheet(gathering: PackageGathering) -> tuple[list[Block], dict[str, JSON]]:
    """Read an ODS: a heading and its tables for each sheet."""
    named = gathering.optional_part("styles.xml")
    reader = _Reader(gathering, named)
    with gathering.package.open("content.xml") as source:
        for element in stream(source):
            reader.ended(element)
    if not reader.is_spreadsheet:
        raise UnreadableDocumentError(gathering.name, "its part 'content.xml' holds no spreadsheet.")
    frozen = dict(frozen_panes(gathering))
    blocks: list[Block] = []
    about: list[JSON] = []
    for table in reader.tables:
        if table.hidden and not gathering.options.hidden:
            gathering.skip("sheet", "Hidden sheets were not asked for.", part=table.name)
            continue
        table.sheet.frozen = frozen.get(table.name, table.sheet.frozen)
        blocks.append(Heading(text=table.name, level=1, provenance=Provenance(sheet=table.name)))
        content = SheetContent(gathering, table.name, hidden=table.hidden, styles=reader.styles.found)
        declared = reader.declared.get(table.name, {})
        placed: list[Placed] = list(content.tables(table.sheet, declared, _target(table.sheet)))
        for (row, column), drawing in table.drawings:
            where = Provenance(sheet=table.name, cells=reference(row, column))
            wrapper = Element(DRAW + "g")
            wrapper.append(drawing)
            placed += [((row, column), block) for block in Story(reader.shared, where).blocks(wrapper)]
        placed.sort(key=lambda item: item[0])
        blocks += [block for _, block in placed]
        blocks += table.notes
        about.append(content.about)
    return blocks, {"sheets": about}


def _target(sheet: Sheet) -> Callable[[int, int], str]:
    return lambda row, column: sheet.links.get((row, column), ("", ""))[1]


def _plain_text(cell: Element) -> str | None:
    """Return the text of a cell that has nothing but one, as most cells of a large sheet do; else None."""
    if len(cell) != 1 or cell.get(_FORMULA) or cell.get(_ROWS) or cell.get(_COLUMNS):
        return None
    paragraph = cell[0]
    if paragraph.tag != _PARAGRAPH or len(paragraph) or not paragraph.text:
        return None
    return " ".join(paragraph.text.split()) or None


class _CellStyles:
    """The looks of cells, each under the number that the sheet's values refer to it by."""

    def __init__(self) -> None:
        self.found: list[CellStyle] = [CellStyle(number_format("General"))]
        self._numbers: dict[str | None, int] = {None: 0}

    def number(self, name: str | None, styles: Styles) -> int:
        """Return the number of a style."""
        known = self._numbers.get(name)
        if known is None:
            data = styles.data(styles.attribute("table-cell", name, STYLE + "data-style-name"))
            colour = styles.property("table-cell", name, "table-cell", FO + "background-color") or ""
            look = CellStyle(
                number_format("General" if data is None else format_code(data)),
                bool(styles.face("table-cell", name).bold),
                colour.lower() if len(colour) == 7 and colour.lower() != "#ffffff" else None,
            )
            self.found.append(look)
            known = self._numbers[name] = len(self.found) - 1
        return known


class _Reader:
    def __init__(self, gathering: PackageGathering, named: Element | None) -> None:
        self._gathering = gathering
        self._named = styles_of(named, "styles")
        self.styles = _CellStyles()
        self.tables: list[_Table] = []
        self.declared: dict[str, dict[Area, int]] = {}
        self.is_spreadsheet = False
        self._values = 0
        self._current = self._new_table()
        self.shared = self._shared(None)
        self._handlers: dict[str, Callable[[Element], None]] = {
            OFFICE + "automatic-styles": self._automatic_styles,
            TABLE + "table-column": self._column,
            TABLE + "table-row": self._row,
            TABLE + "table-header-rows": self._header_rows,
            TABLE + "shapes": self._shapes,
            TABLE + "table": self._table,
            TABLE + "database-range": self._database_range,
            OFFICE + "spreadsheet": self._spreadsheet,
        }

    def ended(self, element: Element) -> None:
        """Take an element once it is read."""
        handler = self._handlers.get(element.tag)
        if handler is not None:
            handler(element)

    def _shared(self, automatic: Element | None) -> Shared:
        styles = Styles(self._named, automatic)
        return Shared(self._gathering, styles, Lists(styles), Outline(None), page=None)

    @staticmethod
    def _new_table() -> _Table:
        sheet = Sheet()
        return _Table(sheet, MergedAreas(sheet))

    def _automatic_styles(self, element: Element) -> None:
        self.shared = self._shared(element)

    def _spreadsheet(self, _: Element) -> None:
        self.is_spreadsheet = True

    def _column(self, element: Element) -> None:
        table = self._current
        end = min(table.column + count(element, TABLE + "number-columns-repeated"), MOST_COLUMNS)
        if element.get(TABLE + "visibility") in _HIDDEN:
            table.sheet.hidden_columns.update(range(table.column, end))
        table.column_styles.append((end, element.get(TABLE + "default-cell-style-name")))
        table.column = end

    def _header_rows(self, element: Element) -> None:
        # Its rows have been read; they are repeated on each page, as the rows that stay in view are on the screen.
        rows = len(element.findall(TABLE + "table-row"))
        if rows and rows <= len(self._current.starts):
            self._current.sheet.frozen = (self._current.row, 0)

    def _shapes(self, element: Element) -> None:
        self._current.drawings += [((0, 0), child) for child in element if child.tag.startswith(DRAW)]

    def _table(self, element: Element) -> None:
        table = self._current
        table.name = element.get(TABLE + "name", "")
        table.hidden = not is_shown(self.shared.styles, element)
        self.tables.append(table)
        self._current = self._new_table()
        element.clear()

    def _database_range(self, element: Element) -> None:
        target = element.get(TABLE + "target-range-address", "")
        first, _, last = target.partition(":")
        name, _, start = first.rpartition(".")
        found = area(f"{start}:{last.rpartition('.')[2]}" if last else start)
        header = element.get(TABLE + "contains-header", "true") == "true"
        if found is not None and found[2] > found[0]:
            name = name.removeprefix("$").strip("'").replace("''", "'")
            self.declared.setdefault(name, {})[found] = 1 if header else 0

    def _row(self, element: Element) -> None:
        table = self._current
        repeated = count(element, TABLE + "number-rows-repeated")
        first = table.row
        table.starts.append(first)
        table.row = min(first + repeated, MOST_ROWS)
        if first >= MOST_ROWS:
            return
        values = self._cells(element, first)
        if element.get(TABLE + "visibility") in _HIDDEN:
            # A million empty rows may be hidden, too.
            table.sheet.hidden_rows.update(range(first, table.row if values else first + 1))
        if values:
            if table.row - first > 1:
                self._spend(len(values) * (table.row - first))
            for row in range(first, table.row):
                table.sheet.rows[row] = values
        element.clear()

    def _spend(self, values: int) -> None:
        self._values += values
        if self._values > _MOST_VALUES:
            raise ParsingLimitError(self._gathering.name, f"its sheets have more than {_MOST_VALUES:,} repeated cells.")

    def _cells(self, element: Element, row: int) -> list[Value]:
        values: list[Value] = []
        column = 0
        default = element.get(TABLE + "default-cell-style-name")
        for cell in element:
            if cell.tag not in _CELLS:
                continue
            end = min(column + count(cell, _REPEATED), MOST_COLUMNS)
            if column < end and (len(cell) or len(cell.attrib) > 1):
                text = _plain_text(cell)
                if text is None:
                    text = self._cell(cell, row, column)
                if text and cell.tag == _CELL:
                    style = self._style(cell, default, column)
                    number = cell.get(_VALUE_TYPE) in _NUMBERS
                    if end - column > 1:
                        self._spend(end - column)
                    values += [(at, text, style, number) for at in range(column, end)]
                elif text:
                    self._gathering.skip("cell", "A merged cell covers its text.", part=reference(row, column))
            column = end
        return values

    def _style(self, cell: Element, default: str | None, column: int) -> int:
        name = cell.get(_STYLE_NAME) or default
        if name is None:
            table = self._current
            if column not in table.styles:
                table.styles[column] = next((style for end, style in table.column_styles if column < end), None)
            name = table.styles[column]
        return self.styles.number(name, self.shared.styles)

    def _cell(self, cell: Element, row: int, column: int) -> str:
        """Return what a cell shows; note what else it has."""
        table = self._current
        height, width = count(cell, _ROWS), count(cell, _COLUMNS)
        if height > 1 or width > 1:
            bottom, right = min(row + height, MOST_ROWS) - 1, min(column + width, MOST_COLUMNS) - 1
            table.merged.add((row, column, bottom, right))
        formula = cell.get(_FORMULA, "")
        if formula and len(table.sheet.formulas) < MOST_FORMULAS:
            table.sheet.formulas[reference(row, column)] = formula[formula.find("=") :]
        lines = []
        for child in cell:
            if child.tag == TEXT + "p":
                lines.append(self._line(child, row, column))
            elif child.tag == OFFICE + "annotation":
                self._annotation(child, row, column)
            elif child.tag.startswith(DRAW):
                table.drawings.append(((row, column), child))
        text = "\n".join(lines).strip()
        if not text:
            text = next((found for name in _VALUES if (found := cell.get(OFFICE + name))), "")
        if not text and formula:
            table.sheet.uncalculated += 1
            return formula[formula.find("=") :]
        return text

    def _line(self, paragraph: Element, row: int, column: int) -> str:
        if not len(paragraph):
            return " ".join((paragraph.text or "").split())  # most cells of a large sheet
        inline = read_inline(paragraph, self.shared.styles)
        for link in paragraph.iter(TEXT + "a"):
            if target := link.get(LINK + "href", ""):
                self._current.sheet.links.setdefault((row, column), ("", target))
        self._current.drawings += [((row, column), drawing) for drawing in inline.drawings]
        text, _ = inline.text.finish()
        return text

    def _annotation(self, note: Element, row: int, column: int) -> None:
        lines = ("".join(line.itertext()).strip() for line in note.iter(TEXT + "p"))
        if text := "\n".join(line for line in lines if line):
            cell = reference(row, column)
            self._current.notes.append(
                Note(
                    text=text,
                    category="comment",
                    label=cell,
                    author=note.findtext(DC + "creator", ""),
                    provenance=Provenance(cells=cell),
                )
            )
