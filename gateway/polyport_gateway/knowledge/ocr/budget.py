"""How much time is left for a file, so that what was read of a long one is not lost with the process."""

from __future__ import annotations

import math
import sys
import time
from contextvars import ContextVar

__all__ = ["seconds_left", "stop_reading_at"]

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def stop_reading_at(deadline: float) -> None:
    """Say when, by ``time.monotonic()``, this process is killed. A process reads one file at a time."""
    _deadline.set(deadline)


def seconds_left() -> float:
    """Return seconds until the process is killed, by the clock or by its processor time; infinity without limits."""
    return min(_deadline.get() - time.monotonic(), _processor_seconds_left())


def _processor_seconds_left() -> float:
    if sys.platform == "win32":
        return math.inf
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    used = resource.getrusage(resource.RUSAGE_SELF)
    return soft - used.ru_utime - used.ru_stime
