"""Make a document block by block."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from .blocks import Block, ListItem, Picture, Table
from .document import Document
from .grid import TableGrid
from .values import JSON, Provenance, Source, Span

__all__ = ["DocumentBuilder", "place", "source_of"]

_SURROGATES = re.compile("[\ud800-\udfff]")


def source_of(data: bytes, name: str, mime: str) -> Source:
    """Describe a file by its bytes."""
    return Source(re.split(r"[/\\]", name)[-1], mime, len(data), hashlib.sha256(data).hexdigest())


def place(block: Block, start: int = 0, index: int = -1) -> Block:
    """Give a block the text and the spans that it has where its text begins at ``start``.

    For a block inside a cell, ``place(block)`` is enough: its span then counts from its own start.
    """
    if isinstance(block, Table):
        offset = len(block.caption) + 1 if block.caption else 0
        caption = _clean(block.caption)
        body, grid = _settled(block.grid).placed(start + offset)
        if _has_surrogates(body):
            cells = tuple(cell._replace(text=_clean(cell.text)) for cell in grid.cells)
            body, grid = replace(grid, cells=cells).placed(start + offset)
        text = f"{caption}\n{body}" if caption else body
        return replace(block, grid=grid, caption=caption, text=text, span=Span(start, start + len(text)), index=index)
    text = _clean(block.caption or block.alt if isinstance(block, Picture) else block.text)
    return replace(block, text=text, span=Span(start, start + len(text)), index=index)


def _clean(text: str) -> str:
    # A lone surrogate is no character: it can't be encoded, so no store or wire would take the document.
    return _SURROGATES.sub("\ufffd", text)


def _settled(grid: TableGrid) -> TableGrid:
    if next(grid.nested, None) is None:
        return grid
    cells = (cell._replace(nested=tuple(place(block) for block in cell.nested)) for cell in grid.cells)
    return replace(grid, cells=tuple(cells))


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


class DocumentBuilder:
    r"""Appends blocks, and assigns their spans.

    Blocks stand apart by an empty line, items of a list by a line break. A block without text takes no room.

    Example:
        >>> builder = DocumentBuilder(source_of(b"# Tea\nHot.", "tea.md", "text/markdown"))
        >>> _ = builder.add(Heading(text="Tea", level=1))
        >>> _ = builder.add(Paragraph(text="Hot."))
        >>> builder.build().text
        'Tea\n\nHot.'
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.metadata: dict[str, JSON] = {}
        self.language: str | None = None
        self._blocks: list[Block] = []
        self._parts: list[str] = []
        self._assets: dict[str, bytes] = {}
        self._length = 0
        self._last: Block | None = None  # the last one that has text

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, block: Block) -> Block:
        """Append a block, and return it as it stands in the document."""
        separator = self._separator(block)
        placed = place(block, self._length + len(separator), len(self._blocks))
        if placed.text:
            self._parts += [separator, placed.text]
            self._length = placed.span.end
            self._last = placed
        else:
            placed = replace(placed, span=Span(self._length, self._length))
        self._blocks.append(placed)
        return placed

    def _separator(self, block: Block) -> str:
        if self._last is None:
            return ""
        return "\n" if isinstance(self._last, ListItem) and isinstance(block, ListItem) else "\n\n"

    def add_picture(
        self,
        data: bytes,
        mime: str,
        *,
        caption: str = "",
        alt: str = "",
        provenance: Provenance | None = None,
    ) -> Block:
        """Append a picture, and keep its bytes once however often it stands in the document."""
        sha256 = self.keep(data)
        return self.add(
            Picture(sha256=sha256, mime=mime, caption=caption, alt=alt, provenance=provenance or Provenance())
        )

    def keep(self, data: bytes) -> str:
        """Keep bytes among the assets, and return their key."""
        sha256 = hashlib.sha256(data).hexdigest()
        self._assets[sha256] = data
        return sha256

    def build(self, *, metadata: Mapping[str, JSON] | None = None, id: str | None = None) -> Document:  # noqa: A002
        """Return the document.

        Args:
            metadata: Added to what `metadata` holds.
            id: Made of the file's hash unless given, so that the same file has the same id.
        """
        return Document(
            id=id or f"doc_{self.source.sha256[:32]}",
            source=self.source,
            blocks=tuple(self._blocks),
            text="".join(self._parts),
            metadata={**self.metadata, **(metadata or {})},
            language=self.language,
            assets=dict(self._assets),
        )
