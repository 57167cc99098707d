from __future__ import annotations

import asyncio
from typing import Any

import pytest

from polyport_gateway.embedded import new_event_loop
from polyport_gateway.wires.transport import GatheringTransport


class _Server(asyncio.Protocol):
    def __init__(self, made: asyncio.Future[Any]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.set_result(transport)


async def _connected() -> tuple[asyncio.Transport, asyncio.StreamReader, asyncio.StreamWriter, asyncio.Server]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Transport] = loop.create_future()
    server = await loop.create_server(lambda: _Server(made), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    return await made, reader, writer, server


@pytest.mark.parametrize("loop_factory", [new_event_loop, asyncio.new_event_loop], ids=["fastest", "asyncio"])
def test_what_is_written_as_the_client_leaves_is_dropped_in_silence(loop_factory: Any) -> None:
    troubles: list[dict[str, Any]] = []

    async def leave() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: troubles.append(context))
        transport, _, writer, server = await _connected()
        gathering = GatheringTransport(transport, loop)
        transport.close()  # as the loop does by itself at the end of the client's side
        gathering.write(b"too late")
        await asyncio.sleep(0.02)
        writer.close()
        server.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(leave())
    assert troubles == []


@pytest.mark.parametrize("loop_factory", [new_event_loop, asyncio.new_event_loop], ids=["fastest", "asyncio"])
def test_what_is_pending_goes_out_before_it_closes(loop_factory: Any) -> None:
    async def say_and_close() -> bytes:
        transport, reader, writer, server = await _connected()
        gathering = GatheringTransport(transport, asyncio.get_running_loop())
        gathering.write(b"one ")
        gathering.write(b"two")
        gathering.close()
        said = await reader.read()
        writer.close()
        server.close()
        return said

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(say_and_close()) == b"one two"
