"""A sentence to find, and the sentences around it to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .boundaries import SENTENCES, ends_of
from .packing import Packed, split_recursively

__all__ = ["SentenceWindow"]


@dataclass(frozen=True)
class SentenceWindow(Step):
    """Makes each sentence a chunk, and says in its metadata where the sentences around it stand.

    ``metadata["window"]`` is the text, ``metadata["window_span"]`` its place in the document.

    Args:
        around: Sentences before and after that belong to the window.
        max_tokens: Of one sentence; a longer one is cut inside.
        tokenizer: What counts, or its name.
    """

    around: int = 3
    max_tokens: int = 256
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        if self.around < 1:
            raise ValueError(f"around={self.around} makes no window; give 1 or more, or use Sentences.")

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part into sentences with their windows."""
        parts = list(self._sentences(work, cut))
        for index, part in enumerate(parts):
            start = parts[max(0, index - self.around)].start
            end = parts[min(len(parts) - 1, index + self.around)].end
            yield cut.part(Span(part.start, part.end), part.size, window=work.text[start:end], window_span=(start, end))

    def _sentences(self, work: Work, cut: Cut) -> Iterator[Packed]:
        measure = work.measure(self.counter())
        start = cut.span.start
        for end in ends_of(SENTENCES, work.text, *cut.span):
            if work.text[start:end].strip() or end == cut.span.end:
                yield from split_recursively(measure, work.text, start, end, self.max_tokens)
                start = end
