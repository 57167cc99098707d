"""A table by columns: all values of one, with what they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Table
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .tables import as_written, pack_made, with_tables

__all__ = ["TableColumns"]


@dataclass(frozen=True)
class TableColumns(Step):
    """Makes a chunk of each column: its header, then a line ``row: value`` for each row, named by the first column.

    What is not a table is passed on.

    Args:
        max_tokens: Of a chunk; a longer column takes several.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Write the tables of a part by columns."""
        return with_tables(work, cut, lambda table: self._table(work, cut, table))

    def _table(self, work: Work, cut: Cut, table: Table) -> Iterator[Cut]:
        grid = table.grid
        rows = [grid.texts(row) for row in range(grid.header_rows, grid.rows)]
        keys = max(1, grid.header_columns) if grid.columns > 1 else 0
        if keys >= grid.columns:
            yield from as_written(work, cut, table.span, self.max_tokens, self.counter())  # all are names of rows
        for column in range(keys, grid.columns):
            name = " / ".join(grid.header_path(column)) or f"column {column + 1}"
            lines = [f"{table.caption}: {name}" if table.caption else name]
            for values in rows:
                key = " / ".join(value for value in values[:keys] if value.strip())
                lines.append(_line(f"{key}: {values[column]}" if key else values[column]))
            text = "\n".join(line for line in lines if line)
            yield from pack_made(
                cut, table.span, text, self.max_tokens, self.counter(), table=table.index, column=column
            )


def _line(text: str) -> str:
    return " ".join(text.split())
