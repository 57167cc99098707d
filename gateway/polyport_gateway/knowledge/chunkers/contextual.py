"""Where a chunk belongs in its document, written before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.tokenizers import Tokenizer

from .annotating import ModelStep, shortened
from .base import Cut, Work, check_limit
from .models.asking import Answer
from .models.base import TextModel
from .models.prompts import CONTEXT, check_prompt

__all__ = ["ContextualPrefix"]


@dataclass(frozen=True)
class ContextualPrefix(ModelStep):
    """Has a model say in a sentence where each chunk belongs, and writes it before the chunk.

    "Contextual Retrieval" (Anthropic, 2024). The text is made then, so the chunk has no span;
    ``metadata["source_span"]`` says where the passage stands, ``metadata["context"]`` is the sentence and
    ``metadata["context_model"]`` names the model. The size grows by up to ``max_tokens``: leave room for them in the
    limit of the step before. The prompt begins with the document, so that a server that keeps prefixes reads it once.
    Where the model failed, the chunk is kept as it was, with ``metadata["context_error"]``.

    Args:
        model: Writes the sentences.
        max_tokens: Of a sentence with the empty line after it; a longer one is cut.
        document_tokens: Of the document that the model is shown; of a longer one it sees the part around the chunk.
        prompt: Template with ``{document}`` and ``{text}``; ``{language}`` may be in it.
        tokenizer: What counts, or its name.
    """

    model: TextModel
    max_tokens: int = 96
    document_tokens: int = 8000
    prompt: str = CONTEXT
    tokenizer: str | Tokenizer = "auto"
    key = "context"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_limit("document_tokens", self.document_tokens)
        check_prompt(self.prompt, "document", "text")

    def values(self, work: Work, cut: Cut, text: str) -> dict[str, str]:
        """Add the document, or what of it is around the chunk."""
        return {**super().values(work, cut, text), "document": self._document(work, cut)}

    def answered(self, work: Work, cut: Cut, text: str, answer: Answer) -> Iterator[Cut]:
        """Write the sentence before the chunk."""
        context = shortened(" ".join(answer.text.split()), self.max_tokens - 1, self.counter())
        noted = self._noted(cut, {"source_span": tuple(cut.span), "context": context})
        yield replace(noted, text=f"{context}\n\n{text}", size=None)

    def _document(self, work: Work, cut: Cut) -> str:
        measure, length = work.measure(self.counter()), len(work.text)
        total = measure.count(0, length)
        if total <= self.document_tokens:
            return work.text
        middle, width = sum(cut.span) // 2, length * self.document_tokens // total
        while True:
            start = max(0, min(middle - width // 2, length - width))
            if width < 2 or measure.count(start, start + width) <= self.document_tokens:
                return work.text[start : start + width]
            width = width * 9 // 10
