"""A container's standard streams over Docker's socket, on asyncio's own streams.

Not over httpx: anyio, on which it reads, sets the result of a future that may be cancelled already, so that a read
cancelled at the very moment when the container goes ends in an `InvalidStateError` that nobody can catch. And what
asyncio's streams have taken is sent whole, whatever becomes of who sends it, so no request is ever cut in two.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

__all__ = ["Attachment", "RefusedError", "attach"]

ANSWER_S = 60.0
BUFFERED: Final = 1 << 18
MOST_REFUSAL = 1 << 16
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,6})[ \t]*\r\n", re.IGNORECASE)


class RefusedError(Exception):
    """Docker would not attach; `status` and `body` are its answer's."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Attachment:
    """A container's stdin one way, its stdout and stderr the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int) -> bytes:
        """Read what is there, at most `max_bytes`; nothing once the other end has closed. Cancelling loses nothing."""
        return await self._reader.read(max_bytes)

    async def write(self, data: bytes, within_s: float) -> None:
        """Send all of `data`, also if this is cancelled meanwhile.

        Raises:
            ConnectionError: If the other end has gone, or did not take it in time.
        """
        self._writer.write(data)
        try:
            async with asyncio.timeout(within_s):
                await self._writer.drain()
        except TimeoutError:
            raise ConnectionAbortedError(f"nothing was taken within {within_s:g} s") from None

    def close(self) -> None:
        """Close the connection; what was not sent yet is dropped."""
        self._writer.transport.abort()


async def attach(socket: str, path: str) -> Attachment:
    """Ask the daemon behind `socket` to attach.

    Raises:
        RefusedError: If it answers otherwise.
        OSError: If it does not answer, or not within a minute.
    """
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_unix_connection(socket, limit=BUFFERED)
        attachment = Attachment(reader, writer)
        try:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n"
            )
            writer.write(f"{head}\r\n".encode("ascii"))
            status, length = await _answer(reader)
            if status != 101:
                raise RefusedError(status, await reader.read(length) if length else b"")
        except BaseException:
            attachment.close()
            raise
    return attachment


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Read the head of the answer: its status, and how long a body follows."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionResetError("it gave no whole answer") from error
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None:
        raise ConnectionResetError("what it answered is no HTTP")
    return int(status[1]), min(int(length[1]) if length else MOST_REFUSAL, MOST_REFUSAL)
