"""A fixed number of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit, check_overlap
from .packing import split_evenly

__all__ = ["FixedTokens"]


@dataclass(frozen=True)
class FixedTokens(Step):
    """Fills each chunk up to the limit, without cutting a word.

    Args:
        max_tokens: Of a chunk.
        overlap: Tokens at most that a chunk repeats from the one before; whole words.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    overlap: int = 0
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_overlap("overlap", self.overlap, self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part evenly."""
        measure = work.measure(self.counter())
        for part in split_evenly(measure, work.text, *cut.span, self.max_tokens, overlap=self.overlap):
            yield cut.part(Span(part.start, part.end), part.size)
