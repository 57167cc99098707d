"""A page each, or a slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import PageBreak

from .base import Cut, Step, Work
from .spans import split_at, within

__all__ = ["ByPage"]


@dataclass(frozen=True)
class ByPage(Step):
    """Cuts where a page or slide begins; a text without pages at its form feeds."""

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part where a page begins."""
        paged = any(isinstance(b, PageBreak) or b.provenance.page is not None for b in work.document.blocks)
        yield from split_at(work, cut, _blocks(work, cut) if paged else _feeds(work.text, cut))


def _blocks(work: Work, cut: Cut) -> Iterator[int]:
    page: int | None = None
    broken = False
    for index in within(work, cut):
        block = work.document.blocks[index]
        if isinstance(block, PageBreak):
            broken = True
            continue
        here = block.provenance.page
        if broken or (here is not None and page is not None and here != page):
            yield block.span.start
        page, broken = here if here is not None else page, False


def _feeds(text: str, cut: Cut) -> Iterator[int]:
    position = text.find("\f", *cut.span)
    while position >= 0:
        yield position + 1
        position = text.find("\f", position + 1, cut.span.end)
