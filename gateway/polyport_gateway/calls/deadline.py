"""When a call must have ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from polyport.errors import DeadlineExceededError
from polyport_gateway.patience import OutOfTimeError, finish_by

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

        Raises:
            DeadlineExceededError: The deadline has passed; the step was cancelled.
            StopAsyncIteration: The stream has ended.
        """
        if self._at is None:
            return await step()
        try:
            return await finish_by(self._at, step)
        except OutOfTimeError as error:
            raise DeadlineExceededError(
                f"The call of {self._name!r} took longer than its deadline and was cancelled."
            ) from error
