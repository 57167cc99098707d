"""The chunkers that suit a document, by what it is and block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from polyport_gateway.knowledge.documents.blocks import Block, Code, Heading, PageBreak, Paragraph, Picture, Table
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .chat import ChatTurns, looks_like_chat
from .code import ByCode
from .headings import ByHeading
from .logs import LogEntries, looks_like_log
from .mail import MailTurns, looks_like_mail
from .paths import ByElement, ByPath
from .pictures import Pictures
from .recursive import Recursive
from .slides import Slides
from .subtitles import Subtitles, looks_like_subtitles
from .tables import TableRows

__all__ = ["Auto", "Choice"]

_MAIL = ("message/rfc822", "application/vnd.ms-outlook")
_SUBTITLES = ("application/x-subrip", "text/vtt", "text/srt")
_SLIDES = ("presentation", "powerpoint")
_UNLIMITED = 10**9  # turns and slides stay whole at first, so that their tables and code are cut as such


@dataclass(frozen=True)
class Choice:
    """A step that was chosen.

    Args:
        step: The step.
        reason: Why, in a sentence.
    """

    step: Step
    reason: str


@dataclass
class _Plan:
    """How a document is cut: as a whole, then its blocks by kind, then the rest."""

    rest: Choice
    whole: Choice | None = None
    kinds: dict[str, Choice] = field(default_factory=dict)
    final: bool = False

    def choices(self) -> list[Choice]:
        first = [self.whole] if self.whole else []
        return first if self.final else [*first, *self.kinds.values(), self.rest]


@dataclass(frozen=True)
class Auto(Step):
    """Chooses by document and by block.

    A document that is slides, mail, subtitles, a chat or a log is cut as such, and one with headings by section. In
    it, tables are cut by rows, JSON and YAML by path, XML by element, code by function; a picture gets a chunk with its
    caption; the rest is cut as `Recursive` does. `explain` tells what is chosen for a document, and why.

    Args:
        max_tokens: Of a chunk.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def explain(self, document: Document) -> list[Choice]:
        """Return the steps that suit a document, in the order in which they are taken, each with the reason."""
        return self._plan(document).choices()

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Cut by the steps that suit."""
        plan = self._plan(work.document)
        if plan.whole is not None:
            cuts = plan.whole.step.cut(work, cuts)
        if plan.final:
            yield from cuts
            return
        for cut in cuts:
            if cut.text is None:
                yield from self._blocks(work, cut, plan)
            else:
                yield cut

    def _blocks(self, work: Work, cut: Cut, plan: _Plan) -> Iterator[Cut]:
        position = cut.span.start
        for index in work.blocks(cut.span):
            block = work.document.blocks[index]
            kind = _kind(block)
            choice = plan.kinds.get(kind)
            if choice is None or not cut.span.covers(block.span):
                continue
            if work.text[position : block.span.start].strip():
                yield from plan.rest.step.split(work, cut.part(Span(position, block.span.start)))
            if isinstance(block, Picture) and isinstance(choice.step, Pictures):
                yield from choice.step.picture(work, cut, block)
            else:
                yield from choice.step.split(work, cut.part(block.span))
            position = block.span.end
        if work.text[position : cut.span.end].strip():
            yield from plan.rest.step.split(work, cut.part(Span(position, cut.span.end)))

    def _plan(self, document: Document) -> _Plan:
        limit, tokenizer = self.max_tokens, self.tokenizer
        plan = _Plan(Choice(Recursive(limit, tokenizer), "The rest is cut between paragraphs, lines and sentences."))
        self._choose_whole(document, plan)
        steps: dict[str, tuple[Step, str]] = {
            "table": (TableRows(limit, tokenizer), "{} with their headers repeated: tables."),
            "path": (ByPath(limit, tokenizer), "{} of JSON or YAML."),
            "element": (ByElement(limit, tokenizer), "{} of XML."),
            "code": (ByCode(limit, None, tokenizer), "{} of code."),
            "picture": (Pictures(limit, tokenizer=tokenizer), "{} with a caption or alternative text."),
        }
        counts = Counter(_kind(block) for block in document.blocks)
        for kind, (step, reason) in steps.items():
            if counts[kind]:
                noun = "picture" if kind == "picture" else "block"
                how_many = f"{counts[kind]} {noun}{'s' if counts[kind] > 1 else ''}"
                plan.kinds[kind] = Choice(step, reason.format(how_many))
        return plan

    def _choose_whole(self, document: Document, plan: _Plan) -> None:
        mime, tokenizer = document.source.mime, self.tokenizer
        kinds = {type(block) for block in document.blocks}
        if any(word in mime for word in _SLIDES):
            plan.whole = Choice(Slides(_UNLIMITED, tokenizer=tokenizer), f"The file is slides ({mime}).")
        elif mime in _MAIL:
            plan.whole = Choice(MailTurns(_UNLIMITED, tokenizer=tokenizer), f"The file is a mail ({mime}).")
        elif mime in _SUBTITLES or any(block.provenance.time is not None for block in document.blocks):
            plan.whole = Choice(Subtitles(self.max_tokens, tokenizer=tokenizer), "Its text has times: subtitles.")
            plan.final = True
        elif kinds <= {Paragraph, PageBreak} and mime.startswith("text/"):
            self._choose_text(document, plan)
        elif Heading in kinds:
            count = sum(isinstance(block, Heading) for block in document.blocks)
            plan.whole = Choice(ByHeading(), f"It has {count} heading{'s' if count > 1 else ''}.")

    def _choose_text(self, document: Document, plan: _Plan) -> None:
        # What a plain text is, is told by how it begins.
        limit, tokenizer, text = self.max_tokens, self.tokenizer, document.text
        plan.final = True
        if looks_like_subtitles(text):
            plan.whole = Choice(Subtitles(limit, tokenizer=tokenizer), "Its lines have the times of subtitles.")
        elif looks_like_log(text):
            plan.whole = Choice(LogEntries(limit, tokenizer), "Its lines begin with times or levels: a log.")
        elif looks_like_mail(text):
            plan.whole = Choice(MailTurns(limit, tokenizer=tokenizer), "It has the fields or the quotations of a mail.")
        elif looks_like_chat(text):
            plan.whole = Choice(
                ChatTurns(limit, tokenizer=tokenizer), "Its lines begin with who speaks: a conversation."
            )
        else:
            plan.final = False


def _kind(block: Block) -> str:
    if isinstance(block, Table):
        return "table"
    if isinstance(block, Picture):
        return "picture" if block.text.strip() else ""
    if not isinstance(block, Code) or not block.text.strip():
        return ""
    language = (block.language or "").lower()
    if ByPath.takes(language):
        return "path"
    return "element" if ByElement.takes(language) else "code"
