"""One sheet: only values are kept, never what they were read from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .formats import NumberFormat

__all__ = [
    "MOST_COLUMNS",
    "MOST_FORMULAS",
    "MOST_ROWS",
    "Area",
    "CellStyle",
    "MergedAreas",
    "Sheet",
    "Value",
    "area",
    "column_letters",
    "position",
    "reference",
]

_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14
MOST_FORMULAS = 10_000  # that the metadata keep
_MOST_MERGED = 2_000_000  # positions; a few bytes of XML can merge billions

Value = tuple[int, str, int, bool]  # column, text, style, whether it is a number
Area = tuple[int, int, int, int]  # top, left, bottom, right; all from 0, all inside


@dataclass(frozen=True, slots=True)
class CellStyle:
    """How a cell looks."""

    format: NumberFormat
    bold: bool = False
    colour: str | None = None


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
        objects: Ids of the parts that are embedded files, and the programs they belong to.
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
    objects: dict[str, str] = field(default_factory=dict)


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


def position(text: str) -> tuple[int, int] | None:
    """Read a cell's name, such as ``B2``; None when it is no cell of a sheet."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return None
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    row = int(match[2])
    return (row - 1, column - 1) if 0 < row <= MOST_ROWS and column <= MOST_COLUMNS else None


def area(text: str) -> Area | None:
    """Read a range such as ``A1:C3``; None when it is no range of a sheet."""
    first, _, last = text.partition(":")
    start, end = position(first), position(last or first)
    if start is None or end is None:
        return None
    return min(start[0], end[0]), min(start[1], end[1]), max(start[0], end[0]), max(start[1], end[1])


class MergedAreas:
    """Collects the merged areas of a sheet; one that overlaps another, or is too large, is dropped and counted.

    Args:
        sheet: Which takes them.
    """

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._covered: set[tuple[int, int]] = set()

    def add(self, found: Area) -> None:
        """Add an area."""
        top, left, bottom, right = found
        size = (bottom - top + 1) * (right - left + 1)
        if size + len(self._covered) <= _MOST_MERGED:
            positions = {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}
            if self._covered.isdisjoint(positions):
                self._covered |= positions
                self._sheet.merged.append(found)
                return
        self._sheet.dropped += 1
