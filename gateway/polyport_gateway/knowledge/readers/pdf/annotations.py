"""What lies over a page: links, what was filled into a form, comments."""

from __future__ import annotations

import ctypes
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout import Word

from .frame import Frame

__all__ = ["Annotations", "Comment", "annotations_of", "with_links"]

_MOST = 5_000


class Comment(NamedTuple):
    """A remark on a page."""

    text: str
    author: str
    box: Box


class Annotations(NamedTuple):
    """All of a page.

    Args:
        links: Places that lead out of the document.
        fields: What was filled in, as words in their places.
        comments: Remarks.
        cut: There are more than were looked at.
    """

    links: list[tuple[Box, str]]
    fields: list[Word]
    comments: list[Comment]
    cut: bool = False


def annotations_of(document: Any, page: Any, frame: Frame) -> Annotations:
    """Look through the annotations of an open page."""
    found = Annotations([], [], [])
    count = pdfium.FPDFPage_GetAnnotCount(page)
    for index in range(min(count, _MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            _sort(document, annotation, frame, found)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return found._replace(cut=count > _MOST)


def _sort(document: Any, annotation: Any, frame: Frame, found: Annotations) -> None:
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    rectangle = pdfium.FS_RECTF()
    if not pdfium.FPDFAnnot_GetRect(annotation, ctypes.byref(rectangle)):
        return
    left, right = sorted((rectangle.left, rectangle.right))
    bottom, top = sorted((rectangle.bottom, rectangle.top))
    box = frame.place(left, bottom, right, top)
    if kind == pdfium.FPDF_ANNOT_LINK:
        target = _target(document, annotation)
        if target:
            found.links.append((box, target))
    elif kind == pdfium.FPDF_ANNOT_WIDGET:
        value = _string(annotation, b"V") or _checked(annotation)
        if value:
            height = min(box.bottom - box.top, 12.0)
            middle = (box.top + box.bottom) / 2
            line = Box(box.left, middle - height / 2, box.right, middle + height / 2)
            found.fields.append(Word(" ".join(value.split()), line, height * 0.8))
    elif kind in (pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT):
        text = _string(annotation, b"Contents").replace("\r", "\n").strip()
        if text:
            found.comments.append(Comment(text, _string(annotation, b"T"), box))


def _checked(annotation: Any) -> str:
    """Return a sign for a box that is ticked."""
    state = _string(annotation, b"AS")
    return "☒" if state and state != "Off" else ""


def _string(annotation: Any, key: bytes) -> str:
    size = pdfium.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if not 2 < size <= 1 << 20:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFAnnot_GetStringValue(annotation, key, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[:size].decode("utf-16-le", "replace").strip("\x00")


def _target(document: Any, annotation: Any) -> str:
    link = pdfium.FPDFAnnot_GetLink(annotation)
    action = pdfium.FPDFLink_GetAction(link) if link else None
    if not action or pdfium.FPDFAction_GetType(action) != pdfium.PDFACTION_URI:
        return ""
    size = pdfium.FPDFAction_GetURIPath(document, action, None, 0)
    if not 1 < size <= 1 << 16:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFAction_GetURIPath(document, action, buffer, size)
    return buffer.value.decode("utf-8", "replace").strip()


def with_links(words: Sequence[Word], links: Sequence[tuple[Box, str]]) -> list[Word]:
    """Give the words under a link its target."""
    if not links:
        return list(words)
    result = list(words)
    order = sorted(range(len(words)), key=lambda index: words[index].box.top)
    tops = [words[index].box.top for index in order]
    tallest = max((word.box.bottom - word.box.top for word in words), default=0.0)
    for box, target in links:
        for index in order[bisect_left(tops, box.top - tallest) : bisect_right(tops, box.bottom)]:
            left, top, right, bottom = result[index].box
            width = min(right, box.right) - max(left, box.left)
            height = min(bottom, box.bottom) - max(top, box.top)
            if width > 0 and height > 0 and width * height >= 0.4 * (right - left) * (bottom - top):
                result[index] = result[index]._replace(link=target)
    return result
