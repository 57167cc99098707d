"""Pages that are pictures of text."""

from __future__ import annotations

from collections.abc import Sequence

from polyport_gateway.knowledge.documents import Box

from .drawings import Drawings
from .frame import Frame
from .words import PageText

__all__ = ["RESOLUTION", "shows_more_than_text", "text_is_garbage"]

RESOLUTION = 200.0
"""Dots per inch at which a page is recognised."""
_FEW = 12  # characters: fewer than a stamp or a page number has
_SCANNED = 0.5  # of the page under images


def text_is_garbage(text: PageText) -> bool:
    """Tell whether a page's text says nothing: its fonts don't tell which characters their glyphs are."""
    return text.characters >= _FEW and text.garbage > 0.3 * text.characters


def shows_more_than_text(text: PageText, drawings: Drawings, frame: Frame) -> bool:
    """Tell whether a page with next to no text shows something all the same."""
    if text.characters >= _FEW and not text_is_garbage(text):
        return False
    if text_is_garbage(text):
        return True
    if _covered([image.box for image in drawings.images], frame) >= _SCANNED:
        return True
    # Letters drawn as paths: many small shapes.
    return text.characters == 0 and (len(drawings.shapes) >= 40 or bool(drawings.images))


def _covered(boxes: Sequence[Box], frame: Frame) -> float:
    """Return about the share of a page that some boxes cover; a scan may come in strips."""
    area = sum((box.right - box.left) * (box.bottom - box.top) for box in boxes)
    return area / max(1.0, frame.width * frame.height)
