"""What a document is a sequence of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from .grid import TableGrid
from .values import Mark, Provenance, Span

__all__ = [
    "BLOCKS",
    "Block",
    "Code",
    "Formula",
    "Heading",
    "ListItem",
    "Note",
    "NoteCategory",
    "PageBreak",
    "Paragraph",
    "Picture",
    "Table",
]

NoteCategory = Literal["footnote", "endnote", "comment", "speaker", "header", "footer", "revision", "other"]

NOWHERE = Provenance()
NO_SPAN = Span(0, 0)
NO_GRID = TableGrid(0, 0, ())


@dataclass(frozen=True, slots=True)
class Block:
    """What all blocks have.

    Args:
        text: Its words as they stand in ``document.text``, without markup. A table's and a picture's are made when
            it is added to a document.
        marks: Inline styles, counted from the start of this text.
        provenance: Where in the file it stands.
        span: Where in ``document.text`` it stands; set when it is added.
        index: Its place in ``document.blocks``; −1 for a block inside a cell, and until it is added.
    """

    kind: ClassVar[str] = ""
    group: ClassVar[str | None] = None

    text: str = ""
    marks: tuple[Mark, ...] = ()
    provenance: Provenance = NOWHERE
    span: Span = NO_SPAN
    index: int = -1


@dataclass(frozen=True, slots=True)
class Heading(Block):
    """The title of a section; level 1 is the widest, and there may be more than 6."""

    kind = "heading"
    group = "text"

    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph(Block):
    """Running text."""

    kind = "paragraph"
    group = "text"


@dataclass(frozen=True, slots=True)
class ListItem(Block):
    """One item of a list.

    Args:
        level: 1 for an item of an outermost list.
        ordered: It is numbered.
        marker: As it is shown, such as ``3.``, ``a)``, ``•``, ``[x]``.
    """

    kind = "list_item"
    group = "text"

    level: int = 1
    ordered: bool = False
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Code(Block):
    """Source code, or other text whose blanks matter."""

    kind = "code"
    group = "code"

    language: str | None = None


@dataclass(frozen=True, slots=True)
class Formula(Block):
    """A formula of its own; its text is its LaTeX."""

    kind = "formula"
    group = "text"

    @property
    def latex(self) -> str:
        """Its LaTeX, without delimiters."""
        return self.text


@dataclass(frozen=True, slots=True)
class Table(Block):
    """A table. Its text is its caption, if it has one, on a line of its own, and its grid as Markdown."""

    kind = "table"
    group = "tables"

    grid: TableGrid = NO_GRID
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture(Block):
    """A picture. Its text is its caption, or else its alternative text.

    Args:
        sha256: Key of its bytes in ``document.assets``; empty where the file only points to it.
        mime: Of these bytes.
        caption: Printed beside it.
        alt: Says what it shows.
        link: Where the bytes are, when they are not in the file.
    """

    kind = "picture"
    group = "pictures"

    sha256: str = ""
    mime: str = ""
    caption: str = ""
    alt: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class PageBreak(Block):
    """The end of a page or slide; ``page`` is the one that begins. It has no text."""

    kind = "page_break"

    page: int | None = None


@dataclass(frozen=True, slots=True)
class Note(Block):
    """Text beside the running text.

    Args:
        category: Which kind of note.
        label: Its number or sign.
        author: Who wrote it.
    """

    kind = "note"
    group = "text"

    category: NoteCategory = "footnote"
    label: str = ""
    author: str = ""


BLOCKS: dict[str, type[Block]] = {
    block.kind: block for block in (Heading, Paragraph, ListItem, Code, Formula, Table, Picture, PageBreak, Note)
}
"""Every kind of block, by its name."""
