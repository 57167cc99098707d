"""A fixed number of characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit, check_overlap
from .packing import split_evenly

__all__ = ["CharacterMeasure", "FixedCharacters"]


class CharacterMeasure:
    """Measures in code points, which need no tokenizer."""

    def count(self, start: int, end: int) -> int:
        """Return the length of a part."""
        return end - start

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return where ``limit`` characters end."""
        return min(end, start + limit)


@dataclass(frozen=True)
class FixedCharacters(Step):
    """Fills each chunk up to the limit, without cutting a word or what a reader sees as one character.

    Args:
        max_characters: Code points of a chunk.
        overlap: Code points at most that a chunk repeats from the one before; whole words.
        tokenizer: What counts the tokens that a chunk says it has, or its name; ``estimate`` is the fastest.
    """

    max_characters: int = 2000
    overlap: int = 0
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_characters", self.max_characters)
        check_overlap("overlap", self.overlap, self.max_characters)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part evenly."""
        measure = CharacterMeasure()
        for part in split_evenly(measure, work.text, *cut.span, self.max_characters, overlap=self.overlap):
            yield cut.part(Span(part.start, part.end))
