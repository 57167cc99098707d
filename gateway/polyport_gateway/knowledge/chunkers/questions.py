"""What a chunk answers: questions to find it by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.tokenizers import Tokenizer

from .annotating import ModelStep, shortened
from .base import Cut, Work, check_limit
from .models.asking import Answer
from .models.base import TextModel
from .models.prompts import QUESTIONS, check_prompt

__all__ = ["QuestionsAndAnswers"]

_MARK = re.compile(
    r"^[\s>*#-]*(?:\d{1,2}[.)、]\s*)?\**(?P<kind>Q|A|Question|Answer|问题|问|答案|答|回答)\s*\d{0,2}\**\s*[:：.]\**\s*",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS = frozenset({"q", "question", "问", "问题"})


@dataclass(frozen=True)
class QuestionsAndAnswers(ModelStep):
    """Has a model write questions that each chunk answers, with their answers; each pair is a chunk of its own.

    The chunk itself comes first, as the parent of its pairs, so that a question that is found leads to it. A pair has
    ``metadata["role"] == "question"``, ``question``, ``answer`` and ``question_model``; its text is both, and
    ``source_span`` is the place of its parent. Where the model failed, the chunk has ``question_error``.

    Args:
        model: Writes the pairs.
        count: Pairs of a chunk, at most.
        max_tokens: Of a pair; a longer one is cut.
        prompt: Template with ``{text}``; ``{count}`` and ``{language}`` may be in it. The answer is read line by line:
            ``Q: …`` and ``A: …``, or ``问：…`` and ``答：…``.
        tokenizer: What counts, or its name.
    """

    model: TextModel
    count: int = 3
    max_tokens: int = 128
    prompt: str = QUESTIONS
    tokenizer: str | Tokenizer = "auto"
    key = "question"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_prompt(self.prompt, "text")
        if self.count < 1:
            raise ValueError(f"count={self.count} asks for nothing; give 1 or more.")

    def values(self, work: Work, cut: Cut, text: str) -> dict[str, str]:
        """Add how many are wanted."""
        return {**super().values(work, cut, text), "count": str(self.count)}

    def answered(self, work: Work, cut: Cut, text: str, answer: Answer) -> Iterator[Cut]:
        """Yield the chunk, and its pairs."""
        pairs = list(dict.fromkeys(_pairs(answer.text)))[: self.count]
        if not pairs:
            yield self._noted(cut, {"question_error": f"No question was found in the answer: {answer.text[:200]!r}."})
            return
        for number, (question, reply) in enumerate(pairs):
            both = shortened(f"{question}\n{reply}".strip(), self.max_tokens, self.counter())
            about = {"role": "question", "question": question, "answer": reply, "number": number}
            yield replace(self._noted(cut.made(cut.span, both, **about), {}), parent=cut)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    marks = list(_MARK.finditer(text))
    question = ""
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(text)
        said = " ".join(text[mark.end() : end].split()).strip("*").strip()
        if mark["kind"].lower() in _ASKS:
            if question:
                yield question, ""
            question = said
        elif question:
            yield question, said
            question = ""
    if question:
        yield question, ""
