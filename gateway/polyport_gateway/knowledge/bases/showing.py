"""What was found, as callers see it: where it stands, why it was chosen, and as much of it as they asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from polyport.types.knowledge import KnowledgeHit, KnowledgeHop
from polyport_gateway.knowledge.catalogue import Catalogue, ChunkRow
from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.retrieval import BM25, Hop, compress

from .config import Expand
from .finder import Candidate, Found, title_of

__all__ = ["Shower"]

_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}
_BETWEEN = " … "
_TERMS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class _Text:
    """What is shown of a chunk."""

    text: str
    span: tuple[int, int] | None
    pages: tuple[int, ...]
    excerpts: tuple[tuple[int, int], ...] = ()


class Shower:
    """Makes hits of candidates.

    Args:
        catalogue: Has what stands around a chunk.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def hits(
        self,
        found: Found,
        query: str,
        bm25: BM25,
        *,
        expand: Expand = "none",
        max_tokens: int | None = None,
        count: Callable[[str], int] = len,
    ) -> list[KnowledgeHit]:
        """Return hits, the best first; one whose text is in an earlier one is left out.

        Args:
            found: What a shelf gave.
            query: The question.
            bm25: Says which words were found.
            expand: What is shown around each.
            max_tokens: Of all texts together; the sentences that say least are left out.
            count: Counts the tokens of a text.
        """
        texts = self._expanded([one.chunk for one in found.candidates], expand)
        shown: list[tuple[Candidate, _Text]] = []
        seen: set[tuple[int, int, tuple[int, int] | None, str]] = set()
        for one, text in zip(found.candidates, texts, strict=True):
            key = (one.chunk.base, one.chunk.document.id, text.span, text.text)
            if key not in seen:
                seen.add(key)
                shown.append((one, text))
        if max_tokens is not None:
            shown = _compressed(shown, query, bm25, max_tokens, count)
        return [self._hit(one, text, found, query, bm25) for one, text in shown]

    def _expanded(self, chunks: Sequence[ChunkRow], expand: Expand) -> list[_Text]:
        if expand == "none" or not chunks:
            return [_plain(chunk) for chunk in chunks]
        if expand == "parent":
            parents = self._catalogue.parents([chunk for chunk in chunks if chunk.parent is not None])
            return [_plain(parents.get(chunk.id, chunk)) for chunk in chunks]
        around = self._catalogue.neighbours(list(chunks), 1, 1)
        return [_window(chunk, around.get(chunk.id, [])) for chunk in chunks]

    def _hit(self, one: Candidate, shown: _Text, found: Found, query: str, bm25: BM25) -> KnowledgeHit:
        chunk = one.chunk
        cells = chunk.metadata.get("cells")
        return KnowledgeHit(
            knowledge=chunk.knowledge,
            document=chunk.document.uid,
            chunk=chunk.id,
            title=title_of(chunk),
            text=shown.text,
            score=round(one.score, 4),
            source=chunk.document.key,
            page=shown.pages[0] if shown.pages else None,
            pages=list(shown.pages),
            span=shown.span,
            cells=cells if isinstance(cells, str) else None,
            heading_path=list(chunk.heading_path),
            metadata=dict(chunk.document.metadata),
            tags=list(chunk.document.tags),
            scores=one.scores,
            why=_why(one, found, query, bm25),
            chain=[_hop(hop, found.chunks) for hop in one.chain],
            duplicates=[f"{same.knowledge}/{same.document.uid}" for same in one.same],
            excerpts=list(shown.excerpts) or None,
        )


def _window(chunk: ChunkRow, around: Sequence[ChunkRow]) -> _Text:
    """Return a chunk with those next to it, overlaps once."""
    placed = [one for one in around if one.span is not None]
    if chunk.span is None or len(placed) < 2:
        return _plain(chunk)
    text, end = "", placed[0].span[0] if placed[0].span else 0
    start = end
    for one in placed:
        first, last = one.span or (end, end)
        if last <= end:
            continue
        gap = "\n\n" if first > end and text else ""
        text += gap + one.text[max(0, end - first) :]
        end = last
    pages = tuple(sorted({page for one in placed for page in one.pages}))
    span = (start, end) if len(text) == end - start else None
    return _Text(text, span, pages)


def _plain(chunk: ChunkRow) -> _Text:
    return _Text(chunk.text, chunk.span, tuple(chunk.pages))


def _hop(hop: Hop, chunks: Mapping[int, ChunkRow]) -> KnowledgeHop:
    source, target = chunks.get(hop.source), chunks.get(hop.target)
    return KnowledgeHop(
        source=hop.source,
        source_title=title_of(source) if source is not None else "",
        target=hop.target,
        target_title=title_of(target) if target is not None else "",
        clue=hop.clue,
        direction=hop.direction,
        query=hop.query,
        score=round(hop.score, 4),
    )


def _why(one: Candidate, found: Found, query: str, bm25: BM25) -> str:
    """Say why a chunk was chosen, in a sentence."""
    said: list[str] = []
    if one.chain:
        hop = one.chain[-1]
        source = found.chunks.get(hop.source)
        title = (title_of(source) if source is not None else "") or "another passage"
        said.append(f"reached from “{title}” by “{hop.clue}”")
    terms = _shared(query, one.chunk, bm25)
    if terms:
        said.append("has " + ", ".join(f"“{term}”" for term in terms))
    labels = {"bm25": "by its words", "dense": f"by the vectors of {found.embedder}", "rerank": "by the reranker"}
    said += [
        f"{_ORDINALS.get(place, f'{place}th')} {labels[stage]}" for stage, place in one.places.items() if place <= 10
    ]
    return "; ".join(said)


def _shared(query: str, chunk: ChunkRow, bm25: BM25) -> list[str]:
    """Return the words of a query that a chunk has; pairs of characters that overlap are put together."""
    has = set(bm25.document(f"{title_of(chunk)}\n{chunk.text}").indices.tolist())
    shared: list[str] = []
    before = ""
    for word in bm25.analyzer.words(query):
        if not has.intersection(bm25.query(word).indices.tolist()):
            before = ""
            continue
        if before and not word.isascii() and len(before) == len(word) == 2 and before[-1] == word[0]:
            shared[-1] += word[1]
        elif len(shared) < _TERMS_SHOWN:
            shared.append(word)
        else:
            break
        before = word
    return shared


def _compressed(
    shown: Sequence[tuple[Candidate, _Text]], query: str, bm25: BM25, budget: int, count: Callable[[str], int]
) -> list[tuple[Candidate, _Text]]:
    excerpt = compress(query, [text.text for _, text in shown], budget, bm25=bm25, count=count)
    kept: dict[int, list[Span]] = {}
    for sentence in excerpt.sentences:
        kept.setdefault(sentence.passage, []).append(sentence.span)
    result: list[tuple[Candidate, _Text]] = []
    for place, (one, text) in enumerate(shown):
        spans = _joined(kept.get(place, []), text.text)
        if not spans:
            continue
        whole = len(spans) == 1
        start = text.span[0] if text.span is not None else None
        placed = tuple((start + span.start, start + span.end) for span in spans) if start is not None else ()
        result.append(
            (
                one,
                _Text(
                    _BETWEEN.join(text.text[span.start : span.end] for span in spans),
                    placed[0] if placed and whole else None,
                    text.pages,
                    placed,
                ),
            )
        )
    return result


def _joined(spans: Sequence[Span], text: str) -> list[Span]:
    """Return spans, those joined between which only blanks stand."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and not text[found[-1].end : span.start].strip():
            found[-1] = Span(found[-1].start, span.end)
        else:
            found.append(span)
    return found
