"""Levels of headings, from the sizes and weights that a document uses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .regions import Region, TextRegion

__all__ = ["Look", "body_size", "heading_levels", "look_of", "numbered_level"]

_DEEPEST = 6
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,5})\.?\s+\D")


class Look(NamedTuple):
    """How a heading is set."""

    size: float
    bold: bool


def body_size(letters: Mapping[float, int]) -> float:
    """Return the size of most letters; 10 points where there are none."""
    if not letters:
        return 10.0
    near: Counter[float] = Counter()
    for size, count in letters.items():
        near[round(size * 2) / 2] += count
    return max(near, key=lambda size: (near[size], size))


def look_of(region: Region) -> Look | None:
    """Return how a heading is set; None for any other region."""
    if not isinstance(region, TextRegion) or region.kind != "heading":
        return None
    return Look(region.size, region.bold)


def heading_levels(looks: Iterable[Look]) -> dict[Look, int]:
    """Give each look its level: the largest is 1, bold before plain; sizes within 4 % count as one."""
    levels: dict[Look, int] = {}
    level, last = 0, None
    for look in sorted(set(looks), key=lambda look: (-look.size, not look.bold)):
        if last is None or look.size < 0.96 * last.size or look.bold != last.bold:
            level, last = level + 1, look
        levels[look] = min(level, _DEEPEST)
    return levels


def numbered_level(text: str) -> int | None:
    """Return the level that a heading's number says: ``2.3 Methods`` is of level 2; None without a number."""
    found = _DECIMAL.match(text)
    return found.group(1).count(".") + 1 if found else None
