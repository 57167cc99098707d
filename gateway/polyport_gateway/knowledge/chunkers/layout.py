"""A block each: a paragraph, a list, a table, a piece of code as it stands in the layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .base import Cut, Step, Work
from .spans import split_at, within

__all__ = ["ByBlock"]


@dataclass(frozen=True)
class ByBlock(Step):
    """Cuts between the document's blocks. The items of one list stay together, and so does a heading with what follows.

    Args:
        join_lists: Keep consecutive list items together.
        join_headings: Keep headings with the block after them.
    """

    join_lists: bool = True
    join_headings: bool = True

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part where a block begins."""
        yield from split_at(work, cut, self._starts(work, cut))

    def _starts(self, work: Work, cut: Cut) -> Iterator[int]:
        before = ""
        for index in within(work, cut):
            block = work.document.blocks[index]
            if not block.text:
                continue
            joined = (self.join_lists and before == block.kind == "list_item") or (
                self.join_headings and before == "heading"
            )
            if not joined:
                yield block.span.start
            before = block.kind
