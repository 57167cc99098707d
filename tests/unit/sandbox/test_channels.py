"""Channels held to their credit, against a supervisor that may say anything."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest

from polyport_sandbox.docker.channels import Channels, ContainerChannel
from polyport_sandbox.docker.link import Link
from polyport_sandbox.docker.protocol import Frame, ProtocolError

NONCE = b"n" * 16
WINDOW = 1 << 18

pytestmark = pytest.mark.anyio


class Wire:
    """Takes what goes down."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, object], bytes]] = []

    async def write(self, data: bytes, timeout: float | None = None) -> None:
        size = int.from_bytes(data[:4], "big")
        self.sent.append((json.loads(data[4 : 4 + size]), data[4 + size :]))

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return b""

    async def aclose(self) -> None:
        return None

    def bytes_of(self, operation: str) -> bytes:
        return b"".join(data for header, data in self.sent if header["op"] == operation)


def frame(kind: bytes, identity: int, rest: bytes = b"", nonce: bytes = NONCE) -> Frame:
    return Frame(kind, nonce, struct.pack(">I", identity) + rest)


class Host:
    """One channel after another, kept where a test can reach them."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.opened: asyncio.Queue[ContainerChannel] = asyncio.Queue()
        self.over = asyncio.Event()
        self.channels = Channels(Link(self.wire), NONCE, ("tools",), self.serve)

    async def serve(self, kind: str, channel: ContainerChannel) -> None:
        assert kind == "tools"
        self.opened.put_nowait(channel)
        await self.over.wait()

    async def open(self, identity: int) -> ContainerChannel:
        self.channels.take(frame(b"C", identity, b"tools"))
        return await asyncio.wait_for(self.opened.get(), 5)


async def test_bytes_come_in_order_and_end():
    host = Host()
    channel = await host.open(1)
    reading = asyncio.create_task(channel.read(3))
    await asyncio.sleep(0)
    reading.cancel()  # loses nothing
    for part in (b"abcd", b"ef"):
        host.channels.take(frame(b"c", 1, part))
    host.channels.take(frame(b"x", 1))
    assert [await channel.read(3), await channel.read(10), await channel.read(10)] == [b"abc", b"def", b""]
    await channel.write(b"answer")
    await channel.aclose()
    await channel.aclose()
    assert host.wire.bytes_of("data") == b"answer"
    assert [header["op"] for header, _ in host.wire.sent] == ["data", "close"]
    with pytest.raises(ConnectionError):
        await channel.write(b"more")
    await host.channels.aclose()


async def test_a_writer_waits_for_credit_and_is_told_of_the_end():
    host = Host()
    channel = await host.open(1)
    writing = asyncio.create_task(channel.write(b"x" * (WINDOW + 10)))
    await asyncio.sleep(0.05)
    assert not writing.done()
    assert len(host.wire.bytes_of("data")) == WINDOW
    host.channels.take(frame(b"w", 1, struct.pack(">I", WINDOW)))
    await asyncio.wait_for(writing, 5)
    assert len(host.wire.bytes_of("data")) == WINDOW + 10
    stuck = asyncio.create_task(channel.write(b"x" * WINDOW))
    await asyncio.sleep(0.05)
    host.channels.take(frame(b"y", 1))
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(stuck, 5)
    await host.channels.aclose()


async def test_what_was_read_is_given_credit_for():
    host = Host()
    channel = await host.open(1)
    for _ in range(4):
        host.channels.take(frame(b"c", 1, b"x" * (WINDOW // 4)))
    with pytest.raises(ProtocolError, match="credit"):
        host.channels.take(frame(b"c", 1, b"x"))
    read = 0
    while read < WINDOW:
        read += len(await channel.read(WINDOW))
    await asyncio.sleep(0.05)
    assert sum(int(str(header["count"])) for header, _ in host.wire.sent if header["op"] == "credit") == WINDOW
    await host.channels.aclose()


@pytest.mark.parametrize(
    "wrong",
    [
        frame(b"C", 2, b"proxy"),
        frame(b"C", 2, b"\xff"),
        frame(b"C", 1, b"tools"),
        frame(b"C", 2, b"tools", nonce=bytes(16)),
        frame(b"c", 2, b"x"),
        frame(b"w", 1, b"x"),
        frame(b"w", 1, struct.pack(">I", 1)),
        Frame(b"c", NONCE, b""),
    ],
)
async def test_what_our_supervisor_would_not_send_is_not_believed(wrong: Frame):
    host = Host()
    await host.open(1)
    with pytest.raises(ProtocolError):
        host.channels.take(wrong)
    await host.channels.aclose()


async def test_more_channels_than_there_may_be_are_not_believed():
    host = Host()
    for identity in range(1, 33):
        await host.open(identity)
    with pytest.raises(ProtocolError, match="more channels"):
        await host.open(33)
    await host.channels.aclose()


async def test_a_connection_that_is_over_on_its_side_is_let_go_of_all_the_same():
    """Else the supervisor keeps it for ever, and takes no more connections after so many."""
    host = Host()
    channel = await host.open(1)
    host.channels.take(frame(b"x", 1))
    host.channels.take(frame(b"y", 1))
    await channel.aclose()
    assert [header["op"] for header, _ in host.wire.sent] == ["close"]
    host.over.set()
    await host.channels.aclose()
