"""Chroma: vectors in a folder of this process, or on a Chroma server; terms and metadata by this package, in a folder.

Outside its cloud Chroma neither searches sparse vectors nor filters by lists, moments or missing fields, so that it is
asked for what it does well, the nearest vectors, a collection for each embedder. The rest is as with FAISS: one SQLite
database that says what there is, and a copy in memory. A filter becomes a list of numbers that Chroma looks among, or,
where most chunks meet it, a choice among more of the nearest.

A batch is in both or in neither, whenever the process is killed: the database has it together with its vectors, which
are taken out once Chroma has them, and handed to Chroma again where that was not reached.

The folder belongs to one process, with a server's vectors too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from polyport.errors import (
    ConfigurationError,
    MissingDependencyError,
    ServiceUnavailableError,
    UnsupportedOperationError,
)
from polyport_gateway.knowledge.retrieval.ranking import Ranking, best

from .base import Entry, Schema, Stats
from .columns import Column
from .folders import Lock, copied, copy_index, damaged, keep_schema, need_room, opened_schema, size_of
from .memory import MemoryIndex
from .servers import Failure, Server, failure_of
from .store import ChunkStore

__all__ = ["ChromaIndex"]

_FOLDER = "chroma"
_BATCH = 1000
_GET = 500
_FEW = 64
"""Vectors that are fetched and compared exactly, where a filter leaves no more."""
_WIDEST = 8
"""So many times as many as are wanted are asked for, before a filter's chunks are named one by one."""


