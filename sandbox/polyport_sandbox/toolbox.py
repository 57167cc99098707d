r"""Code mode: what runs in a sandbox calls tools of the host, and only that way round.

Inside, the module ``polyport_tools`` (its source is `inside.sources.tools_module`) connects to the abstract Unix socket
``\0polyport-tools``; the supervisor hands each connection to the host, where `serve_tools` answers it.

Frames are a length of four bytes, big-endian, and that much JSON. One request is answered before the next is sent::

    {"op": "tools"}                                     → {"tools": [{"name", "description", "input"}, …]}
    {"op": "call", "name": …, "arguments": {…}}         → {"result": …} or {"error": "message"}

Nothing is ever sent inwards but the answer to a request. All that comes from inside is untrusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyport.errors import CallError, PolyportError

from .base import Channel
from .errors import InvalidRunError
from .types import ToolDescription, ToolHost

__all__ = ["TOOLS_ADDRESS", "BoundedToolHost", "ToolLimits", "serve_tools"]

_log = logging.getLogger(__name__)

TOOLS_ADDRESS = "\0polyport-tools"
CHUNK = 65536
DRAIN_BYTES = 64 << 20  # how much of a request that is too large is read, so that its sender hears why it was refused
LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class ToolLimits:
    """What the code may ask of the tools.

    Args:
        calls: Calls in one run, or in one cell of a session.
        in_flight: Calls at once; others wait.
        request_bytes: Bytes of one call's arguments.
        response_bytes: Bytes of one result.
    """

    calls: int = 1000
    in_flight: int = 8
    request_bytes: int = 1 << 20
    response_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidRunError(f"{name} is {value!r}; it must be a whole number of at least 1", param=name)


class BoundedToolHost:
    """Another `ToolHost`, with its calls counted, checked and bounded over all connections of a run.

    Args:
        host: What answers.
        limits: How much it answers.
    """

    def __init__(self, host: ToolHost, limits: ToolLimits | None = None) -> None:
        self._host = host
        self.limits = limits or ToolLimits()
        self._left = self.limits.calls
        self._places = asyncio.Semaphore(self.limits.in_flight)
        self._described: dict[str, ToolDescription] | None = None
        self._listing: bytes | None = None

    def renew(self) -> None:
        """Count from the start again, for the next cell."""
        self._left = self.limits.calls

    def describe(self) -> Sequence[ToolDescription]:
        """The tools there are; the host is asked once."""
        return list(self._tools().values())

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call one.

        Raises:
            PolyportError: What the host raises; and for an unknown tool, and a call too many.
        """
        if name not in self._tools():
            known = ", ".join(sorted(self._tools())) or "none"
            raise InvalidRunError(f"There is no tool {name[:100]!r}; there are: {known}")
        if self._left <= 0:
            raise InvalidRunError(f"This run has made its {self.limits.calls} tool calls; no more are allowed.")
        self._left -= 1
        async with self._places:
            return await self._host.call(name, arguments)

    def described(self) -> bytes:
        """The answer to who asks what tools there are, written once however often that is."""
        if self._listing is None:
            listing = [{"name": t.name, "description": t.description, "input": dict(t.input)} for t in self.describe()]
            self._listing = _written({"tools": listing}, self.limits.response_bytes)
        return self._listing

    def _tools(self) -> dict[str, ToolDescription]:
        if self._described is None:
            self._described = {tool.name: tool for tool in self._host.describe()}
        return self._described


async def serve_tools(stream: Channel, host: ToolHost, *, limits: ToolLimits | None = None) -> None:
    """Answer one connection of a sandbox until it is closed; a call in progress is then cancelled.

    Args:
        stream: The connection. It is closed at the end.
        host: What answers. The bound on calls holds over all connections if all are served with the same
            `BoundedToolHost`, as `Sandbox` makes one for each run; another host gets one for this connection.
        limits: The host's own when None.
    """
    bounded = host if isinstance(host, BoundedToolHost) and limits is None else BoundedToolHost(host, limits)
    connection = _Connection(stream, bounded.limits)
    try:
        while (request := await connection.receive()) is not None:
            answering = asyncio.create_task(_answer(request, bounded))
            try:
                await connection.send(await connection.while_open(answering))
            finally:
                answering.cancel()
                await asyncio.wait({answering})
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # its end closed, or it broke the protocol: there is nobody to tell
    finally:
        with contextlib.suppress(ConnectionError):
            await stream.aclose()


