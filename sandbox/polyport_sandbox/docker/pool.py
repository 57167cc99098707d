"""Containers made ready ahead of the runs that will use them, once each."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError

from .container import Container

__all__ = ["Pool"]

_log = logging.getLogger(__name__)

RETRY_S = 1.0
REMOVE_AGAIN_AFTER_S = (0.5, 1.0, 2.0, 4.0)
REFILL_AFTER_S = 0.03  # making a container takes the processor from the run that just took one


class Pool:
    """Keep `size` containers ready; make more while runs wait for one.

    Args:
        make: Makes one ready container.
        size: How many to keep ready; 0 makes them as they are asked for.
        making: How many may be in the making at once.
        on_left: Told the id of a used container that could not be removed, for Docker did not answer.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[Container]],
        *,
        size: int,
        making: int = 2,
        on_left: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._make = make
        self._on_left = on_left
        self._size = size
        self._making_limit = max(1, making)
        self._ready: deque[Container] = deque()
        self._waiting: deque[asyncio.Future[Container]] = deque()
        self._makers: set[asyncio.Task[None]] = set()
        self._removers: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        self._grew = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many containers stand ready."""
        return len(self._ready)

    async def when_ready(self, count: int) -> None:
        """Wait until `count` containers stand ready."""
        while len(self._ready) < count:
            self._grew.clear()
            await self._grew.wait()

    async def take(self) -> Container:
        """Get a container that nothing has run in; give it to `discard` afterwards.

        Raises:
            SandboxError: If none can be made.
        """
        if self._closed:
            raise SandboxUnavailableError("The sandbox is closed.", mend="open a new one")
        if self._ready:
            container = self._ready.popleft()
            asyncio.get_running_loop().call_later(REFILL_AFTER_S, self.fill)
            return container
        turn: asyncio.Future[Container] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.fill()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._offer(turn.result())
            raise

    def discard(self, container: Container) -> None:
        """Remove a used container, in the background."""
        task = asyncio.create_task(self._remove(container))
        self._removers.add(task)
        task.add_done_callback(self._removers.discard)

    def fill(self) -> None:
        """Start making what is missing."""
        self._waiting = deque(turn for turn in self._waiting if not turn.done())
        paused = self._pause is not None and not self._waiting
        missing = self._size + len(self._waiting) - len(self._ready) - len(self._makers)
        for _ in range(min(missing, self._making_limit - len(self._makers))):
            if self._closed or paused:
                return
            task = asyncio.create_task(self._make_one())
            self._makers.add(task)
            task.add_done_callback(self._made)

    def _made(self, task: asyncio.Task[None]) -> None:
        self._makers.discard(task)
        if not self._closed:
            self.fill()

    async def _make_one(self) -> None:
        try:
            container = await self._make()
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits must hear of it, and not wait for ever
            self._failed(error)
            return
        self._offer(container)

    def _offer(self, container: Container) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(container)
                return
        if self._closed:
            self.discard(container)
        else:
            self._ready.append(container)
            self._grew.set()

    def _failed(self, error: Exception) -> None:
        """Tell those who wait, and pause before trying again for nobody in particular."""
        if self._pause is None:
            _log.warning("no sandbox container could be made: %s", error)
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(
                    error
                    if isinstance(error, SandboxError)
                    else SandboxError(f"No container was ready in time: {error!r}")
                )
        if self._pause is None and not self._closed:
            self._pause = asyncio.get_running_loop().call_later(RETRY_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if not self._closed:
            self.fill()

    async def _remove(self, container: Container) -> None:
        for pause in REMOVE_AGAIN_AFTER_S:
            try:
                await container.remove()
            except SandboxUnavailableError:
                await asyncio.sleep(pause)  # the daemon may be restarting
            except SandboxError as error:
                _log.warning("container %s was not removed: %s", container.identity[:12], error)
                return
            else:
                return
        # It is labelled too: if this process is gone before Docker is back, the next start finds and removes it.
        self._on_left(container.identity)
        _log.warning("container %s was not removed: Docker does not answer", container.identity[:12])

    async def aclose(self) -> None:
        """Remove every container, ready or in the making."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(SandboxUnavailableError("The sandbox was closed.", mend="open a new one"))
        for task in self._makers:
            task.cancel()
        await asyncio.gather(*self._makers, return_exceptions=True)
        while self._ready:
            self.discard(self._ready.popleft())
        await asyncio.gather(*self._removers, return_exceptions=True)
