"""Pictures, found by their caption and by what is said around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Block, Picture
from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .packing import fit
from .tables import pack_made

__all__ = ["Pictures"]


@dataclass(frozen=True)
class Pictures(Step):
    """Makes a chunk of each picture: caption, alternative text, and the text before and after it.

    ``metadata`` has ``picture`` (its block), ``sha256`` (of its bytes in ``document.assets``), ``mime``, ``caption``,
    ``alt`` and ``link``, as far as they are known. A picture about which nothing is said anywhere gets no chunk. What
    is not a picture is passed on: ``Pictures() | Recursive()``.

    Args:
        max_tokens: Of a chunk: the caption first, then what fits of the text around it.
        around: Take the blocks of text before and after it, if they are in the same part.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 256
    around: bool = True
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Take the pictures out of a part."""
        position = cut.span.start
        for picture in _pictures(work, cut.span):
            if work.text[position : picture.span.start].strip():
                yield cut.part(Span(position, picture.span.start))
            yield from self.picture(work, cut, picture)
            position = picture.span.end
        if work.text[position : cut.span.end].strip():
            yield cut.part(Span(position, cut.span.end))

    def picture(self, work: Work, cut: Cut, picture: Picture) -> Iterator[Cut]:
        """Make the chunk of one picture; several if what is said of it is over the limit."""
        said = "\n".join(_line(text) for text in dict.fromkeys((picture.caption, picture.alt)) if text.strip())
        before, after = work.document.neighbours(picture) if self.around else (None, None)
        near = [block for block in (before, after) if block and block.text.strip() and cut.span.covers(block.span)]
        places = [block.span for block in (picture, *near) if block.span.end > block.span.start]
        if not places:
            return
        known = {"sha256": picture.sha256, "mime": picture.mime, "link": picture.link}
        about: dict[str, JSON] = {name: value for name, value in known.items() if value}
        about |= {"picture": picture.index, "caption": picture.caption, "alt": picture.alt}
        if self.counter().count(said) > self.max_tokens:
            yield from pack_made(cut, picture.span, said, self.max_tokens, self.counter(), **about)
            return
        span = Span(min(place.start for place in places), max(place.end for place in places))
        yield cut.made(span, self._with(said, near), **about)

    def _with(self, said: str, near: list[Block]) -> str:
        # What is said of the picture itself comes first; of what is around it, as much as there is room for.
        count = self.counter().count
        text = said
        for block in near:
            lead = f"{text}\n\n" if text else ""
            around = block.text.strip()
            room = self.max_tokens - count(lead) - 1
            if room > 0 and count(lead + around) > self.max_tokens:
                around = around[: fit(self.counter().measure(around), around, 0, len(around), room).end].rstrip()
            if around and count(lead + around) <= self.max_tokens:
                text = lead + around
        return text


def _pictures(work: Work, span: Span) -> Iterator[Picture]:
    # One without text takes no room, so the blocks that a span touches don't tell it.
    blocks = work.document.blocks
    touched = work.blocks(span)
    first, after = touched.start, touched.stop
    while first > 0 and isinstance(blocks[first - 1], Picture) and blocks[first - 1].span.start >= span.start:
        first -= 1
    while after < len(blocks) and isinstance(blocks[after], Picture) and blocks[after].span.end <= span.end:
        after += 1
    for block in blocks[first:after]:
        if isinstance(block, Picture) and span.covers(block.span):
            yield block


def _line(text: str) -> str:
    return " ".join(text.split())
