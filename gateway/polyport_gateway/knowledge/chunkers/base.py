"""What a chunk is, what cuts a document into them, and how steps are put together."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

from polyport_gateway.knowledge.documents.blocks import Heading
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Measure, Tokenizer, get_tokenizer

from .models.base import Embedder, TextModel

__all__ = ["SMALLEST_LIMIT", "Chunk", "Chunker", "Cut", "Pipeline", "Step", "Work", "check_limit", "check_overlap"]

SMALLEST_LIMIT = 8
"""Tokens that a limit must allow: one character can take 4, and a tokenizer may add a mark."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document.

    Args:
        id: Made of the document's id, the place, the text and the chunker's settings: the same for the same input.
        text: What is embedded and shown.
        span: Where it stands, so that ``document.text[span.start:span.end] == text``; None when the text was made.
        document_id: Of its document.
        index: Its place among the chunks of its document.
        tokens: Of its text.
        heading_path: The headings that it stands under, the widest first.
        pages: The pages it is from, ascending.
        blocks: Indices in ``document.blocks`` of the blocks it is from.
        parent_id: Of the larger chunk that it is a part of, if there is one.
        metadata: What its chunker adds.
    """

    id: str
    text: str
    span: Span | None
    document_id: str
    index: int
    tokens: int
    heading_path: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    parent_id: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk on its way through the steps.

    Args:
        span: The part of the document that it is from.
        text: Its text where that is not the part's own.
        metadata: What steps have added.
        parent: The cut that it is a part of, when that is to be kept as a chunk.
        size: Its tokens, where the step that cut it has counted them with the same tokenizer.
    """

    span: Span
    text: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    parent: Cut | None = None
    size: int | None = None

    def part(self, span: Span, size: int | None = None, /, **metadata: JSON) -> Cut:
        """Return a part of this one, which keeps its parent and its metadata."""
        return Cut(span, None, {**self.metadata, **metadata} if metadata else self.metadata, self.parent, size)

    def made(self, span: Span, text: str, **metadata: JSON) -> Cut:
        """Return a cut whose text was made from a part of the document; its metadata say from which."""
        return Cut(span, text, {**self.metadata, "source_span": tuple(span), **metadata}, self.parent)


class Work:
    """One document while it is cut: its tokens are located once, whatever the number of steps."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self._measures: dict[str, Measure] = {}

    def measure(self, tokenizer: Tokenizer) -> Measure:
        """Return the text's tokens."""
        found = self._measures.get(tokenizer.name)
        if found is None:
            found = self._measures[tokenizer.name] = tokenizer.measure(self.text)
        return found

    def count(self, tokenizer: Tokenizer, span: Span) -> int:
        """Return the tokens of a part, which alone is counted where the text's tokens have not been located."""
        found = self._measures.get(tokenizer.name)
        return found.count(*span) if found is not None else tokenizer.count(self.text[span.start : span.end])

    def blocks(self, span: Span) -> range:
        """Return the indices of the blocks that a span touches."""
        starts, ends = self._bounds
        return range(bisect_right(ends, span.start), bisect_left(starts, span.end))

    @cached_property
    def _bounds(self) -> tuple[list[int], list[int]]:
        blocks = self.document.blocks
        return [block.span.start for block in blocks], [block.span.end for block in blocks]

    def headings(self, blocks: range) -> tuple[str, ...]:
        """Return the texts of the headings that a run of blocks stands under; one that it begins with is the last."""
        if not blocks:
            return ()
        first = self.document.blocks[blocks[0]]
        path = self.document.heading_path(first)
        return tuple(heading.text for heading in ((*path, first) if isinstance(first, Heading) else path))

    def pages(self, blocks: range) -> tuple[int, ...]:
        """Return the pages that a run of blocks is from."""
        found = {self.document.blocks[index].provenance.page for index in blocks}
        return tuple(sorted(page for page in found if page is not None))


@runtime_checkable
class Chunker(Protocol):
    """Cuts a document into chunks."""

    def chunk(self, document: Document) -> list[Chunk]:
        """Return the chunks of a document, in its order."""
        ...

    def stream(self, document: Document) -> Iterator[Chunk]:
        """Yield the same chunks one by one, as they are cut."""
        ...


