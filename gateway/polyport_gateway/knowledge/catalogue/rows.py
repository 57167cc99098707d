"""What the catalogue takes and gives: rows, as they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from polyport_gateway.knowledge.documents.values import JSON

__all__ = [
    "GENERATIONS",
    "BaseCounts",
    "BaseRow",
    "ChangeRow",
    "ChunkRow",
    "DocumentBrief",
    "DocumentPage",
    "DocumentRow",
    "DocumentStatus",
    "Garbage",
    "GenerationRow",
    "NewChunk",
    "NewDocument",
    "Staged",
    "part_of",
]

GENERATIONS = 65_536
"""How many generations a base may have: one more, and two bases would have the same `part`."""

DocumentStatus = Literal["ready", "failed"]


def part_of(base: int, generation: int) -> int:
    """Return the number that stands for one generation of a base in an index shared by many."""
    return base * GENERATIONS + generation


@dataclass(frozen=True, slots=True)
class BaseRow:
    """A knowledge base.

    Args:
        id: Its number, never given to another.
        name: What callers know it by.
        config: As it was declared or made.
        generation: The one that is searched.
        shelf: Key of the index that this generation is in.
        state: What was learned of it.
        declared: By the app, rather than made by a caller.
        created_at: Milliseconds since 1970, as all times here.
        updated_at: Of its configuration or its documents.
    """

    id: int
    name: str
    config: Mapping[str, Any]
    generation: int
    shelf: str
    state: Mapping[str, Any]
    declared: bool
    created_at: int
    updated_at: int

    @property
    def part(self) -> int:
        """What stands for it in its index."""
        return part_of(self.id, self.generation)


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """One building of a base.

    Args:
        base: Its base.
        generation: Its number.
        shelf: Key of the index that it is in.
        recipe: What it is built with.
        dropped: Whether all in it is to be cleared away.
        created_at: When it was begun.
    """

    base: int
    generation: int
    shelf: str
    recipe: Mapping[str, Any]
    dropped: bool
    created_at: int

    @property
    def part(self) -> int:
        """What stands for it in its index."""
        return part_of(self.base, self.generation)


@dataclass(frozen=True, slots=True)
class BaseCounts:
    """How much a base holds.

    Args:
        documents: That can be searched.
        failed: That could not be read at all.
        chunks: That are searched.
        keywords: How many documents have keywords of which version.
    """

    documents: int = 0
    failed: int = 0
    chunks: int = 0
    keywords: Mapping[int, int] = field(default_factory=dict)

    def behind(self, version: int) -> int:
        """Return how many documents have keywords that are older than a version."""
        return sum(count for made, count in self.keywords.items() if made < version)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document to be taken in under a key; it takes the place of the one that has the key.

    Args:
        key: The path, address or name that it is known by in its base.
        title: As it is shown.
        sha256: Of the file, in hex.
        bytes: Of the file.
        parsed: Key of the parsed document in the blob store.
        format: Such as ``pdf``.
        language: ISO 639-1 code.
        pages: How many.
        metadata: What filters and users see.
        tags: Words of the user's to find it by.
        keywords: What the base's function of keywords gave.
        keywords_version: Of that function.
        receipt: What became of the file when it was read.
        uid: Its public id; made up when left out, and kept when the key has a document.
    """

    key: str
    title: str
    sha256: str
    bytes: int = 0
    parsed: str | None = None
    format: str | None = None
    language: str | None = None
    pages: int | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    keywords_version: int = 1
    receipt: Mapping[str, Any] | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A document of a base; the members are those of `NewDocument`, and these.

    Args:
        id: Its number in its base.
        version: Of what is searched of it: one more at each change of text, metadata or keywords; 0 for nothing yet.
        status: ``failed`` if nothing of it could be read.
        error: Why it, or its newest version, could not be taken in.
        failed_sha256: Of the file that the error is about.
        added_at: When it came.
        updated_at: When it last changed, or failed to.
    """

    id: int
    uid: str
    key: str
    title: str
    sha256: str
    parsed: str | None
    version: int
    status: DocumentStatus
    error: str | None
    failed_sha256: str | None
    format: str | None
    language: str | None
    pages: int | None
    bytes: int
    metadata: Mapping[str, JSON]
    tags: tuple[str, ...]
    keywords: tuple[str, ...]
    keywords_version: int
    receipt: Mapping[str, Any] | None
    added_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Some documents of a base, in the order of their keys.

    Args:
        rows: The documents.
        total: How many there are on all pages; None where it was not asked for.
        next: What to hand in as ``after`` for the next page; None on the last.
    """

    rows: tuple[DocumentRow, ...]
    total: int | None
    next: str | None


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to be staged; its place in the list is its ordinal.

    Args:
        text: What is searched and shown.
        span: Where it stands in the document's text; None for a text that was made.
        tokens: Of its text.
        title: What it is shown under; the document's title when empty.
        heading_path: The headings that it stands under.
        pages: That it is from.
        parent: The place in the list of the larger chunk that it is a part of.
        searchable: False for what is only shown, as parents are.
        metadata: Cells, and what its chunker adds.
        content_hash: SHA-256 of the text, in hex; computed when empty.
    """

    text: str
    span: tuple[int, int] | None = None
    tokens: int = 0
    title: str = ""
    heading_path: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    parent: int | None = None
    searchable: bool = True
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    content_hash: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hex."""
        return self.content_hash or hashlib.sha256(self.text.encode(errors="replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class DocumentBrief:
    """What a hit shows of its document."""

    id: int
    uid: str
    key: str
    title: str
    metadata: Mapping[str, JSON]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk that is live; the members are those of `NewChunk`, and these.

    Args:
        id: Its number, in the catalogue and in every index.
        base: Number of its base.
        knowledge: Name of its base.
        generation: Of its base.
        version: Of its document.
        build: What it was staged with.
        ordinal: Its place in the document.
        document: What it is from.
    """

    id: int
    base: int
    knowledge: str
    generation: int
    version: int
    build: int
    ordinal: int
    parent: int | None
    searchable: bool
    title: str
    text: str
    span: tuple[int, int] | None
    heading_path: tuple[str, ...]
    pages: tuple[int, ...]
    tokens: int
    content_hash: str
    metadata: Mapping[str, JSON]
    document: DocumentBrief


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Staged:
    """A version of a document, written and not seen yet.

    Hold on to it until it is published: what nobody holds is cleared away.

    Args:
        build: Its number.
        base: Its base.
        generation: That it is built for.
        document: The row as it will be.
        chunks: The numbers of its chunks, in the order given.
        before: The version that it takes the place of; None for a new document.
    """

    build: int
    base: int
    generation: int
    document: DocumentRow
    chunks: tuple[int, ...]
    before: int | None

    @property
    def change(self) -> bool:
        """Whether the document becomes another; False where the same version is built once more."""
        return self.before != self.document.version


@dataclass(frozen=True, slots=True)
class Garbage:
    """Chunks of one generation that nothing needs: to be deleted from its index, then forgotten.

    Args:
        shelf: Key of the index.
        base: The base, which may be gone.
        generation: Its generation.
        chunks: Their numbers; some were never in the index.
    """

    shelf: str
    base: int
    generation: int
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A line of the update log."""

    id: int
    base: int
    at: int
    action: str
    document: str | None = None
    source: str | None = None
    job: str | None = None
    by: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
