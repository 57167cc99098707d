"""A story: the body, a header, a footnote or a text box, as blocks in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from polyport_gateway.knowledge.documents import (
    Block,
    Code,
    Formula,
    Heading,
    ListItem,
    Note,
    NoteCategory,
    PageBreak,
    Paragraph,
    Provenance,
    Table,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, fold, joined_code
from polyport_gateway.knowledge.readers.office.ooxml import MC, alternative
from polyport_gateway.knowledge.readers.office.references import References
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .drawings import read_drawing
from .inline import Inline, InlineReader
from .names import W, is_on, value
from .notes import Notes
from .numbering import Numbering
from .styles import Styles
from .tables import read_grid

__all__ = ["Shared", "Story"]

_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})


@dataclass
class Shared:
    """What all stories of one document have in common."""

    gathering: PackageGathering
    styles: Styles
    numbering: Numbering
    notes: Notes
    rendered_breaks: bool = False
    heading_offset: int = 0
    page: int = 1
    seen: set[str] = field(default_factory=set)  # headers and footers, each read once


class Story:
    """Reads one part's content."""

    def __init__(self, shared: Shared, part: str) -> None:
        self.shared = shared
        self.part = part
        self.references = References(shared.gathering, part)
        self.relationships = self.references.found
        self._inline = InlineReader(
            shared.styles, self.relationships, shared.notes.label, rendered_breaks=shared.rendered_breaks
        )

    def blocks(self, container: Element) -> list[Block]:
        """Read what a body, a cell or a text box holds."""
        found: list[Block] = []
        for child in container:
            if child.tag == W + "p":
                found += self._paragraph(child)
            elif child.tag == W + "tbl":
                found += self._table(child)
            elif child.tag == MC + "AlternateContent":
                chosen = alternative(child)
                found += [] if chosen is None else self.blocks(chosen)
            elif child.tag == W + "altChunk":
                self.shared.gathering.skip("part", "A file of another format is embedded in the text.", part=self.part)
            elif child.tag.startswith(W) and local(child) in _WRAPPERS:
                found += self.blocks(child)
        return joined_code(found)

    def provenance(self) -> Provenance:
        """Say where the reading is."""
        return Provenance(page=self.shared.page)

    def _table(self, table: Element) -> list[Block]:
        provenance = self.provenance()
        grid = read_grid(table, self.shared.styles, self._cell)
        if not grid.cells:
            return []
        notes = self.shared.notes.take_pending()
        if len(grid.cells) == 1 and not grid.cells[0].colour:
            # A single cell is a frame around what is in it, which would lose its own form inside a cell.
            return [*(grid.cells[0].nested or self._framed(grid.cells[0].text, provenance)), *notes]
        properties = table.find(W + "tblPr")
        caption = value(properties, "tblCaption") or ""
        return [Table(grid=grid, caption=caption, provenance=provenance), *notes]

    def _framed(self, text: str, provenance: Provenance) -> tuple[Block, ...]:
        return tuple(Paragraph(text=line, provenance=provenance) for line in text.split("\n") if line)

    def _cell(self, cell: Element) -> list[Block]:
        """Read a cell; notes and page breaks go behind the table, for they aren't what the cell says."""
        found = self.blocks(cell)
        self.shared.notes.pending += [block for block in found if isinstance(block, Note)]
        return [block for block in found if not isinstance(block, Note | PageBreak)]

    def _paragraph(self, paragraph: Element) -> list[Block]:
        inline = self._inline.read(paragraph)
        properties = paragraph.find(W + "pPr")
        found: list[Block] = []
        if is_on(properties, "pageBreakBefore") and not self.shared.rendered_breaks:
            inline.breaks.insert(0, True)
        found += [self._page_break() for before in inline.breaks if before]
        if inline.text or inline.checkbox is not None:
            found.append(self._own(paragraph, properties, inline))
        elif self.shared.styles.paragraph(value(properties, "pStyle")).code:
            found.append(Code(provenance=self.provenance()))
        found += self._beside(inline)
        found += [self._page_break() for before in inline.breaks if not before]
        return found

    def _page_break(self) -> PageBreak:
        self.shared.page += 1
        return PageBreak(page=self.shared.page, provenance=self.provenance())

    def _own(self, paragraph: Element, properties: Element | None, inline: Inline) -> Block:
        """Make the block that a paragraph itself is."""
        style_id = value(properties, "pStyle")
        style = self.shared.styles.paragraph(style_id)
        text, marks = inline.text.finish()
        where = self.provenance()
        if inline.only_formulas and inline.formulas:
            return Formula(text=" \\\\ ".join(inline.formulas), provenance=where)
        if inline.checkbox is not None:
            return ListItem(text=text, marks=marks, marker="[x]" if inline.checkbox else "[ ]", provenance=where)
        outline = value(properties, "outlineLvl")
        level = int(outline) + 1 if outline and outline.isdecimal() and int(outline) < 9 else style.level
        counted = self._counted(properties, style_id)
        if level is not None:
            label = f"{counted[1]} " if counted and counted[0] and counted[1] else ""
            moved = tuple(mark._replace(start=mark.start + len(label), end=mark.end + len(label)) for mark in marks)
            return Heading(
                text=label + text, marks=moved, level=max(level + self.shared.heading_offset, 1), provenance=where
            )
        if counted is not None:
            return ListItem(
                text=text, marks=marks, level=counted[2] + 1, ordered=counted[0], marker=counted[1], provenance=where
            )
        if style.code:
            return Code(text=inline.text.verbatim(), provenance=where)
        return Paragraph(text=text, marks=marks, provenance=where)

    def _counted(self, properties: Element | None, style_id: str | None) -> tuple[bool, str, int] | None:
        """Count a paragraph in its list: whether it is numbered, what stands before it, its level from 0."""
        given = None if properties is None else properties.find(W + "numPr")
        style = self.shared.styles.paragraph(style_id)
        list_id = value(given, "numId") or (style.list[0] if style.list else None)
        if list_id is None or list_id == "0":
            return None
        level_text = value(given, "ilvl")
        level = int(level_text) if level_text and level_text.isdecimal() else style.list[1] if style.list else 0
        if level < 0:
            level = self.shared.numbering.level_of_style(list_id, style_id)
        counted = self.shared.numbering.next(list_id, level)
        return None if counted is None else (*counted, level)

    def _beside(self, inline: Inline) -> Iterator[Block]:
        """Give what a paragraph has beside its own text."""
        for drawing in inline.drawings:
            yield from read_drawing(drawing, self)
        for text in inline.deleted:
            yield Note(text=text.strip(), category="revision", label="deleted", provenance=self.provenance())
        for text in inline.hidden:
            if self.shared.gathering.options.hidden:
                yield Note(text=text.strip(), category="other", label="hidden", provenance=self.provenance())
            else:
                self.shared.gathering.skip("hidden text", "Hidden text was not asked for.", page=self.shared.page)
        for kind, id_ in inline.notes:
            yield from self._note(kind, id_)

    def _note(self, kind: str, id_: str) -> Iterator[Block]:
        note = self.shared.notes.find(kind, id_)
        if note is None:
            self.shared.gathering.skip(kind, f"The file holds no {kind} {id_!r}.", page=self.shared.page)
            return
        part, element, author = note
        story = Story(replace_page(self.shared), part)
        inside = story.blocks(element)
        category: NoteCategory = "comment" if kind == "comment" else "endnote" if kind == "endnote" else "footnote"
        yield from fold(inside, category, self.provenance(), self.shared.notes.label(kind, id_), author)


def replace_page(shared: Shared) -> Shared:
    """Share everything but the page, which a note doesn't turn, and its breaks."""
    return replace(shared, rendered_breaks=False)
