"""The root node: one per file, and nothing of the file lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .blocks import Block, Heading, PageBreak
from .values import JSON, Source

__all__ = ["GROUPS", "Document"]

GROUPS = ("text", "tables", "pictures", "code")


@dataclass(frozen=True)
class Document:
    """One file, as ordered blocks over one linear text. Make it with a `DocumentBuilder`.

    Args:
        id: The same for the same file.
        source: The file.
        blocks: In reading order. Between them the text has line breaks that belong to no block.
        text: The whole, so that ``text[block.span.start:block.span.end] == block.text`` for every block.
        metadata: Title, author, dates and so on, as the file gives them.
        language: ISO 639-1 code, when the file says it.
        assets: Bytes of pictures and attachments by their SHA-256.

    Raises:
        ValueError: Blocks and text don't agree.
    """

    id: str
    source: Source
    blocks: tuple[Block, ...]
    text: str
    metadata: Mapping[str, JSON] = field(default_factory=dict, hash=False)
    language: str | None = None
    assets: Mapping[str, bytes] = field(default_factory=dict, hash=False, repr=False)

    def __post_init__(self) -> None:
        end = 0
        for index, block in enumerate(self.blocks):
            span = block.span
            between = self.text[end : span.start]
            if span.start < end or between.strip("\n") or self.text[span.start : span.end] != block.text:
                raise ValueError(f"Block {index} ({block.kind}) does not stand at {span} of the document's text.")
            if block.index != index:
                raise ValueError(f"Block {index} ({block.kind}) says that it is number {block.index}.")
            end = span.end
        if self.text[end:]:
            raise ValueError("The document's text goes on after its last block.")

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over blocks, metadata and assets; the file's name is no part of it."""
        from .jsonform import canonical

        return hashlib.sha256(canonical(self)).hexdigest()

    def groups(self) -> dict[str, tuple[Block, ...]]:
        """Return the blocks by group: text, tables, pictures, code."""
        return {name: tuple(block for block in self.blocks if block.group == name) for name in GROUPS}

    def heading_path(self, block: Block | int) -> tuple[Heading, ...]:
        """Return the headings that a block (or the block of an index) stands under, the widest first.

        A heading's own path ends before itself.
        """
        return self._paths[block if isinstance(block, int) else block.index]

    @cached_property
    def _paths(self) -> tuple[tuple[Heading, ...], ...]:
        paths: list[tuple[Heading, ...]] = []
        path: tuple[Heading, ...] = ()
        for block in self.blocks:
            if isinstance(block, Heading):
                level = block.level
                path = tuple(heading for heading in path if heading.level < level)
                paths.append(path)
                path = (*path, block)
            else:
                paths.append(path)
        return tuple(paths)

    def neighbours(self, block: Block) -> tuple[Block | None, Block | None]:
        """Return the nearest blocks of running text before and after one: what is said around a table or picture."""
        before = (other for other in reversed(self.blocks[: block.index]) if other.group == "text")
        after = (other for other in self.blocks[block.index + 1 :] if other.group == "text")
        return next(before, None), next(after, None)

    def block_at(self, position: int) -> Block | None:
        """Return the block that a character of the text belongs to, or None between two."""
        low, high = 0, len(self._filled)
        while low < high:
            middle = (low + high) // 2
            if self._filled[middle].span.end <= position:
                low = middle + 1
            else:
                high = middle
        found = self._filled[low] if low < len(self._filled) else None
        return found if found is not None and found.span.start <= position else None

    @cached_property
    def _filled(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.text)

    @cached_property
    def pages(self) -> int:
        """How many pages it has; 1 for a format without pages."""
        breaks = sum(isinstance(block, PageBreak) for block in self.blocks)
        return max([breaks + 1, *(block.provenance.page or 0 for block in self.blocks)])

    def to_markdown(self) -> str:
        """Render it as GitHub's Markdown; a table inside a cell becomes text, spans are repeated."""
        from .markdown import render

        return render(self)

    def to_html(self) -> str:
        """Render it as an HTML page, everything escaped, with the real row and column spans."""
        from .html import render

        return render(self)

    def to_json(self) -> str:
        """Render it as JSON that `from_json` makes the same document of."""
        from .jsonform import dumps

        return dumps(self)

    @classmethod
    def from_json(cls, data: str | bytes) -> Document:
        """Make the document again.

        Raises:
            ValueError: It is not a document's JSON.
        """
        from .jsonform import loads

        return loads(data)
