"""What lies over a sheet's cells: comments, pictures, charts and text boxes, each with the cell it is anchored at."""

from __future__ import annotations

from collections.abc import Iterator

from polyport_gateway.knowledge.documents import Block, Note, Paragraph, Picture, Provenance
from polyport_gateway.knowledge.readers.office.charts import chart_table
from polyport_gateway.knowledge.readers.office.gathering import Gathering
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.xml import Element

from .sheet import reference
from .styles import S

__all__ = ["read_comments", "read_drawing"]

_D = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"

Placed = tuple[tuple[int, int], Block]


def read_comments(gathering: Gathering, relationships: dict[str, Relationship], sheet: str) -> Iterator[Note]:
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


def read_drawing(gathering: Gathering, part: str, sheet: str) -> Iterator[Placed]:
    """Read a drawing part."""
    root = gathering.optional_part(part)
    relationships = gathering.package.relationships(part)
    for anchor in () if root is None else root:
        start = anchor.find(_D + "from")
        row, column = (_whole(start, name) for name in ("row", "col"))
        where = Provenance(sheet=sheet, cells=reference(row, column) if start is not None else None)
        for block in _anchored(gathering, anchor, relationships, where):
            yield (row, column), block


def _whole(element: Element | None, name: str) -> int:
    text = "" if element is None else element.findtext(_D + name, "")
    return int(text) if text.isdecimal() else 0


def _anchored(
    gathering: Gathering, anchor: Element, relationships: dict[str, Relationship], where: Provenance
) -> Iterator[Block]:
    for picture in anchor.iter(_D + "pic"):
        about = picture.find(f"{_D}nvPicPr/{_D}cNvPr")
        alt = "" if about is None else about.get("descr") or about.get("title") or ""
        blip = picture.find(f"{_D}blipFill/{_A}blip")
        relationship = (
            None if blip is None else relationships.get(blip.get(_R + "embed") or blip.get(_R + "link") or "")
        )
        if relationship is None:
            gathering.skip("picture", "The file does not hold what it refers to.", part=where.sheet)
        elif relationship.external:
            yield Picture(alt=alt, link=relationship.target, provenance=where)
        elif (found := gathering.picture(relationship.target, alt=alt, provenance=where)) is not None:
            yield found
    for chart in anchor.iter(_C + "chart"):
        relationship = relationships.get(chart.get(_R + "id", ""))
        root = gathering.optional_part(relationship.target) if relationship else None
        table = None if root is None else chart_table(root, where)
        if table is None:
            gathering.skip("chart", "It caches no values.", part=where.sheet)
        else:
            yield table
    for body in anchor.iter(_D + "txBody"):
        lines = ["".join(part.text or "" for part in line.iter(_A + "t")) for line in body.iter(_A + "p")]
        if text := "\n".join(lines).strip():
            yield Paragraph(text=text, provenance=where)
