"""`VectorStores`: knowledge bases that callers make, use and drop as OpenAI's vector stores."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from polyport.errors import BadRequestError, CallError, ConflictError, NotFoundError
from polyport.types.knowledge import KnowledgeCreateRequest
from polyport_gateway.call import Caller
from polyport_gateway.files.service import FileService
from polyport_gateway.storage.schema import now_ms
from polyport_gateway.storage.vector_stores import StoreRecord, VectorStoreRecords
from polyport_gateway.vector_stores.access import Access, OpenStore
from polyport_gateway.vector_stores.knowledge import Knowledge
from polyport_gateway.vector_stores.members import Addition, Members
from polyport_gateway.vector_stores.searching import Searching

__all__ = ["StorePlan", "StoreStatus", "VectorStores"]

_log = logging.getLogger("polyport.vector_stores")

_SWEEP_EVERY_S = 3600.0
_KEPT_EXPIRED_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class StorePlan:
    """How stores that callers make are searched, and how many there may be.

    Attributes:
        most: Stores that one key may have.
        max_bytes: The largest file that is read into one.
        embedder: The name of the model that embeds them; without, they are searched by words alone.
        reranker: The name of a model; none reranks without.
    """

    most: int
    max_bytes: int
    embedder: str | None = None
    reranker: str | None = None


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """A store and how it is.

    Attributes:
        store: It.
        counts: By status, how many files there are.
        usage_bytes: How many bytes they have.
    """

    store: OpenStore
    counts: Mapping[str, int]
    usage_bytes: int


class VectorStores:
    """Vector stores.

    Args:
        knowledge: The knowledge bases.
        records: What is known of stores besides.
        files: Where files are.
        plan: How stores are searched, and how many there may be.

    Attributes:
        members: Their files.
        searcher: Searches them.
    """

    def __init__(self, knowledge: Knowledge, records: VectorStoreRecords, files: FileService, plan: StorePlan) -> None:
        self._knowledge = knowledge
        self._records = records
        self._files = files
        self._plan = plan
        self._access = Access(knowledge, records)
        self.members = Members(knowledge, records, files, self._access, plan.max_bytes)
        self.searcher = Searching(records, files, self._access)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to drop what expired long ago."""
        self._sweeper = asyncio.create_task(self._sweep_again_and_again())

    async def close(self) -> None:
        """Stop."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper

    async def open(self, id: str, caller: Caller) -> OpenStore:  # noqa: A002
        """Return a store that a caller may use.

        Raises:
            NotFoundError: There is none.
        """
        return await self._access.open(id, caller)

    async def create(
        self,
        caller: Caller,
        *,
        label: str | None,
        description: str | None,
        metadata: Mapping[str, str],
        expires_days: int | None,
        additions: Sequence[Addition],
    ) -> StoreStatus:
        """Make a store, and begin to take files in.

        Raises:
            PermissionDeniedError: The caller may not.
            ConflictError: The caller has as many as there may be.
            NotFoundError: The caller has no such file.
        """
        self._files.check(caller)
        if (count := await self._records.count(caller.id)) >= self._plan.most:
            raise ConflictError(
                f"You have {count} vector stores, the most there may be (vector_stores_max); delete some.",
                code="too_many_vector_stores",
            )
        await self._files.find_all([addition.file_id for addition in additions], caller)
        name = f"vs_{token_hex(12)}"
        request = KnowledgeCreateRequest(
            name=name, description=description, embedder=self._plan.embedder, reranker=self._plan.reranker
        )
        await self._knowledge.create(request, caller=caller, private=True)
        now = now_ms()
        record = StoreRecord(
            base=0,
            name=name,
            owner=caller.id,
            label=label or "",
            metadata=metadata,
            expires_days=expires_days,
            last_active_at=now,
            created_at=now,
        )
        try:
            record = await self._records.create(record)
            store = OpenStore(name, record.base, record)
            if additions:
                await self.members.add(store, additions, caller)
        except BaseException:
            # Nobody has learned its name: it would lie there for ever.
            await asyncio.shield(self._drop(name, record.base, caller))
            raise
        return await self.status(store, caller)

    async def status(self, store: OpenStore, caller: Caller) -> StoreStatus:
        """Return how a store is."""
        return (await self.statuses([store], caller))[0]

    async def statuses(self, stores: Sequence[OpenStore], caller: Caller) -> list[StoreStatus]:
        """Return how stores are."""
        await self.members.settling.settle(stores, caller)
        counts = await self._records.counts([store.number for store in stores])
        return [_status(store, counts.get(store.number, {})) for store in stores]

    async def all(self, caller: Caller) -> list[OpenStore]:
        """Return all stores that a caller may use, the oldest first."""
        return await self._access.all(caller)

    async def change(self, store: OpenStore, values: Mapping[str, Any]) -> OpenStore:
        """Change a store: its ``label``, ``metadata`` or ``expires_days``.

        Raises:
            BadRequestError: It is a knowledge base that was not made as a vector store.
        """
        record = store.record
        if record is None:
            raise BadRequestError(
                f"{store.id!r} is a knowledge base of this gateway; it is changed under /v1/knowledge, not here.",
                param="vector_store_id",
            )
        if not values:
            return store
        # Whoever changes it uses it: an expiry that is set anew counts from now.
        changed = {**values, "last_active_at": now_ms()}
        await self._records.change(store.number, **changed)
        return replace(store, record=replace(record, **changed))

    async def delete(self, store: OpenStore, caller: Caller) -> None:
        """Drop a store; its files are kept.

        Raises:
            ConflictError: The app declares it.
        """
        await self._knowledge.delete(store.id, caller=caller)
        await self._records.forget(store.number)

    async def _drop(self, name: str, number: int, caller: Caller) -> None:
        try:
            await self._knowledge.delete(name, caller=caller)
            await self._records.forget(number)
        except CallError as error:
            _log.warning("%s was not made, and what there is of it could not be dropped: %s", name, error.message)

    async def _sweep_again_and_again(self) -> None:
        while True:
            try:
                await self.sweep()
            except CallError as error:
                _log.warning("vector stores that have expired stay for now: %s", error.message)
            except Exception:  # noqa: BLE001 - the edge of a task: nobody else would hear of it
                _log.exception("vector stores that have expired stay for now")
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> int:
        """Drop stores that expired a week ago or earlier, and what is known of those that are gone.

        Returns:
            How many stores were dropped.
        """
        for number in await self._records.lost():
            await self._records.forget(number)
        dropped = 0
        for record in await self._records.all():
            if record.expires_days is None:
                continue
            expired_at = record.last_active_at + record.expires_days * 86_400_000
            if expired_at + _KEPT_EXPIRED_MS > now_ms():
                continue
            with suppress(NotFoundError):
                await self._knowledge.delete(record.name, caller=Caller(id=record.owner, name=""))
            await self._records.forget(record.base)
            dropped += 1
        return dropped


def _status(store: OpenStore, counts: Mapping[str, tuple[int, int]]) -> StoreStatus:
    numbers = {status: count for status, (count, _) in counts.items()}
    base = store.base
    if base is None:
        return StoreStatus(store, numbers, sum(size for _, size in counts.values()))
    waiting = {status: numbers.get(status, 0) for status in ("in_progress", "cancelled")}
    return StoreStatus(store, {**waiting, "completed": base.documents - base.failed, "failed": base.failed}, base.bytes)
