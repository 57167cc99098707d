"""What the steps that ask a model have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from polyport_gateway.knowledge.documents.values import JSON
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work
from .models.asking import Answer, ask
from .models.base import TextModel
from .models.prompts import filled, language_of
from .packing import split_recursively

__all__ = ["ModelStep", "shortened"]


class ModelStep(Step):
    """Asks a model about each chunk, many at once, and the same question once.

    Where the model fails on a chunk, or says nothing, the chunk is kept as it was, and its metadata say so under
    ``…_error``. Where it fails on all, that is an error (`ModelAnswerError`). ``…_model`` names the model.
    """

    model: TextModel
    prompt: str
    key = ""
    """What its metadata begin with."""

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Ask about each cut."""
        for cut, answer in ask(self.model, ((cut, self.question(work, cut, _text(work, cut))) for cut in cuts)):
            if answer is None:
                yield cut
            elif answer.error is not None:
                yield self._noted(cut, {f"{self.key}_error": answer.error})
            else:
                yield from self.answered(work, cut, _text(work, cut), answer)

    def question(self, work: Work, cut: Cut, text: str) -> str | None:
        """Return what to ask about a cut; None for nothing."""
        return filled(self.prompt, self.values(work, cut, text)) if text.strip() else None

    def values(self, work: Work, cut: Cut, text: str) -> dict[str, str]:
        """Return what the template's places are filled with."""
        return {"text": text.strip(), "language": language_of(work.document, text)}

    def answered(self, work: Work, cut: Cut, text: str, answer: Answer) -> Iterator[Cut]:
        """Yield what becomes of a cut with its answer."""
        raise NotImplementedError

    def _noted(self, cut: Cut, found: dict[str, JSON]) -> Cut:
        return replace(cut, metadata={**cut.metadata, **found, f"{self.key}_model": self.model.name})


def shortened(text: str, limit: int, tokenizer: Tokenizer) -> str:
    """Return as much of a text as a limit allows, to the end of a sentence if that leaves a good part of it."""
    if tokenizer.count(text) <= limit:
        return text
    part = next(split_recursively(tokenizer.measure(text), text, 0, len(text), limit))
    return text[: part.end].rstrip()


def _text(work: Work, cut: Cut) -> str:
    return work.text[cut.span.start : cut.span.end] if cut.text is None else cut.text
