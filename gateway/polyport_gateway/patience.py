"""Waiting until a point in time, for next to nothing when there is nothing to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import coroutine
from typing import Any

__all__ = ["OutOfTimeError", "finish_by"]


class OutOfTimeError(Exception):
    """The time had come before the step was done; it was cancelled."""


async def finish_by(at: float, step: Callable[[], Any]) -> Any:
    """Return what the awaitable that ``step()`` gives returns, if it does so in time.

    A timer costs more than most steps, and many can give what they have at once. So the step is begun without one,
    and only a step that has to wait is finished under the timer.

    Args:
        at: On the running loop's clock.
        step: Makes a coroutine, or an async generator's next step.

    Raises:
        OutOfTimeError: The time has come; the step was cancelled.
    """
    begun = step()
    try:
        waits_for = begun.send(None)
    except StopIteration as done:
        return done.value
    limit = asyncio.timeout_at(at)
    try:
        async with limit:
            return await _resume(begun, waits_for)
    except TimeoutError as error:
        if not limit.expired():
            raise  # the step's own
        raise OutOfTimeError from error


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
