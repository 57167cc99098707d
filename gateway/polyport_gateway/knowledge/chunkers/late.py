"""What was said just before, for models that embed a passage with its surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.documents.values import JSON
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .boundaries import SENTENCES, ends_of

__all__ = ["LateContext"]


@dataclass(frozen=True)
class LateContext(Step):
    """Gives each chunk, in its metadata, the whole sentences before it that fit a budget.

    ``metadata["late_context"]`` is that text and ``metadata["late_context_span"]`` its place. An embedder puts it
    before the chunk
    and pools over the chunk's own tokens only, which is late chunking with a bounded window (Günther et al., 2024,
    arXiv
    2409.04701). Text and span stay as they are.

    Args:
        max_tokens: Of the text before.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 128
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Give each cut what stands before it."""
        for cut in cuts:
            start = self._start(work, cut.span.start)
            if start == cut.span.start:
                yield cut
                continue
            before: dict[str, JSON] = {
                "late_context": work.text[start : cut.span.start],
                "late_context_span": (start, cut.span.start),
            }
            yield replace(cut, metadata={**cut.metadata, **before})

    def _start(self, work: Work, end: int) -> int:
        measure = work.measure(self.counter())
        low = max(0, end - 16 * self.max_tokens)
        starts = ends_of(SENTENCES, work.text, low, end)[:-1] if end > low else []
        found = end
        for start in reversed([*([0] if low == 0 else []), *starts]):
            if measure.count(start, end) > self.max_tokens:
                break
            found = start
        return found
