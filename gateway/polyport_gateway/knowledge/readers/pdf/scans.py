"""Pages that are pictures of text: when to recognise it, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout import Ruling, Word

from .drawings import Drawings
from .frame import Frame
from .words import PageText

__all__ = ["Recognise", "Recognised", "recogniser", "shows_more_than_text", "text_is_garbage"]

RESOLUTION = 200.0
"""Dots per inch at which a page is recognised."""
_FEW = 12  # characters: fewer than a stamp or a page number has
_SCANNED = 0.5  # of the page under images


class Recognised(Protocol):
    """The text of an image, in points of the image as it is read."""

    @property
    def words(self) -> tuple[Word, ...]:
        """Words or lines with their places and confidences."""

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        """Lines seen in the image."""

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which it had to be turned to be read."""

    @property
    def width(self) -> float:
        """Of the turned image."""

    @property
    def height(self) -> float:
        """Of the turned image."""

    @property
    def confidence(self) -> float | None:
        """Mean of all words, from 0 to 1."""


class Recognise(Protocol):
    """Recognises the text of an image."""

    def __call__(self, image: Any, *, dpi: float) -> Recognised:
        """Return the text of an image of a known resolution."""


def recogniser() -> Recognise:
    """Return the one that is installed.

    Raises:
        MissingDependencyError: None is.
    """
    try:
        from polyport_gateway.knowledge import ocr
    except ImportError:
        raise MissingDependencyError("Reading scanned pages", extra="ocr") from None
    return cast(Recognise, ocr.recognise)


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
