"""Where text stands in a picture of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .engine import Engine
from .orientation import in_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["detected"]

_SHORT_SIDE = 1100
"""Pixels of a page's short side at which text is looked for. A4 at 130 dpi: letters of 6 points are 11 pixels high."""
_SMALLEST = 8.0  # pixels of a line's height there; below, it is looked for once more, larger
_LARGER = 1.8
_TILE = 1600
_SHARED = 160  # pixels that two tiles share, at least
_SAME = 0.5  # of a line's thickness: what two tiles have seen in one place is one line


def detected(models: Engine, pixels: Pixels) -> NDArray[np.float64]:
    """Find the lines of text; small ones are looked for once more at a larger scale."""
    import numpy as np

    short = min(pixels.shape[:2])
    scale = min(1.0, _SHORT_SIDE / short)
    quads = _found_at(models, pixels, scale)
    if len(quads) and scale < 1:
        heights = np.linalg.norm(quads[:, 0] - quads[:, 3], axis=1)
        widths = np.linalg.norm(quads[:, 0] - quads[:, 1], axis=1)
        if float(np.median(np.minimum(heights, widths))) * scale < _SMALLEST:
            return _found_at(models, pixels, min(1.0, _LARGER * scale))
    return quads


def _found_at(models: Engine, pixels: Pixels, scale: float) -> NDArray[np.float64]:
    """Find lines at a scale, a tile at a time where the picture is long."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    else:
        small = pixels
    found: list[NDArray[np.float64]] = []
    owners: list[int] = []
    for top in _tiles(small.shape[0]):
        for left in _tiles(small.shape[1]):
            quads = _padded(models, small[top : top + _TILE, left : left + _TILE])
            owners += [len(found)] * len(quads)
            found.append(quads + np.array([left, top]))
    whole = np.concatenate(found)
    return (_joined(whole, owners) if len(found) > 1 else whole) / scale


def _tiles(length: int) -> list[int]:
    """Return where tiles begin; one is enough for a little more than a tile's length."""
    if length <= _TILE:
        return [0]
    count = math.ceil((length - _SHARED) / (_TILE - _SHARED))
    return [round(index * (length - _TILE) / (count - 1)) for index in range(count)]


def _padded(models: Engine, tile: Pixels) -> NDArray[np.float64]:
    """Detect in a tile with a margin: letters at the very edge, and a picture of one line, are else not found."""
    import cv2
    import numpy as np

    height, width = tile.shape[:2]
    margin = 16 if min(height, width) > 160 else 48
    ground = [int(value) for value in np.median(tile[:: max(height // 64, 1), :: max(width // 64, 1)], axis=(0, 1))]
    padded = cv2.copyMakeBorder(tile, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=ground)
    quads = models.detect(np.asarray(padded, dtype=np.uint8)) - margin
    return in_order(np.clip(quads, 0, [width, height]))


def _joined(quads: NDArray[np.float64], owners: Sequence[int]) -> NDArray[np.float64]:
    """Make one of what two tiles have seen of one line, whole or in part, in the band that they share."""
    import numpy as np

    low, high = quads.min(axis=1), quads.max(axis=1)
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    sides = high - low
    thickness = np.minimum(sides.min(axis=1)[:, None], sides.min(axis=1)[None])
    tiles = np.array(owners)
    same = (shared.min(axis=2) > _SAME * thickness) & (tiles[:, None] != tiles[None])
    joined: list[NDArray[np.float64]] = []
    seen: set[int] = set()
    for first in range(len(quads)):
        group, waiting = list[int](), [first] if first not in seen else []
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                group.append(index)
                waiting += np.flatnonzero(same[index]).tolist()
        if len(group) == 1:
            joined.append(quads[first])
        elif group:
            (left, top), (right, bottom) = low[group].min(axis=0), high[group].max(axis=0)
            joined.append(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))
    return np.array(joined).reshape(-1, 4, 2)
