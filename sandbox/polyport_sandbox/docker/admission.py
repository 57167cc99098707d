"""Whose turn it is: so many runs at once, the rest in a bounded queue that is fair between callers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from polyport_sandbox.errors import SandboxBusyError

__all__ = ["Admission"]


class Admission:
    """A counting gate. Callers take turns, however many runs each of them has waiting.

    Args:
        running: Runs at once.
        waiting: Runs that may wait, over all callers.
        waiting_per_caller: Runs of one caller that may wait.
    """

    def __init__(self, running: int, *, waiting: int, waiting_per_caller: int) -> None:
        self._free = running
        self._waiting = waiting
        self._per_caller = waiting_per_caller
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._queued = 0

    async def enter(self, caller: str) -> None:
        """Wait for a turn.

        Raises:
            SandboxBusyError: If the queue, or this caller's part of it, is full.
        """
        if self._free > 0 and not self._queued:
            self._free -= 1
            return
        mine = self._queues.get(caller)
        if self._queued >= self._waiting or (mine is not None and len(mine) >= self._per_caller):
            whose = f"{len(mine)} of yours are" if mine and len(mine) >= self._per_caller else f"{self._queued} are"
            raise SandboxBusyError(f"The sandbox is busy: {whose} waiting already. Try again later.", retry_after=1.0)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        self._queued += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the turn came at the very moment of the cancellation: hand it on
            else:
                self._drop(caller, turn)
            raise

    def leave(self) -> None:
        """Give the place to the next caller in turn."""
        while self._queues:
            caller, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            self._queued -= 1
            if queue:
                self._queues[caller] = queue  # to the end of the round
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _drop(self, caller: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(caller)
        if queue is not None and turn in queue:
            queue.remove(turn)
            self._queued -= 1
            if not queue:
                del self._queues[caller]
