"""The values of a binary workbook, as xlrd reads them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from polyport_gateway.knowledge.documents import Note, Provenance
from polyport_gateway.knowledge.readers.office.sheets.formats import number_format
from polyport_gateway.knowledge.readers.office.sheets.sheet import (
    CellStyle,
    MergedAreas,
    Sheet,
    Value,
    reference,
)

if TYPE_CHECKING:
    from xlrd.book import Book
    from xlrd.sheet import Sheet as XlrdSheet

__all__ = ["DAMAGE", "Looks", "comments", "read_sheet"]

DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError, struct.error)
"""What xlrd raises over bytes that make no sense, beside its own `XLRDError`."""

_TEXT, _NUMBER, _DATE, _BOOLEAN, _ERROR = 1, 2, 3, 4, 5
_SOLID = 1
_BOLD = 600  # a font's weight


class Looks:
    """The cell formats of a workbook, in the order in which cells refer to them."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.found: list[CellStyle] = [self._look(entry) for entry in book.xf_list]
        if not self.found:
            self.found = [CellStyle(number_format("General"))]

    def _look(self, entry: Any) -> CellStyle:
        known = self._book.format_map.get(entry.format_key)
        font = self._book.font_list[entry.font_index] if entry.font_index < len(self._book.font_list) else None
        bold = font is not None and bool(font.bold or font.weight >= _BOLD)
        return CellStyle(number_format(known.format_str if known else "General"), bold, self._colour(entry))

    def _colour(self, entry: Any) -> str | None:
        background = entry.background
        if background is None or background.fill_pattern != _SOLID:
            return None
        rgb = self._book.colour_map.get(background.pattern_colour_index)
        if rgb is None or rgb == (255, 255, 255):
            return None
        return "#{:02x}{:02x}{:02x}".format(*rgb)


def read_sheet(source: XlrdSheet, book: Book, looks: Looks) -> Sheet:
    """Read one sheet."""
    sheet = Sheet()
    for row in range(source.nrows):
        values = _row(source, row, book, looks)
        if values:
            sheet.rows[row] = values
    merged = MergedAreas(sheet)
    for top, bottom, left, right in source.merged_cells:
        if bottom > top and right > left:
            merged.add((top, left, bottom - 1, right - 1))
    sheet.hidden_rows = {row for row, info in source.rowinfo_map.items() if info.hidden}
    sheet.hidden_columns = {column for column, info in source.colinfo_map.items() if info.hidden}
    if getattr(source, "panes_are_frozen", 0):
        sheet.frozen = source.horz_split_pos or 0, source.vert_split_pos or 0
    for link in source.hyperlink_list:
        target = (link.url_or_path or "") + (f"#{link.textmark}" if link.textmark else "")
        if target:
            sheet.links[link.frowx, link.fcolx] = "", _decoded(target)
    return sheet


def _row(source: XlrdSheet, row: int, book: Book, looks: Looks) -> list[Value]:
    values: list[Value] = []
    kinds, stored = source.row_types(row), source.row_values(row)
    for column, kind in enumerate(kinds):
        if _TEXT <= kind <= _ERROR:
            index = source.cell_xf_index(row, column)
            style = index if index < len(looks.found) else 0
            text = _text(kind, stored[column], looks.found[style], book)
            if text:
                values.append((column, text, style, kind in {_NUMBER, _DATE}))
    return values


def _text(kind: int, value: Any, style: CellStyle, book: Book) -> str:
    if kind in {_NUMBER, _DATE}:
        number = float(value)
        stored = str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
        return style.format.text(stored, epoch_1904=bool(book.datemode))
    if kind == _BOOLEAN:
        return "TRUE" if value else "FALSE"
    if kind == _ERROR:
        from xlrd import error_text_from_code

        return str(error_text_from_code.get(value, "#ERROR"))
    return str(value)


def _decoded(target: str | bytes) -> str:
    return target.decode("utf-8", "replace") if isinstance(target, bytes) else target


def comments(source: XlrdSheet, name: str) -> list[Note]:
    """Return the comments on a sheet's cells."""
    found = []
    for (row, column), note in sorted(source.cell_note_map.items()):
        text = (note.text or "").strip()
        author = (note.author or "").strip()
        cell = reference(row, column)
        if text:
            where = Provenance(sheet=name, cells=cell)
            found.append(Note(text=text, category="comment", label=cell, author=author, provenance=where))
    return found
