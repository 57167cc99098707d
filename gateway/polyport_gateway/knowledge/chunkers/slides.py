"""Slides, each with its title and what the speaker says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Heading, Note
from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .packing import fit, split_recursively
from .pages import ByPage

__all__ = ["Slides"]


@dataclass(frozen=True)
class Slides(Step):
    """Makes a chunk of each slide, and tells its title and the speaker's notes in the metadata.

    ``metadata`` has ``slide`` (its number), ``title`` (its first heading), ``notes``, and ``part``, where one slide
    takes several chunks. Slides are the document's pages.

    Args:
        max_tokens: Of a chunk; a slide with more is cut at the widest breaks.
        max_notes: Tokens of the notes in the metadata, at most.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    max_notes: int = 256
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        check_limit("max_notes", self.max_notes)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part slide by slide."""
        measure = work.measure(self.counter())
        for slide in ByPage().split(work, cut):
            about = self._about(work, slide.span)
            size = measure.count(*slide.span)
            if size <= self.max_tokens:
                yield slide.part(slide.span, size, **about)
                continue
            for number, part in enumerate(split_recursively(measure, work.text, *slide.span, self.max_tokens)):
                yield slide.part(Span(part.start, part.end), part.size, **about, part=number)

    def _about(self, work: Work, span: Span) -> dict[str, JSON]:
        blocks = [work.document.blocks[index] for index in work.blocks(span)]
        about: dict[str, JSON] = {}
        pages = [block.provenance.page for block in blocks if block.provenance.page is not None]
        if pages:
            about["slide"] = pages[0]
        title = next((" ".join(b.text.split()) for b in blocks if isinstance(b, Heading) and b.text.strip()), None)
        if title:
            about["title"] = title
        notes = "\n".join(b.text for b in blocks if isinstance(b, Note) and b.category == "speaker" and b.text.strip())
        if notes:
            kept = fit(self.counter().measure(notes), notes, 0, len(notes), self.max_notes)
            about["notes"] = notes[: kept.end]
        return about
