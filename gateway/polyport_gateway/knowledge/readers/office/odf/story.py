"""Running text as blocks: a body, a cell, a note or a text box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from polyport_gateway.knowledge.documents import (
    Block,
    Code,
    Formula,
    Heading,
    ListItem,
    Mark,
    Note,
    NoteCategory,
    PageBreak,
    Paragraph,
    Provenance,
    Table,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, fold, joined_code
from polyport_gateway.knowledge.readers.office.xml import Element

from .drawings import formula_of, read_drawing
from .inline import Inline, read_inline
from .lists import Lists, Marker, Outline
from .names import DC, DRAW, FO, OFFICE, STYLE, TABLE, TEXT, count
from .styles import NO_FACE, Styles
from .tables import breaks_between_rows, read_grid

__all__ = ["Shared", "Story"]

_WRAPPERS = frozenset(
    {TEXT + "section", TEXT + "index-body", TEXT + "index-title", TEXT + "table-of-content",
     TEXT + "alphabetical-index", TEXT + "illustration-index", TEXT + "table-index", TEXT + "object-index",
     TEXT + "user-index", TEXT + "bibliography", TEXT + "numbered-paragraph", TEXT + "list-header",
     TEXT + "page-sequence"}
)  # fmt: skip
_CODE = frozenset({"preformatted text", "source code", "html preformatted"})


@dataclass
class Shared:
    """What all stories of one document have in common."""

    gathering: PackageGathering
    styles: Styles
    lists: Lists
    outline: Outline
    deleted: dict[str, str] = field(default_factory=dict)  # what tracked changes took out
    page: int | None = 1  # None where nothing turns it
    began: bool = False  # something stands before what is read next
    heading_offset: int = 0
    opened: set[str] = field(default_factory=set)  # embedded documents, each read once


class Story:
    """Reads text in one place."""

    def __init__(self, shared: Shared, where: Provenance | None = None) -> None:
        self.shared = shared
        self._where = where
        self._pending: list[Block] = []  # notes of the cells of the table being read
        self._captions: set[str] = set()  # paragraphs that count a table or a picture

    def provenance(self) -> Provenance:
        """Say where the reading is."""
        return self._where or Provenance(page=self.shared.page)

    def at(self, where: Provenance) -> Story:
        """Return a story of the same document in another place, such as a text box."""
        return Story(self.shared, where)

    def blocks(self, container: Element) -> list[Block]:
        """Read what an element holds."""
        found: list[Block] = []
        for child in container:
            found += self._one(child, None)
        return self._captioned(joined_code(found))

    def _captioned(self, blocks: list[Block]) -> list[Block]:
        """Give each table the caption that stands over or under it."""
        found: list[Block] = []
        over: str | None = None
        for block in blocks:
            caption = block.text if isinstance(block, Paragraph) and block.text in self._captions else None
            if isinstance(block, Table) and not block.caption and over is not None:
                found[-1] = replace(block, caption=over)
            elif caption and found and isinstance(found[-1], Table) and not found[-1].caption:
                found[-1] = replace(found[-1], caption=caption)
                caption = None
            else:
                found.append(block)
            over = caption
        return found

    def _one(self, child: Element, marker: Marker | None) -> list[Block]:
        tag = child.tag
        if tag in {TEXT + "p", TEXT + "h"}:
            return self._paragraph(child, marker)
        if tag == TEXT + "list":
            return self._list(child)
        if tag == TABLE + "table":
            return self._table(child)
        if tag in _WRAPPERS:
            if child.get(TEXT + "display") == "none" and not self.shared.gathering.options.hidden:
                self.shared.gathering.skip("section", "Hidden sections were not asked for.", page=self.shared.page)
                return []
            return [block for inner in child for block in self._one(inner, None)]
        if tag == TEXT + "soft-page-break":
            return self._page_break()
        if tag == OFFICE + "annotation":
            return self._note(child)
        if tag.startswith(DRAW):
            return list(read_drawing(child, self))
        return []

    def _list(self, element: Element) -> list[Block]:
        lists = self.shared.lists
        lists.enter(element)
        found: list[Block] = []
        for item in element:
            # A number stands before an item's first paragraph; one that only holds another list is not counted.
            first = next((child for child in item if child.tag != TEXT + "number"), None)
            counted = item.tag == TEXT + "list-item" and first is not None and first.tag != TEXT + "list"
            marker = lists.item(item) if counted else None
            for child in item:
                found += self._one(child, marker if child is first else None)
        lists.leave()
        return found

    def _paragraph(self, paragraph: Element, marker: Marker | None) -> list[Block]:
        styles, style = self.shared.styles, paragraph.get(TEXT + "style-name")
        level = self._level(paragraph, style)
        face = NO_FACE if level is not None else styles.face("paragraph", style)
        inline = read_inline(paragraph, styles, face, self._formula)
        found = self._page_break() if self._breaks(style, "before") else []
        self.shared.began = True
        for before in inline.breaks:
            found += self._page_break() if before else []
        text, marks = inline.text.finish()
        if inline.formulas and inline.only_formulas:
            found.append(Formula(text=" \\\\ ".join(inline.formulas), provenance=self.provenance()))
        elif text:
            found.append(self._own(paragraph, text, marks, level, marker, inline))
        elif self._is_code(style):
            found.append(Code(provenance=self.provenance()))
        for drawing in inline.drawings:
            found += read_drawing(drawing, self)
        found += self._beside(inline)
        for before in inline.breaks:
            found += [] if before else self._page_break()
        return found + (self._page_break() if self._breaks(style, "after") else [])

    def _formula(self, frame: Element) -> str:
        return formula_of(frame, self.shared.gathering)

    def _own(
        self,
        paragraph: Element,
        text: str,
        marks: tuple[Mark, ...],
        level: int | None,
        marker: Marker | None,
        inline: Inline,
    ) -> Block:
        """Make the block that a paragraph itself is."""
        where = self.provenance()
        if level is not None:
            label = marker.text if marker and marker.ordered else ""
            if paragraph.tag == TEXT + "h" and paragraph.get(TEXT + "is-list-header") != "true" and not label:
                label = self.shared.outline.label(level) if level > 0 else ""
            shift = len(label) + 1 if label else 0
            moved = tuple(mark._replace(start=mark.start + shift, end=mark.end + shift) for mark in marks)
            shown = f"{label} {text}" if label else text
            return Heading(text=shown, marks=moved, level=max(level + self.shared.heading_offset, 1), provenance=where)
        if marker is not None:
            return ListItem(
                text=text, marks=marks, level=marker.level, ordered=marker.ordered, marker=marker.text, provenance=where
            )
        if self._is_code(paragraph.get(TEXT + "style-name")):
            return Code(text=inline.text.verbatim(), provenance=where)
        if inline.sequence:
            self._captions.add(text)
        return Paragraph(text=text, marks=marks, provenance=where)

    def _is_code(self, style: str | None) -> bool:
        return any(name in _CODE for name in self.shared.styles.names("paragraph", style)[:3])

    def _level(self, paragraph: Element, style: str | None) -> int | None:
        """Return a heading's level; 0 for the document's title."""
        if paragraph.tag == TEXT + "h":
            return count(paragraph, TEXT + "outline-level")
        names = self.shared.styles.names("paragraph", style)[:3]
        if "title" in names:
            return 0
        if "subtitle" in names:
            return 1
        outline = self.shared.styles.attribute("paragraph", style, STYLE + "default-outline-level")
        return int(outline) if outline and outline.isdecimal() and int(outline) > 0 else None

    def _breaks(self, style: str | None, side: str) -> bool:
        if self.shared.page is None:
            return False
        styles = self.shared.styles
        broken = styles.property("paragraph", style, "paragraph", f"{FO}break-{side}") == "page"
        turned = side == "before" and bool(styles.attribute("paragraph", style, STYLE + "master-page-name"))
        return (broken or turned) and (side == "after" or self.shared.began)

    def _page_break(self) -> list[Block]:
        if self.shared.page is None:
            return []
        self.shared.page += 1
        return [PageBreak(page=self.shared.page, provenance=self.provenance())]

    def _beside(self, inline: Inline) -> Iterator[Block]:
        """Give what a paragraph has beside its own text."""
        gathering, where = self.shared.gathering, self.provenance()
        for id_ in inline.changes:
            if text := self.shared.deleted.get(id_):
                yield Note(text=text, category="revision", label="deleted", provenance=where)
        for text in inline.hidden:
            if gathering.options.hidden:
                yield Note(text=text, category="other", label="hidden", provenance=where)
            else:
                gathering.skip("hidden text", "Hidden text was not asked for.", page=where.page)
        for note in inline.notes:
            yield from self._note(note)

    def _note(self, note: Element) -> list[Block]:
        """Read a footnote, an endnote or a comment."""
        kind: NoteCategory
        if note.tag == OFFICE + "annotation":
            kind, label, author = "comment", "", note.findtext(DC + "creator", "")
            body: Element | None = note
        else:
            kind = "endnote" if note.get(TEXT + "note-class") == "endnote" else "footnote"
            citation = note.find(TEXT + "note-citation")
            label = "" if citation is None else "".join(citation.itertext()).strip()
            author, body = "", note.find(TEXT + "note-body")
        if body is None:
            return []
        opened = self.shared.lists.suspend()
        inside = Story(replace(self.shared, page=None), self.provenance()).blocks(body)
        self.shared.lists.resume(opened)
        return list(fold(inside, kind, self.provenance(), label, author))

    def _table(self, table: Element) -> list[Block]:
        where = self.provenance()
        self.shared.began = True
        opened = self.shared.lists.suspend()
        grid = read_grid(table, self.shared.styles, self._cell)
        self.shared.lists.resume(opened)
        pending, self._pending = self._pending, []
        if not grid.cells:
            return pending
        title = table.findtext(TABLE + "title", "").strip()
        turned = [block for _ in range(breaks_between_rows(table)) for block in self._page_break()]
        return [Table(grid=grid, caption=title, provenance=where), *pending, *turned]

    def _cell(self, cell: Element) -> list[Block]:
        """Read a cell; notes and page breaks go behind the table, for they aren't what the cell says."""
        found = self.blocks(cell)
        self._pending += [block for block in found if isinstance(block, Note)]
        return [block for block in found if not isinstance(block, Note | PageBreak)]
