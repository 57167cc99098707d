"""How long to wait for a job, and how often to ask again where the gateway has gone away meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from polyport.client.exchange import Timeout
from polyport.errors import APIConnectionError, DeadlineExceededError

__all__ = ["Waiting"]

_FIRST_S = 0.5
_MOST_S = 8.0
_MOST_TRIES = 6


class Waiting:
    """One wait.

    Jobs outlive the gateway's process, so a broken connection is no end: it is tried again for about half a minute.

    Args:
        job: The job's id.
        timeout: Seconds for the whole.
        clock: Seconds on a steady clock.
    """

    def __init__(self, job: str, timeout: Timeout, clock: Callable[[], float] = time.monotonic) -> None:
        self._job = job
        self._timeout = timeout
        self._clock = clock
        self._deadline = clock() + timeout if isinstance(timeout, int | float) else None
        self._tries = 0

    def left(self) -> Timeout:
        """Return the timeout of the next request.

        Raises:
            DeadlineExceededError: There is no time left.
        """
        if self._deadline is None:
            return self._timeout if isinstance(self._timeout, httpx.Timeout) else None
        left = self._deadline - self._clock()
        if left <= 0:
            raise DeadlineExceededError(
                f"The job {self._job} was not done within {self._timeout:g} s; it goes on, and can be waited for again."
            )
        return left

    def heard(self) -> None:
        """Note a sign of life.

        Raises:
            DeadlineExceededError: It came too late.
        """
        self._tries = 0
        self.left()

    def before_trying_again(self, error: APIConnectionError) -> float:
        """Return how many seconds to wait after a connection broke.

        Raises:
            APIConnectionError: It broke too often.
            DeadlineExceededError: There is no time left.
        """
        self.left()
        self._tries += 1
        if self._tries > _MOST_TRIES:
            raise error
        return float(min(_MOST_S, _FIRST_S * 2 ** (self._tries - 1)))
