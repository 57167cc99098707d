"""From a picture of a page to words with their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout import Ruling, Word

from .detection import detected
from .engine import Engine, Reading, engine
from .leftovers import leftovers
from .orientation import skew, turn_quads, upright
from .pixels import rgb
from .rulings import Stroke, find_strokes, usual_height, without_strokes
from .strips import Strip, cut, pieces_of, split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.uint8]

__all__ = ["Recognised", "recognise"]

_SEVERAL = 1.6  # usual heights of a line that more than one character, from top to bottom, is high
_SURE = 0.5
"""Confidence of a line below which it is no text."""
_VERY_SURE = 0.8
"""Of what the detector did not take for text."""
_EM = 0.78
"""Of the font in a detected line's height: the detector draws its boxes somewhat larger than the letters."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a picture of a page says. All measures are in points from the top left corner of the upright page.

    Args:
        words: With their places, sizes and confidence.
        rulings: Lines of tables and forms.
        width: Of the upright page.
        height: Likewise.
        rotation: Degrees clockwise by which the page had to be turned: 0, 90, 180 or 270.
        skew: Degrees by which its lines fell to the right after that; it was straightened.
        confidence: Mean over the characters; None where there is no text.
        unread: Lines that look like text and could not be read.
    """

    words: tuple[Word, ...]
    rulings: tuple[Ruling, ...]
    width: float
    height: float
    rotation: int = 0
    skew: float = 0.0
    confidence: float | None = None
    unread: int = 0


def recognise(image: Image, *, dpi: float) -> Recognised:
    """Read a picture of a page, whichever way up it is.

    Args:
        image: In any mode.
        dpi: Pixels per inch.

    Raises:
        MissingDependencyError: The extra ``ocr`` is not installed.
    """
    models = engine()
    pixels = rgb(image)
    quads = detected(models, pixels)
    if not len(quads):
        return _of_no_text(pixels, dpi)
    turned = upright(models, pixels, quads)
    height, width = pixels.shape[:2]
    if turned.rotation:
        import numpy as np

        pixels = np.ascontiguousarray(np.rot90(pixels, -turned.rotation // 90))
        quads = turn_quads(quads, turned.rotation, width, height)
    angle = 0.0 if turned.vertical else skew(pixels, quads)
    if angle:
        pixels, quads = _straightened(pixels, quads, angle)
    strokes = find_strokes(pixels, quads, dpi=dpi)
    pixels = without_strokes(pixels, strokes)
    strips = _strips(models, pixels, quads, strokes, vertical=turned.vertical)
    strips += _single(pixels, leftovers(pixels, quads, usual=usual_height(quads)))
    words, unread = _words(strips, models.read([strip.pixels for strip in strips]), 72 / dpi)
    letters = sum(len(word.text) for word in words)
    return Recognised(
        words=tuple(words),
        rulings=_rulings(strokes, 72 / dpi),
        width=pixels.shape[1] * 72 / dpi,
        height=pixels.shape[0] * 72 / dpi,
        rotation=turned.rotation,
        skew=round(angle, 2),
        confidence=sum((word.confidence or 0) * len(word.text) for word in words) / letters if letters else None,
        unread=unread,
    )


def _of_no_text(pixels: Pixels, dpi: float) -> Recognised:
    import numpy as np

    strokes = find_strokes(pixels, np.zeros((0, 4, 2)), dpi=dpi)
    return Recognised((), _rulings(strokes, 72 / dpi), pixels.shape[1] * 72 / dpi, pixels.shape[0] * 72 / dpi)


def _rulings(strokes: Sequence[Stroke], scale: float) -> tuple[Ruling, ...]:
    return tuple(
        Ruling(Box(stroke.left * scale, stroke.top * scale, stroke.right * scale, stroke.bottom * scale))
        for stroke in strokes
    )


def _straightened(pixels: Pixels, quads: NDArray[np.float64], angle: float) -> tuple[Pixels, NDArray[np.float64]]:
    """Turn a page about its middle so that its lines are level; its size stays."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    level = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, dtype=np.uint8), quads @ matrix[:, :2].T + matrix[:, 2]


