"""What a chunk states, fact by fact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.tokenizers import Tokenizer

from .annotating import ModelStep
from .base import Cut, Work, check_limit
from .models.asking import Answer, lines_of
from .models.base import TextModel
from .models.prompts import PROPOSITIONS, check_prompt
from .packing import split_recursively

__all__ = ["Propositions"]


@dataclass(frozen=True)
class Propositions(ModelStep):
    """Has a model split each chunk into sentences that each state one fact and are understood alone.

    After Chen et al. 2023, "Dense X Retrieval" (arXiv 2312.06648): propositions are searched, and what they are from
    is read. The chunk itself comes first, as the parent of its propositions, unless ``keep_source`` is off. A
    proposition has ``metadata["role"] == "proposition"``, ``number``, ``proposition_model`` and ``source_span``. Where
    the model failed, the chunk has ``proposition_error``.

    Args:
        model: Writes the propositions.
        max_tokens: Of a proposition; a longer one is cut in several.
        keep_source: Give the chunk itself too.
        prompt: Template with ``{text}``; ``{language}`` may be in it. The answer is read line by line, or as a JSON
            list.
        tokenizer: What counts, or its name.
    """

    model: TextModel
    max_tokens: int = 128
    keep_source: bool = True
    prompt: str = PROPOSITIONS
    tokenizer: str | Tokenizer = "auto"
    key = "proposition"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_prompt(self.prompt, "text")

    def answered(self, work: Work, cut: Cut, text: str, answer: Answer) -> Iterator[Cut]:
        """Yield the chunk, and its propositions."""
        lines = list(dict.fromkeys(lines_of(answer.text)))
        if not lines:
            yield self._noted(
                cut, {"proposition_error": f"No sentence was found in the answer: {answer.text[:200]!r}."}
            )
        for number, line in enumerate(lines):
            measure = self.counter().measure(line)
            for part in split_recursively(measure, line, 0, len(line), self.max_tokens):
                made = cut.made(cut.span, line[part.start : part.end], role="proposition", number=number)
                yield replace(self._noted(made, {}), parent=cut if self.keep_source else cut.parent)
