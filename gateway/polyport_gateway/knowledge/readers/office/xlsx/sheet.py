"""One worksheet, read as a stream: only values are kept, never the XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from polyport_gateway.knowledge.readers.office.xml import Element, local, stream

from .styles import CellStyle, S

__all__ = ["Area", "Sheet", "area", "column_letters", "read_sheet", "reference"]

_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MOST_ROWS, _MOST_COLUMNS = 1 << 20, 1 << 14
_MOST_FORMULAS = 10_000
_MOST_MERGED = 2_000_000  # positions; a few bytes of XML can merge billions

Value = tuple[int, str, int, bool]  # column, text, style, whether it is a number
Area = tuple[int, int, int, int]  # top, left, bottom, right; all from 0, all inside


@dataclass(slots=True)
class Sheet:
    """What a sheet holds; rows and columns count from 0.

    Args:
        rows: The values of each row that has any, from left to right.
        merged: Merged areas.
        links: Relationship or place that a cell links to.
        hidden_rows: Rows not shown.
        hidden_columns: Columns not shown.
        frozen: Rows and columns that stay in view.
        formulas: What a cell is calculated by.
        dropped: Merged areas that overlap another, or are too large.
        uncalculated: Formulas without a stored result.
        tables: Ids of the parts that describe tables.
        drawing: Id of the part with pictures and charts.
    """

    rows: dict[int, list[Value]] = field(default_factory=dict)
    merged: list[Area] = field(default_factory=list)
    links: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    frozen: tuple[int, int] = (0, 0)
    formulas: dict[str, str] = field(default_factory=dict)
    uncalculated: int = 0
    dropped: int = 0
    tables: list[str] = field(default_factory=list)
    drawing: str | None = None


def column_letters(column: int) -> str:
    """Return a column's name: 0 is A."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def reference(row: int, column: int) -> str:
    """Return a cell's name, such as ``B2``."""
    return f"{column_letters(column)}{row + 1}"


def _position(text: str) -> tuple[int, int] | None:
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return None
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    row = int(match[2])
    return (row - 1, column - 1) if 0 < row <= _MOST_ROWS and column <= _MOST_COLUMNS else None


def area(text: str) -> Area | None:
    """Read a range such as ``A1:C3``; None when it is no range of a sheet."""
    first, _, last = text.partition(":")
    start, end = _position(first), _position(last or first)
    if start is None or end is None:
        return None
    return min(start[0], end[0]), min(start[1], end[1]), max(start[0], end[0]), max(start[1], end[1])


class _SheetReader:
    def __init__(self, strings: Sequence[str], styles: Sequence[CellStyle], *, epoch_1904: bool) -> None:
        self.sheet = Sheet()
        self._strings = strings
        self._styles = styles
        self._epoch_1904 = epoch_1904
        self._row = -1
        self._covered: set[tuple[int, int]] = set()

    def row(self, element: Element) -> None:
        given = element.get("r", "")
        number = int(given) - 1 if given.isdecimal() else self._row + 1
        if not 0 <= number < _MOST_ROWS:
            return
        self._row = number
        if element.get("hidden") in {"1", "true"}:
            self.sheet.hidden_rows.add(number)
        values: list[Value] = []
        column = -1
        for cell in element:
            place = _position(cell.get("r", ""))
            column = place[1] if place else column + 1
            style = cell.get("s", "0")
            index = int(style) if style.isdecimal() and int(style) < len(self._styles) else 0
            text, is_number = self._text(cell, index, number, column)
            if text:
                values.append((column, text, index, is_number))
        if values:
            self.sheet.rows.setdefault(number, []).extend(values)

    def _text(self, cell: Element, style: int, row: int, column: int) -> tuple[str, bool]:
        kind = cell.get("t", "n")
        stored = cell.findtext(S + "v")
        formula = cell.find(S + "f")
        if formula is not None and formula.text and len(self.sheet.formulas) < _MOST_FORMULAS:
            self.sheet.formulas[reference(row, column)] = f"={formula.text}"
        if kind == "inlineStr":
            return "".join(part.text or "" for part in cell.iter(S + "t")), False
        if not stored:
            if formula is not None and kind != "str":
                self.sheet.uncalculated += 1
                return f"={formula.text}" if formula.text else "", False
            return "", False
        if kind == "n":
            return self._styles[style].format.text(stored, epoch_1904=self._epoch_1904), True
        if kind == "s":
            return (
                self._strings[int(stored)] if stored.isdecimal() and int(stored) < len(self._strings) else ""
            ), False
        if kind == "b":
            return ("TRUE" if stored.strip() == "1" else "FALSE"), False
        if kind == "d":
            return _iso(stored), True
        return stored, False

    def columns(self, element: Element) -> None:
        for entry in element:
            first, last = entry.get("min", ""), entry.get("max", "")
            if entry.get("hidden") in {"1", "true"} and first.isdecimal() and last.isdecimal():
                self.sheet.hidden_columns.update(range(int(first) - 1, min(int(last), _MOST_COLUMNS)))

    def pane(self, element: Element) -> None:
        if element.get("state") in {"frozen", "frozenSplit"}:
            split = (element.get(name, "0").partition(".")[0] for name in ("ySplit", "xSplit"))
            rows, columns = (int(text) if text.isdecimal() else 0 for text in split)
            self.sheet.frozen = rows, columns

    def merge(self, element: Element) -> None:
        found = area(element.get("ref", ""))
        if found is None:
            return
        top, left, bottom, right = found
        size = (bottom - top + 1) * (right - left + 1)
        if size + len(self._covered) <= _MOST_MERGED:
            positions = {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}
            if self._covered.isdisjoint(positions):
                self._covered |= positions
                self.sheet.merged.append(found)
                return
        self.sheet.dropped += 1

    def link(self, element: Element) -> None:
        found = area(element.get("ref", ""))
        if found is not None:
            place = element.get("location", "")
            self.sheet.links[found[:2]] = (element.get(_R + "id", ""), f"#{place}" if place else "")


def _iso(stored: str) -> str:
    try:
        moment = datetime.fromisoformat(stored)
    except ValueError:
        return stored
    return moment.strftime("%Y-%m-%d") if not moment.time() else moment.isoformat(" ")


def read_sheet(source: IO[bytes], strings: Sequence[str], styles: Sequence[CellStyle], *, epoch_1904: bool) -> Sheet:
    """Read a worksheet part.

    Args:
        source: The part.
        strings: The workbook's shared strings.
        styles: The workbook's cell formats.
        epoch_1904: Days count from 1904.
    """
    reader = _SheetReader(strings, styles, epoch_1904=epoch_1904)
    handlers = {
        "row": reader.row, "cols": reader.columns, "pane": reader.pane, "mergeCell": reader.merge,
        "hyperlink": reader.link,
    }  # fmt: skip
    for element in stream(source):
        name = local(element)
        handler = handlers.get(name)
        if handler is not None:
            handler(element)
        elif name == "tablePart":
            reader.sheet.tables.append(element.get(_R + "id", ""))
        elif name == "drawing":
            reader.sheet.drawing = element.get(_R + "id")
        if name == "row":
            element.clear()
    return reader.sheet
