"""Sentences, and segments of them that keep a limit: what the chunkers by meaning and by topic share."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Measure

from .base import Cut, Work
from .boundaries import SENTENCES, ends_of
from .packing import pack

__all__ = ["sentence_bounds", "within_limit"]


def sentence_bounds(text: str, span: Span) -> list[int]:
    """Return where the sentences of a part of a text begin, and last where it ends; none of them is blank."""
    bounds, start = [span.start], span.start
    for end in ends_of(SENTENCES, text, *span):
        if not text[start:end].isspace():
            bounds.append(end)
        start = end
    if bounds[-1] != span.end:
        bounds[-1 if len(bounds) > 1 else len(bounds) :] = [span.end]
    return bounds


def within_limit(
    work: Work, cut: Cut, measure: Measure, bounds: Sequence[int], breaks: Sequence[int], limit: int, smallest: int = 0
) -> Iterator[Cut]:
    """Yield segments of sentences; one that is over the limit is cut between sentences, or inside one that is.

    Args:
        work: The document.
        cut: The part.
        measure: Of the document's text.
        bounds: Of the sentences.
        breaks: Numbers of the sentences at which a segment begins, ascending, without 0.
        limit: Tokens of a chunk.
        smallest: A segment of fewer tokens is put together with the next one, where that fits.
    """
    starts = [bounds[0], *(bounds[number] for number in breaks), bounds[-1]]
    segment, first = 0, 0
    while first < len(starts) - 1:
        after, size = first + 1, measure.count(starts[first], starts[first + 1])
        while size < smallest and after < len(starts) - 1:
            larger = measure.count(starts[first], starts[after + 1])
            if larger > limit:
                break
            after, size = after + 1, larger
        if size <= limit:
            yield cut.part(Span(starts[first], starts[after]), size, segment=segment)
        else:
            low, high = bisect_left(bounds, starts[first]), bisect_right(bounds, starts[after])
            for part in pack(measure, work.text, bounds[low], bounds[low + 1 : high], limit):
                yield cut.part(Span(part.start, part.end), part.size, segment=segment)
        segment, first = segment + 1, after
