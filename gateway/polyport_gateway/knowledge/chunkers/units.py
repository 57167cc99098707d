"""Put whole units together that have something to say of themselves: log entries, turns, cues, slides."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from polyport_gateway.knowledge.documents.values import JSON
from polyport_gateway.knowledge.tokenizers import Measure

from .boundaries import ends_of
from .packing import pack

__all__ = ["Gathered", "distinct", "furthest", "gather"]

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
    apart: Sequence[int] = (),
) -> Iterator[Gathered]:
    """Put whole units together up to the limit; one that is larger by itself is cut between its lines.

    Args:
        measure: Of the text.
        text: The text.
        bounds: Where each unit begins, and last where the last one ends.
        limit: Tokens of what is put together.
        overlap: Units that are repeated from the end of the one before, where they leave room for the next one.
        most: Units at most.
        apart: Numbers of units that begin anew, ascending.
    """
    count = len(bounds) - 1
    first = 0
    new = {*apart}
    while first < count:
        begin = first if first in new else _back(measure, bounds, first, limit, overlap, new)
        after, size = furthest(measure, bounds, first, limit, start=bounds[begin])
        if size > limit:
            yield from _pieces(measure, text, bounds, first, limit)
            first += 1
            continue
        stop = min([after, *([begin + most] if most else []), *apart[bisect_right(apart, first) :][:1]])
        if stop < after:
            after, size = stop, measure.count(bounds[begin], bounds[stop])
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


def furthest(
    measure: Measure, bounds: Sequence[int], first: int, limit: int, *, start: int | None = None
) -> tuple[int, int]:
    """Return up to which bound a chunk goes that begins at one, and its tokens; more than the limit if no unit fits.

    Args:
        measure: Of the text.
        bounds: Where each unit begins, and last where the last one ends.
        first: Number of the first unit.
        limit: Tokens.
        start: Where the chunk begins, if that is before its first unit.
    """
    begin = bounds[first] if start is None else start
    after = max(first + 1, bisect_right(bounds, measure.reach(begin, limit, bounds[-1]), lo=first) - 1)
    size = measure.count(begin, bounds[after])
    while size > limit and after > first + 1:
        after -= 1
        size = measure.count(begin, bounds[after])
    while size <= limit and after + 1 < len(bounds):
        larger = measure.count(begin, bounds[after + 1])
        if larger > limit:
            break
        after, size = after + 1, larger
    return after, size


def distinct(values: Sequence[str | None]) -> list[JSON]:
    """Return the values that are there, each once, in the order in which they come."""
    return [value for value in dict.fromkeys(values) if value]
