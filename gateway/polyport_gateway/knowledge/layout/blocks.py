"""Regions to blocks of a document."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polyport_gateway.knowledge.documents import (
    Block,
    Cell,
    Code,
    Heading,
    ListItem,
    Note,
    Paragraph,
    Picture,
    Provenance,
    Table,
    TableGrid,
)

from .flow import code_text, running_text
from .lines import Line
from .regions import PictureRegion, Region, TableRegion, TextRegion

__all__ = ["block_of"]

_UNKNOWN = re.compile(r"[\x80-\x9f\ue000-\uf8ff]")
_SIGNS = {"☑": "[x]", "☒": "[x]", "☐": "[ ]", "\uf0a8": "[ ]", "\uf06f": "[ ]", "\uf0fe": "[x]"}


def block_of(region: Region, *, page: int | None = None, heading_level: int = 1) -> Block:
    """Make a block of a region; a picture's has no bytes, which its caller adds.

    Args:
        region: As `arrange` gives it.
        page: Its number, from 1.
        heading_level: If it is a heading.
    """
    where = Provenance(page=page, bbox=region.box)
    if isinstance(region, TableRegion):
        return Table(grid=_grid(region), caption=_caption(region.caption), provenance=where)
    if isinstance(region, PictureRegion):
        return Picture(caption=_caption(region.caption), provenance=where)
    if region.kind == "code":
        return Code(text=code_text(region.lines), provenance=where)
    if region.kind == "heading":
        text, marks = running_text(region.lines, styles=("italic", "mono"))
        return Heading(text=text, marks=marks, level=heading_level, provenance=where)
    skip = len(region.marker)
    text, marks = running_text(region.lines, skip=skip)
    if region.kind == "list_item":
        ordered = region.marker.strip("()")[:1].isalnum()
        # A sign of a font of signs has a number of that font only.
        marker = _SIGNS.get(region.marker, "•" if _UNKNOWN.match(region.marker) else region.marker)
        return ListItem(text=text, marks=marks, level=region.level, ordered=ordered, marker=marker, provenance=where)
    if region.kind == "footnote":
        return Note(text=text, marks=marks, category="footnote", label=region.marker.strip("[]()"), provenance=where)
    return Paragraph(text=text, marks=marks, provenance=where)


def _caption(region: TextRegion | None) -> str:
    return running_text(region.lines)[0] if region else ""


def _grid(region: TableRegion) -> TableGrid:
    cells = tuple(
        Cell(
            cell.row,
            cell.column,
            cell.row_span,
            cell.column_span,
            _cell_text(cell.lines),
            cell.column_header,
            cell.row_header,
            bold=bool(cell.lines) and all(line.share("bold") > 0.9 for line in cell.lines),
        )
        for cell in region.cells
    )
    return TableGrid(region.rows, region.columns, cells)


def _cell_text(lines: Sequence[Line]) -> str:
    return running_text(lines)[0]
