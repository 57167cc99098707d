"""Paragraphs that go on in the next column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .content import union
from .regions import Region, RegionKind, TextRegion
from .scripts import HAN, HANGUL

__all__ = ["Flow", "continues", "flow_of", "with_next_column"]

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
    return first.box.top <= last.box.bottom and continues(flow_of(last), flow_of(first))


@dataclass(frozen=True, slots=True)
class Flow:
    """How a text begins and ends, as far as that tells whether it is one with the next.

    Args:
        kind: Of its region.
        size: Of its letters.
        bold: Most of them are.
        small: It begins with a small letter.
        any_case: It begins with a letter of a script that has no small ones.
        open: Its last line reaches the margin, or ends in a hyphen, and no sentence ends there.
        lines: How many it has.
    """

    kind: RegionKind
    size: float
    bold: bool
    small: bool
    any_case: bool
    open: bool
    lines: int


def flow_of(region: TextRegion) -> Flow:
    """Return how a region begins and ends."""
    end, start = region.lines[-1], region.lines[0].text[:1]
    # A line that ends before the margin ends its paragraph, in scripts without small letters too.
    margin = max(line.box.right for line in region.lines)
    full = len(region.lines) < 2 or end.text.endswith("-") or margin - end.box.right < 2.0 * max(end.size, 1.0)
    return Flow(
        region.kind,
        region.size,
        region.bold,
        start.islower(),
        bool(HAN.match(start) or HANGUL.match(start)),
        full and not end.broken and not _END.search(end.text),
        len(region.lines),
    )


def continues(last: Flow, first: Flow) -> bool:
    """Tell whether one text goes on with another, in the next column or on the next page."""
    if last.kind not in ("paragraph", "list_item") or first.kind != "paragraph":
        return False
    if abs(last.size - first.size) > 0.06 * last.size or last.bold != first.bold:
        return False
    return last.open and (first.small or (first.any_case and last.lines > 1))
