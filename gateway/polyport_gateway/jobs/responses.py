"""`ResponseArchive`: stored responses, seen at once and written behind the answer."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from polyport_gateway.storage.responses import StoredResponse

__all__ = ["INTERRUPTED", "MemoryResponseStore", "ResponseArchive", "ResponseStoreLike"]

_log = logging.getLogger("polyport.jobs")

_LONGEST_HISTORY = 1000
_MOST_UNWRITTEN = 1000
_LAST_TRY_S = 5.0

INTERRUPTED = "The gateway stopped while this response was being made; send the request again."


class ResponseStoreLike(Protocol):
    """Where responses are kept; see `polyport_gateway.storage.responses.ResponseStore`."""

    async def put(self, response: StoredResponse) -> None:
        """Store a response, or what has become of one."""
        ...

    async def get(self, id: str, owner: str) -> StoredResponse | None:  # noqa: A002
        """Return a response; None if it is missing or another owner's."""
        ...

    async def delete(self, id: str, owner: str) -> bool:  # noqa: A002
        """Delete a response; whether there was one."""
        ...

    async def history(self, id: str, owner: str, limit: int = _LONGEST_HISTORY) -> list[StoredResponse]:  # noqa: A002
        """Return a response and those before it, oldest first."""
        ...


class MemoryResponseStore:
    """A store for a gateway without a database: the newest responses, until the process ends.

    Args:
        size: The most responses kept.
    """

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._responses: OrderedDict[str, StoredResponse] = OrderedDict()

    async def put(self, response: StoredResponse) -> None:
        """Store a response; the oldest makes room."""
        self._responses[response.id] = response
        while len(self._responses) > self._size:
            self._responses.popitem(last=False)

    async def get(self, id: str, owner: str) -> StoredResponse | None:  # noqa: A002
        """Return a response; None if it is missing or another owner's."""
        found = self._responses.get(id)
        return found if found is not None and found.owner == owner else None

    async def delete(self, id: str, owner: str) -> bool:  # noqa: A002
        """Delete a response; whether there was one."""
        if await self.get(id, owner) is None:
            return False
        del self._responses[id]
        return True

    async def history(self, id: str, owner: str, limit: int = _LONGEST_HISTORY) -> list[StoredResponse]:  # noqa: A002
        """Return a response and those before it, oldest first."""
        chain: list[StoredResponse] = []
        following: str | None = id
        while following is not None and len(chain) < limit and (found := await self.get(following, owner)):
            chain.append(found)
            following = found.previous_response_id
        return chain[::-1]


class ResponseArchive:
    """Responses by owner: those being made, those waiting to be written, and those in the store.

    `put` only takes note, so no answer waits for the database; whatever is asked for meanwhile is found. A write
    that fails is tried again until it succeeds or the gateway stops.

    Args:
        store: Where they end up.
    """

    def __init__(self, store: ResponseStoreLike) -> None:
        self._store = store
        self._live: dict[str, Callable[[], StoredResponse]] = {}
        self._deleted: set[str] = set()
        self._unwritten: OrderedDict[str, StoredResponse] = OrderedDict()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    def announce(self, id: str, snapshot: Callable[[], StoredResponse]) -> None:  # noqa: A002
        """Make a response that is being made visible; `snapshot` tells how far it has come."""
        self._live[id] = snapshot

    def withdraw(self, id: str) -> None:  # noqa: A002
        """End `announce`: the response has been put, or never will be."""
        self._live.pop(id, None)
        self._deleted.discard(id)

    def put(self, response: StoredResponse) -> None:
        """Keep a response: visible from now on, written soon. One that was deleted while it was made stays so."""
        if response.id in self._deleted:
            return
        self._unwritten[response.id] = response
        while len(self._unwritten) > _MOST_UNWRITTEN:
            lost, _ = self._unwritten.popitem(last=False)
            _log.error("response %s is lost: the records could not be written for too long", lost)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="response writer")

    async def get(self, id: str, owner: str) -> StoredResponse | None:  # noqa: A002
        """Return a response; None if it is missing or another owner's."""
        found = self._in_memory(id)
        if found is None:
            found = await self._store.get(id, owner)
            if found is not None:
                found = self._settle(found)
        return found if found is not None and found.owner == owner else None

    async def delete(self, id: str, owner: str) -> bool:  # noqa: A002
        """Delete a response; whether there was one to delete."""
        found = self._in_memory(id)
        if found is not None and found.owner != owner:
            return False
        if self._live.pop(id, None) is not None:
            self._deleted.add(id)
        async with self._writing:
            self._unwritten.pop(id, None)
            return await self._store.delete(id, owner) or found is not None

    async def history(self, id: str, owner: str) -> list[StoredResponse]:  # noqa: A002
        """Return a response and those before it, oldest first; empty if it is missing or another owner's."""
        recent: list[StoredResponse] = []
        following: str | None = id
        while following is not None and len(recent) < _LONGEST_HISTORY:
            found = self._in_memory(following)
            if found is None or found.owner != owner:
                break
            recent.append(found)
            following = found.previous_response_id
        older: list[StoredResponse] = []
        if following is not None and self._in_memory(following) is None:
            older = [self._settle(turn) for turn in await self._store.history(following, owner)]
        return older + recent[::-1]

    async def flush(self) -> None:
        """Wait until everything is written; what fails is left for the writer."""
        if self._writer is not None and not self._writer.done():
            await asyncio.wait({self._writer}, timeout=_LAST_TRY_S)

    async def close(self) -> None:
        """Write what is pending; what can't be written is lost, and said so."""
        await self.flush()
        if self._writer is not None and not self._writer.done():
            self._writer.cancel()
            await asyncio.wait({self._writer})
        if self._unwritten:
            _log.error("%d responses are lost: the records could not be written", len(self._unwritten))

    def _in_memory(self, id: str) -> StoredResponse | None:  # noqa: A002
        live = self._live.get(id)
        return live() if live is not None else self._unwritten.get(id)

    def _settle(self, found: StoredResponse) -> StoredResponse:
        """Mark as failed what an earlier process left unfinished; nobody works on it any more."""
        if found.status not in ("queued", "in_progress"):
            return found
        error = {"code": "server_error", "message": INTERRUPTED}
        failed = replace(found, status="failed", body={**found.body, "status": "failed", "error": error})
        self.put(failed)
        return failed

    async def _write(self) -> None:
        delay = 0.5
        while self._unwritten:
            async with self._writing:
                if not self._unwritten:
                    return
                id_, response = next(iter(self._unwritten.items()))
                try:
                    await self._store.put(response)
                except Exception:  # noqa: BLE001 - whatever the database says, the others must still be written
                    _log.exception("response %s could not be written; trying again in %.1f s", id_, delay)
                    failed = True
                    # The others get their turn first: one that can never be written must not hold them up.
                    if id_ in self._unwritten:
                        self._unwritten.move_to_end(id_)
                else:
                    failed = False
                    if self._unwritten.get(id_) is response:
                        del self._unwritten[id_]
            if failed:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 30.0)
