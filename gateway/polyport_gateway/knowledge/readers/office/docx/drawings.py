"""Pictures, text boxes, charts and diagrams that are anchored in a paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import Block, Paragraph, Picture
from polyport_gateway.knowledge.readers.office.charts import chart_table
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .inline import alternative
from .names import MC, A, R, V, W

if TYPE_CHECKING:
    from .story import Story

__all__ = ["read_drawing"]

_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_OLE = "{urn:schemas-microsoft-com:office:office}OLEObject"


def read_drawing(element: Element, story: Story, alt: str = "") -> Iterator[Block]:
    """Read a ``w:drawing``, ``w:pict`` or ``w:object``, and what is grouped in it, in the file's order."""
    for child in element:
        name = local(child)
        if name in {"docPr", "cNvPr"}:
            alt = child.get("descr") or child.get("title") or alt
        elif child.tag == MC + "AlternateContent":
            chosen = alternative(child)
            if chosen is not None:
                yield from read_drawing(chosen, story, alt)
        elif child.tag == W + "txbxContent":
            yield from story.blocks(child)
        elif child.tag == A + "blip":
            yield from _picture(child.get(R + "embed"), child.get(R + "link"), alt, story)
        elif child.tag == V + "imagedata":
            yield from _picture(child.get(R + "id"), None, alt, story)
        elif child.tag == _CHART:
            yield from _chart(child, story)
        elif child.tag == _DIAGRAM:
            yield from _diagram(child, story)
        elif child.tag == _OLE:
            program = child.get("ProgID") or "another program"
            story.shared.gathering.skip("embedded object", f"It belongs to {program}.", page=story.shared.page)
        else:
            # The picture's own name says more than the shape's around it.
            own = child.find("*/{*}cNvPr") if name == "pic" else None
            described = (own.get("descr") if own is not None else None) or child.get("alt") or alt
            yield from read_drawing(child, story, described)


def _picture(id_: str | None, link: str | None, alt: str, story: Story) -> Iterator[Block]:
    gathering, where = story.shared.gathering, story.provenance()
    relationship = story.relationships.get(id_ or "") or story.relationships.get(link or "")
    if relationship is None:
        if id_ or link:
            gathering.skip("picture", "The file does not hold what it refers to.", page=where.page, part=story.part)
        return
    if relationship.external:
        yield Picture(alt=alt, link=relationship.target, provenance=where)
        return
    picture = gathering.picture(relationship.target, alt=alt, provenance=where)
    if picture is not None:
        yield picture


def _chart(element: Element, story: Story) -> Iterator[Block]:
    relationship = story.relationships.get(element.get(R + "id", ""))
    root = story.shared.gathering.optional_part(relationship.target) if relationship else None
    table = None if root is None else chart_table(root, story.provenance())
    if table is None:
        story.shared.gathering.skip("chart", "It caches no values.", page=story.shared.page, part=story.part)
    else:
        yield table


def _diagram(element: Element, story: Story) -> Iterator[Block]:
    relationship = story.relationships.get(element.get(R + "dm", ""))
    root = story.shared.gathering.optional_part(relationship.target) if relationship else None
    for point in () if root is None else root.iter(f"{_DIAGRAM.rpartition('}')[0]}}}pt"):
        text = "".join(part.text or "" for part in point.iter(A + "t")).strip()
        if text:
            yield Paragraph(text=text, provenance=story.provenance())
