"""Both ends of a channel in memory, as a sandbox's supervisor would hold them."""

from __future__ import annotations

import asyncio


class MemoryChannel:
    """One end; what is written at one comes out at the other. At most `room` bytes lie between."""

    def __init__(self, room: int = 1 << 20) -> None:
        self.other: MemoryChannel = self
        self.room = room
        self.arrived = bytearray()
        self.closed = False
        self.changed = asyncio.Condition()

    async def read(self, max_bytes: int) -> bytes:
        async with self.changed:
            await self.changed.wait_for(lambda: self.arrived or self.closed or self.other.closed)
            if self.closed:
                return b""
            data = bytes(self.arrived[:max_bytes])
            del self.arrived[:max_bytes]
            self.changed.notify_all()
            return data

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            async with self.other.changed:
                await self.other.changed.wait_for(
                    lambda: len(self.other.arrived) < self.room or self.closed or self.other.closed
                )
                if self.closed or self.other.closed:
                    raise ConnectionResetError("the channel is closed")
                part = view[: self.room - len(self.other.arrived)]
                self.other.arrived += part
                view = view[len(part) :]
                self.other.changed.notify_all()

    async def aclose(self) -> None:
        self.closed = True
        for end in (self, self.other):
            async with end.changed:
                end.changed.notify_all()

    async def read_all(self) -> bytes:
        parts = []
        while part := await self.read(65536):
            parts.append(part)
        return b"".join(parts)

    async def read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = await self.read(count - len(data))
            if not part:
                raise EOFError(data)
            data += part
        return data


def channel_pair(room: int = 1 << 20) -> tuple[MemoryChannel, MemoryChannel]:
    one, two = MemoryChannel(room), MemoryChannel(room)
    one.other, two.other = two, one
    return one, two


class StreamChannel:
    """A channel over asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int) -> bytes:
        try:
            return await self._reader.read(max_bytes)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.close()
