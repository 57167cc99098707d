"""A window that slides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .packing import split_evenly

__all__ = ["SlidingWindow"]


@dataclass(frozen=True)
class SlidingWindow(Step):
    """Takes ``window`` tokens, moves on by ``stride``, and takes the next, at whole words.

    Args:
        window: Tokens of a chunk, at most.
        stride: Tokens from the start of one to the start of the next; at least half the window.
        tokenizer: What counts, or its name.
    """

    window: int = 512
    stride: int = 384
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("window", self.window)
        if not self.window / 2 <= self.stride <= self.window:
            raise ValueError(f"stride={self.stride} must be between half of window={self.window} and all of it.")

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Slide over each part."""
        measure = work.measure(self.counter())
        overlap = self.window - self.stride
        for part in split_evenly(measure, work.text, *cut.span, self.window, overlap=overlap):
            yield cut.part(Span(part.start, part.end), part.size)
