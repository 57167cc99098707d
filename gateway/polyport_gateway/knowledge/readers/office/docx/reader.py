"""Word documents (WordprocessingML, ECMA-376 part 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import (
    Block,
    NoteCategory,
    Parsed,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, fold, joined_code, naming_damage
from polyport_gateway.knowledge.readers.office.ooxml import R
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import W, is_on, value
from .notes import Notes
from .numbering import Numbering
from .story import Shared, Story
from .styles import Styles

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["DocxReader"]

_MIME = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class DocxReader:
    """Reads DOCX (and DOCM and DOTX; macros are never looked at)."""

    name = "docx"
    formats = frozenset({"docx"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            UnreadableDocumentError: It is damaged, protected by a password, a bomb, or no Word document.
        """
        gathering = PackageGathering(data, name, options, _MIME)
        main = gathering.package.main_part("word/document.xml")
        body = gathering.package.xml(main).find(W + "body")
        if body is None:
            raise UnreadableDocumentError(name, f"its part {main!r} holds no Word document.")
        with naming_damage(name):
            blocks = _read(gathering, main, body)
        gathering.core_properties()
        return gathering.finish(blocks, reader=self.name, format="docx", metadata={})


def _read(gathering: PackageGathering, main: str, body: Element) -> list[Block]:
    relationships = gathering.package.relationships(main)
    targets = {entry.kind: entry.target for entry in relationships.values() if not entry.external}
    styles = Styles(gathering.optional_part(targets.get("styles", "word/styles.xml")))
    has_title = any(styles.paragraph(value(properties, "pStyle")).level == 0 for properties in body.iter(W + "pPr"))
    shared = Shared(
        gathering,
        styles,
        Numbering(gathering.optional_part(targets.get("numbering", "word/numbering.xml"))),
        Notes(gathering, relationships),
        rendered_breaks=next(body.iter(W + "lastRenderedPageBreak"), None) is not None,
        # A title is wider than the first level of headings, so these move down where there is one.
        heading_offset=1 if has_title else 0,
    )
    return joined_code(_sections(Story(shared, main), body))


def _sections(story: Story, body: Element) -> list[Block]:
    """Read section by section, each between its headers and its footers."""
    found: list[Block] = []
    pending: list[Element] = []
    for child in body:
        pending.append(child)
        properties = child if child.tag == W + "sectPr" else child.find(f"{W}pPr/{W}sectPr")
        if properties is not None:
            found += _section(story, pending, properties)
            pending = []
    return found + _section(story, pending, None)


def _section(story: Story, elements: list[Element], properties: Element | None) -> list[Block]:
    section = Element(W + "body")
    section.extend(elements)
    headers = _furniture(story, properties, "header")
    content = story.blocks(section)
    return [*headers, *content, *_furniture(story, properties, "footer")]


def _furniture(story: Story, properties: Element | None, kind: NoteCategory) -> list[Block]:
    """Read a section's headers or footers; each part once in the whole document."""
    found: list[Block] = []
    title_page = bool(is_on(properties, "titlePg"))
    for reference in () if properties is None else properties.findall(f"{W}{kind}Reference"):
        relationship = story.relationships.get(reference.get(R + "id", ""))
        place = reference.get(W + "type", "default")
        if relationship is None or relationship.target in story.shared.seen or (place == "first" and not title_page):
            continue
        story.shared.seen.add(relationship.target)
        root = story.shared.gathering.optional_part(relationship.target)
        if root is not None:
            inner = Story(replace(story.shared), relationship.target)
            found += fold(inner.blocks(root), kind, story.provenance(), label=place)
    return found
