"""Keeps those who guess key ids from hammering the database."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["LookupGuard"]


class LookupGuard:
    """Says which unknown ids are worth asking the database for.

    An id that was missing is not asked for again for `forget_s`; and all ids together get `per_second`
    look-ups, as a token bucket. A real key that is refused for lack of tokens is found by the next refresh.

    Args:
        per_second: Look-ups per second, and the most at once.
        remember: The most missing ids kept in mind.
        forget_s: Seconds after which a missing id may be asked for again.
        clock: Seconds, ever growing.
    """

    def __init__(
        self,
        *,
        per_second: float = 20.0,
        remember: int = 1024,
        forget_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._remember = remember
        self._forget_s = forget_s
        self._clock = clock
        self._tokens = per_second
        self._filled_at = clock()
        self._missing: OrderedDict[str, float] = OrderedDict()

    def admit(self, key_id: str) -> bool:
        """Whether to ask the database for this id now."""
        now = self._clock()
        missed_at = self._missing.get(key_id)
        if missed_at is not None and now - missed_at < self._forget_s:
            return False
        self._tokens = min(self._per_second, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def missed(self, key_id: str) -> None:
        """Note that the database has no such id."""
        self._missing.pop(key_id, None)
        self._missing[key_id] = self._clock()
        if len(self._missing) > self._remember:
            self._missing.popitem(last=False)
