"""The live connection to one container's supervisor: requests go down, and a task hands on what comes up."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from polyport_sandbox.errors import InvalidRunError, SandboxError, SandboxFileNotFoundError
from polyport_sandbox.types import FileInfo, OutputEvent, RunEvent

from .attachment import Attachment
from .collector import Collector
from .protocol import DockerStreams, Frame, FrameReader, ProtocolError, parse_json

__all__ = ["BROKEN", "CHUNK", "Answer", "Exchange", "Link"]

CHUNK = 1 << 16
CHANNEL_KINDS = frozenset((b"C", b"c", b"x", b"y", b"w"))
BROKEN = (OSError,)


class Link:
    """One container's connection. `sink` gets the frames of whatever is being done now."""

    def __init__(self, connection: Attachment) -> None:
        self._connection = connection
        self._streams = DockerStreams()
        self._frames = FrameReader()
        self._reader: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self.error: Exception | None = None
        self.sink: Callable[[Frame], None] | None = None
        self.channels: Callable[[Frame], None] | None = None
        self.on_end: Callable[[], None] | None = None

    @property
    def said(self) -> str:
        """The end of what the supervisor wrote to its stderr, which it does when it fails."""
        return self._streams.stderr.decode(errors="replace").strip()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended.is_set()

    async def first(self) -> Frame | None:
        """Wait for the supervisor's first frame, before `start`; None if it ended instead."""
        while data := await self._connection.read(CHUNK):
            frame = next(self._frames.feed(self._streams.feed(data)), None)
            if frame is not None:
                return frame
        return None

    def start(self) -> None:
        """Begin to hand on what comes."""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while data := await self._connection.read(CHUNK):
                for frame in self._frames.feed(self._streams.feed(data)):
                    if frame.kind in CHANNEL_KINDS and self.channels is not None:
                        self.channels(frame)
                        continue
                    if self.sink is None:
                        raise ProtocolError(f"a frame {frame.kind!r} that nothing asked for")
                    self.sink(frame)
        except (ProtocolError, *BROKEN) as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - what came up is not trusted, and nothing else notices this task's end
            self.error = ProtocolError(f"a frame that could not be read: {type(error).__name__}")
        finally:
            self._ended.set()
            if self.on_end is not None:
                self.on_end()

    async def write(self, data: bytes, within_s: float) -> None:
        """Send a request, whole and in the order of the calls, also where waiting for that is cancelled."""
        await self._connection.write(data, within_s)

    async def aclose(self) -> None:
        """Stop reading, and close the connection."""
        try:
            if self._reader is not None and self._reader is not asyncio.current_task():
                self._reader.cancel()
                await asyncio.wait({self._reader})
        finally:
            self._connection.close()


@dataclass
class _Output:
    """Output that waits to be read."""

    type: Literal["stdout", "stderr"]
    data: bytearray


class Exchange:
    """One run or cell over a link: its events in their order, as they come.

    What waits here is bounded by the run's limits, which the collector holds it to, so a slow reader holds up neither
    the code nor the connection. Output that waits is put together: a million writes of a byte are not a million events.
    """

    def __init__(self, link: Link, collector: Collector) -> None:
        self._events: deque[RunEvent | _Output] = deque()
        self._grew = asyncio.Event()
        self._over = False
        self._link = link
        self.collector = collector
        link.sink = self._take
        link.on_end = self._end
        if link.ended:
            self._end()

    def _end(self) -> None:
        self._over = True
        self._grew.set()

    def _take(self, frame: Frame) -> None:
        event = self.collector.add(frame)
        if isinstance(event, OutputEvent):
            self._add_output(event)
        elif event is not None:
            self._events.append(event)
        if event is not None:
            self._grew.set()
        if self.collector.done is not None:
            self._end()

    def _add_output(self, event: OutputEvent) -> None:
        last = self._events[-1] if self._events else None
        if isinstance(last, _Output) and last.type == event.type and len(last.data) < CHUNK:
            last.data += event.data
        else:
            self._events.append(_Output(event.type, bytearray(event.data)))

    async def next(self, deadline: float) -> RunEvent | None:
        """Wait for the next event, until `deadline` on the loop's clock; None at the end, of the run or the link.

        Raises:
            TimeoutError: At the deadline.
        """
        while not self._events:
            if self._over:
                return None
            self._grew.clear()
            async with asyncio.timeout_at(deadline):
                await self._grew.wait()
        event = self._events.popleft()
        return OutputEvent(event.type, bytes(event.data)) if isinstance(event, _Output) else event

    async def end(self, deadline: float) -> bool:
        """Wait for the end, past what is left of the events; say whether the run ended rather than the link."""
        while await self.next(deadline) is not None:
            pass
        return self.collector.done is not None


class Answer:
    """One request about a session's files, or its kernels, and what comes back."""

    def __init__(self, link: Link, nonce: bytes, max_bytes: int = 0) -> None:
        self._nonce = nonce
        self._most = max_bytes
        self._size: int | None = None
        self._done: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.content = bytearray()
        self.entries: list[FileInfo] = []
        self._link = link
        link.sink = self._take
        link.on_end = self._lost
        if link.ended:
            self._lost()

    def _lost(self) -> None:
        if not self._done.done():
            self._done.set_exception(self._link.error or EOFError())
            self._done.exception()  # seen, where nobody waits any more

    def _take(self, frame: Frame) -> None:
        if frame.nonce != self._nonce:
            raise ProtocolError("a frame without the session's nonce")
        if frame.kind == b"F" and self._size is None:
            size = (parse_json(frame.payload, list) or [None])[-1]
            if type(size) is not int or not 0 <= size <= self._most:
                raise ProtocolError("a file larger than was asked for")
            self._size = size
        elif frame.kind == b"B" and len(self.content) + len(frame.payload) <= (self._size or 0):
            self.content += frame.payload
        elif frame.kind == b"L" and len(self.entries) < 8192:
            self._take_entries(frame.payload)
        elif frame.kind == b"D" and not self._done.done():
            self._done.set_result(parse_json(frame.payload, dict))
        elif frame.kind == b"X":
            raise ProtocolError(f"the session could not be set up: {frame.payload[:300].decode(errors='replace')}")
        elif frame.kind != b"S":
            raise ProtocolError(f"a frame {frame.kind!r} out of order")

    def _take_entries(self, payload: bytes) -> None:
        try:
            for name, size, modified, is_folder in parse_json(payload, list):
                self.entries.append(FileInfo(str(name), int(size), float(modified), bool(is_folder)))
        except (TypeError, ValueError, OverflowError) as error:
            raise ProtocolError("a list of files of the wrong shape") from error

    async def end(self, name: str, within_s: float) -> None:
        """Wait for the answer.

        Raises:
            SandboxFileNotFoundError: If there is no such file.
            InvalidRunError: If it is too large.
            SandboxError: If it could not be done.
        """
        async with asyncio.timeout(within_s):
            done = await asyncio.shield(self._done)  # who gives up waiting may wait again
        failed = done.get("failed")
        if failed is None:
            return
        what, _, more = str(failed)[:300].partition(":")
        shown = json.dumps(name[:80], ensure_ascii=False)
        if what == "not_found":
            raise SandboxFileNotFoundError(f"The session has no regular file {shown}.")
        if what == "too_large":
            raise InvalidRunError(
                f"The file {shown} has {more} bytes, and at most {self._most} were asked for.", param="max_bytes"
            )
        raise SandboxError(f"This could not be done: {more or what}.")
