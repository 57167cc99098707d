"""Plain functions in worker threads, so that one that hangs starves nothing but itself."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from polyport.errors import ServiceUnavailableError

__all__ = ["ThreadBudget"]

T = TypeVar("T")

_numbers = itertools.count(1)


class ThreadBudget:
    """Runs a plain function's calls in threads of their own, so many at a time.

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
        self._waiters: list[asyncio.Future[None]] = []

    async def run(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call `function` in a thread and wait for what it gives.

        Raises:
            ServiceUnavailableError: Calls that were given up but never ended fill the budget.
        """
        await self._acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        state = _Run()

        def settle(result: T | None, error: BaseException | None) -> None:
            self._release(abandoned=state.abandoned)
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def work() -> None:
            result: T | None = None
            failure: BaseException | None = None
            try:
                result = context.run(function, *args, **kwargs)
            except StopIteration as error:
                failure = RuntimeError(f"{self._name} raised StopIteration")
                failure.__cause__ = error
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
                failure = error
            try:
                loop.call_soon_threadsafe(settle, result, failure)
            except RuntimeError:
                return  # the loop has closed: nobody waits any more

        threading.Thread(target=work, name=f"{self._name}-{next(_numbers)}", daemon=True).start()
        try:
            return await done
        except asyncio.CancelledError:
            if not done.done() or done.cancelled():
                state.abandoned = True
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
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        self._running += 1

    def _release(self, *, abandoned: bool) -> None:
        self._running -= 1
        if abandoned:
            self._abandoned -= 1
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                break


class _Run:
    """Whether one run's caller has given it up."""

    __slots__ = ("abandoned",)

    def __init__(self) -> None:
        self.abandoned = False
