"""The real grid of a table: which cell stands where, and how far it reaches."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .values import Span

if TYPE_CHECKING:
    from .blocks import Block

__all__ = ["MOST_POSITIONS", "REPEATED_UP_TO", "Cell", "TableGrid"]

MOST_POSITIONS = 10_000_000
"""Rows times columns that a grid may have."""

REPEATED_UP_TO = 200
"""Characters of a spanning cell that are repeated at each position it covers; a longer text stands at the first."""


class Cell(NamedTuple):
    """One cell. A named tuple, for a sheet has a million of them.

    Args:
        row: Of its top left position, from 0.
        column: Likewise.
        row_span: Rows it reaches over.
        column_span: Columns it reaches over.
        text: What it says, unescaped.
        column_header: It heads the columns it stands over.
        row_header: It heads the rows it stands beside.
        number_format: The sheet's format code, such as ``0.00%``.
        bold: All of its text is.
        colour: Of its background, as ``#rrggbb``.
        nested: Blocks inside it, such as another table; ``text`` holds their words too.
        span: Its (escaped) text in the document's; set when the table is added to a document.
    """

    row: int
    column: int
    row_span: int = 1
    column_span: int = 1
    text: str = ""
    column_header: bool = False
    row_header: bool = False
    number_format: str | None = None
    bold: bool = False
    colour: str | None = None
    nested: tuple[Block, ...] = ()
    span: Span = Span(0, 0)

    @property
    def is_header(self) -> bool:
        """Whether it heads rows or columns."""
        return self.column_header or self.row_header


class _Even(NamedTuple):
    """A grid whose every position has a cell of its own that is nothing but text: what a CSV file is.

    A million cells take seconds and hundreds of megabytes to make, and most tables are only shown and cut by rows; so
    such a grid keeps its rows, and makes the cells when somebody asks for them.
    """

    texts: tuple[tuple[str, ...], ...]
    header_rows: int
    header_columns: int


_new = tuple.__new__  # half the time of the class's own, which counts where there are a million
_REST = (None, False, None, (), Span(0, 0))


@dataclass(frozen=True)
class TableGrid:
    r"""Cells on a grid: none overlaps another, none reaches outside; a position may be empty.

    As text it is a Markdown table of ``rows`` lines, with the delimiter line after the first. Without a header row it
    gets an empty one, for Markdown cannot do without. A cell that spans is repeated at every position it covers (up
    to `REPEATED_UP_TO` characters), so that each line can be read alone. In a cell, ``|`` is written ``\\|`` and a line
    break ``<br>``.

    Raises:
        ValueError: Cells overlap, reach outside the grid, or the grid is too large.

    Example:
        >>> grid = TableGrid.from_rows([["name", "age"], ["Ann", "41"]])
        >>> grid.at(1, 0).text
        'Ann'
    """

    rows: int
    columns: int
    cells: tuple[Cell, ...]
    row_spans: tuple[Span, ...] = ()
    """The line of each row in the document's text; empty until the table is added to a document."""
    _index: array[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.rows < 0 or self.columns < 0 or self.rows * self.columns > MOST_POSITIONS:
            raise ValueError(
                f"A grid of {self.rows} × {self.columns} positions; at most {MOST_POSITIONS:,} are allowed."
            )
        index = array("i", [-1]) * (self.rows * self.columns)
        rows, columns = self.rows, self.columns
        for number, cell in enumerate(self.cells):
            row, column, row_span, column_span = cell[:4]
            position = row * columns + column
            # Nearly all cells take one position, and a sheet has a million of them.
            if row_span == column_span == 1 and 0 <= row < rows and 0 <= column < columns and index[position] < 0:
                index[position] = number
            else:
                self._claim(index, number, cell)
        object.__setattr__(self, "_index", index)

    def _claim(self, index: array[int], number: int, cell: Cell) -> None:
        row, column, row_span, column_span = cell[:4]
        bottom, right = row + row_span, column + column_span
        if row < 0 or column < 0 or row_span < 1 or column_span < 1 or bottom > self.rows or right > self.columns:
            raise ValueError(
                f"The cell at row {row}, column {column} spans {row_span} × {column_span} and reaches outside "
                f"the grid of {self.rows} × {self.columns}."
            )
        for line in range(row, bottom):
            for position in range(line * self.columns + column, line * self.columns + right):
                if index[position] >= 0:
                    other = self.cells[index[position]]
                    raise ValueError(
                        f"The cell at row {row}, column {column} overlaps the one at row {other.row}, "
                        f"column {other.column}."
                    )
                index[position] = number

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[str]], *, header_rows: int = 1, header_columns: int = 0) -> TableGrid:
        """Make a grid of plain rows; a short row leaves its last positions empty."""
        lines = tuple(map(tuple, rows))
        width = max(map(len, lines), default=0)
        if width and all(len(line) == width for line in lines) and len(lines) * width <= MOST_POSITIONS:
            grid = object.__new__(cls)
            even = _Even(lines, min(header_rows, len(lines)), min(header_columns, width))
            grid.__dict__.update(rows=len(lines), columns=width, row_spans=(), _even=even)
            return grid
        cells = tuple(
            _new(Cell, (row, column, 1, 1, text, row < header_rows, column < header_columns, *_REST))
            for row, line in enumerate(lines)
            for column, text in enumerate(line)
        )
        return cls(len(lines), width, cells)

    def __getattr__(self, name: str) -> object:
        # Only what is not there yet gets here.
        even: _Even | None = self.__dict__.get("_even")
        if even is None or name not in ("cells", "_index"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = self._made(even) if name == "cells" else array("i", range(self.rows * self.columns))
        self.__dict__[name] = made
        return made

    def _made(self, even: _Even) -> tuple[Cell, ...]:
        cells = []
        for row, line in enumerate(even.texts):
            position = self.row_spans[row].start + 2 if self.row_spans else 0
            head = row < even.header_rows
            for column, text in enumerate(line):
                end = position + len(_escaped(text)) if self.row_spans else 0
                span = _new(Span, (position, end))
                cells.append(
                    _new(Cell, (row, column, 1, 1, text, head, column < even.header_columns, *_REST[:-1], span))
                )
                position = end + 3 if self.row_spans else 0
        return tuple(cells)

    @property
    def even(self) -> tuple[tuple[tuple[str, ...], ...], int, int] | None:
        """Its rows, and how many of its rows and columns are headers, where that says everything about it."""
        found: _Even | None = self.__dict__.get("_even")
        if found is not None or len(self.cells) != self.rows * self.columns or not self.cells:
            return found
        cells, columns = self.cells, self.columns
        header_rows = next((row for row in range(self.rows) if not cells[row * columns].column_header), self.rows)
        header_columns = next((column for column in range(columns) if not cells[column].row_header), columns)
        plain = all(
            cell[:4] == (row, column, 1, 1)
            and cell[5:11] == (row < header_rows, column < header_columns, *_REST[:-1])
            for (row, column), cell in zip(_positions(self.rows, columns), cells, strict=True)
        )  # fmt: skip
        if not plain:
            return None
        texts = [cell.text for cell in cells]
        rows = tuple(tuple(texts[start : start + columns]) for start in range(0, len(texts), columns))
        return rows, header_rows, header_columns

    @property
    def nested(self) -> Iterator[Block]:
        """The blocks inside its cells."""
        if "_even" in self.__dict__:
            return iter(())
        return (block for cell in self.cells if cell.nested for block in cell.nested)

    def at(self, row: int, column: int) -> Cell | None:
        """Return the cell that covers a position, or None where it is empty.

        Raises:
            IndexError: The position is outside the grid.
        """
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            raise IndexError(f"No position ({row}, {column}) in a grid of {self.rows} × {self.columns}.")
        number = self._index[row * self.columns + column]
        return None if number < 0 else self.cells[number]

    def row(self, row: int) -> tuple[Cell, ...]:
        """Return the cells that cover a row, each once, from left to right."""
        found = [self.at(row, column) for column in range(self.columns)]
        return tuple(dict.fromkeys(cell for cell in found if cell is not None))

    def texts(self, row: int) -> tuple[str, ...]:
        """Return the text at each position of a row; a cell that spans is repeated in full."""
        even: _Even | None = self.__dict__.get("_even")
        if even is not None and 0 <= row < self.rows:
            return even.texts[row]
        found = (self.at(row, column) for column in range(self.columns))
        return tuple("" if cell is None else cell.text for cell in found)

    @property
    def header_rows(self) -> int:
        """How many rows at the top hold column headers only."""
        even: _Even | None = self.__dict__.get("_even")
        if even is not None:
            return even.header_rows
        for row in range(self.rows):
            cells = self.row(row)
            if not cells or not all(cell.column_header for cell in cells):
                return row
        return self.rows

    @property
    def header_columns(self) -> int:
        """How many columns at the left hold, below the header rows, row headers only."""
        top = self.header_rows
        for column in range(self.columns):
            cells = [self.at(row, column) for row in range(top, self.rows)]
            if not cells or not all(cell is not None and cell.row_header for cell in cells):
                return column
        return self.columns

    def header_path(self, column: int) -> tuple[str, ...]:
        """Return the headers over a column, the widest first; one that spans several rows stands once."""
        cells = (self.at(row, column) for row in range(self.header_rows))
        return tuple(cell.text for cell in dict.fromkeys(cells) if cell is not None)

    def placed(self, start: int) -> tuple[str, TableGrid]:
        """Return its text, and the same grid with the spans that it has where its text begins at ``start``."""
        if "_even" in self.__dict__:
            return self._placed_even(self.__dict__["_even"], start)
        texts = [_escaped(cell.text) for cell in self.cells]
        starts = [start] * len(texts)
        lines, row_spans, position = [], [], start
        if self.rows and self.columns and not self.header_rows:
            lines += ["|" + "  |" * self.columns, self._delimiter()]
            position += len(lines[0]) + len(lines[1]) + 2
        for row in range(self.rows if self.columns else 0):
            line = self._line(row, texts, starts, position)
            row_spans.append(Span(position, position + len(line)))
            lines.append(line)
            position += len(line) + 1
            if len(lines) == 1:
                lines.append(self._delimiter())
                position += len(lines[1]) + 1
        cells = tuple(
            _new(Cell, (*cell[:-1], _new(Span, (begin, begin + len(text)))))
            for cell, begin, text in zip(self.cells, starts, texts, strict=True)
        )
        return "\n".join(lines), self._with(cells, tuple(row_spans))

    def _placed_even(self, even: _Even, start: int) -> tuple[str, TableGrid]:
        lines, row_spans, position = [], [], start
        if not even.header_rows:
            lines += ["|" + "  |" * self.columns, self._delimiter()]
            position += len(lines[0]) + len(lines[1]) + 2
        for row in even.texts:
            line = f"| {' | '.join(row)} |"
            if line.count("|") > self.columns + 1 or "\n" in line or "\r" in line:
                line = f"| {' | '.join(map(_escaped, row))} |"
            row_spans.append(_new(Span, (position, position + len(line))))
            lines.append(line)
            position += len(line) + 1
            if len(lines) == 1:
                lines.append(self._delimiter())
                position += len(lines[1]) + 1
        grid = object.__new__(TableGrid)
        grid.__dict__.update(rows=self.rows, columns=self.columns, row_spans=tuple(row_spans), _even=even)
        return "\n".join(lines), grid

    def _with(self, cells: tuple[Cell, ...], row_spans: tuple[Span, ...]) -> TableGrid:
        # The cells stand where they stood, so they need no second look.
        grid = object.__new__(TableGrid)
        grid.__dict__.update(self.__dict__, cells=cells, row_spans=row_spans)
        return grid

    def _delimiter(self) -> str:
        return "|" + " --- |" * self.columns

    def _line(self, row: int, texts: list[str], starts: list[int], position: int) -> str:
        parts = []
        position += 2
        for column, number in enumerate(self._index[row * self.columns : (row + 1) * self.columns]):
            text = ""
            if number >= 0:
                cell, text = self.cells[number], texts[number]
                if cell.row == row and cell.column == column:
                    starts[number] = position
                elif len(text) > REPEATED_UP_TO:
                    text = ""
            parts.append(text)
            position += len(text) + 3
        return "| " + " | ".join(parts) + " |"


def _positions(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    return ((row, column) for row in range(rows) for column in range(columns))


def _escaped(text: str) -> str:
    if "|" in text:
        text = text.replace("|", "\\|")
    if "\n" in text or "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "<br>")
    return text
