"""From a PDF page's own coordinates to points from the top left corner of the page as it is shown."""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium

from polyport_gateway.knowledge.documents import Box

__all__ = ["Frame", "frame_of"]


class Frame:
    """The visible box of a page, and how far it is turned.

    Args:
        box: Left, bottom, right and top in the page's own coordinates.
        rotation: Quarter turns clockwise.
        extra: How many of them are ours, and not the page's own.
    """

    def __init__(self, box: tuple[float, float, float, float], rotation: int, extra: int = 0) -> None:
        self.extra = extra % 4
        self.left, self.bottom, self.right, self.top = box
        self.rotation = rotation % 4
        across, down = self.right - self.left, self.top - self.bottom
        self.width, self.height = (down, across) if self.rotation % 2 else (across, down)

    def turned(self, quarters: int) -> Frame:
        """Return the frame of the page turned clockwise by so many quarters."""
        return Frame((self.left, self.bottom, self.right, self.top), self.rotation + quarters, self.extra + quarters)

    def place(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Return a rectangle's place on the page as it is shown."""
        if self.rotation == 0:
            return Box(left - self.left, self.top - top, right - self.left, self.top - bottom)
        if self.rotation == 1:
            return Box(bottom - self.bottom, left - self.left, top - self.bottom, right - self.left)
        if self.rotation == 2:
            return Box(self.right - right, bottom - self.bottom, self.right - left, top - self.bottom)
        return Box(self.top - top, self.right - right, self.top - bottom, self.right - left)


def frame_of(page: Any) -> Frame:
    """Return the frame of an open page."""
    rectangle = pdfium.FS_RECTF()
    if not pdfium.FPDF_GetPageBoundingBox(page, ctypes.byref(rectangle)):
        rectangle.right = pdfium.FPDF_GetPageWidthF(page)
        rectangle.top = pdfium.FPDF_GetPageHeightF(page)
    box = rectangle.left, rectangle.bottom, rectangle.right, rectangle.top
    return Frame(box, max(0, pdfium.FPDFPage_GetRotation(page)))
