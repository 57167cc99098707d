"""The one step that brings documents into an index, whoever asks for it: taking in, keywords anew, reindexing.

1. The vectors of the chunks are made, most of them by the cache.
2. *Stage*: one transaction writes the chunks, which nobody sees.
3. The index gets them. It may be killed here: what it has too many is not live, and so not seen.
4. *Publish*: one transaction makes them live and the former ones dead. From here on they are found, whole.
5. *Clear*: what is dead is deleted from the index, then forgotten.

Each step may be done again, and the process may be killed between any two.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from polyport.errors import ConfigurationError, ServiceUnavailableError
from polyport_gateway.knowledge.catalogue import (
    Catalogue,
    ChunkRow,
    DocumentRow,
    Garbage,
    NewChunk,
    NewDocument,
    Staged,
)
from polyport_gateway.knowledge.catalogue.rows import part_of
from polyport_gateway.knowledge.chunkers import Chunker
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.embedding import Embedder
from polyport_gateway.knowledge.indexes import Entry, VectorIndex
from polyport_gateway.knowledge.links import Passage
from polyport_gateway.knowledge.retrieval import BM25

from .cutting import EXTRA_KEYWORDS, cut, embedded_text, matched_title, own_chunker

__all__ = ["Builder", "Draft", "FindLinks", "IndexOf", "Target", "WriteLinks", "clear", "entry_of"]

_log = logging.getLogger("polyport.knowledge")

WriteLinks: TypeAlias = Callable[[Connection, int, int, Sequence[int]], None]
"""Writes the links of chunks, within the transaction that writes them; gets base, generation, and their numbers."""
FindLinks: TypeAlias = Callable[[Sequence[Passage]], WriteLinks]
"""Finds the links of chunks, before that transaction, which all others wait for; returns what writes them."""
IndexOf: TypeAlias = Callable[[Garbage], VectorIndex | None]
"""Returns the index that garbage lies in; None where it can't be reached now."""

