"""How much time is left for a file, so that what was read of a long one is not lost with the process."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Pace", "seconds_left", "stop_reading_at"]

_SPARE = 1.5
"""Times what the slowest page took: with less left, no other is begun."""

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def stop_reading_at(deadline: float) -> None:
    """Say when, by ``time.monotonic()``, this process is killed. A process reads one file at a time."""
    _deadline.set(deadline)


def seconds_left() -> float:
    """Return seconds until the process is killed, by the clock or by its processor time; infinity without limits."""
    return min(_deadline.get() - time.monotonic(), _processor_seconds_left())


class Pace:
    """Tells by the pages before whether there is time for another one."""

    def __init__(self) -> None:
        self._slowest = 0.0

    def allows_another(self) -> bool:
        """Tell whether a page as slow as the slowest can be read before the process is killed."""
        return seconds_left() >= _SPARE * self._slowest

    @contextmanager
    def page(self) -> Iterator[None]:
        """Take the time of a page."""
        before = seconds_left()
        yield
        if before < math.inf:
            self._slowest = max(self._slowest, before - seconds_left())


def _processor_seconds_left() -> float:
    if sys.platform == "win32":
        return math.inf
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    used = resource.getrusage(resource.RUSAGE_SELF)
    return soft - used.ru_utime - used.ru_stime
