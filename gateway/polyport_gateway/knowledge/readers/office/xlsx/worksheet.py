"""One worksheet part, read as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import IO

from polyport_gateway.knowledge.readers.office.ooxml import R
from polyport_gateway.knowledge.readers.office.sheets.sheet import (
    MOST_COLUMNS,
    MOST_FORMULAS,
    MOST_ROWS,
    CellStyle,
    MergedAreas,
    Sheet,
    Value,
    area,
    position,
    reference,
)
from polyport_gateway.knowledge.readers.office.xml import Element, local, stream

from .styles import S

__all__ = ["read_sheet"]


class _SheetReader:
    def __init__(self, strings: Sequence[str], styles: Sequence[CellStyle], *, epoch_1904: bool) -> None:
        self.sheet = Sheet()
        self._strings = strings
        self._styles = styles
        self._epoch_1904 = epoch_1904
        self._row = -1
        self._merged = MergedAreas(self.sheet)

    def row(self, element: Element) -> None:
        given = element.get("r", "")
        number = int(given) - 1 if given.isdecimal() else self._row + 1
        if not 0 <= number < MOST_ROWS:
            return
        self._row = number
        if element.get("hidden") in {"1", "true"}:
            self.sheet.hidden_rows.add(number)
        values: list[Value] = []
        column = -1
        for cell in element:
            place = position(cell.get("r", ""))
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
        if formula is not None and formula.text and len(self.sheet.formulas) < MOST_FORMULAS:
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
                self.sheet.hidden_columns.update(range(int(first) - 1, min(int(last), MOST_COLUMNS)))

    def pane(self, element: Element) -> None:
        if element.get("state") in {"frozen", "frozenSplit"}:
            split = (element.get(name, "0").partition(".")[0] for name in ("ySplit", "xSplit"))
            rows, columns = (int(text) if text.isdecimal() else 0 for text in split)
            self.sheet.frozen = rows, columns

    def merge(self, element: Element) -> None:
        found = area(element.get("ref", ""))
        if found is not None:
            self._merged.add(found)

    def link(self, element: Element) -> None:
        found = area(element.get("ref", ""))
        if found is not None:
            place = element.get("location", "")
            self.sheet.links[found[:2]] = (element.get(R + "id", ""), f"#{place}" if place else "")


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
            reader.sheet.tables.append(element.get(R + "id", ""))
        elif name == "drawing":
            reader.sheet.drawing = element.get(R + "id")
        elif name == "oleObject":
            # The same object may stand there in a newer and in an older form.
            reader.sheet.objects[element.get(R + "id", "")] = element.get("progId", "")
        if name == "row":
            element.clear()
    return reader.sheet
