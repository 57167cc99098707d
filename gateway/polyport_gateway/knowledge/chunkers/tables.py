"""Tables by groups of rows, each with the table's headers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.documents.blocks import Table
from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .boundaries import LINES, ends_of
from .packing import pack, split_recursively

__all__ = ["TableRows", "as_written", "pack_made", "with_tables"]


@dataclass(frozen=True)
class TableRows(Step):
    """Cuts tables between rows, and repeats caption and header rows at the head of each group.

    A table that fits stays as it is. Headers that take more than half the limit are not repeated. What is not a table
    is passed
    on: ``TableRows() | Recursive()``.

    Args:
        max_tokens: Of a group, with its headers.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut the tables of a part."""
        return with_tables(work, cut, lambda table: self._table(work, cut, table))

    def _table(self, work: Work, cut: Cut, table: Table) -> Iterator[Cut]:
        measure, grid = work.measure(self.counter()), table.grid
        size = measure.count(*table.span)
        if size <= self.max_tokens or not grid.row_spans:
            yield from self._plain(work, cut, table.span)
            return
        first = grid.header_rows if grid.header_rows < grid.rows else 0
        header = work.text[table.span.start : grid.row_spans[first].start] if first else ""
        if header and self.counter().count(header) > self.max_tokens // 2:
            yield from self._plain(work, cut, Span(table.span.start, grid.row_spans[first].start))
            header = ""
        # Where all rows are headers, the line that closes these stands after the last one.
        ends = [*(span.end for span in grid.row_spans[:-1]), table.span.end]
        taken = self.counter().count(header) if header else 0
        while first < grid.rows:
            start = grid.row_spans[first].start
            after, text, size = self._group(work, ends, header, taken, first, start)
            # The headers stand before the first group as it is; before the others they are repeated.
            begins = bool(header) and first == grid.header_rows
            span = Span(table.span.start if begins else start, ends[after - 1])
            rows: dict[str, JSON] = {"table": table.index, "rows": (first, after)}
            if size > self.max_tokens:
                yield from self._plain(work, cut, span, **rows)
            elif header and not begins:
                yield replace(cut.made(span, text, **rows), size=size)
            else:
                yield cut.part(span, size, **rows)
            first = after

    def _group(
        self, work: Work, ends: list[int], header: str, taken: int, first: int, start: int
    ) -> tuple[int, str, int]:
        # As many rows as the headers leave room for; one at least.
        measure, count = work.measure(self.counter()), self.counter().count
        room = self.max_tokens - taken
        after = max(first + 1, bisect_right(ends, measure.reach(start, room, ends[-1])))
        while after < len(ends) and measure.count(start, ends[after]) <= room:
            after += 1
        while True:
            text = header + work.text[start : ends[after - 1]]
            size = count(text)
            if after == first + 1 or size <= self.max_tokens:
                return after, text, size
            after -= 1

    def _plain(self, work: Work, cut: Cut, span: Span, **metadata: JSON) -> Iterator[Cut]:
        return as_written(work, cut, span, self.max_tokens, self.counter(), **metadata)


def with_tables(work: Work, cut: Cut, make: Callable[[Table], Iterable[Cut]]) -> Iterator[Cut]:
    """Replace each table that lies wholly in a cut by what ``make`` makes of it, and pass on what stands between."""
    position = cut.span.start
    for index in work.blocks(cut.span):
        block = work.document.blocks[index]
        if isinstance(block, Table) and cut.span.covers(block.span):
            if work.text[position : block.span.start].strip():
                yield cut.part(Span(position, block.span.start))
            yield from make(block)
            position = block.span.end
    if work.text[position : cut.span.end].strip():
        yield cut.part(Span(position, cut.span.end))


def as_written(work: Work, cut: Cut, span: Span, limit: int, tokenizer: Tokenizer, **metadata: JSON) -> Iterator[Cut]:
    """Cut a part of the document as it stands into parts that keep the limit."""
    for part in split_recursively(work.measure(tokenizer), work.text, *span, limit):
        yield cut.part(Span(part.start, part.end), part.size, **metadata)


def pack_made(cut: Cut, span: Span, text: str, limit: int, tokenizer: Tokenizer, **metadata: JSON) -> Iterator[Cut]:
    """Cut a text that was made, between its lines, into parts that keep the limit."""
    ends = ends_of(LINES, text, 0, len(text))
    for number, part in enumerate(pack(tokenizer.measure(text), text, 0, ends, limit)):
        yield cut.made(span, text[part.start : part.end], part=number, **metadata)