_ENTRIES = 500
_GARBAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A generation of a base, and what is needed to write to it.

    Args:
        base: The base's number.
        generation: Its generation.
        index: That the generation is in.
        bm25: Makes its sparse vectors.
        chunker: Cuts its documents.
        embedders: Make its vectors, by their names in the index.
        links: Finds links, to be written; None keeps none.
        writing: Held while the index is written to.
        settle: Told the mean number of terms of the first chunks where ``bm25`` has not learned it yet; returns what
            makes the sparse vectors from then on, the same for whoever asks.
    """

    base: int
    generation: int
    index: VectorIndex
    bm25: BM25
    chunker: Chunker
    embedders: Mapping[str, Embedder] = field(default_factory=dict)
    links: FindLinks | None = None
    writing: AbstractContextManager[Any] = field(default_factory=nullcontext)
    settle: Callable[[float], BM25] | None = None

    @property
    def part(self) -> int:
        """What stands for it in an index that many share."""
        return part_of(self.base, self.generation)


@dataclass(frozen=True, slots=True)
class Draft:
    """A document to be built.

    Args:
        item: The document; one that is known with its version as it is, or one more.
        document: What it says.
        chunks: Cut for a generation before; cut when it is built where they are not.
        generation: That they were cut for.
    """

    item: NewDocument | DocumentRow
    document: Document
    chunks: Sequence[NewChunk] | None = None
    generation: int | None = None

    def cut_for(self, target: Target) -> Sequence[NewChunk]:
        """Return its chunks for a generation."""
        if self.chunks is not None and self.generation == target.generation:
            return self.chunks
        return cut(self.document, own_chunker(self.item.receipt) or target.chunker, self.item.title)


class Builder:
    """Builds documents into a generation; may be used from several threads, for different documents.

    Args:
        catalogue: Where the documents are kept.
        target: What is built.
    """

    def __init__(self, catalogue: Catalogue, target: Target) -> None:
        self._catalogue = catalogue
        self.target = target
        self._bm25: BM25 | None = None if target.settle is not None else target.bm25
        self._settling = threading.Lock()

    def build(
        self, drafts: Sequence[Draft], *, job: str | None = None, by: str | None = None, action: str | None = None
    ) -> list[DocumentRow | None]:
        """Build documents, all of them or none.

        Args:
            drafts: The documents, each of another key.
            job: For the update log, as ``by`` and ``action`` are.
            by: The id of the key that asked for it.
            action: See `Catalogue.publish`.

        Returns:
            Each document as it is now; None for one that was changed or removed by others meanwhile.

        Raises:
            CallError: A model, the index or the database fails; nothing of it is seen.
            ConflictError: The generation is not the one that is searched any more (code ``overtaken``).
        """
        target = self.target
        chunks = [draft.cut_for(target) for draft in drafts]
        vectors = self._vectors(chunks)
        bm25 = self._settled(drafts, chunks)
        items = [(draft.item, some) for draft, some in zip(drafts, chunks, strict=True)]
        within = None if target.links is None else self._within(target.links, drafts, chunks)
        staged = self._catalogue.stage(target.base, target.generation, items, within=within)
        try:
            self._index(bm25, staged, chunks, vectors)
            late = self._catalogue.publish(target.base, target.generation, staged, job=job, by=by, action=action)
        except BaseException:
            self._catalogue.abandon(staged)
            raise
        return [None if one in late else one.document for one in staged]

    def _vectors(self, chunks: Sequence[Sequence[NewChunk]]) -> dict[str, NDArray[np.float32]]:
        searched = [chunk for some in chunks for chunk in some if chunk.searchable]
        texts = [embedded_text(chunk.title, chunk.heading_path, chunk.text) for chunk in searched]
        return {name: embedder.documents(texts) for name, embedder in self.target.embedders.items()} if texts else {}

    def _settled(self, drafts: Sequence[Draft], chunks: Sequence[Sequence[NewChunk]]) -> BM25:
        if self._bm25 is not None:
            return self._bm25
        lengths = [
            self.target.bm25.terms(
                chunk.text, matched_title(chunk.title, chunk.heading_path, _extra(draft.item))
            ).length
            for draft, some in zip(drafts, chunks, strict=True)
            for chunk in some
            if chunk.searchable
        ]
        with self._settling:
            if self._bm25 is None and lengths and self.target.settle is not None:
                self._bm25 = self.target.settle(max(1.0, sum(lengths) / len(lengths)))
        return self._bm25 or self.target.bm25

    def _within(
        self, find: FindLinks, drafts: Sequence[Draft], chunks: Sequence[Sequence[NewChunk]]
    ) -> Callable[[Connection, Sequence[Staged]], None]:
        passages = [
            _passage(draft.item, chunk)
            for draft, some in zip(drafts, chunks, strict=True)
            for chunk in some
            if chunk.searchable
        ]
        write_links = find(passages)

        def write(connection: Connection, staged: Sequence[Staged]) -> None:
            numbers = [
                number
                for one, some in zip(staged, chunks, strict=True)
                for number, chunk in zip(one.chunks, some, strict=True)
                if chunk.searchable
            ]
            write_links(connection, self.target.base, self.target.generation, numbers)

        return write

    def _index(
        self,
        bm25: BM25,
        staged: Sequence[Staged],
        chunks: Sequence[Sequence[NewChunk]],
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> None:
        entries = [
            entry_of(self.target, bm25, number, one.document, chunk)
            for one, some in zip(staged, chunks, strict=True)
            for number, chunk in zip(one.chunks, some, strict=True)
            if chunk.searchable
        ]
        _write(self.target, _with_vectors(entries, vectors))


def _passage(document: NewDocument | DocumentRow, chunk: NewChunk | ChunkRow) -> Passage:
    return Passage(chunk.text, document.title, document.key, tuple(chunk.heading_path), document.key)


def entry_of(target: Target, bm25: BM25, number: int, document: DocumentRow, chunk: NewChunk | ChunkRow) -> Entry:
    """Return what the index gets of a chunk, without its vectors."""
    title = matched_title(document.title, chunk.heading_path, _extra(document))
    told: dict[str, Any] = {
        **document.metadata,
        "title": document.title,
        "source": document.key,
        "format": document.format,
        "language": document.language,
        "tags": list(document.tags),
        "keywords": list(document.keywords),
        # Last: no document's metadata may put its chunks into another base.
        "part": target.part,
    }
    metadata = {key: value for key, value in told.items() if value is not None}
    return Entry(number, document.uid, {}, bm25.document(chunk.text, title), metadata)


def _extra(document: NewDocument | DocumentRow) -> Sequence[str]:
    return (document.receipt or {}).get(EXTRA_KEYWORDS) or ()


def _with_vectors(entries: Sequence[Entry], vectors: Mapping[str, NDArray[np.float32]]) -> list[Entry]:
    return [
        Entry(
            entry.id,
            entry.document,
            {name: rows[place] for name, rows in vectors.items()},
            entry.sparse,
            entry.metadata,
        )
        for place, entry in enumerate(entries)
    ]


def _write(target: Target, entries: Sequence[Entry]) -> None:
    for start in range(0, len(entries), _ENTRIES):
        with target.writing:
            target.index.upsert(entries[start : start + _ENTRIES])


def upsert_again(target: Target, pairs: Sequence[tuple[ChunkRow, DocumentRow]]) -> None:
    """Give an index chunks that the catalogue has and it has lost.

    Raises:
        CallError: A model or the index fails.
    """
    texts = [embedded_text(document.title, chunk.heading_path, chunk.text) for chunk, document in pairs]
    vectors = {name: embedder.documents(texts) for name, embedder in target.embedders.items()}
    entries = [entry_of(target, target.bm25, chunk.id, document, chunk) for chunk, document in pairs]
    _write(target, _with_vectors(entries, vectors))


def clear(
    catalogue: Catalogue,
    index_of: IndexOf,
    *,
    grace_ms: int | None = None,
    writing: Callable[[Garbage], AbstractContextManager[Any]] | None = None,
    most: int | None = None,
    stopping: Callable[[], bool] | None = None,
) -> int:
    """Delete what nothing needs from the indexes, then from the catalogue; return how many chunks.

    What lies in an index that can't be reached stays for the next time.

    Args:
        catalogue: That knows the garbage.
        index_of: Finds the index.
        grace_ms: See `Catalogue.garbage`.
        writing: Held while an index is written to.
        most: About how many chunks; None for all.
        stopping: Whether to leave the rest to the next time.
    """
    cleared, stuck = 0, 0
    while (most is None or cleared < most) and not (stopping is not None and stopping()):
        options = {} if grace_ms is None else {"grace_ms": grace_ms}
        # What is stuck comes first again each time, so ask for more than that.
        garbage = catalogue.garbage(_GARBAGE + stuck, **options)
        before, stuck = cleared, 0
        for some in garbage:
            try:
                index = index_of(some)
                if index is not None:
                    with nullcontext() if writing is None else writing(some):
                        index.delete(some.chunks)
            except (ServiceUnavailableError, ConfigurationError) as error:
                _log.warning("the index %s can't be cleared of %d chunks: %s", some.shelf, len(some.chunks), error)
                index = None
            if index is None:
                stuck += len(some.chunks)
                continue
            catalogue.forget(some.chunks)
            cleared += len(some.chunks)
        if cleared == before:
            break
    return cleared