class ChromaIndex(MemoryIndex):
    """An index in a folder, for one process, whose vectors may be on a server.

    Args:
        schema: What it holds; None takes what there is.
        folder: Where; made where it is missing.
        url: Of a Chroma server that keeps the vectors, such as ``http://localhost:8000``.
        collection: What its collections' names begin with.
        token: Of the server, sent as ``Authorization: Bearer``.
        timeout: Seconds for one request.

    Raises:
        ConflictError: The folder is open already, here or in another process.
        ConfigurationError: It holds vectors of another size or name.
        ServiceUnavailableError: The server does not answer.
    """

    engine = "chroma"

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
        if folder is None:
            raise ConfigurationError(
                "The index chroma needs a folder, with the url of a server too: a server keeps vectors, but no terms."
            )
        try:
            import chromadb
        except ImportError as error:
            raise MissingDependencyError("The index chroma", extra="chroma") from error
        self._chroma = chromadb
        self._folder, self._url, self._prefix, self._timeout = folder, url, collection, timeout
        self._closed = False
        self._session: httpx.Client | None = None
        self._owned = Lock(folder)
        try:
            found, kept = opened_schema(folder, schema)
            need_room(folder, to="open the index")
            self._calls = _Calls(folder, url)
            self._client = self._connected(token)
            try:
                super().__init__(found)
                self._store = ChunkStore(folder)
                if found != kept:
                    keep_schema(folder, found)
                self._read()
            except BaseException:
                self._disconnect()
                raise
        except BaseException:
            self._owned.release()
            raise

    def _connected(self, token: str | None) -> Any:
        chroma = self._chroma
        settings = chroma.Settings(anonymized_telemetry=False)
        if self._url is None:
            try:
                return chroma.PersistentClient(str(self._folder / _FOLDER), settings=settings)
            except Exception as error:  # the package raises nothing more precise
                raise damaged(self._folder, error) from error
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("The URL of a Chroma server is http://HOST:PORT or https://HOST:PORT.")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # The client's first request has no time limit, so ask before whether anybody answers.
        with self._calls():
            httpx.get(
                f"{self._calls.place}/api/v2/heartbeat", headers=headers, timeout=self._timeout
            ).raise_for_status()
            secure = parts.scheme == "https"
            port = parts.port or (443 if secure else 80)
            client = chroma.HttpClient(parts.hostname, port, ssl=secure, headers=headers, settings=settings)
        self._session = client._server._session  # noqa: SLF001  # the client neither bounds it nor closes it
        self._session.timeout = httpx.Timeout(self._timeout)
        return client

    def _disconnect(self) -> None:
        self._client.close()
        if self._session is not None:
            self._session.close()

    def _column(self, name: str, size: int) -> Column:
        title = f"{self._prefix}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        with self._calls():
            collection = self._client.get_or_create_collection(
                title,
                embedding_function=None,
                configuration={"hnsw": {"space": "ip", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}},
            )
        return _ChromaColumn(collection, self._calls, size)

    def _read(self) -> None:
        """Hand Chroma what it may have missed, then take all into memory."""
        for name, column in self._columns.items():
            waiting = list(self._store.vectors(name))
            gone = [chunk for chunk, vector in waiting if vector is None]
            new = {chunk: np.frombuffer(vector, np.float32) for chunk, vector in waiting if vector is not None}
            assert isinstance(column, _ChromaColumn)  # noqa: S101  # as made above
            column.hand_over(new, gone)
            self._store.hand_over(name, [chunk for chunk, _ in waiting])
        slots = self._put_records(self._store.entries())
        for name, column in self._columns.items():
            assert isinstance(column, _ChromaColumn)  # noqa: S101
            column.read(slots)
            lost = set(self._store.elsewhere(name)) - set(column.ids)
            if lost:
                why = ValueError(f"Chroma at {self._calls.place} no longer has {len(lost)} vectors of {name!r}")
                raise damaged(self._folder, why)

    def _put(self, entries: Sequence[Entry], vectors: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        super()._put(entries, vectors)
        ids = [entry.id for entry in entries]
        for name in self._columns:
            self._store.hand_over(name, ids)

    def _keep(self, entries: Sequence[Entry], vectors: Sequence[dict[str, NDArray[np.float32]]]) -> None:
        if self._url is None:
            need_room(self._folder)
        self._store.put(entries, [dict.fromkeys(self._columns) | row for row in vectors])

    def delete(self, ids: Sequence[int]) -> None:
        """Remove chunks."""
        with self._lock:
            super().delete(ids)
            for name in self._columns:
                self._store.hand_over(name, ids)

    def _forget(self, ids: Sequence[int]) -> None:
        self._store.delete(ids, self._columns)

    def _packed(self, name: str, column: Column) -> Column:
        return column

    def stats(self) -> Stats:
        """Say what it holds."""
        where = {} if self._url is None else {"url": self._calls.place}
        return Stats(self.engine, len(self._records), size_of(self._folder), where)

    def snapshot(self, target: Path) -> None:
        """Write a copy; refuse where a server has the vectors."""
        if self._url is not None:
            raise UnsupportedOperationError(
                f"The vectors are on the Chroma server at {self._calls.place}, which makes no snapshots."
            )
        with self._lock:
            need_room(self._folder, size_of(self._folder))
            with copied(target) as new:
                copy_index(self._folder / _FOLDER, new / _FOLDER)
                self._store.copy(new)
                keep_schema(new, self.schema)

    def close(self) -> None:
        """Let others have the folder."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._disconnect()
                self._store.close()
            finally:
                self._owned.release()


class _Calls:
    """Turns Chroma's errors into ours."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder = folder
        self._server = None if url is None else _server(url)

    @property
    def place(self) -> str:
        return str(self._folder) if self._server is None else self._server.place

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._server is not None:
            with self._server.calling():
                yield
            return
        try:
            yield
        except _errors() as error:
            raise ServiceUnavailableError(f"The index in {self._folder} failed: {error}") from error


def _errors() -> tuple[type[Exception], ...]:
    from chromadb.errors import ChromaError

    return ChromaError, httpx.HTTPError, ValueError


@lru_cache(maxsize=256)
def _server(url: str) -> Server:
    """Return the one account of a server, for whoever opens an index there."""
    return Server("Chroma", url, _errors(), _failure)


def _failure(error: Exception) -> Failure:
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return Failure(f"it refuses the token ({status})", down=False)
        return Failure(f"it answers {status}", down=status >= 500)
    if isinstance(error, httpx.HTTPError):
        return failure_of(error)
    return Failure(f"it answers: {str(error)[:200]}")


class _ChromaColumn:
    """The vectors of one embedder, in a collection."""

    def __init__(self, collection: Any, calls: _Calls, size: int) -> None:
        self._collection, self._calls, self._size = collection, calls, size
        self._slots: dict[int, int] = {}
        self._flat: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    @property
    def ids(self) -> list[int]:
        """The chunks that have a vector."""
        return sorted(self._slots)

    @property
    def dead(self) -> int:
        """None that this package would have to leave out."""
        return 0

    def read(self, slots: Mapping[int, int]) -> None:
        """Take from the collection which chunks it has; those that the database does not know are removed."""
        there: list[int] = []
        with self._calls():
            while page := self._collection.get(limit=10_000, offset=len(there), include=[])["ids"]:
                there += map(int, page)
        self._slots, self._flat = {chunk: slots[chunk] for chunk in there if chunk in slots}, None
        self._delete([chunk for chunk in there if chunk not in slots])

    def hand_over(self, vectors: Mapping[int, NDArray[np.float32]], gone: Sequence[int]) -> None:
        """Give the collection vectors, and have it remove others."""
        ids = list(vectors)
        with self._calls():
            for start in range(0, len(ids), _BATCH):
                part = ids[start : start + _BATCH]
                self._collection.upsert(ids=list(map(str, part)), embeddings=np.stack([vectors[one] for one in part]))
        self._delete(gone)

    def _delete(self, ids: Sequence[int]) -> None:
        with self._calls():
            for start in range(0, len(ids), _BATCH):
                self._collection.delete(ids=list(map(str, ids[start : start + _BATCH])))

    def put(self, ids: Sequence[int], slots: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors."""
        self.hand_over(dict(zip(ids, vectors, strict=True)), [])
        self._slots.update(zip(ids, slots, strict=True))
        self._flat = None

    def drop(self, ids: Sequence[int]) -> None:
        """Remove vectors."""
        there = [chunk for chunk in ids if chunk in self._slots]
        self._delete(there)
        for chunk in there:
            del self._slots[chunk]
        self._flat = None

    def renumber(self, slots: Mapping[int, int]) -> None:
        """Take other slots for the chunks."""
        self._slots, self._flat = {chunk: slots[chunk] for chunk in self._slots}, None

    def search(self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None) -> Ranking:
        """Return the best chunks."""
        limit = min(limit, len(self._slots))
        if limit < 1:
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        if allowed is None:
            return self._nearest(query, limit)
        chosen = self._chosen(allowed)
        limit = min(limit, len(chosen))
        if len(chosen) <= _FEW:
            found = best(self.rate(query, chosen), limit)
            return Ranking(chosen[found.documents], found.scores)
        wide = int(limit * len(self._slots) / len(chosen) * 2) + 10
        if wide <= _WIDEST * limit + 100:
            near = self._nearest(query, min(wide, len(self._slots)))
            met = np.array([allowed[self._slots[chunk]] for chunk in near.documents.tolist()], np.bool_)
            if int(met.sum()) >= limit:
                return Ranking(near.documents[met][:limit], near.scores[met][:limit])
        return self._nearest(query, limit, ids=list(map(str, chosen.tolist())))

    def _chosen(self, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the chunks whose slots are allowed, ascending."""
        if self._flat is None:
            ids = np.array(sorted(self._slots), np.int64)
            self._flat = ids, np.array([self._slots[chunk] for chunk in ids.tolist()], np.int64)
        ids, slots = self._flat
        return ids[allowed[slots]]

    def _nearest(self, query: NDArray[np.float32], limit: int, **more: Any) -> Ranking:
        with self._calls():
            answer = self._collection.query(
                query_embeddings=query[None], n_results=limit, include=["distances"], **more
            )
        ids = np.array(list(map(int, answer["ids"][0])), np.int64)
        scores = 1 - np.array(answer["distances"][0], np.float32)  # of inner products, Chroma gives 1 − product
        order = np.lexsort((ids, -scores))
        return Ranking(ids[order], scores[order])

    def rate(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the cosine of chunks."""
        wanted = ids.tolist()
        there = [chunk for chunk in dict.fromkeys(wanted) if chunk in self._slots]
        scores = dict(zip(there, (self.vectors(there) @ query).tolist(), strict=True)) if there else {}
        return np.array([scores.get(chunk, np.nan) for chunk in wanted], np.float32)

    def vectors(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of chunks."""
        found: dict[int, Any] = {}
        with self._calls():
            for start in range(0, len(ids), _GET):
                part = list(map(str, ids[start : start + _GET]))
                answer = self._collection.get(ids=part, include=["embeddings"])
                found.update(zip(map(int, answer["ids"]), answer["embeddings"], strict=True))
        rows = [np.asarray(found[chunk], np.float32) for chunk in ids]
        return np.stack(rows) if rows else np.empty((0, self._size), np.float32)
