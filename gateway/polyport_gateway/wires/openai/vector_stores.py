"""``/v1/vector_stores``: knowledge bases as OpenAI describes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from polyport.errors import BadRequestError
from polyport.types.vector_stores import (
    FileBatchRequest,
    VectorStoreChangeRequest,
    VectorStoreDeleted,
    VectorStoreFileChangeRequest,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
    VectorStoreFileList,
    VectorStoreFileRequest,
    VectorStoreList,
    VectorStoreRequest,
    VectorStoreSearchRequest,
    VectorStoreSearchResults,
)
from polyport.types.vector_stores import TextContent as Text
from polyport_gateway.call import Call, Caller, Dispatch, KnowledgeWork
from polyport_gateway.errors import invalid_request
from polyport_gateway.settings import Settings
from polyport_gateway.storage.vector_stores import FileStatus, StoreBatch
from polyport_gateway.vector_stores.access import OpenStore
from polyport_gateway.vector_stores.search import read_search
from polyport_gateway.vector_stores.stores import VectorStores
from polyport_gateway.wires.http import (
    Receive,
    Scope,
    Send,
    info_of,
    read_json,
    run_until_disconnect,
    send_json,
)
from polyport_gateway.wires.openai.queries import cut_page, read_number, read_order, read_query
from polyport_gateway.wires.openai.vector_store_forms import (
    batch_body,
    ends_of,
    file_id_of,
    read_addition,
    read_additions,
    read_batch,
    store_body,
    store_file_body,
)
from polyport_gateway.wires.openai.vector_store_paths import PATHS
from polyport_gateway.wires.router import Route

__all__ = ["VectorStoresWire"]

_MOST_ITEMS = 100

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
Asked = TypeVar("Asked", bound=BaseModel)


class VectorStoresWire:
    """Everything under ``/v1/vector_stores``.

    A store that was made here belongs to the caller that made it; to all others it does not exist. Every knowledge
    base is a store too, by its name, for those who may use it.

    Args:
        stores: Where they are.
        dispatch: The one way through.
        settings: Limits.

    Attributes:
        routes: Each path, method and endpoint.
    """

    def __init__(self, stores: VectorStores, dispatch: Dispatch, settings: Settings) -> None:
        self._stores = stores
        self._dispatch = dispatch
        self._settings = settings
        endpoints: list[Endpoint] = [
            self.create,
            self.list,
            self.retrieve,
            self.change,
            self.delete,
            self.search,
            self.add_file,
            self.list_files,
            self.retrieve_file,
            self.change_file,
            self.delete_file,
            self.file_content,
            self.add_batch,
            self.retrieve_batch,
            self.cancel_batch,
            self.list_batch,
        ]
        self.routes = [Route(*place, endpoint) for place, endpoint in zip(PATHS, endpoints, strict=True)]

    # Stores.

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores``."""
        asked = await self._read(scope, receive, VectorStoreRequest)
        expiry = asked.expires_after
        # Not given up with the client: half a store would be left.
        status = await self._stores.create(
            _caller(scope),
            label=asked.name,
            description=asked.description,
            metadata=asked.metadata or {},
            expires_days=None if expiry is None else expiry.days,
            additions=read_additions(asked),
        )
        await send_json(send, store_body(status))

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores``, the newest first unless asked otherwise."""
        query = read_query(scope)
        limit = read_number(query, "limit", 20, least=1, most=_MOST_ITEMS)
        newest_first = read_order(query)
        found = await self._stores.all(_caller(scope))
        chosen, more = cut_page(
            found[::-1] if newest_first else found,
            limit,
            after=query.get("after"),
            before=query.get("before"),
            id_of=lambda store: store.id,
            of="a vector store of yours",
        )
        statuses = await self._stores.statuses(list(chosen), _caller(scope))
        bodies = [store_body(status) for status in statuses]
        await send_json(send, VectorStoreList(data=bodies, has_more=more, **ends_of([body.id for body in bodies])))

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores/{vector_store_id}``."""
        store = await self._store(scope)
        await send_json(send, store_body(await self._stores.status(store, _caller(scope))))

    async def change(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores/{vector_store_id}``: what is null is taken away."""
        asked = await self._read(scope, receive, VectorStoreChangeRequest)
        given = asked.model_fields_set
        values: dict[str, Any] = {}
        if "name" in given:
            values["label"] = asked.name or ""
        if "metadata" in given:
            values["metadata"] = asked.metadata or {}
        if "expires_after" in given:
            values["expires_days"] = None if asked.expires_after is None else asked.expires_after.days
        store = await self._stores.change(await self._store(scope), values)
        await send_json(send, store_body(await self._stores.status(store, _caller(scope))))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``DELETE /v1/vector_stores/{vector_store_id}``."""
        store = await self._store(scope)
        await self._stores.delete(store, _caller(scope))
        await send_json(send, VectorStoreDeleted(id=store.id))

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores/{vector_store_id}/search``."""
        asked = await self._read(scope, receive, VectorStoreSearchRequest)
        store = await self._store(scope)
        store.check_usable()
        search, queries = read_search(store.id, asked)
        info = info_of(scope)

        def call(name: str, work: KnowledgeWork, granted: frozenset[str]) -> Call:
            return Call(
                name=name,
                input=work,
                caller=info.caller,
                wire="openai",
                request_id=info.request_id,
                traceparent=info.traceparent,
                dispatch=self._dispatch,
                granted=granted,
            )

        searching = self._stores.searcher.search(search, queries, info.caller, call)
        found = await run_until_disconnect(receive, searching)
        await send_json(send, VectorStoreSearchResults(search_query=queries, data=[one.item() for one in found]))

    # Files.

    async def add_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores/{vector_store_id}/files``."""
        asked = await self._read(scope, receive, VectorStoreFileRequest)
        addition = read_addition(asked)
        store, caller = await self._store(scope), _caller(scope)
        await self._stores.members.add(store, [addition], caller)
        file = await self._stores.members.find(store, asked.file_id, caller)
        await send_json(send, store_file_body(store.id, file))

    async def list_files(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores/{vector_store_id}/files``, the newest first unless asked otherwise."""
        await self._send_files(scope, send, await self._store(scope))

    async def retrieve_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores/{vector_store_id}/files/{file_id}``."""
        store = await self._store(scope)
        file = await self._stores.members.find(store, _param(scope, "file_id"), _caller(scope))
        await send_json(send, store_file_body(store.id, file))

    async def change_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores/{vector_store_id}/files/{file_id}``: sets the file's attributes."""
        asked = await self._read(scope, receive, VectorStoreFileChangeRequest)
        store = await self._store(scope)
        file_id, caller = _param(scope, "file_id"), _caller(scope)
        file = await self._stores.members.label(store, file_id, asked.attributes or {}, caller)
        await send_json(send, store_file_body(store.id, file))

    async def delete_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}``; the file itself is kept."""
        store = await self._store(scope)
        await self._stores.members.remove(store, _param(scope, "file_id"), _caller(scope))
        await send_json(send, VectorStoreFileDeleted(id=_param(scope, "file_id")))

    async def file_content(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content``: the text that was read from it."""
        store = await self._store(scope)
        text = await self._stores.members.content(store, _param(scope, "file_id"), _caller(scope))
        await send_json(send, VectorStoreFileContent(data=[Text(text=text)]))

    # Batches.

    async def add_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores/{vector_store_id}/file_batches``."""
        additions = read_batch(await self._read(scope, receive, FileBatchRequest))
        store = await self._store(scope)
        await self._send_batch(scope, send, store, await self._stores.members.add(store, additions, _caller(scope)))

    async def retrieve_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}``."""
        store = await self._store(scope)
        batch = await self._stores.members.batch(store, _param(scope, "batch_id"), _caller(scope))
        await self._send_batch(scope, send, store, batch)

    async def cancel_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel``."""
        store = await self._store(scope)
        batch = await self._stores.members.cancel(store, _param(scope, "batch_id"), _caller(scope))
        await self._send_batch(scope, send, store, batch)

    async def list_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files``."""
        store = await self._store(scope)
        batch = await self._stores.members.batch(store, _param(scope, "batch_id"), _caller(scope))
        await self._send_files(scope, send, store, batch=batch.id)

    # What they share.

    async def _read(self, scope: Scope, receive: Receive, kind: type[Asked]) -> Asked:
        body = await read_json(scope, receive, settings=self._settings)
        try:
            return kind.model_validate(body)
        except ValidationError as error:
            raise invalid_request(error) from error

    async def _store(self, scope: Scope) -> OpenStore:
        return await self._stores.open(_param(scope, "vector_store_id"), _caller(scope))

    async def _send_files(self, scope: Scope, send: Send, store: OpenStore, *, batch: str | None = None) -> None:
        query = read_query(scope)
        found, more = await self._stores.members.page(
            store,
            _caller(scope),
            batch=batch,
            status=_status(query.get("filter")),
            after=query.get("after"),
            before=query.get("before"),
            limit=read_number(query, "limit", 20, least=1, most=_MOST_ITEMS),
            newest_first=read_order(query),
        )
        ids = [file_id_of(file) for file in found]
        data = [store_file_body(store.id, file) for file in found]
        await send_json(send, VectorStoreFileList(data=data, has_more=more, **ends_of(ids)))

    async def _send_batch(self, scope: Scope, send: Send, store: OpenStore, batch: StoreBatch) -> None:
        counts = await self._stores.members.counts(store, batch)
        await send_json(send, batch_body(store.id, batch, counts))


def _status(given: str | None) -> FileStatus | None:
    if given is not None and given not in get_args(FileStatus):
        known = ", ".join(get_args(FileStatus))
        raise BadRequestError(f"filter is {given[:80]!r}; it must be one of {known}.", param="filter")
    return cast("FileStatus | None", given)


def _caller(scope: Scope) -> Caller:
    return info_of(scope).caller


def _param(scope: Scope, name: str) -> str:
    found: str = scope["path_params"][name]
    return found
