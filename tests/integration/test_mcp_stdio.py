"""MCP over standard input and output: both revisions, and functions that print."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from tests.integration.mcp_serving import BOTH, LEGACY, MODERN, modern

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("mcp_stdio_app.py")


class Peer:
    """The other end of the pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def send(self, message: Any) -> None:
        assert self.process.stdin is not None
        line = message if isinstance(message, str) else json.dumps(message)
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            return json.loads(await self.process.stdout.readline())  # type: ignore[no-any-return]


@asynccontextmanager
async def spawned(revision: str, **options: Any) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=options.get("stderr", subprocess.DEVNULL),
        env=dict(os.environ),
    )
    peer = Peer(process)
    try:
        if revision == LEGACY:
            hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            await peer.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
            assert (await peer.receive())["result"]["serverInfo"]["name"] == "stdio"
            await peer.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield peer
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def call(revision: str, name: str, arguments: Any = None, *, number: int = 1) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments or {}}
    if revision == MODERN:
        return {**modern("tools/call", params), "id": number}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


@pytest.mark.parametrize("revision", BOTH)
async def test_what_functions_print_never_meets_the_protocol(revision: str) -> None:
    async with spawned(revision) as peer:
        await peer.send(call(revision, "shout", {"megabytes": 100}))
        answer = await peer.receive()
        assert (answer["id"], answer["result"]["content"][0]["text"]) == (1, "printed")
        await peer.send(call(revision, "read", number=2))
        assert (await peer.receive())["result"]["content"] == []


async def test_what_functions_print_is_on_standard_error() -> None:
    async with spawned(LEGACY, stderr=subprocess.PIPE) as peer:
        await peer.send(call(LEGACY, "shout", {"megabytes": 0}))
        await peer.receive()
        assert peer.process.stderr is not None
        seen = b""
        async with asyncio.timeout(10):
            while b"from a child" not in seen:
                seen += await peer.process.stderr.readline()


@pytest.mark.parametrize("revision", BOTH)
async def test_a_cancelled_call_is_never_answered(revision: str) -> None:
    async with spawned(revision) as peer:
        slow = call(revision, "slow", number=5)
        slow["params"].setdefault("_meta", {})["progressToken"] = "t"
        await peer.send(slow)
        assert (await peer.receive())["method"] == "notifications/progress"
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
        await peer.send(cancel)
        await peer.send(call(revision, "read", number=6))
        assert (await peer.receive())["id"] == 6


async def test_nonsense_between_messages_is_survived() -> None:
    async with spawned(LEGACY) as peer:
        await peer.send("this is not JSON")
        await peer.send('{"jsonrpc": "2.0"}')
        await peer.send(call(LEGACY, "read", number=3))
        assert (await peer.receive())["id"] == 3


@pytest.mark.parametrize("revision", BOTH)
async def test_another_makers_client_can_be_asked(revision: str) -> None:
    async def on_elicit(message: str, response_type: Any, params: Any, context: Any) -> Any:
        return {"name": "Ada"}

    transport = StdioTransport(sys.executable, [str(SCRIPT)], env=dict(os.environ))
    mode = "legacy" if revision == LEGACY else MODERN
    async with Client(transport, mode=mode, timeout=30, elicitation_handler=on_elicit) as client:
        assert (await client.call_tool("ask")).content[0].text == "Ada"
