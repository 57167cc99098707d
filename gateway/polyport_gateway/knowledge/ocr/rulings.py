"""The lines of tables and forms in a picture of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .pixels import grey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["Stroke", "find_strokes", "usual_height", "without_strokes"]

# All in heights of a usual line of text: what the file says of its resolution is often not so.
_WINDOW = 1.5
_THICKEST = 0.25
_SHORTEST = 1.2
_ACROSS = 1.0  # between two parts of a broken line
_CONTRAST = 12
_CROWDED = 0.5
"""Share of dark pixels beside a stroke from which on it is an edge or a part of a letter, and no line."""


class Stroke(NamedTuple):
    """A straight line in pixels."""

    left: int
    top: int
    right: int
    bottom: int
    horizontal: bool

    @property
    def length(self) -> int:
        """How long it is."""
        return self.right - self.left if self.horizontal else self.bottom - self.top


def find_strokes(image: Pixels, quads: NDArray[np.float64], *, dpi: float) -> list[Stroke]:
    """Find the lines that are horizontal or vertical (morphological opening).

    Args:
        image: Of an upright page.
        quads: Where text stands: strokes of its characters are no lines.
        dpi: Pixels per inch, by which a page without text is measured.
    """
    import cv2
    import numpy as np

    usual = usual_height(quads) if len(quads) else dpi / 6
    window = max(int(_WINDOW * usual) | 1, 11)
    dark = np.asarray(
        cv2.adaptiveThreshold(grey(image), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, _CONTRAST),
        dtype=np.uint8,
    )
    strokes = []
    for horizontal in (True, False):
        found = [
            stroke
            for stroke in _runs(dark, usual, horizontal=horizontal)
            if not _is_of_a_letter(stroke, quads) and not _is_crowded(stroke, dark)
        ]
        strokes += _joined(found, _ACROSS * usual)
    return strokes


def usual_height(quads: NDArray[np.float64]) -> float:
    """Return how high most lines of text are."""
    import numpy as np

    heights, widths = (
        np.linalg.norm(quads[:, 0] - quads[:, 3], axis=1),
        np.linalg.norm(quads[:, 0] - quads[:, 1], axis=1),
    )
    return float(np.median(np.minimum(heights, widths)))


def _runs(dark: Pixels, usual: float, *, horizontal: bool) -> list[Stroke]:
    import cv2
    import numpy as np

    shortest, thickest = max(int(_SHORTEST * usual), 12), max(_THICKEST * usual, 4.0)
    kernel = np.ones((1, shortest) if horizontal else (shortest, 1), np.uint8)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel)
    # A line that is not quite straight steps from one row of pixels to the next.
    opened = cv2.dilate(opened, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    strokes = []
    for left, top, width, height, area in stats[1:].tolist():
        left, top, width, height = left + 1, top + 1, width - 2, height - 2
        long, thick = (width, height) if horizontal else (height, width)
        # The mean says more than the extent where a long line is slanted.
        if long >= shortest and area / (long + 2) - 2 <= thickest and thick <= max(thickest, 0.02 * long):
            strokes.append(Stroke(left, top, left + width, top + height, horizontal))
    return strokes


def _is_of_a_letter(stroke: Stroke, quads: NDArray[np.float64]) -> bool:
    """Tell whether a stroke lies inside a line of text and is hardly longer than that is high."""
    if not len(quads):
        return False
    low, high = quads.min(axis=1), quads.max(axis=1)
    height = (high - low).min(axis=1)
    slack = 0.15 * height
    inside = (
        (low[:, 0] - slack <= stroke.left)
        & (stroke.right <= high[:, 0] + slack)
        & (low[:, 1] - slack <= stroke.top)
        & (stroke.bottom <= high[:, 1] + slack)
    )
    return bool((inside & (stroke.length < 2.2 * height)).any())


def _is_crowded(stroke: Stroke, dark: Pixels) -> bool:
    """Tell whether much of what is beside a stroke, on either side, is dark too."""
    thick = min(stroke.bottom - stroke.top, stroke.right - stroke.left)
    band = max(2, thick)
    before, after = (
        (dark[max(stroke.top - band - 2, 0) : max(stroke.top - 2, 0), stroke.left : stroke.right],
         dark[stroke.bottom + 2 : stroke.bottom + 2 + band, stroke.left : stroke.right])
        if stroke.horizontal
        else (dark[stroke.top : stroke.bottom, max(stroke.left - band - 2, 0) : max(stroke.left - 2, 0)],
              dark[stroke.top : stroke.bottom, stroke.right + 2 : stroke.right + 2 + band])
    )  # fmt: skip
    return any(side.size and float(side.mean()) / 255 > _CROWDED for side in (before, after))


def _joined(strokes: list[Stroke], across: float) -> list[Stroke]:
    """Join the parts of a broken line."""
    joined: list[Stroke] = []
    for stroke in sorted(strokes, key=lambda stroke: stroke.left if stroke.horizontal else stroke.top):
        for index in range(len(joined) - 1, -1, -1):
            if _continues(joined[index], stroke, across):
                joined[index] = Stroke(
                    min(joined[index].left, stroke.left),
                    min(joined[index].top, stroke.top),
                    max(joined[index].right, stroke.right),
                    max(joined[index].bottom, stroke.bottom),
                    stroke.horizontal,
                )
                break
        else:
            joined.append(stroke)
    return joined


def _continues(one: Stroke, other: Stroke, across: float) -> bool:
    if one.horizontal:
        return other.left - one.right <= across and min(one.bottom, other.bottom) - max(one.top, other.top) >= -2
    return other.top - one.bottom <= across and min(one.right, other.right) - max(one.left, other.left) >= -2


def without_strokes(image: Pixels, strokes: list[Stroke]) -> Pixels:
    """Return the picture with these lines painted over by what is beside them, so that they are not read as text."""
    import cv2
    import numpy as np

    if not strokes:
        return image
    cleaned = image.copy()
    height, width = image.shape[:2]
    for stroke in strokes:
        left, top = max(stroke.left - 2, 0), max(stroke.top - 2, 0)
        right, bottom = min(stroke.right + 2, width), min(stroke.bottom + 2, height)
        thick = (bottom - top) if stroke.horizontal else (right - left)
        margin = thick + 1
        area = image[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin]
        # The brightest or the darkest near by, whichever is the ground here.
        kernel = np.ones((2 * thick + 1, 1) if stroke.horizontal else (1, 2 * thick + 1), np.uint8)
        painted = np.asarray((cv2.dilate if float(np.median(area)) >= 110 else cv2.erode)(area, kernel))
        y, x = min(top, margin), min(left, margin)
        cleaned[top:bottom, left:right] = painted[y : y + bottom - top, x : x + right - left]
    return cleaned
