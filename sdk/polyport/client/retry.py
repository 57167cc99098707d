"""When to try again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["RetryPolicy", "parse_retry_after"]

SAFE = frozenset({408, 429, 502, 503, 504})
"""Statuses after which a request that may be repeated is repeated."""

UNTOUCHED = frozenset({429, 503})
"""Statuses that say the request was not begun, so that any request may be repeated."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter.

    The delays follow "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015): uniform between 0 and
    ``min(cap, base * 2 ** attempt)``.

    Attributes:
        max_retries: Tries after the first one.
        base: Seconds; the longest first delay.
        cap: Seconds; the longest delay, and the longest ``Retry-After`` that is waited for.
    """

    max_retries: int = 2
    base: float = 0.5
    cap: float = 60.0
    uniform: Callable[[float, float], float] = field(default=random.uniform, repr=False)

    def delay(self, attempt: int, *, retry_after: float | None, remaining: float | None) -> float | None:
        """Return the seconds to wait before the next try, or None to give up.

        Args:
            attempt: Tries made so far, 1 or more.
            retry_after: Seconds that the server asked for.
            remaining: Seconds left of the call's time; None for no limit.
        """
        if attempt > self.max_retries:
            return None
        if retry_after is not None:
            if retry_after > self.cap:
                return None
            wait = retry_after
        else:
            wait = self.uniform(0.0, min(self.cap, self.base * 2.0 ** (attempt - 1)))
        return None if remaining is not None and wait >= remaining else wait


def parse_retry_after(value: str | None, *, now: Callable[[], float] = time.time) -> float | None:
    """Read ``Retry-After`` (RFC 9110, section 10.2.3): seconds, or an HTTP date.

    Returns:
        Seconds from now, 0 or more; None if there is none that can be read.
    """
    if value is None:
        return None
    value = value.strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        seconds = (when - datetime.fromtimestamp(now(), UTC)).total_seconds()
    if seconds != seconds or seconds == float("inf"):
        return None
    return max(0.0, seconds)
