"""The bytes of a page's pictures."""

from __future__ import annotations

import ctypes
import hashlib
import io
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from polyport_gateway.knowledge.documents import Box

from .frame import Frame

__all__ = ["PictureBytes", "Pictures", "image_bytes", "page_image", "region_image"]

MOST_PIXELS = 40_000_000
_LARGE, _MOST_KNOWN = 256 * 1024, 64  # images that repeat are small, and few
_SHARP = 2.0  # a figure is rendered at 144 dpi


class PictureBytes(NamedTuple):
    """A picture as a file."""

    data: bytes
    mime: str


def image_bytes(document: Any, page: Any, handle: Any) -> PictureBytes | None:
    """Return an image as it is in the file if that is a JPEG, else as PNG; None if it has too many pixels, or none."""
    width, height = ctypes.c_uint(), ctypes.c_uint()
    pdfium.FPDFImageObj_GetImagePixelSize(handle, ctypes.byref(width), ctypes.byref(height))
    if not 0 < width.value * height.value <= MOST_PIXELS:
        return None
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(handle, ctypes.byref(matrix))
    upright = matrix.a > 0 and matrix.d > 0 and abs(matrix.b) + abs(matrix.c) < 1e-3
    if upright and _filters(handle) == [b"DCTDecode"]:
        data = _raw(handle)
        if data.startswith(b"\xff\xd8"):
            return PictureBytes(data, "image/jpeg")
    # What is see-through, turned or mirrored must be drawn to be what the page shows.
    bitmap = _drawn(document, page, handle, matrix, width.value * height.value)
    bitmap = bitmap or pdfium.FPDFImageObj_GetBitmap(handle)
    return PictureBytes(_png(bitmap), "image/png") if bitmap else None


def _drawn(document: Any, page: Any, handle: Any, matrix: Any, pixels: int) -> Any:
    """Draw an image with about as many pixels as it has; PDFium would take one for each point of the page."""
    shown = abs(matrix.a * matrix.d - matrix.b * matrix.c)
    scale = (pixels / shown) ** 0.5 if shown > 1e-6 else 1.0
    larger = pdfium.FS_MATRIX(*(getattr(matrix, name) * scale for name in "abcdef"))
    pdfium.FPDFPageObj_SetMatrix(handle, ctypes.byref(larger))
    try:
        return pdfium.FPDFImageObj_GetRenderedBitmap(document, page, handle)
    finally:
        pdfium.FPDFPageObj_SetMatrix(handle, ctypes.byref(matrix))


class Pictures:
    """The bytes of a document's images, each encoded once however often it is drawn."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int], PictureBytes | None] = {}

    def image(self, document: Any, page: Any, handle: Any) -> PictureBytes | None:
        """Return the bytes of an image; see `image_bytes`."""
        size = pdfium.FPDFImageObj_GetImageDataRaw(handle, None, 0)
        if size > _LARGE:
            return image_bytes(document, page, handle)
        turn = pdfium.FS_MATRIX()
        pdfium.FPDFPageObj_GetMatrix(handle, ctypes.byref(turn))
        shape = hash(tuple(round(getattr(turn, name)) for name in "abcd"))
        key = hashlib.sha256(_raw(handle)).digest(), shape
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = image_bytes(document, page, handle)
        return self._known[key]


def _filters(handle: Any) -> list[bytes]:
    found = []
    for index in range(pdfium.FPDFImageObj_GetImageFilterCount(handle)):
        buffer = ctypes.create_string_buffer(64)
        pdfium.FPDFImageObj_GetImageFilter(handle, index, buffer, len(buffer))
        found.append(buffer.value)
    return found


def _raw(handle: Any) -> bytes:
    size = pdfium.FPDFImageObj_GetImageDataRaw(handle, None, 0)
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFImageObj_GetImageDataRaw(handle, buffer, size)
    return buffer.raw


def _png(bitmap: Any) -> bytes:
    from pypdfium2 import PdfBitmap

    # The wrapper frees the bitmap when it goes, and would do so again if it were freed here.
    return _encoded(PdfBitmap.from_raw(bitmap).to_pil())


def _encoded(image: Any) -> bytes:
    target = io.BytesIO()
    if image.mode not in ("1", "L", "RGB", "RGBA"):
        image = image.convert("RGBA" if "A" in image.mode or image.mode == "RGBX" else "RGB")
    if image.mode == "RGBA" and image.getextrema()[3] == (255, 255):
        image = image.convert("RGB")
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()


def region_image(page: Any, frame: Frame, box: Box) -> PictureBytes:
    """Render a part of a page."""
    left, top, right, bottom = box
    if frame.extra:
        # PDFium crops what it has not turned yet.
        scale = min(_SHARP, (MOST_PIXELS / max(1.0, frame.width * frame.height)) ** 0.5)
        bitmap = page.render(scale=scale, rotation=90 * frame.extra)
    else:
        scale = min(_SHARP, (MOST_PIXELS / max(1.0, (right - left) * (bottom - top))) ** 0.5)
        crop = tuple(max(0.0, edge) for edge in (left, frame.height - bottom, frame.width - right, top))
        bitmap = page.render(scale=scale, crop=crop)
    try:
        image = bitmap.to_pil()
        if frame.extra:
            image = image.crop(tuple(round(edge * scale) for edge in box))
        return PictureBytes(_encoded(image), "image/png")
    finally:
        bitmap.close()


def page_image(page: Any, frame: Frame, dpi: float) -> tuple[Any, float]:
    """Render a page, and return it with the resolution that it got: a page as large as a wall gets a lower one."""
    most = (MOST_PIXELS / 2 / max(1.0, frame.width * frame.height)) ** 0.5
    scale = min(dpi / 72, most)
    bitmap = page.render(scale=scale)
    try:
        return bitmap.to_pil().convert("RGB"), scale * 72
    finally:
        bitmap.close()
