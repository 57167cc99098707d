"""Which way up a page is, and how far it is off the straight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .engine import Engine, Reading
from .pixels import grey
from .strips import cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["Upright", "in_order", "skew", "turn_quads", "upright"]

_SAMPLED = 10  # lines that are asked which way up they are
_PROBED = 5  # lines that are read both ways where these don't agree
_AGREED = 0.75
_LONG = 1.5  # width over height of what is a line and not a single character
_SEVERAL = 2.2  # usual heights of a line that more than one character is long
_MOST_SKEW = 10.0
_SEEN = 1200  # pixels of the page's long side at which its angle is measured
_SHARPER = 1.05
_LEAST_SKEW = 0.15  # degrees; less is not worth resampling for


@dataclass(frozen=True, slots=True)
class Upright:
    """How to turn a page.

    Args:
        rotation: Degrees clockwise: 0, 90, 180 or 270.
        vertical: Then its lines run from top to bottom, as in Chinese books.
    """

    rotation: int
    vertical: bool = False


def upright(engine: Engine, image: Pixels, quads: NDArray[np.float64]) -> Upright:
    """Find which way up a page is by its longest lines: their shape, then the direction model, then their reading."""
    import numpy as np

    widths, heights = _sides(quads)
    lengths = np.maximum(widths, heights)
    # A digit by itself is higher than wide, and says nothing.
    long = lengths >= _SEVERAL * np.median(np.minimum(widths, heights))
    wide, tall = long & (widths >= _LONG * heights), long & (heights >= _LONG * widths)
    if not (wide.any() or tall.any()):
        return Upright(0)
    lying = bool(lengths[tall].sum() > lengths[wide].sum())
    order = [index for index in np.argsort(-lengths) if (tall if lying else wide)[index]]
    # Tall ones are turned anticlockwise: upright then means that the page must be turned so as well.
    strips = [np.ascontiguousarray(np.rot90(strip)) if lying else strip
              for strip in (cut(image, quads[index]) for index in order[:_SAMPLED])]  # fmt: skip
    reversed_ = _on_head(engine, strips, [float(lengths[index]) for index in order[:_SAMPLED]])
    if not lying:
        return Upright(180 if reversed_ else 0)
    if not reversed_ and _is_vertical(engine, strips[:_PROBED]):
        return Upright(0, vertical=True)
    return Upright(90 if reversed_ else 270)


def _sides(quads: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    return np.linalg.norm(quads[:, 0] - quads[:, 1], axis=1), np.linalg.norm(quads[:, 0] - quads[:, 3], axis=1)


def _on_head(engine: Engine, strips: Sequence[Pixels], lengths: Sequence[float]) -> bool:
    votes = engine.upside_down(strips)
    total = sum(abs(vote) * length for vote, length in zip(votes, lengths, strict=True))
    share = sum(vote * length for vote, length in zip(votes, lengths, strict=True)) / max(total, 1e-9)
    if abs(share) >= _AGREED and len(votes) > 2:
        return share > 0
    import numpy as np

    probed = list(strips[:_PROBED])
    ahead = _sense(engine.read(probed))
    turned = _sense(engine.read([np.ascontiguousarray(np.rot90(strip, 2)) for strip in probed]))
    return turned > ahead


def _sense(readings: Sequence[Reading]) -> float:
    """Return how much of what was read is sure: text on its head reads as few, doubtful characters."""
    return sum(max(confidence - 0.5, 0.0) for reading in readings
               for character, confidence in zip(reading.text, reading.confidences, strict=False)
               if not character.isspace())  # fmt: skip


def _is_vertical(engine: Engine, strips: Sequence[Pixels]) -> bool:
    """Tell whether characters lie on their side in turned strips: then the page is upright, and its lines are not.

    The recognition model reads such lines in either case, so each is cut between its characters and these are set
    side by side, each turned back.
    """
    import numpy as np

    lying = standing = 0.0
    for strip, reading in zip(strips, engine.read(strips), strict=True):
        cells = _cells(strip, reading)
        if len(cells) < 2:
            continue
        side_by_side = np.concatenate([np.rot90(cell, -1) for cell in cells], axis=1)
        again = engine.read([np.ascontiguousarray(side_by_side)])[0]
        shown = [character for character in reading.text if not character.isspace()][: len(cells)]
        same = sum(character in again.text for character in shown) / len(shown)
        standing += same * again.confidence * len(cells)
        lying += (1 - same) * len(cells)
    return standing > lying


def _cells(strip: Pixels, reading: Reading, most: int = 8) -> list[Pixels]:
    """Cut the square characters out of a strip; Latin letters are narrower, and stand in no column."""
    height, width = strip.shape[:2]
    places = [place * width for character, place in zip(reading.text, reading.places, strict=True)
              if not character.isspace()]  # fmt: skip
    steps = sorted(after - before for before, after in pairwise(places))
    if not steps or steps[len(steps) // 2] < 0.6 * height:
        return []
    half = int(min(steps[len(steps) // 2], height) / 2)
    cells = []
    for place in places[:most]:
        left = max(int(place) - half, 0)
        cell = strip[:, left : left + 2 * half]
        if cell.shape[1] == 2 * half:
            cells.append(cell)
    return cells


def in_order(quads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Begin each quadrangle with the edge that points most to the right, and go on clockwise.

    By the corners' places alone, as the detector sorts them, a narrow one that is a little aslant begins anywhere.
    """
    import numpy as np

    if not len(quads):
        return quads
    away = quads - quads.mean(axis=1, keepdims=True)
    around = np.argsort(np.arctan2(away[:, :, 1], away[:, :, 0]), axis=1)
    sorted_ = np.take_along_axis(quads, around[:, :, None], axis=1)
    edges = np.roll(sorted_, -1, axis=1) - sorted_
    first = np.argmax(edges[:, :, 0] / np.maximum(np.linalg.norm(edges, axis=2), 1e-9), axis=1)
    places = (first[:, None] + np.arange(4)) % 4
    return np.asarray(np.take_along_axis(sorted_, places[:, :, None], axis=1))


