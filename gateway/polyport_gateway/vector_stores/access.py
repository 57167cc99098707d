"""Which vector stores a caller may use: its own, and the knowledge bases whose names it may use."""

from __future__ import annotations

from dataclasses import dataclass

from polyport.errors import BadRequestError, NotFoundError
from polyport.types.knowledge import KnowledgeBase
from polyport_gateway.call import Caller
from polyport_gateway.storage.schema import now_ms
from polyport_gateway.storage.vector_stores import StoreRecord, VectorStoreRecords
from polyport_gateway.vector_stores.knowledge import Knowledge

__all__ = ["Access", "OpenStore"]

_DAY_MS = 86_400_000
_TOUCH_AFTER_MS = 60_000
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A vector store that a caller may use.

    Attributes:
        id: The store's id, which is the name of its knowledge base.
        number: The id of its knowledge base.
        record: What is known of it besides; None for a knowledge base that was not made as a vector store.
        base: That knowledge base.
    """

    id: str
    number: int
    record: StoreRecord | None = None
    base: KnowledgeBase | None = None

    @property
    def created_at(self) -> int:
        """When it was made, in milliseconds since 1970."""
        if self.record is not None:
            return self.record.created_at
        return 0 if self.base is None else self.base.created_at * 1000

    @property
    def expires_at(self) -> int | None:
        """When it expires, in milliseconds since 1970; None for never."""
        record = self.record
        if record is None or record.expires_days is None:
            return None
        return record.last_active_at + record.expires_days * _DAY_MS

    @property
    def expired(self) -> bool:
        """Whether it has."""
        return self.expires_at is not None and self.expires_at <= now_ms()

    def check_usable(self, *, param: str = "vector_store_id") -> None:
        """Refuse one that has expired.

        Raises:
            BadRequestError: It has.
        """
        if self.expired:
            raise BadRequestError(
                f"Vector store {self.id!r} has expired; set expires_after anew to use it again.",
                param=param,
                code="vector_store_expired",
            )


class Access:
    """Finds vector stores.

    Args:
        knowledge: The knowledge bases.
        records: What is known of stores besides.
    """

    def __init__(self, knowledge: Knowledge, records: VectorStoreRecords) -> None:
        self._knowledge = knowledge
        self._records = records

    async def open(self, id: str, caller: Caller, *, param: str = "vector_store_id") -> OpenStore:  # noqa: A002
        """Return a store.

        Raises:
            NotFoundError: There is none, or none for this caller; the two can't be told apart.
        """
        record = await self._records.get(id)
        if record is not None and record.owner == caller.id:
            return OpenStore(id, record.base, record)
        number = None if record is not None else await self._records.base_of(id)
        if number is not None:
            try:
                return OpenStore(id, number, base=await self._knowledge.base(id, caller=caller))
            except NotFoundError:
                pass
        raise NotFoundError(f"No vector store found with id {id[:_LONGEST_SHOWN]!r}.", param=param)

    async def all(self, caller: Caller) -> list[OpenStore]:
        """Return all stores that a caller may use, the oldest first."""
        found = [OpenStore(record.name, record.base, record) for record in await self._records.all(caller.id)]
        bases = await self._knowledge.bases(caller=caller)
        numbers = await self._records.numbers([base.name for base in bases])
        known = {store.number for store in found}
        for base in bases:
            number = numbers.get(base.name)
            if number is not None and number not in known:
                found.append(OpenStore(base.name, number, base=base))
        return sorted(found, key=lambda store: (store.created_at, store.number))

    async def touch(self, store: OpenStore) -> None:
        """Note that a store was used."""
        record, now = store.record, now_ms()
        if record is not None and now - record.last_active_at > _TOUCH_AFTER_MS:
            await self._records.change(store.number, last_active_at=now)
