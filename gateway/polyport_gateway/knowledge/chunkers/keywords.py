"""What a chunk is about, in a few terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .annotating import ModelStep
from .base import Cut, Step, Work
from .keyphrases import keyphrases
from .models.asking import Answer, lines_of
from .models.base import TextModel
from .models.prompts import KEYWORDS, check_prompt

__all__ = ["Keywords"]


@dataclass(frozen=True)
class Keywords(Step):
    """Tells the terms that a chunk is about in ``metadata["keywords"]``, by a model or by counting.

    Without a model they are the words and phrases that are frequent in the chunk and rare in the document's other
    chunks (TF-IDF), Chinese ones too. With one, ``metadata["keywords_model"]`` names it, and
    ``metadata["keywords_error"]`` tells where it failed. Text and span stay as they are.

    Args:
        model: Finds the terms; None to count.
        count: Terms, at most.
        prompt: Template with ``{text}``; ``{count}`` and ``{language}`` may be in it. The answer is read line by line,
            or as a JSON list.
    """

    model: TextModel | None = None
    count: int = 8
    prompt: str = KEYWORDS

    def __post_init__(self) -> None:
        check_prompt(self.prompt, "text")
        if self.count < 1:
            raise ValueError(f"count={self.count} asks for nothing; give 1 or more.")

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Give each cut its keywords."""
        if self.model is not None:
            yield from _Asked(self.model, self.count, self.prompt).cut(work, cuts)
            return
        waiting = list(cuts)
        texts = [work.text[cut.span.start : cut.span.end] if cut.text is None else cut.text for cut in waiting]
        for cut, found in zip(waiting, keyphrases(texts, self.count), strict=True):
            yield replace(cut, metadata={**cut.metadata, "keywords": found})


@dataclass(frozen=True)
class _Asked(ModelStep):
    """Keywords that a model finds."""

    model: TextModel
    count: int
    prompt: str
    key = "keywords"

    def values(self, work: Work, cut: Cut, text: str) -> dict[str, str]:
        """Add how many are wanted."""
        return {**super().values(work, cut, text), "count": str(self.count)}

    def answered(self, work: Work, cut: Cut, text: str, answer: Answer) -> Iterator[Cut]:
        """Put the terms into the metadata."""
        lines = lines_of(answer.text)
        if len(lines) == 1:  # one line with commas, which was not asked for
            lines = [part.strip() for part in lines[0].replace("，", ",").replace("、", ",").split(",")]
        found = list(dict.fromkeys(line.strip(" .;；。\"'") for line in lines if line))[: self.count]
        yield self._noted(cut, {"keywords": found})
