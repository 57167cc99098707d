"""Pictures, text boxes, charts and diagrams that are anchored in a paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import Block
from polyport_gateway.knowledge.readers.office.ooxml import DIAGRAM, MC, A, C, R, alternative
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import V, W

if TYPE_CHECKING:
    from .story import Story

__all__ = ["read_drawing"]

_OLE = "{urn:schemas-microsoft-com:office:office}OLEObject"


def read_drawing(element: Element, story: Story, alt: str = "") -> Iterator[Block]:
    """Read a ``w:drawing``, ``w:pict`` or ``w:object``, and what is grouped in it, in the file's order."""
    references, where = story.references, story.provenance()
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
            yield from references.picture(child.get(R + "embed"), child.get(R + "link"), alt=alt, where=where)
        elif child.tag == V + "imagedata":
            yield from references.picture(child.get(R + "id"), None, alt=alt, where=where)
        elif child.tag == C + "chart":
            yield from references.chart(child.get(R + "id", ""), where)
        elif child.tag == DIAGRAM + "relIds":
            yield from references.diagram(child.get(R + "dm", ""), where)
        elif child.tag == _OLE:
            program = child.get("ProgID") or "another program"
            yield from references.embedded(child.get(R + "id", ""), program, where)
        else:
            # The picture's own name says more than the shape's around it.
            own = child.find("*/{*}cNvPr") if name == "pic" else None
            described = (own.get("descr") if own is not None else None) or child.get("alt") or alt
            yield from read_drawing(child, story, described)
