"""What a page is made of, as `arrange` finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from polyport_gateway.knowledge.documents import Box

from .lines import Line

__all__ = ["CellRegion", "PictureRegion", "Region", "RegionKind", "TableRegion", "TextRegion"]

RegionKind = Literal["heading", "paragraph", "list_item", "code", "caption", "footnote"]


@dataclass(frozen=True, slots=True)
class TextRegion:
    """Lines that belong together.

    Args:
        kind: As what.
        box: Around its lines.
        lines: From top to bottom.
        level: Of a list item, from 1. A heading's follows from all headings of a document: see `heading_levels`.
        marker: Of a list item or a footnote, as it is shown; the text is without it.
        size: Of most of its letters.
        bold: Most of its letters are.
    """

    kind: RegionKind
    box: Box
    lines: tuple[Line, ...]
    level: int = 1
    marker: str = ""
    size: float = 0.0
    bold: bool = False


@dataclass(frozen=True, slots=True)
class CellRegion:
    """A cell of a table: the lines at some positions of its grid.

    Args:
        row: Of its top left position, from 0.
        column: Likewise.
        row_span: Rows it reaches over.
        column_span: Columns it reaches over.
        lines: What stands in it.
        column_header: It heads columns.
        row_header: It heads a row.
    """

    row: int
    column: int
    row_span: int = 1
    column_span: int = 1
    lines: tuple[Line, ...] = ()
    column_header: bool = False
    row_header: bool = False


@dataclass(frozen=True, slots=True)
class TableRegion:
    """A table.

    Args:
        box: Around it.
        rows: Of its grid.
        columns: Of its grid.
        cells: None overlaps another.
        ruled: Its cells follow from drawn lines; otherwise from how the words are aligned.
        caption: Printed above or below.
    """

    box: Box
    rows: int
    columns: int
    cells: tuple[CellRegion, ...]
    ruled: bool = True
    caption: TextRegion | None = None


@dataclass(frozen=True, slots=True)
class PictureRegion:
    """A picture.

    Args:
        box: Its place.
        key: Of the `PictureBox`.
        caption: Printed above or below.
    """

    box: Box
    key: int = 0
    caption: TextRegion | None = None


Region: TypeAlias = TextRegion | TableRegion | PictureRegion
