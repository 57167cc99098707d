"""What a chunk says, in short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from polyport_gateway.knowledge.tokenizers import Tokenizer

from .annotating import ModelStep, shortened
from .base import Cut, Work, check_limit
from .models.asking import Answer
from .models.base import TextModel
from .models.prompts import SUMMARY, check_prompt

__all__ = ["Summary"]


@dataclass(frozen=True)
class Summary(ModelStep):
    """Has a model summarise each chunk.

    The summary is in ``metadata["summary"]``, or is the chunk's text, and ``metadata["source_span"]`` says of what.
    ``metadata["summary_model"]`` names the model; where it failed, the chunk is kept as it was, with
    ``metadata["summary_error"]``.

    Args:
        model: Writes the summaries.
        max_tokens: Of a summary; a longer one is cut.
        place: Where it goes: ``metadata`` or ``text``.
        prompt: Template with ``{text}``; ``{language}`` may be in it.
        tokenizer: What counts, or its name.
    """

    model: TextModel
    max_tokens: int = 128
    place: Literal["metadata", "text"] = "metadata"
    prompt: str = SUMMARY
    tokenizer: str | Tokenizer = "auto"
    key = "summary"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_prompt(self.prompt, "text")
        if self.place not in ("metadata", "text"):
            raise ValueError(f"place={self.place!r} is neither 'metadata' nor 'text'.")

    def answered(self, work: Work, cut: Cut, text: str, answer: Answer) -> Iterator[Cut]:
        """Put the summary where it goes."""
        summary = shortened(answer.text, self.max_tokens, self.counter())
        if self.place == "metadata":
            yield self._noted(cut, {"summary": summary})
            return
        made = cut.made(cut.span, summary)
        yield replace(made, metadata={**made.metadata, **cut.metadata, "summary_model": self.model.name})
