"""OpenDocument presentations: each slide is a page."""

from __future__ import annotations

import re
from dataclasses import replace

from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    Box,
    Heading,
    Note,
    PageBreak,
    Provenance,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, fold
from polyport_gateway.knowledge.readers.office.places import around, reading_order
from polyport_gateway.knowledge.readers.office.xml import Element

from .drawings import read_drawing
from .names import DRAW, FO, OFFICE, PRESENTATION, STYLE, SVG, points
from .story import Story
from .styles import styles_of
from .text import shared_of

__all__ = ["read_presentation"]

_TRANSLATED = re.compile(r"translate\s*\(\s*(\S+?)[\s,]+(\S+?)\s*\)")
_Placed = tuple[Box | None, list[Block]]


def read_presentation(gathering: PackageGathering) -> tuple[list[Block], dict[str, JSON]]:
    """Read an ODP."""
    content = gathering.package.xml("content.xml")
    body = content.find(f"{OFFICE}body/{OFFICE}presentation")
    if body is None:
        raise UnreadableDocumentError(gathering.name, "its part 'content.xml' holds no presentation.")
    named = gathering.optional_part("styles.xml")
    reader = _Reader(gathering, content, named, body)
    blocks: list[Block] = []
    slides = body.findall(DRAW + "page")
    for page, slide in enumerate(slides, 1):
        if page > 1:
            blocks.append(PageBreak(page=page, provenance=Provenance(page=page)))
        blocks += reader.slide(slide, page)
    about: dict[str, JSON] = {"slides": len(slides), "hidden_slides": reader.hidden}
    if (size := _size(named)) is not None:
        about["slide_size"] = size
    return blocks, about


class _Reader:
    def __init__(self, gathering: PackageGathering, content: Element, named: Element | None, body: Element) -> None:
        self._gathering = gathering
        self._shared = shared_of(gathering, content, named)
        self._shared.page = None
        self._footers = {
            entry.get(PRESENTATION + "name", ""): "".join(entry.itertext()).strip()
            for entry in body
            if entry.tag in {PRESENTATION + "footer-decl", PRESENTATION + "header-decl"}
        }
        self._seen: set[str] = set()
        self.hidden: list[JSON] = []

    def slide(self, slide: Element, page: int) -> list[Block]:
        """Give the title, then what is on the slide by its place, then notes and comments."""
        style = slide.get(DRAW + "style-name")
        shown = self._shared.styles.property("drawing-page", style, "drawing-page", PRESENTATION + "visibility")
        if shown == "hidden":
            self.hidden.append(page)
            if not self._gathering.options.hidden:
                self._gathering.skip("slide", "Hidden slides were not asked for.", page=page)
                return []
            self._gathering.warn(f"Slide {page} is hidden.")
        titles: list[Block] = []
        placed = list(self._shapes(slide, page, titles))
        found = [*titles, *(block for blocks in reading_order(placed) for block in blocks)]
        story = Story(self._shared, Provenance(page=page))
        found += self._footer(slide, page)
        for child in slide:
            if child.tag == PRESENTATION + "notes":
                found += self._notes(child, page)
            elif child.tag == OFFICE + "annotation":
                wrapper = Element(OFFICE + "body")
                wrapper.append(child)
                found += story.blocks(wrapper)
        return found

    def _shapes(self, parent: Element, page: int, titles: list[Block]) -> list[_Placed]:
        found: list[_Placed] = []
        for shape in parent:
            if not shape.tag.startswith(DRAW):
                continue
            if shape.tag == DRAW + "g":
                inside = self._shapes(shape, page, titles)
                blocks = [block for part in reading_order(inside) for block in part]
                found.append((around([box for box, _ in inside if box is not None]), blocks))
                continue
            box = _box(shape)
            blocks = list(read_drawing(shape, Story(self._shared, Provenance(page=page, bbox=box))))
            if shape.get(PRESENTATION + "class") == "title":
                text = " ".join(block.text for block in blocks if block.text)
                marks = blocks[0].marks if len(blocks) == 1 else ()
                kept = tuple(mark for mark in marks if mark.kind != "bold")
                if text:
                    titles.append(Heading(text=text, marks=kept, level=1, provenance=Provenance(page=page, bbox=box)))
            elif blocks:
                found.append((box, [_deeper(block) for block in blocks]))
        return found

    def _footer(self, slide: Element, page: int) -> list[Block]:
        found: list[Block] = []
        for name in ("header", "footer"):
            text = self._footers.get(slide.get(f"{PRESENTATION}use-{name}-name", ""), "")
            if text and text not in self._seen:
                self._seen.add(text)
                found.append(Note(text=text, category="footer", provenance=Provenance(page=page)))
        return found

    def _notes(self, notes: Element, page: int) -> list[Block]:
        where = Provenance(page=page)
        inside: list[Block] = []
        for shape in notes:
            if (
                shape.get(PRESENTATION + "class", "notes") == "notes"
                and shape.get(PRESENTATION + "placeholder") != "true"
            ):
                inside += read_drawing(shape, Story(self._shared, where))
        return list(fold(inside, "speaker", where))


def _deeper(block: Block) -> Block:
    # Under a slide's title everything is deeper than it.
    return replace(block, level=block.level + 1) if isinstance(block, Heading) else block


def _box(shape: Element) -> Box | None:
    left, top = points(shape.get(SVG + "x")), points(shape.get(SVG + "y"))
    moved = _TRANSLATED.search(shape.get(DRAW + "transform", ""))
    if moved is not None and left is None:
        left, top = points(moved[1]), points(moved[2])
    if left is None or top is None:
        return None
    width, height = points(shape.get(SVG + "width")) or 0.0, points(shape.get(SVG + "height")) or 0.0
    return Box(left, top, round(left + width, 2), round(top + height, 2))


def _size(named: Element | None) -> list[JSON] | None:
    """Return a slide's width and height in points."""
    masters, automatic = styles_of(named, "master-styles"), styles_of(named, "automatic-styles")
    master = None if masters is None else masters.find(STYLE + "master-page")
    name = None if master is None else master.get(STYLE + "page-layout-name")
    for layout in () if automatic is None else automatic.findall(STYLE + "page-layout"):
        properties = layout.find(STYLE + "page-layout-properties")
        if layout.get(STYLE + "name") == name and properties is not None:
            width, height = points(properties.get(FO + "page-width")), points(properties.get(FO + "page-height"))
            return None if width is None or height is None else [width, height]
    return None
