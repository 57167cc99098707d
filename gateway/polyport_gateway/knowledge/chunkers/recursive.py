"""The widest break that leaves a chunk well filled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .packing import split_recursively

__all__ = ["Recursive"]


@dataclass(frozen=True)
class Recursive(Step):
    """Cuts between paragraphs if it can, else between lines, sentences, clauses, words, and last between characters.

    Args:
        max_tokens: Of a chunk.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part at the widest breaks."""
        measure = work.measure(self.counter())
        for part in split_recursively(measure, work.text, *cut.span, self.max_tokens):
            yield cut.part(Span(part.start, part.end), part.size)
