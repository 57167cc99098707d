"""Places, tables and pictures of a docling document."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from docling_core.types.doc.document import DocItem, DoclingDocument, NodeItem, PictureItem, TableData

from polyport_gateway.knowledge.documents import (
    Block,
    Box,
    Cell,
    DocumentBuilder,
    Picture,
    Provenance,
    TableGrid,
    TimeSpan,
)

__all__ = ["Places", "grid_of", "picture_of"]

_EMU_PER_POINT = 12_700
_SHEETS = frozenset({"xlsx", "ods"})
_PAGED = frozenset({"pdf", "pptx", "odp", "png", "jpeg", "tiff", "bmp", "webp"})


class Places:
    """Says where in the file an item stands, in our terms.

    Args:
        made: docling's document.
        format: What the file is: a sheet's "page" is its number, its box a range of cells; a slide's box is in EMU.
    """

    def __init__(self, made: DoclingDocument, format: str) -> None:  # noqa: A002
        self._made = made
        self._sheets = format in _SHEETS
        self._scale = _EMU_PER_POINT if format == "pptx" else 1
        self.paged = format in _PAGED
        self.sheet: str | None = None

    def of(self, node: NodeItem) -> Provenance:
        """Return an item's place."""
        if not isinstance(node, DocItem):
            return Provenance(sheet=self.sheet)
        track = next((source for source in node.source if source.kind == "track"), None)
        time = TimeSpan(track.start_time, track.end_time) if track is not None else None
        if not node.prov:
            return Provenance(sheet=self.sheet, time=time)
        found = node.prov[0]
        if self._sheets:
            cells = _cells(found.bbox.l, found.bbox.t, found.bbox.r, found.bbox.b)
            return Provenance(sheet=self.sheet, cells=cells)
        page = self._made.pages.get(found.page_no)
        box = found.bbox.to_top_left_origin(page.size.height) if page is not None else found.bbox
        scale = self._scale
        placed = Box(box.l / scale, box.t / scale, box.r / scale, box.b / scale)
        return Provenance(page=max(found.page_no, 1), bbox=placed, time=time)


def _cells(left: float, top: float, right: float, bottom: float) -> str:
    first = f"{_letters(int(left))}{int(top) + 1}"
    last = f"{_letters(max(int(right) - 1, 0))}{max(int(bottom), 1)}"
    return f"{first}:{last}"


def _letters(column: int) -> str:
    letters, column = "", column + 1
    while column > 0:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


def grid_of(data: TableData, inside: Callable[[Any], tuple[Block, ...]]) -> tuple[TableGrid, int]:
    """Return a table's grid, and how many cells were left out because they overlap others.

    Args:
        data: docling's table.
        inside: Reads what a cell refers to.
    """
    taken: set[tuple[int, int]] = set()
    cells: list[Cell] = []
    lost = 0
    for found in sorted(data.table_cells, key=lambda cell: (cell.start_row_offset_idx, cell.start_col_offset_idx)):
        row, column = found.start_row_offset_idx, found.start_col_offset_idx
        bottom = min(max(found.end_row_offset_idx, row + 1), data.num_rows)
        right = min(max(found.end_col_offset_idx, column + 1), data.num_cols)
        covered = {(i, j) for i in range(row, bottom) for j in range(column, right)}
        if not covered or covered & taken:
            lost += bool(found.text.strip())
            continue
        taken |= covered
        reference = getattr(found, "ref", None)
        cells.append(
            Cell(
                row, column, bottom - row, right - column, found.text, found.column_header,
                found.row_header or found.row_section, nested=inside(reference) if reference is not None else (),
            )
        )  # fmt: skip
    return TableGrid(data.num_rows, data.num_cols, tuple(cells)), lost


def picture_of(
    item: PictureItem, builder: DocumentBuilder | None, caption: str, alt: str, where: Provenance
) -> tuple[Picture, str | None]:
    """Return a picture, and why its bytes are not in the document.

    Args:
        item: docling's picture.
        builder: Keeps the bytes; without it they are not wanted.
        caption: Beside it.
        alt: What it shows.
        where: Its place.
    """
    if item.image is None:
        # Bytes of a drawing that docling can't show.
        why = "docling gives no bytes of it." if builder is not None else None
        return Picture(caption=caption, alt=alt, provenance=where), why
    mime, uri = item.image.mimetype, str(item.image.uri)
    if not uri.startswith("data:"):
        return Picture(mime=mime, caption=caption, alt=alt, link=uri, provenance=where), None
    if builder is None:
        return Picture(mime=mime, caption=caption, alt=alt, provenance=where), None
    head, _, body = uri.partition(",")
    try:
        data = base64.b64decode(body) if head.endswith("base64") else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        return Picture(mime=mime, caption=caption, alt=alt, provenance=where), "its data is not Base64."
    return Picture(sha256=builder.keep(data), mime=mime, caption=caption, alt=alt, provenance=where), None
