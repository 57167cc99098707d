"""Paragraphs that go on in the next column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .content import union
from .regions import Region, TextRegion
from .scripts import HAN, HANGUL

__all__ = ["with_next_column"]

_END = re.compile(r"[.!?:;。！？…：；]['\"”’)\]」』]*$")


def with_next_column(regions: Sequence[Region], column: Sequence[Region]) -> list[Region]:
    """Append the regions of the next column, its first to the last paragraph if that goes on there.

    Footnotes at the end of the one column stand between the two.
    """
    result = list(regions)
    index = len(result) - 1
    while index >= 0 and (region := result[index]) and isinstance(region, TextRegion) and region.kind == "footnote":
        index -= 1
    if index < 0 or not column:
        return [*result, *column]
    last, first = result[index], column[0]
    if isinstance(last, TextRegion) and isinstance(first, TextRegion) and _goes_on(last, first):
        result[index] = replace(last, box=union(last.box, first.box), lines=last.lines + first.lines)
        return [*result, *column[1:]]
    return [*result, *column]


def _goes_on(last: TextRegion, first: TextRegion) -> bool:
    if last.kind not in ("paragraph", "list_item") or first.kind != "paragraph":
        return False
    if first.box.top > last.box.bottom or abs(last.size - first.size) > 0.06 * last.size or last.bold != first.bold:
        return False
    end, start = last.lines[-1], first.lines[0].text[:1]
    if _END.search(end.text) or end.broken or not (start.islower() or HAN.match(start) or HANGUL.match(start)):
        return False
    if len(last.lines) < 2:
        return start.islower()
    # A line that ends before the margin ends its paragraph, in scripts without small letters too.
    margin = max(line.box.right for line in last.lines)
    return end.text.endswith("-") or margin - end.box.right < 2.0 * max(end.size, 1.0)