def turn_quads(quads: NDArray[np.float64], rotation: int, width: float, height: float) -> NDArray[np.float64]:
    """Turn corners with their picture of this size; each begins with its top left corner again."""
    import numpy as np

    x, y = quads[:, :, 0], quads[:, :, 1]
    turned = {
        0: (x, y),
        90: (height - y, x),
        180: (width - x, height - y),
        270: (y, width - x),
    }[rotation]
    # Clockwise by a quarter, what was the bottom left corner becomes the top left one.
    return np.roll(np.stack(turned, axis=2), rotation // 90, axis=1)


def skew(image: Pixels, quads: NDArray[np.float64]) -> float:
    """Return by how many degrees the lines fall to the right; 0 where there are none, or they don't agree.

    The exact angle is the one at which the rows of pixels differ most (Postl, 1986).
    """
    angle = _mean_angle(quads)
    if angle is None:
        # No line is long enough to have one; the lines of a table may.
        coarse = _thumbnail(image, _SEEN // 2)
        angle = max((number / 2 for number in range(-12, 13)), key=lambda tried: _sharpness(coarse, tried))
    if abs(angle) < _LEAST_SKEW:
        return 0.0
    fine = _thumbnail(image, _SEEN)
    for step in (0.3, 0.1):
        angle = max((angle + step * number for number in range(-3, 4)), key=lambda tried: _sharpness(fine, tried))
    worth = abs(angle) >= _LEAST_SKEW and _sharpness(fine, angle) > _SHARPER * _sharpness(fine, 0.0)
    return angle if worth else 0.0


def _thumbnail(image: Pixels, side: int) -> NDArray[np.float32]:
    import cv2
    import numpy as np

    plain = grey(image)
    scale = min(1.0, side / max(plain.shape))
    size = max(1, round(plain.shape[1] * scale)), max(1, round(plain.shape[0] * scale))
    small = np.asarray(cv2.resize(plain, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return np.asarray(np.maximum(np.median(small) - small, 0), dtype=np.float32)


def _sharpness(dark: NDArray[np.float32], angle: float) -> float:
    import cv2
    import numpy as np

    height, width = dark.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    rows = np.asarray(cv2.warpAffine(dark, matrix, (width, height))).sum(axis=1)
    return float(np.square(np.diff(rows)).sum())


def _mean_angle(quads: NDArray[np.float64]) -> float | None:
    """Return the middle angle of the long lines; None where there are few, and 0 where they don't agree."""
    import numpy as np

    widths, heights = _sides(quads)
    long = widths > 6 * heights
    if long.sum() < 3:
        return None
    along = quads[long, 1] - quads[long, 0] + quads[long, 2] - quads[long, 3]
    angles, weights = np.degrees(np.arctan2(along[:, 1], along[:, 0])), widths[long]
    order = np.argsort(angles)
    middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    angle = float(angles[order][min(middle, len(order) - 1)])
    agreeing = weights[np.abs(angles - angle) < 1.5].sum() / weights.sum()
    return angle if abs(angle) < _MOST_SKEW and agreeing >= 0.6 else 0.0
