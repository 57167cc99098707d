"""Put whole units together that have something to say of themselves: log entries, turns, cues, slides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from polyport_gateway.knowledge.documents.values import JSON
from polyport_gateway.knowledge.tokenizers import Measure

from .boundaries import ends_of
from .packing import pack

__all__ = ["Gathered", "distinct", "gather"]

_LINES = re.compile(r"\n(?:[^\S\n]*\n)*")  # what a line is indented by stays with it


class Gathered(NamedTuple):
    """Neighbouring units, or a piece of one that is larger than the limit.

    Args:
        start: Where the first begins.
        end: Where the last ends.
        size: Tokens.
        first: Number of the first unit.
        after: One past the number of the last.
        part: Number of the piece, where one unit takes several.
    """

    start: int
    end: int
    size: int
    first: int
    after: int
    part: int | None = None


def gather(
    measure: Measure,
    text: str,
    bounds: Sequence[int],
    limit: int,
    *,
    overlap: int = 0,
    most: int | None = None,
    apart: Collection[int] = (),
) -> Iterator[Gathered]:
    """Put whole units together up to the limit; one that is larger by itself is cut between its lines.

    Args:
        measure: Of the text.
        text: The text.
        bounds: Where each unit begins, and last where the last one ends.
        limit: Tokens of what is put together.
        overlap: Units that are repeated from the end of the one before, where they leave room for the next one.
        most: Units at most.
        apart: Numbers of units that begin anew.
    """
    count = len(bounds) - 1
    first = 0
    while first < count:
        size = measure.count(bounds[first], bounds[first + 1])
        if size > limit:
            yield from _pieces(measure, text, bounds, first, limit)
            first += 1
            continue
        begin = first if first in apart else _back(measure, bounds, first, limit, overlap, apart)
        after, size = first + 1, measure.count(bounds[begin], bounds[first + 1])
        while after < count and after not in apart and (most is None or after - begin < most):
            larger = measure.count(bounds[begin], bounds[after + 1])
            if larger > limit:
                break
            after, size = after + 1, larger
        yield Gathered(bounds[begin], bounds[after], size, begin, after)
        first = after


def _back(measure: Measure, bounds: Sequence[int], first: int, limit: int, overlap: int, apart: Collection[int]) -> int:
    begin = first
    while first - begin < overlap and begin > 0 and begin not in apart:
        if measure.count(bounds[begin - 1], bounds[first + 1]) > limit:
            break
        begin -= 1
    return begin


def _pieces(measure: Measure, text: str, bounds: Sequence[int], index: int, limit: int) -> Iterator[Gathered]:
    start, end = bounds[index], bounds[index + 1]
    for number, part in enumerate(pack(measure, text, start, ends_of(_LINES, text, start, end), limit)):
        yield Gathered(part.start, part.end, part.size, index, index + 1, number)


def distinct(values: Sequence[str | None]) -> list[JSON]:
    """Return the values that are there, each once, in the order in which they come."""
    return [value for value in dict.fromkeys(values) if value]
