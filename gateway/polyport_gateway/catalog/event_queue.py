"""`EventQueue`: what a running function says, on its way to its caller."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from polyport.errors import CallCancelledError
from polyport.events import Event, Progress

__all__ = ["EventQueue", "merge_events"]

_MOST_PENDING = 1000


class EventQueue:
    """Events of one running call; bounded, so that a client that reads slowly can't fill the memory.

    What must not be lost waits for room (`put`). A report never makes its function wait: while the queue is
    full, progress takes the place of the progress before it, and everything else is dropped.

    Must be made on the event loop that reads it.

    Args:
        most: Events that may wait.
    """

    def __init__(self, most: int = _MOST_PENDING) -> None:
        self._most = most
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False

    def report(self, event: Event) -> None:
        """Take a report, from any thread; once the call has ended it is dropped."""
        with self._lock:
            if self._closed:
                return
            if len(self._events) >= self._most:
                if isinstance(event, Progress) and isinstance(self._events[-1], Progress):
                    self._events[-1] = event
                return
            self._events.append(event)
            first = len(self._events) == 1
        # One wake-up for all that gather until they are taken.
        if threading.get_ident() == self._thread:
            self._news.set()
        elif first:
            with suppress(RuntimeError):  # the loop has closed
                self._loop.call_soon_threadsafe(self._news.set)

    async def put(self, event: Event) -> None:
        """Take an event that must arrive, on the loop; waits while the queue is full."""
        while len(self._events) >= self._most:
            self._room.clear()
            await self._room.wait()
        self.report(event)

    def take(self) -> deque[Event]:
        """Return what is waiting, oldest first."""
        with self._lock:
            events, self._events = self._events, deque()
            self._news.clear()
        self._room.set()
        return events

    async def wait(self) -> None:
        """Wait for news, or for `wake`."""
        await self._news.wait()

    def wake(self) -> None:
        """End `wait` although nothing came."""
        self._news.set()

    def close(self) -> None:
        """Drop what is waiting and all that comes later."""
        with self._lock:
            self._closed = True
            self._events.clear()


async def merge_events(queue: EventQueue, task: asyncio.Task[Any]) -> AsyncGenerator[Event, None]:
    """Give what is put into `queue` until `task` ends; a consumer that stops cancels the task.

    Raises:
        Exception: Whatever the task raised, once the queue is empty.
        CallCancelledError: It cancelled itself.
    """
    task.add_done_callback(lambda _: queue.wake())
    try:
        while True:
            done = task.done()
            for event in queue.take():
                yield event
            if done:
                break
            if not task.done():
                await queue.wait()
        if task.cancelled():
            raise CallCancelledError("The call was cancelled by the function itself.")
        task.result()
    finally:
        queue.close()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if task.done() and not task.cancelled():
            task.exception()  # nobody may be left to see it, and the loop would complain
