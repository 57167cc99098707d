"""What lies over a sheet's cells: comments, pictures, charts and text boxes, each with the cell it is anchored at."""

from __future__ import annotations

from collections.abc import Iterator

from polyport_gateway.knowledge.documents import Block, Note, Paragraph, Provenance
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.ooxml import DIAGRAM, A, C, R
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.references import References
from polyport_gateway.knowledge.readers.office.sheets.sheet import reference
from polyport_gateway.knowledge.readers.office.xml import Element

from .styles import S

__all__ = ["read_comments", "read_drawing"]

_D = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"

Placed = tuple[tuple[int, int], Block]


def read_comments(gathering: PackageGathering, relationships: dict[str, Relationship], sheet: str) -> Iterator[Note]:
    """Read a sheet's comments."""
    for relationship in relationships.values():
        root = gathering.optional_part(relationship.target) if relationship.kind == "comments" else None
        if root is None:
            continue
        authors = [entry.text or "" for entry in root.findall(f"{S}authors/{S}author")]
        for comment in root.iter(S + "comment"):
            text = "".join(part.text or "" for part in comment.iter(S + "t")).strip()
            number = comment.get("authorId", "")
            author = authors[int(number)] if number.isdecimal() and int(number) < len(authors) else ""
            cell = comment.get("ref", "")
            if text:
                where = Provenance(sheet=sheet, cells=cell or None)
                yield Note(text=text, category="comment", label=cell, author=author, provenance=where)


def read_drawing(gathering: PackageGathering, part: str, sheet: str) -> Iterator[Placed]:
    """Read a drawing part."""
    root = gathering.optional_part(part)
    references = References(gathering, part)
    for anchor in () if root is None else root:
        start = anchor.find(_D + "from")
        row, column = (_whole(start, name) for name in ("row", "col"))
        where = Provenance(sheet=sheet, cells=reference(row, column) if start is not None else None)
        for block in _anchored(gathering, anchor, references, where):
            yield (row, column), block


def _whole(element: Element | None, name: str) -> int:
    text = "" if element is None else element.findtext(_D + name, "")
    return int(text) if text.isdecimal() else 0


def _anchored(
    gathering: PackageGathering, anchor: Element, references: References, where: Provenance
) -> Iterator[Block]:
    for picture in anchor.iter(_D + "pic"):
        about = picture.find(f"{_D}nvPicPr/{_D}cNvPr")
        alt = "" if about is None else about.get("descr") or about.get("title") or ""
        blip = picture.find(f"{_D}blipFill/{A}blip")
        if blip is None:
            gathering.skip("picture", "The file does not hold what it refers to.", part=where.sheet)
        else:
            yield from references.picture(blip.get(R + "embed"), blip.get(R + "link"), alt=alt, where=where)
    for chart in anchor.iter(C + "chart"):
        yield from references.chart(chart.get(R + "id", ""), where)
    for diagram in anchor.iter(DIAGRAM + "relIds"):
        yield from references.diagram(diagram.get(R + "dm", ""), where)
    for body in anchor.iter(_D + "txBody"):
        lines = ["".join(part.text or "" for part in line.iter(A + "t")) for line in body.iter(A + "p")]
        if text := "\n".join(lines).strip():
            yield Paragraph(text=text, provenance=where)
