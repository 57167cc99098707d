"""Frames and shapes: pictures, text boxes, formulas, charts and embedded documents."""

from __future__ import annotations

import posixpath
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import (
    Block,
    Formula,
    Paragraph,
    Picture,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.mathml import mathml_to_latex
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import CHART, DRAW, LINK, MATH, OFFICE, SVG, TABLE

if TYPE_CHECKING:
    from .story import Story

__all__ = ["formula_of", "read_drawing"]

_SILENT = frozenset({"page-thumbnail", "glue-point", "layer-set", "contour-polygon", "contour-path", "image-map"})
_ACTIVE = {"plugin": "A plug-in is not run.", "applet": "A program is not run.",
           "floating-frame": "Another document is shown here.", "control": "A form's control is not read."}  # fmt: skip
_PREVIEW_ONLY = (".svm", ".wmf", ".emf")  # another form of the same picture is better, if there is one
_BODIES = ("text", "spreadsheet", "presentation", "drawing")


def formula_of(frame: Element, gathering: PackageGathering) -> str:
    """Return the LaTeX of a frame that is a formula; empty for any other."""
    reference = frame.find(DRAW + "object")
    if reference is None:
        return ""
    inside = reference.find(MATH + "math")
    if inside is not None:
        return mathml_to_latex(inside)
    part = _part_of(reference)
    if not part or not gathering.package.has(f"{part}/content.xml") or not _is_formula(gathering, part):
        return ""
    root = gathering.optional_part(f"{part}/content.xml")
    return mathml_to_latex(root) if root is not None and root.tag == MATH + "math" else ""


def _is_formula(gathering: PackageGathering, part: str) -> bool:
    # Its first bytes are enough to tell: a chart or a sheet may be large.
    try:
        with gathering.package.open(f"{part}/content.xml") as source:
            return b"math" in source.read(2048)
    except UnreadableDocumentError:
        return False


def _part_of(reference: Element) -> str:
    target = reference.get(LINK + "href", "")
    if ":" in target.partition("/")[0] or target.startswith(("/", "../")):
        return ""
    return posixpath.normpath(target.removeprefix("./")) if target else ""


def read_drawing(element: Element, story: Story) -> Iterator[Block]:
    """Read a frame or a shape, and what is grouped in it, in the file's order."""
    name = local(element)
    gathering, where = story.shared.gathering, story.provenance()
    if name in {"g", "a"}:
        for child in element:
            if child.tag.startswith(DRAW):
                yield from read_drawing(child, story)
    elif name == "frame":
        yield from _frame(element, story)
    elif name in _ACTIVE:
        gathering.skip(name, _ACTIVE[name], page=where.page)
    elif name not in _SILENT:
        yield from story.at(where).blocks(element)


def _frame(frame: Element, story: Story) -> Iterator[Block]:
    gathering, where = story.shared.gathering, story.provenance()
    alt = (frame.findtext(SVG + "desc") or frame.findtext(SVG + "title") or "").strip()
    reference = frame.find(DRAW + "object")
    if reference is not None and (blocks := _object(frame, reference, story)):
        yield from blocks
        return
    box = frame.find(DRAW + "text-box")
    if box is not None:
        yield from _box(story.at(where).blocks(box))
        return
    table = frame.find(TABLE + "table")
    if table is not None:
        wrapper = Element(DRAW + "text-box")
        wrapper.append(table)
        found = story.at(where).blocks(wrapper)
        yield from (
            replace(block, caption=block.caption or alt) if isinstance(block, Table) else block for block in found
        )
        return
    for child in frame:
        if (name := local(child)) in _ACTIVE:
            what = "media" if child.get(DRAW + "mime-type", "").startswith("application/vnd.sun.star.media") else name
            gathering.skip(what, _ACTIVE[name], page=where.page)
    if frame.find(DRAW + "object-ole") is not None or reference is not None:
        gathering.skip("embedded object", "It belongs to another program.", page=where.page)
    yield from _image(frame, alt, story)


def _box(blocks: list[Block]) -> list[Block]:
    """Make a caption of what a picture's box says beside the picture."""
    pictures = [block for block in blocks if isinstance(block, Picture)]
    words = [block for block in blocks if type(block) is Paragraph]
    if len(pictures) == len(words) == 1 and len(blocks) == 2:
        return [replace(pictures[0], caption=words[0].text)]
    return blocks


def _image(frame: Element, alt: str, story: Story) -> Iterator[Block]:
    """Give the best of the forms in which a frame holds its picture."""
    gathering, where = story.shared.gathering, story.provenance()
    images = frame.findall(DRAW + "image")
    targets = [(image, image.get(LINK + "href", "")) for image in images]
    for image, target in sorted(targets, key=lambda each: each[1].lower().endswith(_PREVIEW_ONLY)):
        data = image.find(OFFICE + "binary-data")
        if data is not None and data.text:
            try:
                yield gathering.keep_picture(b64decode(data.text), None, alt=alt, provenance=where)
            except ValueError:
                gathering.skip("picture", "Its bytes are damaged.", page=where.page)
            return
        if ":" in target.partition("/")[0]:
            yield Picture(alt=alt, link=target, provenance=where)
            return
        if part := _part_of(image):
            picture = gathering.picture(part, alt=alt, provenance=where)
            if picture is not None:
                yield picture
            return
    if images:
        gathering.skip("picture", "The file does not hold what it refers to.", page=where.page)


def _object(frame: Element, reference: Element, story: Story) -> list[Block]:
    gathering, where = story.shared.gathering, story.provenance()
    if latex := formula_of(frame, gathering):
        return [Formula(text=latex, provenance=where)]
    part = _part_of(reference)
    root = gathering.optional_part(f"{part}/content.xml") if part else None
    body = None if root is None else root.find(OFFICE + "body")
    if body is None:
        return []
    chart = body.find(f"{OFFICE}chart/{CHART}chart")
    if chart is not None:
        return _chart(chart, story)
    inner = next((found for name in _BODIES if (found := body.find(OFFICE + name)) is not None), None)
    if inner is None or part in story.shared.opened:
        return []
    story.shared.opened.add(part)  # an object may name itself
    return story.at(where).blocks(inner)


def _chart(chart: Element, story: Story) -> list[Block]:
    """Give the numbers that a chart was drawn from."""
    where = story.provenance()
    title = chart.find(CHART + "title")
    kind = f"{chart.get(CHART + 'class', '').rpartition(':')[2].capitalize()} chart".strip()
    name = "" if title is None else "".join(title.itertext()).strip()
    found = [block for block in story.at(where).blocks(chart) if isinstance(block, Table)]
    if not found:
        story.shared.gathering.skip("chart", "It holds no values.", page=where.page)
        return []
    return [replace(found[0], caption=f"{kind}: {name}" if name else kind)]
