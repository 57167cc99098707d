"""Whole paragraphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit, check_overlap
from .boundaries import PARAGRAPHS, ends_of
from .packing import pack

__all__ = ["Paragraphs"]


@dataclass(frozen=True)
class Paragraphs(Step):
    """Puts whole paragraphs together up to the limit; one that is longer by itself is cut inside.

    Args:
        max_tokens: Of a chunk.
        overlap: Tokens at most that a chunk repeats from the one before; whole paragraphs.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    overlap: int = 0
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_overlap("overlap", self.overlap, self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Pack the paragraphs of each part."""
        ends = ends_of(PARAGRAPHS, work.text, *cut.span)
        measure = work.measure(self.counter())
        for part in pack(measure, work.text, cut.span.start, ends, self.max_tokens, overlap=self.overlap):
            yield cut.part(Span(part.start, part.end), part.size)
