"""The chunker that suits a document, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Code, Heading, Table
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .code import ByCode
from .headings import ByHeading
from .pages import ByPage
from .recursive import Recursive
from .tables import TableRows

__all__ = ["Auto"]

_SLIDES = ("presentation", "powerpoint")


@dataclass(frozen=True)
class Auto(Step):
    """Chooses by document and block: tables by rows, code by function, slides one by one, the rest by heading.

    Args:
        max_tokens: Of a chunk.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Cut by the steps that suit."""
        for step in self.steps(work):
            cuts = step.cut(work, cuts)
        return iter(cuts)

    def steps(self, work: Work) -> list[Step]:
        """Return the steps that suit a document."""
        kinds = {type(block) for block in work.document.blocks}
        steps: list[Step] = []
        if any(word in work.document.source.mime for word in _SLIDES):
            steps.append(ByPage())
        elif Heading in kinds:
            steps.append(ByHeading())
        if Table in kinds:
            steps.append(TableRows(self.max_tokens, self.tokenizer))
        if Code in kinds:
            steps.append(ByCode(self.max_tokens, None, self.tokenizer))
        return [*steps, Recursive(self.max_tokens, self.tokenizer)]
