"""Plain functions in worker threads, so that one that hangs starves nothing but itself."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from polyport.errors import ServiceUnavailableError

__all__ = ["ThreadBudget"]

T = TypeVar("T")

_numbers = itertools.count(1)
_IDLE_S = 10.0


class ThreadBudget:
    """Runs a plain function's calls in worker threads, so many at a time.

    A thread can't be stopped from outside: a cancelled call returns at once and its thread goes on until
    the function ends, counting against the budget. Threads are daemons, so they never hold up an exit.

    Args:
        name: Whose budget it is, for messages and thread names.
        limit: The most threads at a time.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._running = 0
        self._abandoned = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def run(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call `function` in a thread and wait for what it gives.

        Raises:
            ServiceUnavailableError: Calls that were given up but never ended fill the budget, or the process can't
                have another thread.
        """
        await self._acquire()
        return await self._run(function, args, kwargs)

    async def finish(self, function: Callable[[], T]) -> T:
        """Call what ends work that was begun: like `run`, but at once, even when the budget is used up.

        Raises:
            ServiceUnavailableError: The process can't have another thread.
        """
        self._running += 1
        return await self._run(function, (), {})

    async def _run(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        job: _Job[T] = _Job(self, function, args, kwargs)
        try:
            _workers.submit(job)
        except RuntimeError as error:
            self.release(abandoned=False)
            raise ServiceUnavailableError(
                f"{self._name!r} was not called: the gateway can't start another thread; try again later.",
                code="overloaded",
                retry_after=1,
            ) from error
        try:
            return await job.done
        except asyncio.CancelledError:
            if not job.settled:
                job.abandoned = True
                self._abandoned += 1
            raise

    async def _acquire(self) -> None:
        while self._running >= self._limit:
            if self._abandoned >= self._limit:
                raise ServiceUnavailableError(
                    f"{self._name!r} has {self._abandoned} calls that were given up and never ended; it takes no more "
                    "until some end or the gateway is restarted.",
                    code="overloaded",
                )
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # its turn had come; the next one takes it
                raise
        self._running += 1

    def release(self, *, abandoned: bool) -> None:
        """Give back what one call took."""
        self._running -= 1
        if abandoned:
            self._abandoned -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class _Job(Generic[T]):
    """One call on its way through a thread.

    Attributes:
        done: What the function gives.
        settled: Whether the function has ended.
        abandoned: Whether whoever waited has gone.
    """

    def __init__(
        self, budget: ThreadBudget, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._budget = budget
        self._work = partial(contextvars.copy_context().run, function, *args, **kwargs)
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[T] = self._loop.create_future()
        self.settled = False
        self.abandoned = False

    def run(self) -> Callable[[], None]:
        """Call the function, in a worker thread; return what hands its result to the loop."""
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = self._work()
        except (StopIteration, GeneratorExit) as error:
            # Either would end the generators and coroutines that wait for it instead of failing them.
            failure = RuntimeError(f"the function raised {type(error).__name__}")
            failure.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            failure = error

        def settle() -> None:
            # Once the loop has closed nobody waits any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._settle, result, failure)

        return settle

    def _settle(self, result: T | None, failure: BaseException | None) -> None:
        self.settled = True
        self._budget.release(abandoned=self.abandoned)
        if self.done.done():
            return
        if failure is not None:
            self.done.set_exception(failure)
        else:
            self.done.set_result(result)  # type: ignore[arg-type]


class _Workers:
    """Threads that take one job after another and end when there is none for a while."""

    def __init__(self) -> None:
        self._idle: deque[SimpleQueue[_Job[Any]]] = deque()
        self._lock = threading.Lock()

    def submit(self, job: _Job[Any]) -> None:
        """Hand a job to an idle thread, or to a new one."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(
                target=self._work, args=(inbox,), name=f"polyport-worker-{next(_numbers)}", daemon=True
            ).start()
        inbox.put(job)

    def _work(self, inbox: SimpleQueue[_Job[Any]]) -> None:
        while True:
            try:
                job = inbox.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if inbox not in self._idle:
                        continue  # a job is on its way
                    self._idle.remove(inbox)
                return
            settle = job.run()
            # Idle before the result is out, so that whoever gets it finds this thread again.
            with self._lock:
                self._idle.append(inbox)
            settle()
            del job, settle


_workers = _Workers()
