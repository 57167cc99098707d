"""What outlives a request within this process: tasks that run on, and the events they leave behind."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, TypeAlias

__all__ = ["BackgroundTasks", "EventLog"]

_log = logging.getLogger("polyport.jobs")

JobEvent: TypeAlias = Mapping[str, Any]
_FINISHED_LOGS = 64
_FINISHED_EVENTS = 50_000


class EventLog:
    """Events of one task, in order; any number of followers may read them, from the start or from later on.

    The position of an event is its sequence number.
    """

    def __init__(self) -> None:
        self._events: list[JobEvent] = []
        self._closed = False
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: JobEvent) -> None:
        """Add an event and wake the followers."""
        self._events.append(event)
        self._tell()

    def close(self) -> None:
        """Say that no more will come."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self, after: int = -1) -> AsyncGenerator[JobEvent, None]:
        """Give each event after position `after`, those to come included, until the log is closed."""
        position = after + 1
        while True:
            news = self._news
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if self._closed:
                return
            if news is self._news:
                await news.wait()


class BackgroundTasks:
    """Tasks by id, each with its log. They end with the process: what survives it is the store's matter.

    Attributes:
        stopping: Whether the gateway is shutting down, and cancels tasks that nobody wanted cancelled.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logs: OrderedDict[str, EventLog] = OrderedDict()
        self.stopping = False

    def start(self, id: str, work: Coroutine[Any, Any, None], log: EventLog) -> None:  # noqa: A002
        """Run `work` until it ends, whoever listens; its log is closed then, and kept for a while."""
        self._logs[id] = log
        task = asyncio.create_task(work, name=f"background {id}")
        self._tasks[id] = task
        task.add_done_callback(lambda task: self._ended(id, task))

    def _ended(self, id: str, task: asyncio.Task[None]) -> None:  # noqa: A002
        self._tasks.pop(id, None)
        log = self._logs.get(id)
        if log is not None:
            log.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background task %s failed", id, exc_info=error)
        self._forget_old()

    def _forget_old(self) -> None:
        """Drop the oldest logs of tasks that have ended: beyond so many, or beyond so many events in all."""
        finished = [id_ for id_ in self._logs if id_ not in self._tasks]
        events = sum(len(self._logs[id_]) for id_ in finished)
        for place, id_ in enumerate(finished[:-1]):
            if len(finished) - place <= _FINISHED_LOGS and events <= _FINISHED_EVENTS:
                break
            events -= len(self._logs.pop(id_))

    def running(self, id: str) -> bool:  # noqa: A002
        """Whether the task is under way."""
        return id in self._tasks

    def log(self, id: str) -> EventLog | None:  # noqa: A002
        """Return a task's log; None once it has been forgotten."""
        return self._logs.get(id)

    async def cancel(self, id: str) -> bool:  # noqa: A002
        """Cancel a task and wait until it has ended; False if it isn't under way."""
        task = self._tasks.get(id)
        if task is None:
            return False
        task.cancel()
        await asyncio.wait({task})
        return True

    def forget(self, id: str) -> None:  # noqa: A002
        """Drop the log of a task that has ended."""
        if id not in self._tasks:
            self._logs.pop(id, None)

    async def stop(self) -> None:
        """Cancel every task and wait for all."""
        self.stopping = True
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
