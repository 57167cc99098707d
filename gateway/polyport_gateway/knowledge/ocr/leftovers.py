"""What the detector leaves out: it looks for lines, and passes over a single digit in a table's cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pixels import grey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["leftovers"]

_MOST = 80
_MOST_BLOBS = 4000  # more is no page of text but a photograph or a screen of dots
# In heights of a usual line of text, as the detector draws them.
_LOWEST, _HIGHEST = 0.4, 1.0
_WIDEST = 2.5
_JOINED = 0.25
_MARGIN = 0.22
_EMPTY = 0.45  # around it: a part of a drawing has neighbours


def leftovers(image: Pixels, quads: NDArray[np.float64], *, usual: float) -> NDArray[np.float64]:
    """Return where else something as high as a character stands, by itself.

    Args:
        image: Upright, straight, without the lines of tables.
        quads: What the detector found.
        usual: Height of most lines of it.
    """
    import cv2
    import numpy as np

    plain = grey(image)
    window = max(int(1.5 * usual) | 1, 11)
    dark = np.asarray(
        cv2.adaptiveThreshold(plain, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, 25), dtype=np.uint8
    )
    for quad in quads:
        cv2.fillConvexPoly(dark, np.round(quad).astype(np.int32), 0)
    reach = max(2, int(_JOINED * usual))
    joined = cv2.dilate(dark, np.ones((3, reach), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    if count > _MOST_BLOBS:
        return np.zeros((0, 4, 2))
    found = []
    for left, top, width, height, _ in stats[1:].tolist():
        if not (_LOWEST * usual <= height <= _HIGHEST * usual and width <= _WIDEST * usual):
            continue
        if _is_alone(dark, (left, top, left + width, top + height), int(_EMPTY * usual)):
            margin = _MARGIN * usual
            box = (max(left - margin, 0), max(top - margin, 0), left + width + margin, top + height + margin)
            found.append([(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])])
    return np.array(found[:_MOST], dtype=np.float64).reshape(-1, 4, 2)


def _is_alone(dark: Pixels, box: tuple[int, int, int, int], reach: int) -> bool:
    left, top, right, bottom = box
    around = dark[max(top - reach, 0) : bottom + reach, max(left - reach, 0) : right + reach]
    return int(around.sum()) <= int(dark[top:bottom, left:right].sum())
