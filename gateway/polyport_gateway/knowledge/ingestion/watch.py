"""Folders that are looked at again and again, by polling: it works on every file system, network drives among them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from polyport.errors import CallError

from .sources import Source

__all__ = ["Watcher"]

_log = logging.getLogger("polyport.knowledge")

_EVERY_S = 2.0
_QUIET_S = 2.0
_PATIENCE_S = 60.0
_SHARE = 10
"""A folder that takes long to look at is looked at so much less often than it takes."""


@dataclass(eq=False, slots=True)
class _Watched:
    sources: Sequence[Source]
    changed: Callable[[], bool | None]
    told: bytes
    """What was there when a change was last told."""
    seen: bytes
    seen_at: float
    """Since when what is there has been as it is."""
    differs_since: float | None = None
    next_at: float = 0.0
    busy: threading.Lock = field(default_factory=threading.Lock)


class Watcher:
    """Tells when what sources list has changed, and has been still for a moment: files are copied bit by bit.

    Where it never is still, a change is told after a minute nevertheless; a file that is being written then is left to
    the next time.

    Args:
        every_s: How often it is looked.
        quiet_s: For how long nothing must change.
        clock: Tells the time.
    """

    def __init__(
        self, *, every_s: float = _EVERY_S, quiet_s: float = _QUIET_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s, self._quiet_s, self._clock = every_s, quiet_s, clock
        self._watched: dict[str, _Watched] = {}

    def add(self, name: str, sources: Sequence[Source], changed: Callable[[], bool | None]) -> None:
        """Watch the sources of a base from how they are now on; those that were watched for it no more are.

        It looks at all files once, so call it from a worker thread.

        Args:
            name: Of the base.
            sources: Folders and files; others never tell of a change.
            changed: Called from a worker thread, to start an ingestion; where it returns False, as one that is under
                way may have looked already, it is called again a little later.
        """
        there = _snapshot(sources)
        self._watched[name] = _Watched(sources, changed, there, there, self._clock())

    def remove(self, name: str) -> None:
        """Watch a base's sources no more."""
        self._watched.pop(name, None)

    def look(self) -> list[str]:
        """Look at all that is due, and tell of changes; return the names of the bases that have some."""
        return [name for name, watched in list(self._watched.items()) if self._look(name, watched)]

    def _look(self, name: str, watched: _Watched) -> bool:
        if self._clock() < watched.next_at or not watched.busy.acquire(blocking=False):
            return False
        try:
            began = self._clock()
            there = _snapshot(watched.sources)
            now = self._clock()
            watched.next_at = now + max(self._every_s, _SHARE * (now - began))
            if there != watched.seen:
                watched.seen, watched.seen_at = there, now
            if there == watched.told:
                watched.differs_since = None
                return False
            watched.differs_since = now if watched.differs_since is None else watched.differs_since
            if now - watched.seen_at < self._quiet_s and now - watched.differs_since < _PATIENCE_S:
                return False
            if self._watched.get(name) is not watched:
                return False  # removed meanwhile
            if watched.changed() is False:
                return False
            watched.told, watched.differs_since = there, None
            return True
        except Exception:  # noqa: BLE001 - what is wrong with one base must not end the watch over the others
            _log.exception("the sources of %r can't be watched", name)
            return False
        finally:
            watched.busy.release()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_s / 2)
            if self._watched:
                await asyncio.to_thread(self.look)


def _snapshot(sources: Sequence[Source]) -> bytes:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"\0{source.label}\0".encode("utf-8", "surrogatepass"))
        try:
            listing = source.list()
        except CallError as error:
            digest.update(f"\1{error.code}".encode())
            continue
        for item in listing.items:
            if item.stamp is not None:
                digest.update(f"{item.key}\0{item.stamp}\0".encode("utf-8", "surrogatepass"))
    return digest.digest()
