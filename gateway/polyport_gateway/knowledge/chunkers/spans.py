"""Cut where a block, a page or a heading begins: the chunkers that go by what the document says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polyport_gateway.knowledge.documents.values import Span

from .base import Cut, Work

__all__ = ["split_at", "within"]


def split_at(work: Work, cut: Cut, starts: Iterable[int]) -> Iterator[Cut]:
    """Cut a part at places in ascending order; blanks before one belong to what stands before."""
    begin, end = cut.span
    for start in starts:
        if begin < start < end and work.text[begin:start].strip():
            yield cut.part(Span(begin, start))
            begin = start
    if begin < end:
        yield cut.part(Span(begin, end))


def within(work: Work, cut: Cut) -> range:
    """Return the indices of the blocks that begin inside a cut."""
    blocks = work.blocks(cut.span)
    first = blocks.start
    if blocks and work.document.blocks[first].span.start < cut.span.start:
        first += 1
    return range(first, blocks.stop)
