"""What running code writes, as it writes it, on the way to whoever waits for it."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable

from polyport.events import Event, Progress

__all__ = ["OutputReporter"]

_EVERY_S = 0.1
_LONGEST = 4096


class OutputReporter:
    """Gathers output and reports it as progress: at once after a silence, and otherwise ten times a second.

    Args:
        report: Takes the events.
    """

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        self._pending = ""
        self._seen = 0
        self._last = -_EVERY_S
        self._timer: asyncio.TimerHandle | None = None

    def add(self, stream: str, data: bytes) -> None:
        """Take a piece of output; a character may be cut in two between pieces."""
        self._seen += len(data)
        self._pending = (self._pending + self._decoders[stream].decode(data))[-_LONGEST:]
        if self._timer is None and self._pending:
            wait = self._last + _EVERY_S - self._loop.time()
            if wait <= 0:
                self._flush()
            else:
                self._timer = self._loop.call_later(wait, self._flush)

    def close(self) -> None:
        """Report nothing more: what is left is in the result."""
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        self._timer = None
        self._last = self._loop.time()
        pending, self._pending = self._pending, ""
        self._report(Progress(float(self._seen), None, pending))
