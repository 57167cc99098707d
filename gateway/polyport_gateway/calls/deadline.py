"""Taking the next event of a stream before a deadline, for next to nothing when it is there already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from types import coroutine
from typing import Any

from polyport.errors import DeadlineExceededError

__all__ = ["Deadline"]


class Deadline:
    """When a call must have ended.

    Args:
        at: On `time.monotonic`'s clock; None for never.
        name: What is called, for the message.
    """

    __slots__ = ("_at", "_name")

    def __init__(self, at: float | None, name: str) -> None:
        self._at = None if at is None else asyncio.get_running_loop().time() + at - time.monotonic()
        self._name = name

    async def next(self, step: Callable[[], Any]) -> Any:
        """Return what ``step()``, an async generator's ``__anext__``, gives.

        A timer costs more than most steps, and many events of a stream are there before they are asked for. So the
        step is begun without one, and only a step that has to wait is finished under the timer.

        Raises:
            DeadlineExceededError: The deadline has passed; the step was cancelled.
            StopAsyncIteration: The stream has ended.
        """
        if self._at is None:
            return await step()
        begun = step()
        try:
            waits_for = begun.send(None)
        except StopIteration as done:
            return done.value
        limit: asyncio.Timeout | None = None
        try:
            async with asyncio.timeout_at(self._at) as limit:
                return await _resume(begun, waits_for)
        except TimeoutError as error:
            if limit is None or not limit.expired():
                raise
            raise DeadlineExceededError(
                f"The call of {self._name!r} took longer than its deadline and was cancelled."
            ) from error


@coroutine
def _resume(begun: Any, waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with an awaitable that was begun by hand and has asked to wait for something."""
    while True:
        failure: BaseException | None = None
        sent: Any = None
        try:
            sent = yield waits_for
        except GeneratorExit:
            begun.close()
            raise
        except BaseException as error:  # noqa: BLE001 - handed to the awaitable, as `await` would
            failure = error
        try:
            waits_for = begun.send(sent) if failure is None else begun.throw(failure)
        except StopIteration as done:
            return done.value
        finally:
            failure = None