def _strips(
    models: Engine, pixels: Pixels, quads: NDArray[np.float64], strokes: Sequence[Stroke], *, vertical: bool
) -> list[Strip]:
    """Cut the lines out; those across the page are turned, each by itself."""
    import numpy as np

    strips, tall = list[Strip](), list[Strip]()
    usual = usual_height(quads)
    for quad in quads:
        line = cut(pixels, quad)
        left, top, right, bottom = (*map(float, quad.min(axis=0)), *map(float, quad.max(axis=0)))
        if line.shape[0] >= 1.5 * line.shape[1] and line.shape[0] > _SEVERAL * usual:
            turned = np.ascontiguousarray(np.rot90(line))
            tall.append(Strip(turned, left, top, right, bottom, vertical=True))
            continue
        walls = [
            (stroke.left + stroke.right) / 2
            for stroke in strokes
            if not stroke.horizontal and min(stroke.bottom, bottom) - max(stroke.top, top) > 0.6 * (bottom - top)
        ]
        strips += split(Strip(line, left, top, right, bottom), walls)
    heads = [0.0] * len(tall) if vertical else models.upside_down([strip.pixels for strip in tall])
    for strip, head in zip(tall, heads, strict=True):
        if head > 0:
            strips.append(replace(strip, pixels=np.ascontiguousarray(np.rot90(strip.pixels, 2)), upwards=True))
        else:
            strips.append(strip)
    return strips


def _single(pixels: Pixels, quads: NDArray[np.float64]) -> list[Strip]:
    strips = []
    for quad in quads:
        left, top, right, bottom = (*map(float, quad.min(axis=0)), *map(float, quad.max(axis=0)))
        strips.append(Strip(cut(pixels, quad), left, top, right, bottom, doubtful=True))
    return strips


def _words(strips: Sequence[Strip], readings: Sequence[Reading], scale: float) -> tuple[list[Word], int]:
    sizes = _sizes([min(strip.bottom - strip.top, strip.right - strip.left) if strip.vertical
                    else strip.bottom - strip.top for strip in strips],
                   [len(reading.text) for reading in readings])  # fmt: skip
    words, unread = list[Word](), 0
    for strip, reading, size in zip(strips, readings, sizes, strict=True):
        if strip.doubtful:
            # Dirt reads as a dot or a dash; it is no loss.
            if reading.confidence >= _VERY_SURE and any(map(str.isalnum, reading.text)):
                words += _placed(strip, reading, round(size * _EM * scale, 1), scale)
        elif reading.text.strip() and reading.confidence >= _SURE:
            words += _placed(strip, reading, round(size * _EM * scale, 1), scale)
        else:
            unread += 1
    return words, unread


def _placed(strip: Strip, reading: Reading, size: float, scale: float) -> list[Word]:
    left, top, right, bottom = strip.left * scale, strip.top * scale, strip.right * scale, strip.bottom * scale
    words = []
    for piece in pieces_of(strip, reading):
        if strip.vertical:
            start, end = (1 - piece.end, 1 - piece.start) if strip.upwards else (piece.start, piece.end)
            box = Box(left, top + start * (bottom - top), right, top + end * (bottom - top))
        else:
            box = Box(left + piece.start * (right - left), top, left + piece.end * (right - left), bottom)
        words.append(
            Word(
                piece.text,
                box,
                size=size,
                confidence=round(piece.confidence, 4),
                vertical=strip.vertical,
            )
        )
    return words


def _sizes(heights: Sequence[float], letters: Sequence[int]) -> list[float]:
    """Give lines of nearly one height the same: a line without descenders is not set smaller."""
    sizes = [0.0] * len(heights)
    left = set(range(len(heights)))
    while left:
        # The height that most letters are near to, then the next.
        best = max(left, key=lambda index: sum(letters[other] + 1 for other in left
                                               if _near(heights[index], heights[other])))  # fmt: skip
        near = [index for index in left if _near(heights[best], heights[index])]
        weights = sum(letters[index] + 1 for index in near)
        mean = sum(heights[index] * (letters[index] + 1) for index in near) / weights
        for index in near:
            sizes[index] = mean
        left -= set(near)
    return sizes


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 0.14 * one
