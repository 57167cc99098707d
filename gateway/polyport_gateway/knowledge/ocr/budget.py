"""How much processor time this process may still take, so that what was read of a long file is not lost."""

from __future__ import annotations

import math
import sys

__all__ = ["seconds_left"]


def seconds_left() -> float:
    """Return seconds of processor time until the process is killed (RLIMIT_CPU); infinity where it has no limit."""
    if sys.platform == "win32":
        return math.inf
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    used = resource.getrusage(resource.RUSAGE_SELF)
    return soft - used.ru_utime - used.ru_stime
