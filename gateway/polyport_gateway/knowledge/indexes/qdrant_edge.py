"""Qdrant's own core in this process: the index that a knowledge base has where nothing else is configured.

One shard holds vectors (HNSW), BM25's sparse vectors with `Modifier.Idf`, and payloads with their indexes. Every update
is in a write-ahead log before `update` returns, and is replayed when the shard is loaded: a killed process loses
nothing that was acknowledged.

Files are mapped into memory, so that a disk without room would end the process with a bus error, not with an
exception: updates are refused while there is still some.

The graph of HNSW is made by `optimize`; until then vectors are compared one by one (200,000 take about 40 ms). The
package holds Python's lock all that time (version 0.9; measured), so a process of its own does it, to a copy.
BM25's rarity of a term is by what the segments count, in which deleted chunks stay until they are loaded anew or
optimized: after deletions scores are a little off, all by the same factor for each term.
The Python package can unpack a snapshot but not make one, so `snapshot` copies the folder while nothing is written.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyport.errors import MissingDependencyError, ServiceUnavailableError
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector
from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .base import Entry, Record, Schema, Stats, Where
from .filters import Scalar
from .folders import Lock, copy_index, damaged, keep_schema, need_room, opened_schema, size_of, write_atomically
from .qdrant_common import SPARSE, is_whole, key_of, payload_of, ranked, record_of, translated, vector_name

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["QdrantEdgeIndex"]

_log = logging.getLogger("polyport.knowledge.indexes")

_SHARD = "shard"
_POINTER = "current"
_OPTIMIZE = """
import ctypes, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: who would use what it makes may be killed
from qdrant_edge import EdgeShard
shard = EdgeShard.load(sys.argv[1])
shard.optimize()
shard.flush()
shard.close()
"""
_FEW = 20_000
"""Chunks that a filter leaves, up to which they are compared one by one: 3 ms."""
_WIDE = 512
"""How many candidates a search by graph keeps. Of 200,000 chunks, many of them near duplicates, the ten nearest are
found to .96 in 3.5 ms; with 256 candidates to .92 in 2, with the package's own 100 to .82 in 0.7, one by one in 11.
ACORN (Patel and others, SIGMOD 2024) looks past neighbours that a filter leaves out: in a hundred bases of 1,000, of
which a fifth or a half is searched, recall is .975 to 1.0 with it and 256 candidates, and .76 to .96 with neither."""
_BATCH = 1_000_000
"""Numbers of vectors in one update, so that a record of the log stays small."""


def _package() -> Any:
    try:
        import qdrant_edge
    except ImportError as error:
        raise MissingDependencyError("The index qdrant-edge", extra="knowledge") from error
    return qdrant_edge


class QdrantEdgeIndex:
    """An index in a folder, for one process.

    Args:
        schema: What it holds; None takes what there is.
        folder: Where; made where it is missing.

    Raises:
        ConflictError: The folder is open already, here or in another process.
        ConfigurationError: It holds vectors of another size or name.

    Example::

        QdrantEdgeIndex(Schema({"minilm": 384}, {"year": "integer"}), Path("handbook.index"))
    """

    def __init__(self, schema: Schema | None, folder: Path) -> None:
        self._edge = _package()
        self._dialect = _EdgeDialect(self._edge, lambda key: is_whole(self.schema, key))
        self._folder = folder
        self._writing = threading.RLock()
        self._closed = False
        self._owned = Lock(folder)
        try:
            self.schema, kept = opened_schema(folder, schema)
            self._shard: qdrant_edge.EdgeShard = self._create() if kept is None else self._load()
            if self.schema != kept:
                self._index_fields(() if kept is None else kept.fields or ())
        except BaseException:
            self._owned.release()
            raise

    def _create(self) -> Any:
        edge = self._edge
        need_room(self._folder)
        shutil.rmtree(self._place(), ignore_errors=True)  # left by a process that was killed right here
        vectors = {
            vector_name(name): edge.EdgeVectorParams(size, edge.Distance.Cosine)
            for name, size in self.schema.vectors.items()
        }
        sparse = {SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
        shard = edge.EdgeShard.create(
            str(self._place()), edge.EdgeConfig(vectors=vectors, sparse_vectors=sparse, wal_enabled=True)
        )
        shard.update(edge.UpdateOperation.create_field_index("document", edge.PayloadSchemaType.Keyword))
        return shard

    def _index_fields(self, known: Collection[str]) -> None:
        """Have an index on each field of the schema that has none yet, then write the schema."""
        edge, kinds = self._edge, self._edge.PayloadSchemaType
        types = {
            "keyword": kinds.Keyword,
            "integer": kinds.Integer,
            "float": kinds.Float,
            "bool": kinds.Keyword,  # see _encoded
            "datetime": kinds.Datetime,
        }
        for field, kind in (self.schema.fields or {}).items():
            if field not in known:
                self._update(edge.UpdateOperation.create_field_index(key_of(field), types[kind]))
        self._flush()
        keep_schema(self._folder, self.schema)

    def _load(self) -> Any:
        need_room(self._folder, to="open the index")  # it maps files that grow: without room, the process would end
        current = self._place()
        for other in self._folder.glob(f"{_SHARD}*"):  # what a killed process was optimizing, or had optimized
            if other != current:
                shutil.rmtree(other, ignore_errors=True)  # tried again the next time
        try:
            return self._edge.EdgeShard.load(str(current))
        except Exception as error:  # the package raises nothing more precise
            raise damaged(self._folder, error) from error

    def _place(self) -> Path:
        pointer = self._folder / _POINTER
        return self._folder / (pointer.read_text(encoding="utf-8") if pointer.exists() else _SHARD)

    def _update(self, operation: Any) -> None:
        try:
            self._shard.update(operation)
        except Exception as error:  # the package raises nothing more precise
            raise ServiceUnavailableError(f"The index in {self._folder} could not be changed: {error}") from error

    def _flush(self) -> None:
        try:
            self._shard.flush()
        except Exception as error:  # the package raises nothing more precise
            raise ServiceUnavailableError(f"The index in {self._folder} could not be written: {error}") from error

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Add or replace chunks."""
        edge = self._edge
        points = []
        for entry in entries:
            vectors: dict[str, Any] = {vector_name(name): row for name, row in self.schema.entry(entry).items()}
            if entry.sparse is not None:
                vectors[SPARSE] = edge.SparseVector(entry.sparse.indices.tolist(), entry.sparse.values.tolist())
            points.append(edge.Point(entry.id, vectors, _encoded(payload_of(entry))))
        step = max(1, _BATCH // max(200, sum(self.schema.vectors.values())))
        with self._writing:
            for start in range(0, len(points), step):
                need_room(self._folder, 8 * _BATCH)
                self._update(edge.UpdateOperation.upsert_points(points[start : start + step]))

    def delete(self, ids: Sequence[int]) -> None:
        """Remove chunks."""
        with self._writing:
            self._update(self._edge.UpdateOperation.delete_points(list(ids)))

    def delete_documents(self, documents: Sequence[str]) -> None:
        """Remove all chunks of documents."""
        if documents:
            chosen = self._dialect.filter(must=[self._dialect.one_of("document", list(documents))])
            with self._writing:
                self._update(self._edge.UpdateOperation.delete_points_by_filter(chosen))

    def _filter(self, where: Where) -> Any:
        chosen = self.schema.filter(where)
        return None if chosen is None else translated(chosen, self._dialect)

    def _search(self, using: str, vector: Any, limit: int, chosen: Any, *, exact: bool = False) -> list[Any]:
        if limit < 1:
            return []
        edge = self._edge
        query = edge.Query.Nearest(vector, using=using)
        params = None
        if exact:
            params = edge.SearchParams(exact=True)
        elif using != SPARSE and chosen is None:
            params = edge.SearchParams(hnsw_ef=_WIDE)
        elif using != SPARSE:
            few = self._shard.count(edge.CountRequest(exact=False, filter=chosen)) <= _FEW
            acorn = edge.AcornSearchParams(enable=True)
            params = edge.SearchParams(exact=True) if few else edge.SearchParams(hnsw_ef=_WIDE, acorn=acorn)
        request = self._edge.QueryRequest(limit=limit, query=query, filter=chosen, params=params, with_payload=False)
        return list(self._shard.query(request))

    def search_dense(self, name: str, vectors: NDArray[np.float32], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the nearest vectors."""
        rows = self.schema.queries(name, vectors)
        chosen = self._filter(where)
        return [ranked(self._search(vector_name(name), row.tolist(), limit, chosen)) for row in rows]

    def search_sparse(self, vectors: Sequence[SparseVector], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the best BM25 score."""
        chosen = self._filter(where)
        return [ranked(self._search(SPARSE, self._terms(vector), limit, chosen), above=0.0) for vector in vectors]

    def _terms(self, vector: SparseVector) -> Any:
        return self._edge.SparseVector(vector.indices.tolist(), vector.values.tolist())

    def _rate(self, using: str, vector: Any, ids: NDArray[np.int64], missing: float) -> NDArray[np.float32]:
        found = np.full(len(ids), missing, np.float32)
        wanted = ids.tolist()
        chosen = self._edge.Filter(must=[self._edge.HasIdCondition(set(wanted))])
        scores = {point.id: point.score for point in self._search(using, vector, len(set(wanted)), chosen, exact=True)}
        for place, chunk in enumerate(wanted):
            if chunk in scores:
                found[place] = scores[chunk]
        return found

    def rate_dense(
        self, name: str, vectors: NDArray[np.float32], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the cosine of some chunks."""
        rows = self.schema.queries(name, vectors)
        pairs = zip(rows, among, strict=True)
        return [self._rate(vector_name(name), row.tolist(), ids, np.nan) for row, ids in pairs]

    def rate_sparse(
        self, vectors: Sequence[SparseVector], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the BM25 score of some chunks."""
        pairs = zip(vectors, among, strict=True)
        return [self._rate(SPARSE, self._terms(vector), ids, 0.0) for vector, ids in pairs]

    def meeting(self, ids: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
        """Return, for each chunk, whether it meets a filter."""
        chosen = self._filter(where)
        wanted = ids.tolist()
        conditions = [self._edge.HasIdCondition(set(wanted)), *([] if chosen is None else [chosen])]
        request = self._edge.ScrollRequest(
            limit=max(1, len(wanted)), filter=self._edge.Filter(must=conditions), with_payload=False, with_vector=False
        )
        met = {point.id for point in self._shard.scroll(request)[0]}
        return np.array([chunk in met for chunk in wanted], np.bool_)

    def sample(
        self, name: str | None, limit: int, where: Where = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return some chunks, and their vectors."""
        edge = self._edge
        key = None if name is None else vector_name(name)
        wanted = self._filter(where)
        conditions = [*([] if key is None else [edge.HasVectorCondition(key)]), *([] if wanted is None else [wanted])]
        chosen = edge.Filter(must=conditions) if conditions else None
        request = edge.QueryRequest(
            limit=max(1, limit), query=edge.Sample.Random, filter=chosen, with_vector=[key] if key else False
        )
        points: list[Any] = sorted(self._shard.query(request), key=lambda point: int(str(point.id)))[:limit]
        vectors = np.array([point.vector[key] for point in points] if key else [[]] * len(points), np.float32)
        return np.array([point.id for point in points], np.int64), vectors

    def fetch(self, ids: Sequence[int]) -> list[Record]:
        """Return what is kept of chunks."""
        found = {point.id: point.payload for point in self._shard.retrieve(list(ids), True, False)}
        return [_record(chunk, found[chunk]) for chunk in ids if chunk in found]

    def scroll(self, *, after: int = -1, limit: int = 1000, where: Where = None) -> list[Record]:
        """Return the next chunks by number."""
        request = self._edge.ScrollRequest(
            offset=after + 1, limit=limit, filter=self._filter(where), with_payload=True, with_vector=False
        )
        return [_record(int(str(point.id)), point.payload) for point in self._shard.scroll(request)[0]]

    def count(self, where: Where = None) -> int:
        """Return how many chunks there are."""
        if not where:
            return int(self._shard.info().points_count)  # where `count` looks at each chunk
        return int(self._shard.count(self._edge.CountRequest(exact=True, filter=self._filter(where))))

    def stats(self) -> Stats:
        """Say what it holds."""
        info = self._shard.info()
        dense = len(self.schema.vectors)
        # Sparse vectors are always counted as indexed, dense ones once they are in a graph.
        waiting = (1 + dense) * int(info.points_count) - int(info.indexed_vectors_count)
        details = {"segments": info.segments_count, "unordered": max(0, waiting) // dense if dense else 0}
        return Stats("qdrant-edge", int(info.points_count), size_of(self._folder), details)

    def optimize(self) -> None:
        """Make the graphs, and leave out what is deleted; updates wait, searches go on."""
        with self._writing:
            need_room(self._folder, size_of(self._folder))
            self._flush()
            former = self._place()
            new = self._folder / f"{_SHARD}-{uuid.uuid4().hex}"
            try:
                shutil.copytree(former, new)
                command = [sys.executable, "-P", "-c", _OPTIMIZE, str(new)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
                if done.returncode != 0:
                    why = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
                    raise ServiceUnavailableError(f"The index in {self._folder} could not be optimized: {why}")
                shard = self._edge.EdgeShard.load(str(new))
                write_atomically(self._folder / _POINTER, new.name)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            self._shard = shard
            shutil.rmtree(former)  # a search that is under way has its files open

    def snapshot(self, target: Path) -> None:
        """Copy the folder; updates wait, searches go on."""
        with self._writing:
            need_room(self._folder)
            self._flush()
            copy_index(self._folder, target)

    def close(self) -> None:
        """Flush, and let others have the folder."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            try:
                self._flush()
            except ServiceUnavailableError as error:
                _log.warning("%s What it holds is in its log, from which it is made when it is opened.", error)
            try:
                self._shard.close()
            finally:
                self._owned.release()


_TRUTH = {True: "\x00true", False: "\x00false"}
_TRUTHS = {text: value for value, text in _TRUTH.items()}


def _encoded(value: Any) -> Any:
    """Return a value with truth values as strings: ``MatchValue(True)`` of qdrant-edge-py 0.9 is the number 1."""
    if isinstance(value, bool):
        return _TRUTH[value]
    if isinstance(value, Mapping):
        return {key: _encoded(inner) for key, inner in value.items()}
    return [_encoded(inner) for inner in value] if isinstance(value, list | tuple) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        return _TRUTHS.get(value, value)
    if isinstance(value, Mapping):
        return {key: _decoded(inner) for key, inner in value.items()}
    return [_decoded(inner) for inner in value] if isinstance(value, list) else value


def _record(chunk: int, payload: Mapping[str, Any] | None) -> Record:
    return record_of(chunk, _decoded(payload))


class _EdgeDialect:
    def __init__(self, edge: Any, whole: Callable[[str], bool]) -> None:
        self._edge = edge
        self.whole = whole

    def filter(
        self, *, must: list[Any] | None = None, should: list[Any] | None = None, must_not: list[Any] | None = None
    ) -> Any:
        return self._edge.Filter(must=must, should=should, must_not=must_not)

    def one_of(self, key: str, values: list[Any]) -> Any:
        return self._edge.FieldCondition(key, match=self._edge.MatchAny(values))

    def is_value(self, key: str, value: Scalar) -> Any:
        return self._edge.FieldCondition(key, match=self._edge.MatchValue(_encoded(value)))

    def between(self, key: str, bounds: Mapping[str, float]) -> Any:
        return self._edge.FieldCondition(key, range=self._edge.RangeFloat(**bounds))

    def during(self, key: str, bounds: Mapping[str, datetime]) -> Any:
        moments = {name: moment.isoformat() for name, moment in bounds.items()}
        return self._edge.FieldCondition(key, range=self._edge.RangeDateTime(**moments))

    def is_empty(self, key: str) -> Any:
        return self._edge.IsEmptyCondition(key)
