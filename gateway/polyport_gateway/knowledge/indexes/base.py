"""What an index is to the rest: one protocol, and the values that go in and out.

An index knows chunks by number, their vectors, terms and metadata. The texts are the catalogue's, which also gives the
numbers; so a search returns a `Ranking`, as everything in `retrieval` does.

The protocol is synchronous. The embedded engines are native code that blocks, retrieval and
ingestion call it many times in one go, and each of them runs in a worker thread as a whole (`asyncio.to_thread`): one
hop to a thread per question instead of one per call, and nothing here can run on the event loop by accident.
Every method may be called from several threads at once. What `upsert` and `delete` have returned from is kept: it is
found by the next search and outlives a killed process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from polyport.errors import BadRequestError, ConfigurationError
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector
from polyport_gateway.knowledge.retrieval.dense import normalized
from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .filters import Filter, parse

__all__ = ["PART", "Entry", "FieldType", "Record", "Schema", "Stats", "VectorIndex", "Where"]

PART = "part"
"""The field that says which of several owners of an index a chunk is of; engines make filters by it fast."""

FieldType = Literal["keyword", "integer", "float", "bool", "datetime"]
Where = Mapping[str, Any] | None
"""A filter as a user writes it; `filters` says how."""


@dataclass(frozen=True)
class Schema:
    """What an index holds.

    Args:
        vectors: The size of each embedder's vectors, by the embedder's name. Empty: BM25 alone.
        fields: The fields of metadata and their types, for which an engine keeps an index. None: any field may be
            filtered by, and an engine may have to look at every chunk to do so.
        strict: Whether a filter on a field that is not among them is an error.
    """

    vectors: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, FieldType] | None = None
    strict: bool = True

    @property
    def filtered(self) -> tuple[str, ...] | None:
        """The fields that may be filtered by; None for any."""
        return tuple(self.fields) if self.strict and self.fields is not None else None

    def filter(self, where: Where) -> Filter | None:
        """Read a filter on what is indexed."""
        return parse(where, self.filtered) if where else None

    def queries(self, name: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors to search by, of length 1, a row for each.

        Raises:
            BadRequestError: The name is not known, or the size is another.
        """
        rows = normalized(vectors)
        size = self.vectors.get(name)
        if size is None:
            known = ", ".join(self.vectors) or "none"
            raise BadRequestError(f"The index has no vectors of {name!r}; it has: {known}.")
        if len(rows) and rows.shape[1] != size:
            raise BadRequestError(_resized(name, size, rows.shape[1]))
        return rows

    def entry(self, entry: Entry) -> dict[str, NDArray[np.float32]]:
        """Return an entry's vectors, of length 1.

        Raises:
            BadRequestError: It does not fit.
        """
        if not 0 <= entry.id < 2**63:
            raise BadRequestError(f"A chunk's number must be from 0 to 2⁶³-1, not {entry.id}.")
        return {name: self.queries(name, vector)[0] for name, vector in entry.vectors.items()}

    def agree(self, kept: Schema, place: str) -> None:
        """Check that an index that exists was made for this schema.

        Raises:
            ConfigurationError: It was not.
        """
        for name, size in self.vectors.items():
            if name not in kept.vectors:
                raise ConfigurationError(
                    f"The index in {place} has no vectors of {name!r}: rebuild it with that embedder."
                )
            if kept.vectors[name] != size:
                raise ConfigurationError(f"{_resized(name, kept.vectors[name], size)} It lies in {place}.")

    def with_fields_of(self, wanted: Schema | None) -> Schema:
        """Return this schema with the fields that are new in another.

        A field of the same name keeps the type that it has, and is still found by values of another.
        """
        if wanted is None or wanted.fields is None or self.fields is None:
            return self
        return Schema(self.vectors, {**wanted.fields, **self.fields}, wanted.strict)

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Schema:
        """Read what `dump` wrote."""
        return cls(**json.loads(text))


def _resized(name: str, kept: int, given: int) -> str:
    return (
        f"{name!r} gives vectors of {given} dimensions, and the index holds {kept}: "
        "the embedder's model has changed. Rebuild the index with it, or configure the former one."
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk to be indexed.

    Args:
        id: Its number, which the catalogue gives.
        document: The id of the document it is of.
        vectors: By the embedder's name; one may be left out.
        sparse: Its terms, as `BM25.document` makes them.
        metadata: JSON values: strings, numbers, truth values, lists and objects of them.
    """

    id: int
    document: str
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    sparse: SparseVector | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A chunk as the index has it, without vectors."""

    id: int
    document: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stats:
    """What an index holds.

    Args:
        engine: Its kind.
        chunks: How many.
        bytes: On disk, where it is in a folder.
        details: What the engine tells of itself.
    """

    engine: str
    chunks: int
    bytes: int = 0
    details: Mapping[str, int | float | str] = field(default_factory=dict)


@runtime_checkable
class VectorIndex(Protocol):
    """An index of chunks by vectors, terms and metadata."""

    schema: Schema

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Add chunks, or replace those of the same numbers as a whole; all of a batch fits, or none is taken."""
        ...

    def delete(self, ids: Sequence[int]) -> None:
        """Remove chunks; those that are not there are no error."""
        ...

    def delete_documents(self, documents: Sequence[str]) -> None:
        """Remove all chunks of documents."""
        ...

    def search_dense(self, name: str, vectors: NDArray[np.float32], limit: int, where: Where = None) -> list[Ranking]:
        """Return, for each row, the chunks of the nearest vectors by cosine."""
        ...

    def search_sparse(self, vectors: Sequence[SparseVector], limit: int, where: Where = None) -> list[Ranking]:
        """Return, for each query, the chunks of the best BM25 score, those that share a term with it."""
        ...

    def rate_dense(
        self, name: str, vectors: NDArray[np.float32], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return, for each row, the cosine of some chunks, exactly; NaN for one that has no such vector."""
        ...

    def rate_sparse(
        self, vectors: Sequence[SparseVector], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return, for each query, the BM25 score of some chunks; 0 for one that shares no term."""
        ...

    def meeting(self, ids: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
        """Return, for each chunk, whether it is there and meets a filter."""
        ...

    def sample(
        self, name: str | None, limit: int, where: Where = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return some chunks, chosen without regard to what they say, and their vectors (none for no name).

        Where there are no more chunks than asked for, all are returned.
        """
        ...

    def fetch(self, ids: Sequence[int]) -> list[Record]:
        """Return what is kept of chunks, in this order, without those that are not there."""
        ...

    def scroll(self, *, after: int = -1, limit: int = 1000, where: Where = None) -> list[Record]:
        """Return the next chunks by number."""
        ...

    def count(self, where: Where = None) -> int:
        """Return how many chunks there are."""
        ...

    def stats(self) -> Stats:
        """Say what it holds."""
        ...

    def optimize(self) -> None:
        """Make searches fast after many changes: to be called when ingestion is through. May take minutes."""
        ...

    def snapshot(self, target: Path) -> None:
        """Write a copy, whole or not at all, that `restore` makes an index of."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
