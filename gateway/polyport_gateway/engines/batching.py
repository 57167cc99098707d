"""`Batcher`: one thread with a model in it, and the requests that share its batches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from polyport.errors import CallError, ServiceUnavailableError

__all__ = ["Batcher"]

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - what the model makes of it
Process: TypeAlias = Callable[[Sequence[I]], Sequence["O | CallError"]]

_log = logging.getLogger("polyport.engines")


@dataclass(eq=False, slots=True)
class _Job(Generic[I, O]):
    """One request's items on their way through the model.

    Attributes:
        left: Positions of items that no batch has taken, the next one last.
        under_way: Items in the batch that runs.
        over: Whether nobody waits for it any more; may be read and set from any thread.
    """

    items: Sequence[I]
    left: list[int]
    results: list[O | None]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[list[O]]
    under_way: int = 0
    over: bool = field(default=False)

    def settle(self, failure: BaseException | None = None) -> None:
        """Tell whoever waits, on their own loop."""
        self.over = True
        try:
            self.loop.call_soon_threadsafe(self._set, failure)
        except RuntimeError:
            _log.debug("a batch's request was given up: its event loop is closed")

    def _set(self, failure: BaseException | None) -> None:
        if self.done.done():
            return
        if failure is not None:
            self.done.set_exception(failure)
        else:
            self.done.set_result([result for result in self.results if result is not None])


class Batcher(Generic[I, O]):
    """Runs items through a model in a thread of its own; requests that arrive while one batch runs share the next.

    Every request that waits has an equal share of each batch, so that a single query waits for one batch and not for
    the thousands of texts that were there before it.

    Args:
        name: Whose it is, for the log and the thread's name.
        open_model: Loads the model, in the thread, and returns what processes a batch: one result per item, or the
            error that the item's request is to get.
        size: An item's length; a request's items are taken in its order, so that a batch holds items of like length.
        most_items: The most items in a batch.
        most_waiting: The most items that may wait; a request beyond that is refused.
    """

    def __init__(
        self,
        name: str,
        open_model: Callable[[], Process[I, O]],
        *,
        size: Callable[[I], int],
        most_items: int,
        most_waiting: int,
    ) -> None:
        self._name = name
        self._open_model = open_model
        self._size = size
        self._most_items = most_items
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._jobs: deque[_Job[I, O]] = deque()
        self._waiting = 0
        self._closed = False
        self._broken = False
        self._thread = threading.Thread(target=self._work, name=f"polyport-{name}", daemon=True)

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        return self._waiting

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    async def close(self) -> None:
        """Refuse what waits, and wait until the thread has let go of the model."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    async def run(self, items: Sequence[I]) -> list[O]:
        """Return what the model makes of each item.

        Raises:
            CallError: An item's own error.
            ServiceUnavailableError: Too many items wait, or there is no model.
        """
        if not items:
            return []
        loop = asyncio.get_running_loop()
        left = sorted(range(len(items)), key=lambda position: self._size(items[position]))
        job: _Job[I, O] = _Job(items, left, [None] * len(items), loop, loop.create_future())
        with self._changed:
            self._admit(len(items))
            self._jobs.append(job)
            self._waiting += len(items)
            self._changed.notify()
        try:
            return await job.done
        finally:
            if not job.over:
                self._drop(job)

    def _admit(self, count: int) -> None:
        if self._closed:
            raise ServiceUnavailableError("The engine is closed.")
        if self._broken:
            raise self._no_model()
        if self._waiting + count > self._most_waiting and self._waiting:
            raise ServiceUnavailableError(
                f"The model has {self._waiting} texts waiting, and takes {self._most_waiting}; try again later.",
                code="overloaded",
                retry_after=1,
            )

    def _drop(self, job: _Job[I, O]) -> None:
        with self._changed:
            job.over = True
            if job in self._jobs:
                self._jobs.remove(job)
            self._waiting -= len(job.left)
            job.left.clear()

    @staticmethod
    def _no_model() -> ServiceUnavailableError:
        return ServiceUnavailableError(
            "The model could not be loaded; the gateway's log says why.", code="model_not_loaded"
        )

    def _work(self) -> None:
        try:
            process = self._open_model()
        except Exception:  # noqa: BLE001 - loading may fail in any way; the log says how, and each call that it failed
            _log.exception("the model %r could not be loaded", self._name)
            self._give_up(self._no_model(), broken=True)
            return
        while batch := self._next():
            self._run(process, batch)
        self._give_up(ServiceUnavailableError("The engine is closed."))

    def _run(self, process: Process[I, O], batch: list[tuple[_Job[I, O], int]]) -> None:
        try:
            results = process([job.items[position] for job, position in batch])
        except Exception as error:  # noqa: BLE001 - handed to every request in the batch, where it is told and logged
            results = []
            for job in dict.fromkeys(job for job, _ in batch):
                self._fail(job, error)
        for (job, position), result in zip(batch, results, strict=False):
            job.under_way -= 1
            if job.over:
                continue
            if isinstance(result, CallError):
                self._fail(job, result)
                continue
            job.results[position] = result
            if not job.left and not job.under_way:
                job.settle()

    def _fail(self, job: _Job[I, O], error: BaseException) -> None:
        if not job.over:
            self._drop(job)
            job.settle(error)

    def _next(self) -> list[tuple[_Job[I, O], int]]:
        """Wait for items and take a batch of them; nothing once the engine is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if self._closed:
                return []
            batch: list[tuple[_Job[I, O], int]] = []
            share = max(1, self._most_items // len(self._jobs))
            while self._jobs and len(batch) < self._most_items:
                job = self._jobs.popleft()
                count = min(share, self._most_items - len(batch), len(job.left))
                batch += [(job, job.left.pop()) for _ in range(count)]
                job.under_way += count
                if job.left:
                    self._jobs.append(job)
            self._waiting -= len(batch)
            return batch

    def _give_up(self, failure: ServiceUnavailableError, *, broken: bool = False) -> None:
        with self._changed:
            self._broken = broken
            self._closed = self._closed or not broken
            jobs = list(self._jobs)
            self._jobs.clear()
            self._waiting = 0
        for job in jobs:
            job.settle(failure)
