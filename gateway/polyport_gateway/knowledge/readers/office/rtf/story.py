"""Text in one place of an RTF file: its blocks, and the tables that are being read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from polyport_gateway.knowledge.documents import Block, Note, PageBreak, Provenance, Table
from polyport_gateway.knowledge.readers.office.text import StyledText

from .tables import CellShape, Row, make_grid

__all__ = ["ParagraphState", "Story"]

_DEEPEST = 20  # tables in tables
_ROW_WORDS = frozenset({"clmgf", "clmrg", "clvmgf", "clvmrg", "trleft", "trhdr"})


@dataclass(slots=True)
class ParagraphState:
    """What holds for a paragraph until the next ``pard``."""

    style: int | None = None
    outline: int | None = None
    list_level: int = 0
    table_depth: int = 0

    def take(self, word: str, value: int) -> bool:
        """Take a control word; tell whether it is one of a paragraph's."""
        if word == "s":
            self.style = value
        elif word == "outlinelevel":
            self.outline = value
        elif word == "ilvl":
            self.list_level = min(max(value, 0), 8)
        elif word == "intbl":
            self.table_depth = max(self.table_depth, 1)
        elif word == "itap":
            self.table_depth = min(max(value, 0), _DEEPEST)
        else:
            return False
        return True


@dataclass(slots=True)
class _Table:
    """A table whose end is still to come."""

    rows: list[Row] = field(default_factory=list)
    cells: list[list[Block]] = field(default_factory=list)  # of the row being read
    cell: list[Block] = field(default_factory=list)  # what is in the cell being read
    shape: Row = field(default_factory=Row)  # how the row being read is cut
    across: str = ""
    down: str = ""


@dataclass(slots=True)
class Story:
    """The body, a note, a header.

    Args:
        blocks: What has been read.
        text: The paragraph being read.
        marker: What stands before it, in a list.
        paragraph: What holds for it.
        shown: Notes and pictures in it.
    """

    blocks: list[Block] = field(default_factory=list)
    text: StyledText = field(default_factory=StyledText)
    marker: str = ""
    paragraph: ParagraphState = field(default_factory=ParagraphState)
    shown: list[Block] = field(default_factory=list)
    _tables: list[_Table] = field(default_factory=list)  # the outer ones first

    def target(self, depth: int) -> list[Block]:
        """Return what blocks at a depth of tables go to."""
        while len(self._tables) < depth:
            self._tables.append(_Table())
        return self._tables[depth - 1].cell if depth else self.blocks

    def end_tables(self, depth: int, where: Provenance) -> None:
        """End the tables that are deeper than what comes next."""
        while len(self._tables) > depth:
            table = self._tables.pop()
            if table.cell or table.cells:
                table.rows.append(replace(table.shape, cells=[*table.cells, table.cell]))
            rows = [row for row in table.rows if row.cells]
            # Notes go behind the table, for they aren't what a cell says.
            notes = [block for row in rows for cell in row.cells for block in cell if isinstance(block, Note)]
            for row in rows:
                row.cells = [[block for block in cell if not isinstance(block, Note)] for cell in row.cells]
            if rows and (grid := make_grid(rows)).cells:
                self.target(len(self._tables)).append(Table(grid=grid, provenance=where))
            self.target(len(self._tables)).extend(notes)

    def end_cell(self) -> None:
        """End a cell, whose last paragraph has ended."""
        table = self._innermost()
        table.cells.append(table.cell)
        table.cell = []

    def end_row(self, where: Provenance) -> None:
        """End a row."""
        table = self._innermost()
        self.end_tables(max(self.paragraph.table_depth, 1), where)
        cells = [[block for block in cell if not isinstance(block, PageBreak)] for cell in table.cells]
        table.rows.append(replace(table.shape, shapes=list(table.shape.shapes), cells=cells))
        table.cells, table.cell = [], []

    def begin_row(self) -> None:
        """Begin to say how a row is cut."""
        table = self._innermost()
        table.shape, table.across, table.down = Row(), "", ""

    def edge(self, right: int) -> None:
        """Say where the next cell ends."""
        table = self._innermost()
        table.shape.shapes.append(CellShape(right, table.across, table.down))
        table.across = table.down = ""

    def take_row_word(self, word: str, value: int) -> None:
        """Take what is said of a row or of its next cell; other words are passed over."""
        if word not in _ROW_WORDS:
            return
        table = self._innermost()
        if word == "trleft":
            table.shape.left = value
        elif word == "trhdr":
            table.shape.header = True
        elif word.startswith("clv"):
            table.down = "first" if word == "clvmgf" else "next"
        else:
            table.across = "first" if word == "clmgf" else "next"

    def _innermost(self) -> _Table:
        depth = max(self.paragraph.table_depth, 1)
        self.target(depth)
        return self._tables[depth - 1]
