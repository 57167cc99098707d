"""Lines of text cut out of a page, and their words' places in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .engine import Reading
from .pixels import grey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["Piece", "Strip", "cut", "pieces_of", "split"]

_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_APART = 1.1  # heights of a line: a wider blank parts what has nothing to do with each other
_SPACED = 0.5
"""Heights of a line: where two wide characters are further apart, a blank was meant."""
_BLANK = 0.17
"""Heights of a line between the ink of a wide character and of a Latin one where a blank stands."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A line of text, or a part of one, that goes to the recogniser.

    Args:
        pixels: Of it, from left to right.
        left: Its place on the page, in pixels.
        top: Likewise.
        right: Likewise.
        bottom: Likewise.
        vertical: It runs from top to bottom there, or upwards.
        upwards: Its left is at the bottom.
        doubtful: It may be no text at all.
    """

    pixels: Pixels
    left: float
    top: float
    right: float
    bottom: float
    vertical: bool = False
    upwards: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters without a blank.

    Args:
        text: What it says.
        start: Its edge, from 0 (the strip's left) to 1.
        end: Likewise.
        confidence: Mean of its characters'.
    """

    text: str
    start: float
    end: float
    confidence: float


def cut(image: Pixels, quad: NDArray[np.float64]) -> Pixels:
    """Return what stands in a quadrangle, straightened."""
    import cv2
    import numpy as np

    corners = quad.astype(np.float32)
    width = max(float(np.linalg.norm(quad[0] - quad[1])), float(np.linalg.norm(quad[3] - quad[2])), 1.0)
    height = max(float(np.linalg.norm(quad[0] - quad[3])), float(np.linalg.norm(quad[1] - quad[2])), 1.0)
    size = max(int(width), 1), max(int(height), 1)
    straight = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, straight)
    return np.asarray(cv2.warpPerspective(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def split(strip: Strip, walls: Sequence[float]) -> Iterator[Strip]:
    """Part a strip where a table's line crosses it, and at wide blanks: the detector joins what stands close."""
    import numpy as np

    height = strip.bottom - strip.top
    ink = _ink(strip.pixels)
    places = {wall - strip.left for wall in walls if strip.left + 0.2 * height < wall < strip.right - 0.2 * height}
    places |= {(start + end) / 2 for start, end in _blanks(ink, _APART * height)}
    edges = [0.0, *sorted(places), float(strip.pixels.shape[1])]
    for begin, end in pairwise(edges):
        filled = np.flatnonzero(ink[int(begin) : int(end)])
        if len(filled):
            margin = 0.15 * height
            left = int(max(begin, begin + filled[0] - margin))
            right = int(min(end, begin + filled[-1] + 1 + margin))
            if right - left > 2:
                yield Strip(strip.pixels[:, left:right], strip.left + left, strip.top, strip.left + right, strip.bottom)


def _ink(pixels: Pixels) -> NDArray[np.bool_]:
    """Return which columns of a strip have something on them."""
    import numpy as np

    plain = grey(pixels).astype(np.int16)
    ground = np.median(plain)
    contrast = max(24.0, 0.35 * (float(ground) - float(plain.min())))
    return np.asarray((ground - plain > contrast).sum(axis=0) > plain.shape[0] // 40)  # a speck is no ink


def _blanks(ink: NDArray[np.bool_], least: float) -> list[tuple[int, int]]:
    """Return the runs of empty columns between ink that are at least so long."""
    import numpy as np

    filled = np.flatnonzero(ink)
    if len(filled) < 2:
        return []
    steps = np.diff(filled)
    return [(int(filled[index]) + 1, int(filled[index + 1])) for index in np.flatnonzero(steps > max(least, 2))]


def pieces_of(strip: Strip, reading: Reading) -> list[Piece]:
    """Part what a strip says at its blanks, each piece with its edges where its ink ends."""
    ink = _ink(strip.pixels)
    words = _words(reading, ink, strip.pixels.shape[0])
    width = len(ink)
    bounds = [0]
    for before, after in pairwise(words):
        bounds.append(_widest_blank(ink, reading.places[before[-1]] * width, reading.places[after[0]] * width)[0])
    bounds.append(width)
    pieces = []
    for number, indices in enumerate(words):
        start, end = _tight(ink, bounds[number], bounds[number + 1])
        confidence = sum(reading.confidences[index] for index in indices) / len(indices)
        text = "".join(reading.text[index] for index in indices)
        pieces.append(Piece(text, start / width, end / width, confidence))
    return pieces


def _words(reading: Reading, ink: NDArray[np.bool_], height: int) -> list[list[int]]:
    """Group the characters: between two Chinese ones there is no blank unless they are far apart."""
    words = list[list[int]]()
    step = _usual_step(reading, len(ink), height)
    blank = True
    for index, character in enumerate(reading.text):
        if character.isspace():
            blank = True
            continue
        if words:
            last = words[-1][-1]
            begin, end = reading.places[last] * len(ink), reading.places[index] * len(ink)
            both = bool(_WIDE.match(character)), bool(_WIDE.match(reading.text[last]))
            if all(both):
                blank = blank and end - begin - step > _SPACED * height
            elif any(both) and not blank and _letters(reading.text[last], character):
                # Between Chinese and Latin the recogniser often leaves a blank out.
                blank = _widest_blank(ink, begin, end)[1] > _BLANK * height
        if blank or not words:
            words.append([])
        words[-1].append(index)
        blank = False
    return words


def _letters(one: str, other: str) -> bool:
    return one.isalnum() and other.isalnum()


def _usual_step(reading: Reading, width: int, height: int) -> float:
    steps = sorted(
        (after - before) * width
        for before, after, one, two in zip(
            reading.places, reading.places[1:], reading.text, reading.text[1:], strict=False
        )
        if _WIDE.match(one) and _WIDE.match(two)
    )
    return steps[len(steps) // 2] if steps else 0.85 * height


def _widest_blank(ink: NDArray[np.bool_], begin: float, end: float) -> tuple[int, int]:
    """Return the middle and the length of the widest run of empty columns between two characters' middles."""
    first, last = max(int(begin), 0), min(int(end) + 1, len(ink))
    best, best_at, run = 0, (first + last) // 2, 0
    for column in range(first, last):
        run = 0 if ink[column] else run + 1
        if run > best:
            best, best_at = run, column - run // 2
    return best_at, best


def _tight(ink: NDArray[np.bool_], start: int, end: int) -> tuple[int, int]:
    import numpy as np

    filled = np.flatnonzero(ink[start:end])
    return (start + int(filled[0]), start + int(filled[-1]) + 1) if len(filled) else (start, max(end, start + 1))
