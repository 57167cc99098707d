"""Finding by the small, reading the large: what to show in place of the chunk that was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from polyport_gateway.knowledge.chunkers.base import Chunk
from polyport_gateway.knowledge.documents.values import Span

__all__ = ["Shown", "around", "expanded"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of a document that is shown, and the chunks that it was found by.

    Args:
        document_id: Of its document.
        text: What is shown.
        span: Where it stands in the document, where that is known.
        found: The chunks, the best first.
    """

    document_id: str
    text: str
    span: Span | None
    found: tuple[Chunk, ...]


def expanded(chunks: Iterable[Chunk], chunk_of: Callable[[str], Chunk | None]) -> list[Shown]:
    """Return each chunk's parent (`ParentChild`) or window (`SentenceWindow`), or itself; once each, the best first.

    Args:
        chunks: As found, the best first.
        chunk_of: Gives a chunk by its id; None where it is not there, and the child is shown then.
    """
    passages: dict[object, Shown] = {}
    for chunk in chunks:
        shown = _shown(chunk, chunk_of)
        key = (shown.document_id, shown.span, shown.text)
        known = passages.get(key)
        passages[key] = shown if known is None else _with(known, chunk)
    return list(passages.values())


def around(chunk: Chunk, neighbours: Sequence[Chunk], text: str, *, before: int = 1, after: int = 1) -> Shown:
    """Return a chunk with those next to it, as the document has them, overlaps once.

    Args:
        chunk: As found.
        neighbours: Chunks of the same document, those with no span among them left out.
        text: The document's.
        before: How many to add at most.
        after: How many to add at most.
    """
    if chunk.span is None:
        return Shown(chunk.document_id, chunk.text, None, (chunk,))
    placed = sorted(
        {other.index: other.span for other in (*neighbours, chunk) if _beside(other, chunk) and other.span}.items()
    )
    place = next(place for place, (index, _) in enumerate(placed) if index == chunk.index)
    spans = [span for _, span in placed[max(0, place - before) : place + after + 1]]
    span = Span(min(span.start for span in spans), max(span.end for span in spans))
    return Shown(chunk.document_id, text[span.start : span.end], span, (chunk,))


def _shown(chunk: Chunk, chunk_of: Callable[[str], Chunk | None]) -> Shown:
    parent = chunk_of(chunk.parent_id) if chunk.parent_id is not None else None
    if parent is not None:
        return Shown(chunk.document_id, parent.text, parent.span, (chunk,))
    window, place = chunk.metadata.get("window"), chunk.metadata.get("window_span")
    if isinstance(window, str):
        span = Span(*place) if isinstance(place, list | tuple) else None
        return Shown(chunk.document_id, window, span, (chunk,))
    return Shown(chunk.document_id, chunk.text, chunk.span, (chunk,))


def _with(passage: Shown, chunk: Chunk) -> Shown:
    return Shown(passage.document_id, passage.text, passage.span, (*passage.found, chunk))


def _beside(other: Chunk, chunk: Chunk) -> bool:
    return other.document_id == chunk.document_id and other.parent_id == chunk.parent_id
