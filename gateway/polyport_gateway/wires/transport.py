"""A transport that gathers what is written within one turn of the event loop into one system call.

uvicorn writes an answer's head and its body one by one, and each piece of a stream. A system call, and waking the
client for it, costs more than all else that the gateway does for a small answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["GatheringTransport"]

_MOST_PENDING = 64 * 1024


class GatheringTransport:
    """Stands before a transport; all but writing goes straight to it.

    Args:
        transport: Whose writes to gather.
        loop: The loop it is on.
    """

    __slots__ = ("_loop", "_pending", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this turn of the loop, or now if much is pending, so that flow control sees it."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(data)
        self._size += len(data)
        if self._size > _MOST_PENDING:
            self.flush()

    def flush(self) -> None:
        """Write what is pending now; once the transport is closing it would be lost, and uvloop's raises."""
        if self._pending:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending = []
            self._size = 0
            if not self._transport.is_closing():
                self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Write what is pending, and close."""
        self.flush()
        self._transport.close()
