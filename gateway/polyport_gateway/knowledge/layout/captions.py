"""Captions to the tables and pictures that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .regions import PictureRegion, Region, TableRegion, TextRegion

__all__ = ["with_captions"]

_FARTHEST = 40.0  # points between a table and its caption


def with_captions(regions: Sequence[Region]) -> list[Region]:
    """Give each table and picture the caption that stands nearest above or below it; other captions stay."""
    result = list(regions)
    taken: set[int] = set()
    for index, region in enumerate(regions):
        if not isinstance(region, TextRegion) or region.kind != "caption":
            continue
        best: tuple[float, int] | None = None
        for other in range(max(0, index - 2), min(len(regions), index + 3)):
            owner = result[other]
            if not isinstance(owner, TableRegion | PictureRegion) or owner.caption:
                continue
            distance = _distance(region, owner)
            if distance is not None and (best is None or distance < best[0]):
                best = (distance, other)
        if best:
            owner = result[best[1]]
            if isinstance(owner, TableRegion | PictureRegion):
                result[best[1]] = replace(owner, caption=region)
                taken.add(index)
    return [region for index, region in enumerate(result) if index not in taken]


def _distance(caption: TextRegion, owner: TableRegion | PictureRegion) -> float | None:
    """Return how far apart they stand; None where it is too far, or they stand beside each other."""
    box, other = caption.box, owner.box
    if min(box.right, other.right) - max(box.left, other.left) <= 0:
        return None
    gap = max(box.top - other.bottom, other.top - box.bottom)
    return max(gap, 0.0) if gap < _FARTHEST else None
