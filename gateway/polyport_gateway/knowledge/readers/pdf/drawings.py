"""What is drawn on a page beside its text: ruling lines, images, figures made of paths."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pypdfium2.raw as pdfium

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout import Ruling

from .frame import Frame

__all__ = ["MOST_OBJECTS", "Drawings", "ImagePlace", "drawings_of"]

MOST_OBJECTS = 30_000
"""Objects of a page that are looked at; a drawing of a machine has a million, and no table is among them."""
_MOST_SEGMENTS = 500
_THIN, _SHORT = 3.0, 6.0
_DEEPEST = 6
Matrix: TypeAlias = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """An image on a page.

    Args:
        box: Its place.
        handle: PDFium's; good while the page is open.
    """

    box: Box
    handle: Any


@dataclass(slots=True)
class Drawings:
    """All of a page.

    Args:
        rulings: Lines along the axes.
        images: Images.
        shapes: Places of paths that are neither.
        looked_at: Objects.
        cut: There are more than were looked at.
    """

    rulings: list[Ruling] = field(default_factory=list)
    images: list[ImagePlace] = field(default_factory=list)
    shapes: list[Box] = field(default_factory=list)
    looked_at: int = 0
    cut: bool = False


def drawings_of(page: Any, frame: Frame) -> Drawings:
    """Look through the objects of an open page."""
    drawings = Drawings()
    for handle, kind, matrix in _objects(page, drawings):
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            box = _bounds(handle, matrix, frame)
            if box:
                drawings.images.append(ImagePlace(box, handle))
        elif kind == pdfium.FPDF_PAGEOBJ_PATH:
            _path(handle, matrix, frame, drawings)
        elif kind == pdfium.FPDF_PAGEOBJ_SHADING:
            box = _bounds(handle, matrix, frame)
            if box:
                drawings.shapes.append(box)
    return drawings


def _objects(page: Any, drawings: Drawings) -> Iterator[tuple[Any, int, Matrix]]:
    stack: list[tuple[Any, bool, int, Matrix]] = [(page, False, 0, _IDENTITY)]
    while stack:
        container, is_form, depth, matrix = stack.pop()
        count = pdfium.FPDFFormObj_CountObjects(container) if is_form else pdfium.FPDFPage_CountObjects(container)
        get = pdfium.FPDFFormObj_GetObject if is_form else pdfium.FPDFPage_GetObject
        for index in range(max(0, count)):
            drawings.looked_at += 1
            if drawings.looked_at > MOST_OBJECTS:
                drawings.cut = True
                return
            handle = get(container, index)
            kind = pdfium.FPDFPageObj_GetType(handle)
            if kind == pdfium.FPDF_PAGEOBJ_FORM:
                if depth < _DEEPEST:
                    stack.append((handle, True, depth + 1, _product(_matrix(handle), matrix)))
            elif kind != pdfium.FPDF_PAGEOBJ_TEXT:
                yield handle, kind, matrix


def _matrix(handle: Any) -> Matrix:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(handle, ctypes.byref(matrix)):
        return _IDENTITY
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _product(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def _applied(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _bounds(handle: Any, matrix: Matrix, frame: Frame) -> Box | None:
    edges = [ctypes.c_float() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetBounds(handle, *(ctypes.byref(edge) for edge in edges)):
        return None
    left, bottom, right, top = (edge.value for edge in edges)
    return _clipped(_placed(left, bottom, right, top, matrix, frame), frame)


def _placed(left: float, bottom: float, right: float, top: float, matrix: Matrix, frame: Frame) -> Box:
    if matrix is not _IDENTITY:
        corners = [_applied(matrix, x, y) for x in (left, right) for y in (bottom, top)]
        left, right = min(x for x, _ in corners), max(x for x, _ in corners)
        bottom, top = min(y for _, y in corners), max(y for _, y in corners)
    return frame.place(left, bottom, right, top)


def _clipped(box: Box, frame: Frame) -> Box | None:
    """Cut a place to what the page shows; None where nothing is left."""
    left, top = max(box.left, 0.0), max(box.top, 0.0)
    right, bottom = min(box.right, frame.width), min(box.bottom, frame.height)
    if not (right >= left and bottom >= top):
        return None
    return Box(left, top, right, bottom)


def _path(handle: Any, matrix: Matrix, frame: Frame, drawings: Drawings) -> None:
    box = _bounds(handle, matrix, frame)
    if box is None:
        return
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(handle, ctypes.byref(mode), ctypes.byref(stroke))
    stroked = bool(stroke.value)
    if not stroked and mode.value == pdfium.FPDF_FILLMODE_NONE:
        return  # it only clips
    width, height = box.right - box.left, box.bottom - box.top
    if width < _THIN or height < _THIN:
        if max(width, height) >= _SHORT:
            drawings.rulings.append(Ruling(_flat(box)))
        return
    count = pdfium.FPDFPath_CountSegments(handle)
    if count > _MOST_SEGMENTS:
        drawings.shapes.append(box)
        return
    segments = _segments(handle, count, matrix, frame)
    if segments is None:
        drawings.shapes.append(box)
        return
    drawings.rulings += [Ruling(segment, strong=stroked) for segment in segments]
    if not segments:
        drawings.shapes.append(box)


def _flat(box: Box) -> Box:
    """Make a thin bar the line in its middle."""
    if box.right - box.left >= box.bottom - box.top:
        middle = (box.top + box.bottom) / 2
        return Box(box.left, middle, box.right, middle)
    middle = (box.left + box.right) / 2
    return Box(middle, box.top, middle, box.bottom)


def _segments(handle: Any, count: int, matrix: Matrix, frame: Frame) -> list[Box] | None:
    """Return the lines of a path along the axes; None if it has curves or slanted lines: a shape."""
    x, y = ctypes.c_float(), ctypes.c_float()
    start: tuple[float, float] | None = None
    at: tuple[float, float] | None = None
    lines: list[Box] = []
    whole = _product(_matrix(handle), matrix)
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(handle, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            return None
        pdfium.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
        point = _applied(whole, x.value, y.value)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = point
        elif at is not None and not _add_line(lines, at, point, frame):
            return None
        at = point
        if pdfium.FPDFPathSegment_GetClose(segment) and start is not None:
            if not _add_line(lines, at, start, frame):
                return None
            at = start
    return lines


def _add_line(lines: list[Box], start: tuple[float, float], end: tuple[float, float], frame: Frame) -> bool:
    across, up = abs(end[0] - start[0]), abs(end[1] - start[1])
    if min(across, up) > 1.0:
        return False
    if max(across, up) >= _SHORT:
        placed = frame.place(min(start[0], end[0]), min(start[1], end[1]), max(start[0], end[0]), max(start[1], end[1]))
        clipped = _clipped(placed, frame)
        if clipped:
            lines.append(_flat(clipped))
    return True
