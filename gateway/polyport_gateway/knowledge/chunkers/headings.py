"""A section each: from one heading to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Heading

from .base import Cut, Step, Work
from .spans import split_at, within

__all__ = ["ByHeading"]

_ATX = re.compile(r"^ {0,3}(#{1,6})[ \t]+\S|^ {0,3}(```+|~~~+)", re.MULTILINE)


@dataclass(frozen=True)
class ByHeading(Step):
    """Cuts at headings; a text without heading blocks at Markdown's ``#`` lines outside of code.

    Sections can be of any size: join a chunker that keeps a limit, as in ``ByHeading() | Sentences(max_tokens=256)``.

    Args:
        level: Cut at headings up to this level only; at all by default.
    """

    level: int | None = None

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part where a section begins."""
        has_headings = any(isinstance(block, Heading) for block in work.document.blocks)
        yield from split_at(work, cut, self._blocks(work, cut) if has_headings else self._lines(work.text, cut))

    def _blocks(self, work: Work, cut: Cut) -> Iterator[int]:
        for index in within(work, cut):
            block = work.document.blocks[index]
            if isinstance(block, Heading) and (self.level is None or block.level <= self.level):
                yield block.span.start

    def _lines(self, text: str, cut: Cut) -> Iterator[int]:
        fence = ""
        for match in _ATX.finditer(text, *cut.span):
            hashes, mark = match.group(1), match.group(2)
            if mark:
                if not fence:
                    fence = mark
                elif mark.startswith(fence):
                    fence = ""
            elif not fence and (self.level is None or len(hashes) <= self.level):
                yield match.start()
