"""Which lines were ended on purpose."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from .flow import HYPHENS
from .lines import Line
from .scripts import HAN

__all__ = ["same_size", "with_breaks"]


def with_breaks(lines: Sequence[Line]) -> list[Line]:
    """Mark the lines that were ended although the next word had room on them: addresses, verses, cells."""
    result: list[Line] = []
    widest = max((line.box.right for line in lines), default=0.0) - min((line.box.left for line in lines), default=0.0)
    for block in _blocks(lines):
        left, right = min(line.box.left for line in block), max(line.box.right for line in block)
        broken = [_had_room(line, after, left, right) for line, after in itertools.pairwise(block)]
        if any(broken) and right - left < 0.6 * widest:
            # Narrower than the rest, so the longest of them does not show how wide they could have been.
            broken = [line.words[-1].text[-1:] not in HYPHENS for line in block[:-1]]
        result += [replace(line, broken=True) if ends else line for line, ends in zip(block, broken, strict=False)]
        result.append(block[-1])
    return result


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    blocks: list[list[Line]] = []
    for line in lines:
        last = blocks[-1][-1] if blocks else None
        if last is None or not 0 < line.box.top - last.box.top < 1.9 * max(last.size, 1.0) or not same_size(last, line):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    return blocks


def _had_room(line: Line, after: Line, left: float, right: float) -> bool:
    first, size = after.words[0], max(line.size, 1.0)
    if line.words[-1].text[-1:] in HYPHENS:
        return False
    needed = size if HAN.match(first.text) else first.box.right - first.box.left
    before, behind = line.box.left - left, right - line.box.right
    if line.rtl:
        before, behind = behind, before
    if before > size and abs(before - behind) < size:
        return False  # centred
    return behind > needed + 0.8 * size


def same_size(first: Line, other: Line) -> bool:
    """Tell whether two lines are set in one size."""
    # The height of a recognised line depends on its letters.
    recognised = first.words[0].confidence is not None
    return abs(first.size - other.size) <= (0.3 if recognised else 0.06) * max(first.size, 1.0)
