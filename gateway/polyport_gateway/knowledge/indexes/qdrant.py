"""A Qdrant server, or several as a cluster: an index that many gateways share.

The client's own stand-in, given a path or ``:memory:`` in place of a URL, answers the same calls in this process. It is
for tests; the index ``qdrant-edge`` is Qdrant itself.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from polyport.errors import (
    ConfigurationError,
    MissingDependencyError,
    UnsupportedOperationError,
)
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector
from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .base import Entry, Record, Schema, Stats, Where
from .filters import Scalar
from .qdrant_common import SPARSE, is_whole, key_of, payload_of, ranked, record_of, translated, vector_name
from .servers import DeadlineTransport, Failure, Server, failure_of

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["QdrantIndex"]

_BATCH = 256
_SERVERS = ("http://", "https://")

Value = TypeVar("Value")


class QdrantIndex:
    """A collection on a server.

    Collections are named ``{collection}-{random}`` and reached by the alias ``collection``, so that another can be
    built beside and switched to (`successor`, `switch`) with no moment without one.

    Args:
        schema: What it holds; None takes what there is.
        url: Of the server, such as ``http://localhost:6333``; a path or ``:memory:`` for the client's stand-in.
        collection: Its name.
        api_key: Of the server.
        timeout: Seconds for one request.
        replicas: Of each shard, in a cluster.

    Raises:
        ConfigurationError: It holds vectors of another size or name.
        ServiceUnavailableError: The server does not answer.
    """

    def __init__(
        self,
        schema: Schema | None,
        url: str,
        collection: str,
        *,
        api_key: str | None = None,
        timeout: int = 30,
        replicas: int = 1,
    ) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ImportError as error:
            raise MissingDependencyError("The index qdrant", extra="qdrant") from error
        self._models, self._url, self.collection = models, url, collection
        self._remote = url.startswith(_SERVERS)
        # The stand-in keeps no index, and so finds 2025.0 where a server would not.
        self._dialect = _ClientDialect(models, lambda key: self._remote and is_whole(self.schema, key))
        self._replicas = replicas
        self._server = _server(url)
        # The stand-in is not made for several threads.
        self._lock = threading.RLock()
        if self._remote:
            self._client: QdrantClient = QdrantClient(
                url=url,
                api_key=api_key,
                timeout=timeout,
                check_compatibility=False,
                transport=DeadlineTransport(timeout, httpx.Limits(max_connections=64, max_keepalive_connections=16)),
            )
        else:
            self._client = QdrantClient(":memory:") if url == ":memory:" else QdrantClient(path=url)
        try:
            self.schema = self._opened(schema)
        except BaseException:
            self._client.close()
            raise

    def _ask(self, action: Callable[[QdrantClient], Value], *, repeat: bool = True) -> Value:
        """Return what the server says.

        Args:
            action: Asks it.
            repeat: Whether asking twice does the same as once.
        """
        if self._remote:
            return self._server.call(lambda: action(self._client), repeat=repeat)
        with self._lock, self._server.calling():
            return action(self._client)

    def _opened(self, schema: Schema | None) -> Schema:
        known = self._ask(lambda client: {alias.alias_name for alias in client.get_aliases().aliases})
        if self.collection in known:
            kept = self._kept_schema(schema)
            if schema is not None:
                schema.agree(kept, f"collection {self.collection!r} at {self._server.place}")
            return kept
        if schema is None:
            raise ConfigurationError(
                f"There is no collection {self.collection!r} at {self._server.place}; give a schema."
            )
        self.switch(self._create(schema))
        return schema

    def _kept_schema(self, schema: Schema | None) -> Schema:
        info = self._ask(lambda client: client.get_collection(self.collection))
        vectors = info.config.params.vectors
        sizes = (
            {name.removeprefix("dense-"): found.size for name, found in vectors.items()}
            if isinstance(vectors, dict)
            else {}
        )
        if schema is None:
            return Schema(sizes)
        self._index_fields(self.collection, schema, known=set(info.payload_schema or ()))
        return Schema(sizes, schema.fields, schema.strict)

    def _create(self, schema: Schema) -> str:
        models = self._models
        name = f"{self.collection}-{uuid.uuid4().hex[:12]}"
        vectors = {
            vector_name(one): models.VectorParams(size=size, distance=models.Distance.COSINE)
            for one, size in schema.vectors.items()
        }
        sparse = {SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)}
        replicas = self._replicas if self._remote else None
        self._ask(
            lambda client: client.create_collection(
                name, vectors_config=vectors, sparse_vectors_config=sparse, replication_factor=replicas
            ),
            repeat=False,  # the second would be told that it exists
        )
        self._index_fields(name, schema, known=set())
        return name

    def _index_fields(self, name: str, schema: Schema, *, known: set[str]) -> None:
        """Have the server index the fields that have no index yet; a field keeps the type that it was first given."""
        if not self._remote:
            return  # the stand-in has none
        kinds = self._models.PayloadSchemaType
        for field, kind in {"document": "keyword", **(schema.fields or {})}.items():
            key = key_of(field)
            if key not in known:
                self._ask(partial(_indexed, name, key, kinds(kind)))

    def successor(self, schema: Schema) -> str:
        """Make another collection beside this one, for `switch`; return its name."""
        return self._create(schema)

    def switch(self, name: str) -> None:
        """Make the alias lead to another collection, at once for everybody."""
        models = self._models
        create = models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=name, alias_name=self.collection)
        )
        known = self._ask(lambda client: {alias.alias_name for alias in client.get_aliases().aliases})
        delete = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self.collection))
        changes = [*([delete] if self.collection in known else []), create]
        self._ask(lambda client: client.update_collection_aliases(changes), repeat=False)

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Add or replace chunks."""
        models = self._models
        points = []
        for entry in {entry.id: entry for entry in entries}.values():
            vectors: dict[str, Any] = {
                vector_name(name): row.tolist() for name, row in self.schema.entry(entry).items()
            }
            if entry.sparse is not None:
                vectors[SPARSE] = self._terms(entry.sparse)
            points.append(models.PointStruct(id=entry.id, vector=vectors, payload=payload_of(entry)))
        for start in range(0, len(points), _BATCH):
            self._ask(partial(_upserted, self.collection, points[start : start + _BATCH]))

    def _terms(self, vector: SparseVector) -> Any:
        return self._models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())

    def delete(self, ids: Sequence[int]) -> None:
        """Remove chunks."""
        if ids:
            self._delete(self._models.HasIdCondition(has_id=list(ids)))

    def delete_documents(self, documents: Sequence[str]) -> None:
        """Remove all chunks of documents."""
        if documents:
            self._delete(self._dialect.one_of("document", list(documents)))

    def _delete(self, condition: Any) -> None:
        chosen = self._models.FilterSelector(filter=self._models.Filter(must=[condition]))
        self._ask(lambda client: client.delete(self.collection, chosen, wait=True))

    def _filter(self, where: Where) -> Any:
        chosen = self.schema.filter(where)
        return None if chosen is None else translated(chosen, self._dialect)

    def _search(
        self, using: str, vectors: Sequence[Any], limits: Sequence[int], filters: Sequence[Any], **more: Any
    ) -> Any:
        models = self._models
        requests = [
            models.QueryRequest(
                query=vector, using=using, limit=limit, filter=chosen, with_payload=False, with_vector=False, **more
            )
            for vector, limit, chosen in zip(vectors, limits, filters, strict=True)
        ]
        if not requests:
            return []
        answers = self._ask(lambda client: client.query_batch_points(self.collection, requests))
        return [answer.points for answer in answers]

    def _many(self, using: str, vectors: Sequence[Any], limit: int, where: Where, above: float) -> list[Ranking]:
        chosen = self._filter(where)
        count = len(vectors)
        if limit < 1:
            return [ranked(()) for _ in vectors]
        return [
            ranked(points, above=above) for points in self._search(using, vectors, [limit] * count, [chosen] * count)
        ]

    def search_dense(self, name: str, vectors: NDArray[np.float32], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the nearest vectors."""
        rows = self.schema.queries(name, vectors)
        return self._many(vector_name(name), rows.tolist(), limit, where, -np.inf)

    def search_sparse(self, vectors: Sequence[SparseVector], limit: int, where: Where = None) -> list[Ranking]:
        """Return the chunks of the best BM25 score."""
        return self._many(SPARSE, [self._terms(vector) for vector in vectors], limit, where, 0.0)

    def _rate(
        self, using: str, vectors: Sequence[Any], among: Sequence[NDArray[np.int64]], missing: float
    ) -> list[NDArray[np.float32]]:
        models = self._models
        wanted = [ids.tolist() for ids in among]
        filters = [models.Filter(must=[models.HasIdCondition(has_id=sorted(set(ids)))]) for ids in wanted]
        limits = [max(1, len(ids)) for ids in wanted]
        # The stand-in is always exact, and warns where it is told to be.
        exact = {"params": models.SearchParams(exact=True)} if self._remote else {}
        answers = self._search(using, vectors, limits, filters, **exact)
        found = []
        for ids, points in zip(wanted, answers, strict=True):
            scores = {point.id: point.score for point in points}
            found.append(np.array([scores.get(chunk, missing) for chunk in ids], np.float32))
        return found

    def rate_dense(
        self, name: str, vectors: NDArray[np.float32], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the cosine of some chunks."""
        rows = self.schema.queries(name, vectors)
        return self._rate(vector_name(name), rows.tolist(), among, np.nan)

    def rate_sparse(
        self, vectors: Sequence[SparseVector], among: Sequence[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """Return the BM25 score of some chunks."""
        return self._rate(SPARSE, [self._terms(vector) for vector in vectors], among, 0.0)

    def meeting(self, ids: NDArray[np.int64], where: Where) -> NDArray[np.bool_]:
        """Return, for each chunk, whether it meets a filter."""
        chosen = self._filter(where)
        wanted = ids.tolist()
        conditions = [self._models.HasIdCondition(has_id=sorted(set(wanted))), *([] if chosen is None else [chosen])]
        every, most = self._models.Filter(must=conditions), max(1, len(wanted))
        points, _ = self._ask(lambda client: client.scroll(self.collection, every, limit=most, with_payload=False))
        met = {point.id for point in points}
        return np.array([chunk in met for chunk in wanted], np.bool_)

    def sample(
        self, name: str | None, limit: int, where: Where = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return some chunks, and their vectors."""
        models = self._models
        key = None if name is None else vector_name(name)
        wanted = self._filter(where)
        has = [] if key is None else [models.HasVectorCondition(has_vector=key)]
        conditions = [*has, *([] if wanted is None else [wanted])]
        chosen = models.Filter(must=conditions) if conditions else None
        answer = self._ask(
            lambda client: client.query_points(
                self.collection,
                query=models.SampleQuery(sample=models.Sample.RANDOM),
                limit=max(1, limit),
                query_filter=chosen,
                with_vectors=[key] if key else False,
                with_payload=False,
            )
        )
        points: list[Any] = sorted(answer.points, key=lambda point: int(point.id))[:limit]
        vectors = np.array([point.vector[key] for point in points] if key else [[]] * len(points), np.float32)
        return np.array([point.id for point in points], np.int64), vectors

    def fetch(self, ids: Sequence[int]) -> list[Record]:
        """Return what is kept of chunks."""
        points = self._ask(lambda client: client.retrieve(self.collection, list(ids), with_payload=True))
        found = {point.id: point.payload for point in points}
        return [record_of(chunk, found[chunk]) for chunk in ids if chunk in found]

    def scroll(self, *, after: int = -1, limit: int = 1000, where: Where = None) -> list[Record]:
        """Return the next chunks by number."""
        chosen = self._filter(where)
        points, _ = self._ask(
            lambda client: client.scroll(self.collection, chosen, limit=limit, offset=after + 1, with_payload=True)
        )
        return [record_of(int(point.id), point.payload) for point in points]

    def count(self, where: Where = None) -> int:
        """Return how many chunks there are."""
        chosen = self._filter(where)
        return int(self._ask(lambda client: client.count(self.collection, chosen, exact=True)).count)

    def stats(self) -> Stats:
        """Say what it holds."""
        return Stats("qdrant", self.count(), details={"url": self._server.place, "collection": self.collection})

    def optimize(self) -> None:
        """Do nothing: a server does so by itself, at once."""

    def snapshot(self, target: Path) -> None:
        """Refuse: a server's snapshots are the server's."""
        raise UnsupportedOperationError(
            f"Snapshots of {self.collection!r} are made and kept by the server at {self._server.place}: "
            "POST /collections/{name}/snapshots."
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def _indexed(name: str, key: str, kind: Any, client: QdrantClient) -> Any:
    return client.create_payload_index(name, key, kind)


def _upserted(name: str, points: list[Any], client: QdrantClient) -> Any:
    return client.upsert(name, points, wait=True)


@lru_cache(maxsize=256)
def _server(url: str) -> Server:
    """Return the one account of a server, for whoever opens an index there."""
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    unreadable = (json.JSONDecodeError, UnicodeDecodeError)  # which the client lets through
    return Server("Qdrant", url, (ApiException, QdrantException, httpx.HTTPError, *unreadable), _failure)


def _failure(error: Exception) -> Failure:
    """Return what an error of the client says; of an answer, its beginning, but never what was sent."""
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, ResponseHandlingException):
        return failure_of(error.source)
    if isinstance(error, ResourceExhaustedResponse):
        return Failure("it has too much to do (429)", retry_after=float(error.retry_after_s))
    if not isinstance(error, UnexpectedResponse):
        return failure_of(error)
    status = error.status_code or 0
    if status in (401, 403):
        return Failure(f"it refuses the api_key ({status})", down=False)
    said = bytes(error.content[:200]).decode(errors="replace")
    return Failure(f"it answers {status}: {said}", down=status >= 500 or status == 429)


class _ClientDialect:
    def __init__(self, models: Any, whole: Callable[[str], bool]) -> None:
        self._models = models
        self.whole = whole

    def filter(
        self, *, must: list[Any] | None = None, should: list[Any] | None = None, must_not: list[Any] | None = None
    ) -> Any:
        return self._models.Filter(must=must, should=should, must_not=must_not)

    def one_of(self, key: str, values: list[Any]) -> Any:
        return self._models.FieldCondition(key=key, match=self._models.MatchAny(any=values))

    def is_value(self, key: str, value: Scalar) -> Any:
        return self._models.FieldCondition(key=key, match=self._models.MatchValue(value=value))

    def between(self, key: str, bounds: Mapping[str, float]) -> Any:
        return self._models.FieldCondition(key=key, range=self._models.Range(**bounds))

    def during(self, key: str, bounds: Mapping[str, datetime]) -> Any:
        return self._models.FieldCondition(key=key, range=self._models.DatetimeRange(**bounds))

    def is_empty(self, key: str) -> Any:
        return self._models.IsEmptyCondition(is_empty=self._models.PayloadField(key=key))