class Step:
    """A chunker or transform that can be joined to others: ``ByHeading() | Sentences(max_tokens=256) | WithContext()``.

    A subclass is a frozen dataclass whose fields are its settings, and says in `split` what it makes of each cut that
    the step before it made, or in `cut` what it makes of all of them. The first one gets the whole document as one cut.
    """

    tokenizer: str | Tokenizer = "auto"

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Yield what becomes of the cuts of the step before; one whose text was made is left as it is."""
        for cut in cuts:
            if cut.text is None:
                yield from self.split(work, cut)
            else:
                yield cut

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Yield the parts of one cut."""
        raise NotImplementedError

    def __or__(self, other: Step) -> Pipeline:
        """Return the two as one chunker."""
        return Pipeline((*_steps(self), *_steps(other)))

    def chunk(self, document: Document) -> list[Chunk]:
        """Return the chunks of a document, in its order."""
        return list(self.stream(document))

    def stream(self, document: Document) -> Iterator[Chunk]:
        """Yield the same chunks one by one, as they are cut."""
        work = Work(document)
        cuts: Iterable[Cut] = [Cut(Span(0, len(document.text)))] if document.text.strip() else []
        return _finish(work, self.cut(work, cuts), self.counter(), self.settings())

    def counter(self) -> Tokenizer:
        """Return what counts its tokens."""
        return get_tokenizer(self.tokenizer) if isinstance(self.tokenizer, str) else self.tokenizer

    def settings(self) -> str:
        """Return what the ids of its chunks depend on, beside document and place."""
        values = [f"{f.name}={_setting(getattr(self, f.name))}" for f in fields(self)]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(values)};{self.counter().name})"


@dataclass(frozen=True)
class Pipeline(Step):
    """Steps, one after another.

    Tokens are counted by the tokenizer of the last step that was given one.
    """

    steps: tuple[Step, ...]

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Yield what the last step makes."""
        for step in self.steps:
            cuts = step.cut(work, cuts)
        if len({step.counter().name for step in self.steps}) > 1:
            cuts = (replace(cut, size=None) for cut in cuts)  # counted by one tokenizer, and to be told in another's
        return iter(cuts)

    def counter(self) -> Tokenizer:
        """Return what counts its tokens."""
        chosen = [step for step in self.steps if step.tokenizer != "auto"]
        return chosen[-1].counter() if chosen else get_tokenizer()

    def settings(self) -> str:
        """Return what the ids of its chunks depend on."""
        return " | ".join(step.settings() for step in self.steps)


def check_limit(name: str, value: int, smallest: int = SMALLEST_LIMIT) -> None:
    """Refuse a limit that no chunker could keep."""
    if value < smallest:
        raise ValueError(f"{name}={value} is too small; give at least {smallest}.")


def check_overlap(name: str, value: int, limit: int) -> None:
    """Refuse an overlap that leaves no room to go on."""
    if not 0 <= value <= limit // 2:
        raise ValueError(f"{name}={value} must be between 0 and half of the limit, {limit // 2}.")


def _steps(step: Step) -> tuple[Step, ...]:
    return step.steps if isinstance(step, Pipeline) else (step,)


def _setting(value: object) -> str:
    if isinstance(value, (Tokenizer, TextModel, Embedder)):
        return value.name
    return f"({value.settings()})" if isinstance(value, Step) else repr(value)


def _finish(work: Work, cuts: Iterable[Cut], tokenizer: Tokenizer, settings: str) -> Iterator[Chunk]:
    key = hashlib.sha256(f"{work.document.id}\0{settings}".encode())
    parents: dict[int, tuple[Cut, str]] = {}  # a cut is kept with its id, lest its address be given to another
    index = 0
    for cut in cuts:
        text = work.text[cut.span.start : cut.span.end] if cut.text is None else cut.text
        if not text.strip():
            continue
        line = _line_of(cut)
        parents = {id(member): parents[id(member)] for member in line if id(member) in parents}
        for member in (*line, cut):
            parent_id = parents[id(member.parent)][1] if member.parent is not None else None
            if member is cut or id(member) not in parents:
                chunk = _chunk(work, member, tokenizer, key, index, parent_id)
                parents[id(member)] = (member, chunk.id)
                yield chunk
                index += 1


def _line_of(cut: Cut) -> list[Cut]:
    # The cuts that it is a part of, the largest first.
    line: list[Cut] = []
    while cut.parent is not None:
        cut = cut.parent
        line.append(cut)
    return line[::-1]


def _chunk(work: Work, cut: Cut, tokenizer: Tokenizer, key: hashlib._Hash, index: int, parent_id: str | None) -> Chunk:
    start, end = cut.span
    text = work.text[start:end] if cut.text is None else cut.text
    if cut.size is not None:
        tokens = cut.size
    else:
        tokens = work.count(tokenizer, cut.span) if cut.text is None else tokenizer.count(text)
    digest = key.copy()
    digest.update(f"{start}:{end}:{parent_id}:{sorted(cut.metadata.items())}\0{text}".encode())
    blocks = work.blocks(cut.span)
    return Chunk(
        id=f"chk_{digest.hexdigest()[:32]}",
        text=text,
        span=cut.span if cut.text is None else None,
        document_id=work.document.id,
        index=index,
        tokens=tokens,
        heading_path=work.headings(blocks),
        pages=work.pages(blocks),
        blocks=tuple(blocks),
        parent_id=parent_id,
        metadata=cut.metadata,
    )
