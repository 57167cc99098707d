"""Moving bytes between a sandbox's connection and an upstream's, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Literal

from polyport_sandbox.base import Channel

from .client_hello import ClientHello, NoHelloError
from .http_head import BadMessageError, Body, ChunkedBody, Head, parse_response

__all__ = ["Closed", "Meter", "NothingError", "exchange", "read_head", "tunnel"]

CHUNK = 65536
MAX_INTERIM = 8  # responses of the 1xx kind before the one that counts
Read = Callable[[int], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]


class Closed(Exception):  # noqa: N818 - an end rather than an error
    """The connection ends here; the text says why."""


class NothingError(BadMessageError):
    """The other end closed before it said anything."""


class Meter:
    """Count what passes, and end a connection that takes too much or in which nothing moves.

    Args:
        most: Bytes both ways together.
        idle_s: Seconds in which nothing moves.
    """

    def __init__(self, most: int, idle_s: float) -> None:
        self.up = self.down = 0
        self._most = most
        self._idle_s = idle_s
        self._timeout: asyncio.Timeout | None = None

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """End what happens inside when nothing moves."""
        try:
            async with asyncio.timeout(self._idle_s) as self._timeout:
                yield
        except TimeoutError:
            raise Closed("idle") from None

    def add(self, *, up: int = 0, down: int = 0) -> None:
        """Count bytes.

        Raises:
            Closed: If they are too many.
        """
        self.up += up
        self.down += down
        if self.up + self.down > self._most:
            raise Closed("too many bytes")
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._idle_s)


async def read_head(read: Read, most: int, begun: bytes = b"") -> tuple[bytes, bytes]:
    """Read up to the empty line that ends a head; give back the head and what came after it.

    Raises:
        BadMessageError: If it is too large or never ends.
    """
    data, seen = bytearray(begun), 0
    while True:
        end = data.find(b"\r\n\r\n", seen)
        if end >= 0 and end + 4 <= most:
            return bytes(data[: end + 4]), bytes(data[end + 4 :])
        seen = max(0, len(data) - 3)
        if len(data) >= most:
            raise BadMessageError(f"its head is larger than {most} bytes")
        part = await read(CHUNK)
        if not part:
            if not data:
                raise NothingError("nothing arrived")
            raise BadMessageError("its head does not end")
        data += part


async def tunnel(
    stream: Channel,
    rest: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    host: str,
    meter: Meter,
) -> None:
    """Pass bytes both ways until either end closes; what the client says of itself must be true."""
    write = _writing(writer)

    async def up() -> None:
        begun = await _checked_start(stream.read, rest, host)
        while begun:
            meter.add(up=len(begun))
            await write(begun)
            begun = await stream.read(CHUNK)
        if writer.can_write_eof():
            writer.write_eof()

    async def down() -> None:
        while part := await reader.read(CHUNK):
            meter.add(down=len(part))
            await stream.write(part)

    async with meter.watching():
        await stream.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        await _until_the_answer_ends(up(), down())


async def exchange(
    stream: Channel,
    rest: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    head: Head,
    path: bytes,
    meter: Meter,
    *,
    host: str,
    head_bytes: int,
) -> None:
    """Pass on one request of plain HTTP and its response.

    Raises:
        BadMessageError: If the upstream's answer can't be read, and nothing of it was passed on.
    """
    write = _writing(writer)

    async def counted_up(data: bytes) -> None:
        meter.add(up=len(data))
        await write(data)

    async def counted_down(data: bytes) -> None:
        meter.add(down=len(data))
        await stream.write(data)

    async def up() -> None:
        await counted_up(head.forwarded(path, host.encode()))
        try:
            await _pass_body(head.body, rest, stream.read, counted_up)
        except BadMessageError as error:
            raise Closed("bad message") from error  # the request's; the upstream has a part of it already

    async def down() -> None:
        begun = b""
        for _ in range(MAX_INTERIM):
            data, begun = await read_head(reader.read, head_bytes, begun)
            answer = parse_response(data, method=head.method)
            if answer.status == 101:
                raise BadMessageError("it switches protocols unasked")
            await counted_down(answer.forwarded())
            if answer.status >= 200:
                break
        else:
            raise Closed("bad message")
        try:
            await _pass_body(answer.body, begun, reader.read, counted_down)
        except BadMessageError as error:
            raise Closed("bad message") from error  # of an answer of which a part is on its way

    async with meter.watching():
        await _until_the_answer_ends(up(), down())


async def _checked_start(read: Read, begun: bytes, host: str) -> bytes:
    """Read what a client sends first: a TLS client must name the host it asked for, if it names one."""
    hello, data = ClientHello(), bytearray()
    part = begun or await read(CHUNK)
    name: str | Literal[False] | None = None
    try:
        while part:
            data += part
            name = hello.feed(part)
            if name is not None:
                break
            part = await read(CHUNK)
    except NoHelloError as error:
        raise Closed("no TLS hello") from error
    if data and name is None:
        raise Closed("no TLS hello")
    if name and name.removesuffix(".") != host:
        raise Closed("another server name")
    return bytes(data)


async def _pass_body(body: Body, begun: bytes, read: Read, write: Write) -> None:
    """Pass on as much as belongs to the body, and no more."""
    left, chunks = body.length, ChunkedBody()
    if body.kind == "none" or (body.kind == "length" and not left):
        return
    data = begun or await read(CHUNK)
    while data:
        if body.kind == "chunked":
            data = data[: chunks.feed(data)]
        elif body.kind == "length":
            data = data[:left]
            left -= len(data)
        await write(data)
        if chunks.done or (body.kind == "length" and not left):
            return
        data = await read(CHUNK)
    if body.kind != "close":
        raise BadMessageError("its body is cut short")


async def _until_the_answer_ends(up: Coroutine[Any, Any, None], down: Coroutine[Any, Any, None]) -> None:
    """Do both until `down` ends or either fails."""
    rising, falling = asyncio.create_task(up), asyncio.create_task(down)
    pending = {rising, falling}
    try:
        while not falling.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in (rising, falling):
            task.cancel()
        await asyncio.wait({rising, falling})
        for task in (rising, falling):
            if not task.cancelled():
                task.exception()  # seen: one failure is enough to tell


def _writing(writer: asyncio.StreamWriter) -> Write:
    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    return write
