"""Vectors by FAISS; terms and metadata by this package. Everything is in memory, and kept in a folder.

What is kept is one SQLite database, in which a batch is a transaction: a process killed at any moment leaves all that
was acknowledged. FAISS's own structures are made again when the folder is opened: adding vectors to a flat index is a
copy, but a graph (``hnsw``) of 200,000 takes a minute, so `optimize` and `close` write it beside, with the database's
version, and it is read back only when that is still the same.

Filters become selections of numbers. HNSW finds little under a filter that few meet, so there it is searched exactly.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.retrieval.ranking import Ranking, best

from .base import Entry, Schema, Stats
from .columns import Column, PlacedColumn
from .folders import Lock, copied, keep_schema, opened_schema, size_of
from .memory import MemoryIndex
from .store import ChunkStore

__all__ = ["FaissIndex"]

_log = logging.getLogger("polyport.knowledge.indexes")

_FEW = 20_000
"""Vectors that are compared one by one in a moment, so that no graph need be asked."""

Kind = Literal["flat", "hnsw"]


def _package() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingDependencyError("The index faiss", extra="faiss") from error
    return faiss


class FaissFinder:
    """Vectors in a FAISS index.

    Args:
        index: Of inner products.
    """

    def __init__(self, index: Any) -> None:
        self._faiss = _package()
        self.index = index
        self._graph = hasattr(index, "hnsw")

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Put more at the end."""
        self.index.add(np.ascontiguousarray(vectors))

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of places."""
        if not len(places):
            return np.empty((0, self.index.d), np.float32)
        return np.asarray(self.index.reconstruct_batch(places), np.float32)

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best places."""
        limit = min(limit, int(self.index.ntotal))
        if limit < 1:
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        if self._graph and allowed is not None and int(allowed.sum()) <= _FEW:
            places = np.flatnonzero(allowed)
            found = best(np.asarray(self.take(places) @ query, np.float32), limit)
            return Ranking(places[found.documents], found.scores)
        scores, places = self.index.search(query[None], limit, params=self._parameters(limit, allowed))
        there = places[0] >= 0
        order = np.lexsort((places[0][there], -scores[0][there]))
        return Ranking(places[0][there][order], scores[0][there][order])

    def _parameters(self, limit: int, allowed: NDArray[np.bool_] | None) -> Any:
        chosen = None
        if allowed is not None:
            chosen = self._faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if self._graph:
            return self._faiss.SearchParametersHNSW(sel=chosen, efSearch=max(128, 2 * limit))
        return self._faiss.SearchParameters(sel=chosen) if chosen is not None else None


class FaissIndex(MemoryIndex):
    """An index in memory and a folder, for one process.

    Args:
        schema: What it holds; None takes what there is.
        folder: Where; made where it is missing.
        kind: ``flat`` compares all vectors, exactly; ``hnsw`` follows a graph.

    Raises:
        ConflictError: The folder is open already, here or in another process.
        ConfigurationError: It holds vectors of another size or name.
    """

    engine = "faiss"

    def __init__(self, schema: Schema | None, folder: Path, *, kind: Kind = "flat") -> None:
        self._faiss = _package()
        self._folder, self._kind = folder, kind
        self._owned = Lock(folder)
        try:
            found, kept = opened_schema(folder, schema)
            super().__init__(found)
            self._store = ChunkStore(folder)
            if found != kept:
                keep_schema(folder, found)
            self._read()
        except BaseException:
            self._owned.release()
            raise
        self._closed = False

    def _column(self, name: str, size: int) -> Column:
        inner = self._faiss.METRIC_INNER_PRODUCT
        flat = self._kind == "flat"
        return PlacedColumn(
            FaissFinder(self._faiss.IndexFlatIP(size) if flat else self._faiss.IndexHNSWFlat(size, 32, inner))
        )

    def _read(self) -> None:
        slots = self._put_records(self._store.entries())
        for name, size in self.schema.vectors.items():
            rows = [(chunk, vector) for chunk, vector in self._store.vectors(name) if vector is not None]
            ids = [chunk for chunk, _ in rows]
            at = [slots[chunk] for chunk in ids]
            kept = self._kept_graph(name, len(ids))
            if kept is not None:
                self._columns[name] = PlacedColumn.over(FaissFinder(kept), ids, at)
            elif ids:
                vectors = np.frombuffer(b"".join(vector for _, vector in rows), np.float32).reshape(len(ids), size)
                self._columns[name].put(ids, at, vectors)

    def _graph_file(self, name: str) -> Path:
        return self._folder / f"{list(self.schema.vectors).index(name)}.{self._store.version()}.faiss"

    def _kept_graph(self, name: str, count: int) -> Any:
        file = self._graph_file(name)
        if self._kind != "hnsw" or not file.exists():
            return None
        found = self._faiss.read_index(str(file))
        return found if found.ntotal == count else None

    def _keep_graphs(self) -> None:
        """Write graphs whose places are in the order of numbers, as they are read back."""
        if self._kind != "hnsw":
            return
        current = set()
        for name, column in self._columns.items():
            file = self._graph_file(name)
            current.add(file)
            finder = column.finder if isinstance(column, PlacedColumn) and column.ordered else None
            if isinstance(finder, FaissFinder) and not file.exists():
                new = file.with_suffix(".new")
                try:
                    self._faiss.write_index(finder.index, str(new))
                except RuntimeError as error:  # a disk without room: the graph is made anew when it is opened
                    _log.warning("The graph of %s could not be kept: %s", self._folder, error)
                    new.unlink(missing_ok=True)
                    continue
                new.replace(file)
        for old in set(self._folder.glob("*.faiss")) - current:
            old.unlink()

    def _keep(self, entries: Sequence[Entry], vectors: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        self._store.put(entries, vectors)

    def _forget(self, ids: Sequence[int]) -> None:
        self._store.delete(ids)

    def stats(self) -> Stats:
        """Say what it holds."""
        return Stats(self.engine, len(self._records), size_of(self._folder), {"kind": self._kind})

    def optimize(self) -> None:
        """Make the inverted lists, leave out what is dead, and write graphs."""
        with self._lock:
            super().optimize()
            self._keep_graphs()

    def snapshot(self, target: Path) -> None:
        """Write a copy."""
        with self._lock, copied(target) as new:
            new.mkdir()
            self._store.copy(new)
            keep_schema(new, self.schema)

    def close(self) -> None:
        """Let others have the folder."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._keep_graphs()
                self._store.close()
            finally:
                self._owned.release()
