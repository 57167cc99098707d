"""Fill chunks up to a limit: the one loop that all extractive chunkers share."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from polyport_gateway.knowledge.tokenizers import Measure

from .boundaries import CLAUSES, LINES, PARAGRAPHS, SENTENCES, WORDS, last_break
from .graphemes import is_safe_cut, safe_cut

__all__ = ["Level", "Packed", "fit", "pack", "split_evenly", "split_recursively"]


class Packed(NamedTuple):
    """A part of the text, and its size."""

    start: int
    end: int
    size: int


class Level(NamedTuple):
    """A kind of break, and the share of the room that must be filled for it to be taken."""

    pattern: re.Pattern[str]
    fill: float


FINER = (Level(SENTENCES, 0.3), Level(CLAUSES, 0.5), Level(WORDS, 0.5), Level(WORDS, 0.0))
_EVEN = (Level(WORDS, 0.75),)
RECURSIVE = (Level(PARAGRAPHS, 0.2), Level(LINES, 0.3), *FINER)


def fit(measure: Measure, text: str, start: int, stop: int, limit: int) -> Packed:
    """Return the part from ``start`` on that uses up the limit, or ends at ``stop``; at least one character."""
    end = measure.reach(start, limit, stop)
    while True:
        size = measure.count(start, end)
        if size <= limit or end - start <= 1:
            cut = safe_cut(text, end, start) if end < stop else end
            if cut == end:
                return Packed(start, end, size)
            end = cut
        else:
            end = start + max(1, min(end - start - 1, (end - start) * limit // size))


def shrink(measure: Measure, text: str, start: int, end: int, limit: int, levels: Sequence[Level]) -> Packed:
    """Return the largest part that ends at the best break up to ``end`` and keeps the limit."""
    while True:
        cut = _best_break(text, start, end, levels)
        size = measure.count(start, cut)
        if size <= limit or cut - start <= 1:
            return Packed(start, cut, size)
        end = fit(measure, text, start, cut - 1, limit).end


def _best_break(text: str, start: int, end: int, levels: Sequence[Level]) -> int:
    for pattern, fill in levels:
        cut = last_break(pattern, text, start + int((end - start) * fill), end)
        if cut > start:
            safe = safe_cut(text, cut, start)
            if safe > start:
                return safe
    return safe_cut(text, end, start)


def split_recursively(
    measure: Measure, text: str, start: int, stop: int, limit: int, levels: Sequence[Level] = RECURSIVE
) -> Iterator[Packed]:
    """Cut at the widest break that leaves a chunk well filled: paragraph, line, sentence, clause, word."""
    while start < stop:
        end = measure.reach(start, limit, stop)
        if end == stop and (size := measure.count(start, stop)) <= limit:
            yield Packed(start, stop, size)
            return
        part = shrink(measure, text, start, min(end, stop - 1) if stop - start > 1 else stop, limit, levels)
        yield part
        start = part.end


def split_evenly(
    measure: Measure, text: str, start: int, stop: int, limit: int, *, overlap: int = 0
) -> Iterator[Packed]:
    """Fill each chunk without cutting a word; each begins with up to ``overlap`` of the one before."""
    done = start
    while done < stop:
        part = fit(measure, text, start, stop, limit)
        if part.end < stop:
            part = shrink(measure, text, start, part.end, limit, _EVEN)
        if part.end <= done:  # the overlap leaves no room for the next word
            start = done
            continue
        yield part
        done = part.end
        start = _back(measure, text, part, overlap) if overlap else done


def _back(measure: Measure, text: str, part: Packed, overlap: int) -> int:
    # Where about the last tokens begin, then as much later as keeps the overlap.
    high = measure.reach(part.start, max(1, part.size - overlap), part.end)
    while high < part.end and (size := measure.count(high, part.end)) > overlap:
        high += max(1, (part.end - high) * (size - overlap) // size)
    word = WORDS.search(text, high - 1, part.end)
    if word is not None and high <= word.end() < part.end and is_safe_cut(text, word.end(), part.start):
        high = word.end()
    while high < part.end and not (is_safe_cut(text, high, part.start) and measure.count(high, part.end) <= overlap):
        high += 1
    return high


def pack(
    measure: Measure, text: str, start: int, ends: Sequence[int], limit: int, *, overlap: int = 0
) -> Iterator[Packed]:
    """Put whole units together up to the limit; a unit that is larger by itself is cut at finer breaks.

    Args:
        measure: Of the text.
        text: The text.
        start: Where the first unit begins.
        ends: Where each unit ends, ascending.
        limit: Of a chunk.
        overlap: How much of its end a chunk gives to the next one, at most: as many whole units as fit.
    """
    stop = ends[-1] if ends else start
    done = start
    while done < stop:
        part = _pack_one(measure, text, start, stop, ends, limit)
        if part.end <= done:  # the overlap leaves no room for the next unit
            start = done
            continue
        yield part
        done = part.end
        start = _overlap_start(measure, part, ends, overlap) if overlap else done


def _pack_one(measure: Measure, text: str, start: int, stop: int, ends: Sequence[int], limit: int) -> Packed:
    part = fit(measure, text, start, stop, limit)
    if part.end == stop:
        return part
    index = bisect_right(ends, part.end) - 1
    while index >= 0 and ends[index] > start:
        size = measure.count(start, ends[index])
        if size <= limit:
            return Packed(start, ends[index], size)
        index -= 1
    return shrink(measure, text, start, part.end, limit, FINER)


def _overlap_start(measure: Measure, part: Packed, ends: Sequence[int], overlap: int) -> int:
    index = bisect_left(ends, part.end) - 1
    found = part.end
    while index >= 0 and ends[index] > part.start and measure.count(ends[index], part.end) <= overlap:
        found = ends[index]
        index -= 1
    return found
