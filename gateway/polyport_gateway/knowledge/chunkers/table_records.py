"""A table as records: a line for each row, which says what each value is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Table
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .tables import as_written, pack_made, with_tables

__all__ = ["TableRecords"]


@dataclass(frozen=True)
class TableRecords(Step):
    """Writes each row as ``header: value; header: value``, with a header's levels joined by `` / ``.

    What is not a table is passed on.

    Args:
        max_tokens: Of a chunk; whole records where they fit.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Write the tables of a part as records."""
        return with_tables(work, cut, lambda table: self._table(work, cut, table))

    def _table(self, work: Work, cut: Cut, table: Table) -> Iterator[Cut]:
        grid = table.grid
        names = [" / ".join(grid.header_path(column)) or f"column {column + 1}" for column in range(grid.columns)]
        lines = [table.caption] if table.caption else []
        for row in range(grid.header_rows, grid.rows):
            values = zip(names, grid.texts(row), strict=True)
            lines.append("; ".join(f"{_line(name)}: {_line(value)}" for name, value in values if value.strip()))
        text = "\n".join(line for line in lines if line)
        if grid.header_rows >= grid.rows or not text:
            return as_written(work, cut, table.span, self.max_tokens, self.counter())  # it has no row under its headers
        return pack_made(cut, table.span, text, self.max_tokens, self.counter(), table=table.index)


def _line(text: str) -> str:
    return " ".join(text.split())
