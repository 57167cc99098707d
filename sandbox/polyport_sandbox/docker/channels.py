"""Connections that the code in a container opened to the host, carried over the container's one connection.

A container has no network. Where a run may use a proxy or tools, its supervisor listens inside on its behalf, and each
connection to it arrives here as a channel, which is handed to whoever serves its kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from .link import BROKEN, Link
from .protocol import Frame, ProtocolError, encode_request

__all__ = ["Channels", "ContainerChannel", "Handler"]

_log = logging.getLogger(__name__)

CHUNK = 1 << 16
WINDOW = 1 << 18  # as in `inside.channels`
MOST_CHANNELS = 32
WRITE_S = 60.0


class ContainerChannel:
    """One connection: bytes both ways, in order. It is what `base.Channel` asks for.

    Args:
        identity: Its number.
        send: Sends a request about it down.
        on_close: Called once, when this end has closed.
    """

    def __init__(
        self, identity: int, send: Callable[[str, dict[str, int], bytes], Awaitable[None]], on_close: Callable[[], None]
    ) -> None:
        self._identity = identity
        self._send = send
        self._on_close = on_close
        self._received = bytearray()
        self._taken = 0
        self._credit = WINDOW
        self._waiting: list[asyncio.Future[None]] = []
        self._no_more = False
        self._gone = False
        self._lost = False
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Take bytes that came up."""
        if len(self._received) + self._taken + len(data) > WINDOW:
            raise ProtocolError("a channel with more bytes than it was given credit for")
        self._received += data
        self._wake()

    def end(self, *, lost: bool = False) -> None:
        """Note that nothing more comes; with `lost`, that nothing more is taken either, for the container goes."""
        self._no_more = True
        self._lost = self._lost or lost
        self._gone = self._gone or lost
        self._wake()

    def refuse(self) -> None:
        """Note that nothing more is taken."""
        self._gone = True
        self._wake()

    def grant(self, count: int) -> None:
        """Note that the code took so many bytes."""
        if self._credit + count > WINDOW:
            raise ProtocolError("a channel given more credit than it used")
        self._credit += count
        self._wake()

    async def read(self, max_bytes: int) -> bytes:
        """Read one byte at least, and no more than so many; none at the end. Cancelling it loses no bytes."""
        while not self._received:
            if self._closed:
                raise ConnectionError("This channel is closed.")
            if self._no_more:
                return b""
            await self._wait()
        data = bytes(self._received[: max(1, max_bytes)])
        del self._received[: len(data)]
        self._taken += len(data)
        if self._taken >= WINDOW // 4 and not self._no_more:
            count, self._taken = self._taken, 0
            # Not awaited: what was read must reach the reader, whatever becomes of its wait.
            _background(self._send("credit", {"count": count}, b""))
        return data

    async def write(self, data: bytes) -> None:
        """Write all of it; waits while the code does not read.

        Raises:
            ConnectionError: If the code has closed its end.
        """
        rest = memoryview(data)
        while rest:
            while self._credit <= 0 and not self._gone and not self._closed:
                await self._wait()
            if self._gone or self._closed:
                raise ConnectionResetError("The sandbox closed this channel.")
            count = min(len(rest), CHUNK, self._credit)
            self._credit -= count
            part, rest = bytes(rest[:count]), rest[count:]
            await self._send("data", {}, part)

    async def aclose(self) -> None:
        """Close it; whoever reads or writes is told."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        self._on_close()
        if not self._lost:  # a supervisor lets go of a connection when it is told to, and not before
            with contextlib.suppress(ConnectionError):
                await self._send("close", {}, b"")

    async def _wait(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)


_tasks: set[asyncio.Task[None]] = set()


def _background(step: Awaitable[None]) -> None:
    async def do() -> None:
        with contextlib.suppress(ConnectionError):
            await step

    task = asyncio.create_task(do())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


Handler: TypeAlias = Callable[[str, ContainerChannel], Awaitable[None]]


class Channels:
    """All channels of one container.

    Args:
        link: The connection that carries them.
        nonce: What the supervisor's reports carry.
        kinds: Which kinds there may be: ``"proxy"``, ``"tools"``.
        handler: Serves one channel to its end.
    """

    def __init__(self, link: Link, nonce: bytes, kinds: tuple[str, ...], handler: Handler) -> None:
        self._link = link
        self._nonce = nonce
        self._kinds = kinds
        self._handler = handler
        self._open: dict[int, ContainerChannel] = {}
        self._last = 0
        self._serving: set[asyncio.Task[None]] = set()
        link.channels = self.take

    def take(self, frame: Frame) -> None:
        """Take one frame about a channel.

        Raises:
            ProtocolError: If our supervisor would not have sent it.
        """
        if frame.nonce != self._nonce or len(frame.payload) < 4:
            raise ProtocolError("a channel's frame without the nonce, or without its number")
        identity, rest = int.from_bytes(frame.payload[:4], "big"), frame.payload[4:]
        if frame.kind == b"C":
            self._begin(identity, rest.decode("ascii", "replace"))
            return
        channel = self._open.get(identity)
        if channel is None:
            if identity > self._last:
                raise ProtocolError("a channel that was never opened")
            return  # it was closed here while this was on its way
        if frame.kind == b"c":
            channel.feed(rest)
        elif frame.kind == b"x":
            channel.end()
        elif frame.kind == b"y":
            channel.refuse()
        else:
            channel.grant(_count(rest))

    def _begin(self, identity: int, kind: str) -> None:
        if identity <= self._last or kind not in self._kinds:
            raise ProtocolError(f"a channel that may not be: {kind[:20]!r}")
        self._last = identity
        if len(self._open) >= MOST_CHANNELS:
            raise ProtocolError("more channels than there may be")

        async def send(operation: str, fields: dict[str, int], data: bytes) -> None:
            try:
                await self._link.write(encode_request(operation, {**fields, "id": identity}, data), WRITE_S)
            except BROKEN as error:
                raise ConnectionResetError("The sandbox is gone.") from error

        channel = ContainerChannel(identity, send, lambda: self._closed(identity))
        self._open[identity] = channel
        task = asyncio.create_task(self._serve(kind, channel))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _closed(self, identity: int) -> None:
        self._open.pop(identity, None)

    async def _serve(self, kind: str, channel: ContainerChannel) -> None:
        try:
            await self._handler(kind, channel)
        except ConnectionError:
            pass
        except Exception as error:  # noqa: BLE001 - one connection of untrusted code must not end the run
            _log.warning("a %s connection of a sandbox failed: %s", kind, type(error).__name__)
        finally:
            await channel.aclose()

    async def aclose(self) -> None:
        """End what serves them."""
        for channel in list(self._open.values()):
            channel.end(lost=True)
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


def _count(payload: bytes) -> int:
    if len(payload) != 4:
        raise ProtocolError("a channel's credit of the wrong shape")
    return int.from_bytes(payload, "big")