class _Connection:
    """Frames over a channel, each within its bounds."""

    def __init__(self, stream: Channel, limits: ToolLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._buffer = bytearray()

    async def receive(self) -> bytes | None:
        """The next request; None at the end. One that is too large is skipped and answered here."""
        while True:
            if not self._buffer and not await self._fill():
                return None
            (length,) = LENGTH.unpack(await self._exactly(LENGTH.size))
            if length <= self._limits.request_bytes:
                return await self._exactly(length)
            if length > DRAIN_BYTES:
                raise ConnectionError("a request far too large")
            await self._skip(length)
            most = self._limits.request_bytes
            message = f"The call has {length} bytes of arguments, more than the {most} allowed."
            await self.send(_written({"error": message}, self._limits.response_bytes))

    async def send(self, answer: bytes) -> None:
        """Send an answer."""
        await self._stream.write(LENGTH.pack(len(answer)) + answer)

    async def while_open(self, answering: asyncio.Task[bytes]) -> bytes:
        """Wait for an answer for as long as the other end waits for it too.

        Raises:
            ConnectionError: If it closed its end, or spoke out of turn.
        """
        if self._buffer:
            raise ConnectionError("a second request before the answer to the first")
        watching = asyncio.create_task(self._stream.read(1))
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise ConnectionError("closed, or a second request before the answer to the first")
            return answering.result()
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            if not watching.cancelled() and watching.exception() is None:
                self._buffer += watching.result()

    async def _fill(self) -> bool:
        data = await self._stream.read(CHUNK)
        self._buffer += data
        return bool(data)

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not await self._fill():
                raise asyncio.IncompleteReadError(bytes(self._buffer), count)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _skip(self, count: int) -> None:
        while count:
            if not self._buffer and not await self._fill():
                raise asyncio.IncompleteReadError(b"", count)
            passed = min(count, len(self._buffer))
            del self._buffer[:passed]
            count -= passed


async def _answer(data: bytes, host: BoundedToolHost) -> bytes:
    """Answer one request; what goes wrong becomes a message."""
    name = "?"
    try:
        request = _parse(data)
        if request["op"] == "tools":
            return host.described()
        name = request["name"]
        answer = {"result": await host.call(name, request["arguments"])}
    except PolyportError as error:
        answer = {"error": error.message if isinstance(error, CallError) else str(error)}
    except Exception:  # noqa: BLE001 - it becomes an answer, and its cause is logged
        _log.exception("a tool that sandboxed code called failed: %r", name[:100])
        answer = {"error": "The tool failed."}
    return _written(answer, host.limits.response_bytes)


def _written(answer: Mapping[str, Any], most: int) -> bytes:
    """Write an answer, or why it can't be sent."""
    try:
        data = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        _log.warning("a tool's result can't be written as JSON")
        return b'{"error":"The tool gave a result that is not JSON."}'
    if len(data) > most:
        return json.dumps({"error": f"The result has {len(data)} bytes, more than the {most} allowed."}).encode()
    return data


def _parse(data: bytes) -> dict[str, Any]:
    try:
        request = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidRunError("The request is not JSON.") from error
    if not isinstance(request, dict) or request.get("op") not in ("tools", "call"):
        raise InvalidRunError("The request must have the 'op' 'tools' or 'call'.")
    if request["op"] == "call" and not (
        isinstance(request.get("name"), str) and isinstance(request.get("arguments"), dict)
    ):
        raise InvalidRunError("A call must have a 'name' and an object of 'arguments'.")
    return request
