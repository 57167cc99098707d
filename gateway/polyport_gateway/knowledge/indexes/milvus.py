"""Milvus: a server or a cluster that many gateways share, or Milvus Lite in a folder of this process.

A collection has a field for each embedder's vectors, one for BM25's sparse vectors, and the facts that filters go by
(`milvus_filters`). Milvus adds up sparse vectors as they are, so how rare a term is, is put into the query: the chunks
that have it are counted by an array of terms, and the counts kept until something changes here, or for half a minute,
for other gateways may write. Of a folder, which nobody else writes to, they are counted in memory.

Milvus Lite (3.2) is Python over FAISS and Parquet, "for local development and small-scale applications": the same calls
as on a server, but filters take milliseconds for each thousand chunks.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyport.errors import (
    ConfigurationError,
    MissingDependencyError,
    ServiceUnavailableError,
    UnsupportedOperationError,
)
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector
from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .base import PART, Entry, Record, Schema, Stats, Where
from .folders import Lock, copy_index, damaged, keep_schema, need_room, opened_schema, size_of
from .milvus_files import drop_derived, drop_flushed
from .milvus_filters import ANYTHING, HAS_TERMS, expression, token
from .milvus_rows import (
    CHANCES,
    DENSE,
    MOST_BYTES,
    MOST_TERMS,
    field_of,
    has_field,
    name_of,
    ranking_of,
    record_of,
    row_of,
    sparse_of,
)
from .milvus_terms import TermCounts
from .servers import Failure, Server

if TYPE_CHECKING:
    from pymilvus import MilvusClient

__all__ = ["MilvusIndex"]

_log = logging.getLogger("polyport.knowledge.indexes")

_DATABASE = "milvus.db"
_BATCH = 500
_MOST_IDS = 5000
_MOST_FOUND = 16_384
_NOT_LOADED = 101
_INVERTED = {"index_type": "INVERTED"}
_GRAPH = {"index_type": "HNSW", "metric_type": "COSINE", "params": {"M": 16, "efConstruction": 200}}
_STALE_S = 30.0


class MilvusIndex:
    """A collection on a server, or in a folder.

    Args:
        schema: What it holds; None takes what there is.
        folder: Of Milvus Lite, for one process; made where it is missing.
        url: Of a server instead, such as ``http://localhost:19530``.
        collection: Its name.
        token: ``user:password``, or a key.
        timeout: Seconds for one request.

    Raises:
        ConflictError: The folder is open already, here or in another process.
        ConfigurationError: It holds vectors of another size or name, or neither or both of folder and url are given.
        ServiceUnavailableError: The server does not answer.
    """

    def __init__(
        self,
        schema: Schema | None,
        folder: Path | None = None,
        *,
        url: str | None = None,
        collection: str = "chunks",
        token: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        if (folder is None) == (url is None):
            raise ConfigurationError("The index milvus needs either a folder or the url of a server.")
        try:
            import pymilvus

            if folder is not None:
                import milvus_lite  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError("The index milvus", extra="milvus") from error
        # pymilvus loads it at the first search, past the lock on imports: two threads at once found half of it.
        with suppress(ImportError):
            importlib.import_module("scipy.sparse")
        self._milvus = pymilvus
        self._folder, self._url = folder, url
        self._server = None if url is None else _server(url)
        self._place = str(folder) if self._server is None else self._server.place
        self.collection, self._timeout = collection.replace("-", "_"), timeout
        self._writing = threading.RLock()
        self._closed = self._ready = False
        self._counted: dict[int | None, tuple[int, float]] = {}
        self._terms = None if folder is None else TermCounts()
        self._owned = None if folder is None else Lock(folder)
        try:
            try:
                self.schema = self._begun(token, schema)
            except ConfigurationError as error:
                if folder is None or not isinstance(error.__cause__, pymilvus.MilvusException):
                    raise
                _log.warning("%s Its indexes of segments are made anew.", error)
                drop_derived(folder / _DATABASE)
                self.schema = self._begun(token, schema)
        except BaseException:
            if self._owned is not None:
                self._owned.release()
            raise
        self._fields = {name: field_of(name) for name in self.schema.vectors}
        self._ready = True

    def _begun(self, token: str | None, schema: Schema | None) -> Schema:
        with nullcontext() if self._server is None else self._server.calling():
            self._client = self._connected(token)
        with ExitStack() as undo:
            undo.callback(self._disconnect)
            opened = self._opened(schema)
            undo.pop_all()
        return opened

    def _connected(self, token: str | None) -> MilvusClient:
        milvus = self._milvus
        try:
            if self._folder is not None:
                drop_flushed(self._folder / _DATABASE)
                return milvus.MilvusClient(str(self._folder / _DATABASE))
            return milvus.MilvusClient(uri=self._url or "", token=token or "", timeout=self._timeout)
        except milvus.MilvusException as error:
            if self._folder is not None:
                raise damaged(self._folder, error) from error
            raise  # which the server's account turns into what is shown

    @contextmanager
    def _asking(self) -> Iterator[MilvusClient]:
        if self._server is not None:
            with self._server.calling(), self._loading():
                yield self._client
            return
        try:
            yield self._client
        except self._milvus.MilvusException as error:
            if not self._ready and self._folder is not None:  # the files are the only thing that can fail here
                raise damaged(self._folder, error) from error
            raise ServiceUnavailableError(f"The index in {self._place} failed: {error.message}") from error

    @contextmanager
    def _loading(self) -> Iterator[None]:
        """Have the collection loaded for the next call, where one finds that it is not, as after some restarts."""
        try:
            yield
        except self._milvus.MilvusException as error:
            if error.code == _NOT_LOADED:
                self._client.load_collection(self.collection, timeout=self._timeout)
            raise

    def _opened(self, schema: Schema | None) -> Schema:
        found, kept = schema, None
        if self._folder is not None:
            found, kept = opened_schema(self._folder, schema)
        with self._asking() as client:
            there = client.has_collection(self.collection, timeout=self._timeout)
            if self._folder is not None and kept is not None and not there:
                raise damaged(self._folder, ValueError("the collection is missing"))
            if there and kept is None:
                described = self._described(client, schema)
                if schema is not None:
                    schema.agree(described, f"collection {self.collection!r} at {self._place}")
                found = described
            if found is None:
                raise ConfigurationError(f"There is no collection {self.collection!r} at {self._place}; give a schema.")
            if not there:
                if self._folder is not None:
                    need_room(self._folder)
                self._create(client, found)
            self._make_indexes(client, found)
            client.load_collection(self.collection, timeout=self._timeout)
            if there and self._terms is not None:
                self._read_terms(client, self._terms)
        if self._folder is not None and found != kept:
            keep_schema(self._folder, found)
        return found

    def _read_terms(self, client: MilvusClient, counts: TermCounts) -> None:
        fields = ["id", "terms"]
        for row in client.query(self.collection, filter=HAS_TERMS, output_fields=fields, timeout=self._timeout):
            counts.put(int(row["id"]), row["terms"])

    def _described(self, client: MilvusClient, schema: Schema | None) -> Schema:
        fields = client.describe_collection(self.collection, timeout=self._timeout)["fields"]
        sizes = {
            name_of(field["name"]): int(field["params"]["dim"]) for field in fields if field["name"].startswith(DENSE)
        }
        return Schema(sizes, None if schema is None else schema.fields, schema is None or schema.strict)

    def _create(self, client: MilvusClient, schema: Schema) -> None:
        kinds = self._milvus.DataType
        made = client.create_schema(auto_id=False, enable_dynamic_field=False)
        made.add_field("id", kinds.INT64, is_primary=True)
        made.add_field("body", kinds.VARCHAR, max_length=MOST_BYTES)
        made.add_field("document", kinds.VARCHAR, max_length=512)
        made.add_field(PART, kinds.INT64, nullable=True)
        made.add_field("chance", kinds.INT64)
        made.add_field("facts", kinds.JSON)
        made.add_field("terms", kinds.ARRAY, element_type=kinds.INT64, max_capacity=MOST_TERMS)
        made.add_field("sparse", kinds.SPARSE_FLOAT_VECTOR)
        for name, size in schema.vectors.items():
            made.add_field(field_of(name), kinds.FLOAT_VECTOR, dim=size)
            made.add_field(has_field(name), kinds.BOOL)
        client.create_collection(self.collection, schema=made, consistency_level="Strong", timeout=self._timeout)

    def _make_indexes(self, client: MilvusClient, schema: Schema) -> None:
        """Have all indexes, those too that whoever made the collection did not come to make."""
        there = {
            client.describe_index(self.collection, name, timeout=self._timeout)["field_name"]
            for name in client.list_indexes(self.collection, timeout=self._timeout)
        }
        wanted: dict[str, dict[str, Any]] = {
            "sparse": {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"},
            **dict.fromkeys(("document", PART, "chance", *map(has_field, schema.vectors)), _INVERTED),
            **{field_of(name): _GRAPH for name in schema.vectors},
        }
        indexes = client.prepare_index_params()
        for field, options in wanted.items():
            if field not in there:
                indexes.add_index(field, **options)
        if wanted.keys() - there:  # there is nothing to wait for: a new collection is empty
            client.create_index(self.collection, indexes, timeout=self._timeout, sync=False)
        if "terms" not in there and self._folder is None:
            terms = client.prepare_index_params("terms", index_type="INVERTED")
            try:
                client.create_index(self.collection, terms, timeout=self._timeout, sync=False)
            except self._milvus.MilvusException as error:  # Milvus Lite's server can't
                _log.info("Terms are counted without an index: %s", error.message)

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Add or replace chunks."""
        rows = [row_of(entry, self.schema) for entry in {entry.id: entry for entry in entries}.values()]
        with self._changing() as client:
            for start in range(0, len(rows), _BATCH):
                part = rows[start : start + _BATCH]
                client.upsert(self.collection, part, timeout=self._timeout)
                if self._terms is not None:
                    for row in part:
                        self._terms.put(row["id"], row["terms"] if "terms" in row["facts"]["*"] else None)

    @contextmanager
    def _changing(self) -> Iterator[MilvusClient]:
        with self._writing, self._asking() as client:
            if self._folder is not None:
                need_room(self._folder)
            try:
                yield client
            finally:
                self._counted = {}

    def delete(self, ids: Sequence[int]) -> None:
        """Remove chunks."""
        wanted = [chunk for chunk in ids if 0 <= chunk < 2**63]
        with self._changing() as client:
            for start in range(0, len(wanted), _MOST_IDS):
                part = wanted[start : start + _MOST_IDS]
                client.delete(self.collection, ids=part, timeout=self._timeout)
                if self._terms is not None:
                    self._terms.drop(part)

    def delete_documents(self, documents: Sequence[str]) -> None:
        """Remove all chunks of documents."""
        tokens = sorted(set(map(token, documents)))
        with self._changing() as client:
            for start in range(0, len(tokens), _MOST_IDS):
                chosen = json.dumps(tokens[start : start + _MOST_IDS], ensure_ascii=False)
                if self._terms is None:
                    client.delete(self.collection, filter=f"document in {chosen}", timeout=self._timeout)
                    continue
                rows = client.query(
                    self.collection, filter=f"document in {chosen}", output_fields=["id"], timeout=self._timeout
                )
                self.delete([int(row["id"]) for row in rows])

    def _filter(self, where: Where, *more: str) -> str:
        chosen = self.schema.filter(where)
        return " and ".join(f"({part})" for part in (*([] if chosen is None else [expression(chosen)]), *more))

    def search_dense(self, name: str, vectors: NDArray[np.float32], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the nearest vectors."""
        rows = self.schema.queries(name, vectors)
        params = {"metric_type": "COSINE", "params": {"ef": max(128, 2 * min(limit, _MOST_FOUND))}}
        return self._search(
            self._fields[name], rows.tolist(), limit, self._filter(where, f"{has_field(name)} == true"), params
        )

    def search_sparse(self, vectors: Sequence[SparseVector], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the best BM25 score."""
        chosen = self._filter(where)
        asked = [self._query(vector) for vector in vectors]
        kept = [number for number, vector in enumerate(asked) if vector]
        found = self._search("sparse", [asked[number] for number in kept], limit, chosen, {"metric_type": "IP"})
        answers = [ranking_of(()) for _ in vectors]
        for number, ranking in zip(kept, found, strict=True):
            answers[number] = ranking
        return answers

    def _search(self, field: str, vectors: list[Any], limit: int, chosen: str, params: Any) -> list[Ranking]:
        if limit < 1 or not vectors:
            return [ranking_of(()) for _ in vectors]
        with self._asking() as client:
            answers = client.search(
                self.collection,
                data=vectors,
                anns_field=field,
                filter=chosen,
                limit=min(limit, _MOST_FOUND),
                search_params=params,
                output_fields=["id"],
                timeout=self._timeout,
            )
        return [ranking_of((int(hit["id"]), float(hit["distance"])) for hit in hits) for hits in answers]

    def _query(self, vector: SparseVector) -> dict[int, float]:
        """Return a query's terms by how often it has each, and how rare that is."""
        wanted = sparse_of(vector)
        chunks = self._count_of(None)
        found = {}
        for term, value in wanted.items():
            having = self._count_of(term)
            if having:  # which may have been counted after the chunks were
                found[term] = value * math.log1p((max(chunks, having) - having + 0.5) / (having + 0.5))
        return found

    def _count_of(self, term: int | None) -> int:
        """Return how many chunks have a term; for None, how many have any."""
        if self._terms is not None:
            return self._terms.of(term)
        kept = self._counted
        found = kept.get(term)
        if found is None or time.monotonic() - found[1] > _STALE_S:
            chosen = HAS_TERMS if term is None else f"array_contains(terms, {term})"
            found = kept[term] = self._count(chosen), time.monotonic()
        return found[0]

    def _count(self, chosen: str) -> int:
        with self._asking() as client:
            rows = client.query(self.collection, filter=chosen, output_fields=["count(*)"], timeout=self._timeout)
        return int(rows[0]["count(*)"])

    def _rows(self, ids: Sequence[int], fields: list[str], more: str = "") -> dict[int, Any]:
        """Return fields of chunks that are there and meet a condition."""
        found: dict[int, Any] = {}
        wanted = sorted({chunk for chunk in ids if 0 <= chunk < 2**63})
        with self._asking() as client:
            for start in range(0, len(wanted), _MOST_IDS):
                chosen = f"id in {json.dumps(wanted[start : start + _MOST_IDS])}" + (f" and ({more})" if more else "")
                rows = client.query(
                    self.collection, filter=chosen, output_fields=["id", *fields], timeout=self._timeout
                )
                found.update((int(row["id"]), row) for row in rows)
        return found

    def rate_dense(
        self, name: str, vectors: NDArray[np.float32], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the cosine of some chunks."""
        rows = self.schema.queries(name, vectors)
        field = self._fields[name]
        found = []
        for row, ids in zip(rows, among, strict=True):
            kept = self._rows(ids.tolist(), [field], f"{has_field(name)} == true")
            scores = {chunk: float(row @ np.asarray(one[field], np.float32)) for chunk, one in kept.items()}
            found.append(np.array([scores.get(chunk, np.nan) for chunk in ids.tolist()], np.float32))
        return found

    def rate_sparse(
        self, vectors: Sequence[SparseVector], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the BM25 score of some chunks."""
        found = []
        for vector, ids in zip(vectors, among, strict=True):
            query = self._query(vector)
            kept = self._rows(ids.tolist(), ["sparse"]) if query else {}
            scores = {
                chunk: sum(query.get(int(term), 0.0) * float(value) for term, value in row["sparse"].items())
                for chunk, row in kept.items()
            }
            found.append(np.array([scores.get(chunk, 0.0) for chunk in ids.tolist()], np.float32))
        return found

    def meeting(self, ids: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
        """Return, for each chunk, whether it meets a filter."""
        met = self._rows(ids.tolist(), [], self._filter(where))
        return np.array([chunk in met for chunk in ids.tolist()], np.bool_)

    def sample(
        self, name: str | None, limit: int, where: Where = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return some chunks, those whose hash is small, and their vectors."""
        field = None if name is None else self._fields[name]
        having = self._filter(where, *([] if name is None else [f"{has_field(name)} == true"])) or ANYTHING
        chunks = self._count(having)
        most = CHANCES if chunks <= limit else int(CHANCES * min(1.0, 1.3 * (limit + 10) / chunks))
        with self._asking() as client:
            rows = client.query(
                self.collection,
                filter=f"chance < {most} and ({having})",
                output_fields=["id", "chance", *([field] if field else [])],
                limit=min(_MOST_FOUND, 2 * limit + 100),
                timeout=self._timeout,
            )
        chosen = sorted(sorted(rows, key=lambda row: row["chance"])[:limit], key=lambda row: row["id"])
        vectors = np.array([row[field] for row in chosen] if field else [[]] * len(chosen), np.float32)
        width = 0 if name is None else self.schema.vectors[name]
        return np.array([row["id"] for row in chosen], np.int64), vectors.reshape(len(chosen), width)

    def fetch(self, ids: Sequence[int]) -> list[Record]:
        """Return what is kept of chunks."""
        rows = self._rows(ids, ["body"])
        return [record_of(chunk, rows[chunk]) for chunk in ids if chunk in rows]

    def scroll(self, *, after: int = -1, limit: int = 1000, where: Where = None) -> list[Record]:
        """Return the next chunks by number."""
        if limit < 1:
            return []
        chosen = self._filter(where, f"id > {after}")
        if self._folder is not None:  # Milvus Lite makes no pages without a complaint in the log for each
            with self._asking() as client:
                rows = client.query(self.collection, filter=chosen, output_fields=["id"], timeout=self._timeout)
            return self.fetch(sorted(int(row["id"]) for row in rows)[:limit])
        found: list[Record] = []
        with self._asking() as client:
            pages = client.query_iterator(
                self.collection,
                batch_size=min(1000, limit),
                limit=limit,
                filter=chosen,
                output_fields=["id", "body"],
                timeout=self._timeout,
            )
            while page := pages.next():
                found += [record_of(int(row["id"]), row) for row in page]
            pages.close()
        return sorted(found, key=lambda record: record.id)[:limit]

    def count(self, where: Where = None) -> int:
        """Return how many chunks there are."""
        return self._count(self._filter(where) or ANYTHING)

    def stats(self) -> Stats:
        """Say what it holds."""
        details = {"collection": self.collection, **({} if self._url is None else {"url": self._place})}
        return Stats("milvus", self.count(), 0 if self._folder is None else size_of(self._folder), details)

    def optimize(self) -> None:
        """Write what is in memory to files, with their indexes; a server does so by itself, too."""
        with self._changing() as client:
            client.flush(self.collection, timeout=max(600.0, self._timeout))

    def snapshot(self, target: Path) -> None:
        """Copy the folder; refuse where a server has the files."""
        if self._folder is None:
            raise UnsupportedOperationError(
                f"Snapshots of {self.collection!r} are made by the server at {self._place}, with Milvus Backup."
            )
        with self._changing() as client:
            client.flush(self.collection, timeout=max(600.0, self._timeout))
            copy_index(self._folder, target)

    def close(self) -> None:
        """Let go of the connection, and let others have the folder."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            try:
                self._disconnect()
            finally:
                if self._owned is not None:
                    self._owned.release()

    def _disconnect(self) -> None:
        self._client.close()
        if self._folder is not None:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(str(self._folder / _DATABASE))


@lru_cache(maxsize=256)
def _server(url: str) -> Server:
    """Return the one account of a server, for whoever opens an index there."""
    import grpc
    from pymilvus import MilvusException

    return Server("Milvus", url, (MilvusException, grpc.RpcError), _failure)


def _failure(error: Exception) -> Failure:
    """Return what an error of the client says; the client has tried again by itself for as long as it was given."""
    from pymilvus.exceptions import ConnectError, MilvusUnavailableException

    code = getattr(error, "code", None)
    status = str(getattr(code() if callable(code) else code, "name", ""))
    said = str(getattr(error, "message", "") or getattr(error, "details", str)() or error)[:300]
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return Failure(f"it refuses the token ({said})", down=False)
    if status or isinstance(error, ConnectError | MilvusUnavailableException) or "Retry timeout" in said:
        return Failure(f"it did not answer in time ({said})", slow=True)
    return Failure(said, down="connecting to server" in said, slow="connecting to server" in said)
