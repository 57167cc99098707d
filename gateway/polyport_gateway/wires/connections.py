"""Connections whose client never finishes asking: uvicorn's HTTP/1.1 with the limits that it leaves out.

Only whoever serves over HTTP imports this; it needs uvicorn and httptools.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from polyport_gateway.wires.transport import GatheringTransport

__all__ = ["PatientProtocol", "close_stalled"]

_LARGEST_HEAD = 64 * 1024
_SWEEP_S = 1.0
_REFUSAL = (
    b'{"error":{"message":"The request head is larger than 65536 bytes.","type":"invalid_request_error",'
    b'"param":null,"code":"head_too_large"}}'
)


class PatientProtocol(HttpToolsProtocol):
    """One connection: it knows for how long its client has owed the rest of a request's head.

    uvicorn waits for that for ever, and keeps all that comes. Bodies are timed and measured by `read_body`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owing_since: float | None = None
        self._head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(cast("Any", GatheringTransport(transport, self.loop)))
        self._owing_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the head has grown too large."""
        if self._head_bytes:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self._refuse()
                return
        super().data_received(data)
        if self._head_bytes == -1:
            self._head_bytes = len(data)

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        super().on_message_begin()
        if self._owing_since is None:
            self._owing_since = self.loop.time()
        self._head_bytes = -1

    def on_headers_complete(self) -> None:
        """Note that it is whole."""
        self._owing_since = None
        self._head_bytes = 0
        super().on_headers_complete()

    def close_if_stalled(self, now: float, patience_s: float) -> None:
        """Close the connection if its client has owed the rest of a head for too long."""
        if self._owing_since is not None and now - self._owing_since > patience_s:
            self.transport.close()

    def _refuse(self) -> None:
        head = (
            "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
            f"content-length: {len(_REFUSAL)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + _REFUSAL)
        self.transport.close()


async def close_stalled(server: Any, patience_s: float) -> None:
    """Close, until cancelled, each of a uvicorn server's connections that stalls."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(min(_SWEEP_S, patience_s))
        now = loop.time()
        for connection in list(server.server_state.connections):
            if isinstance(connection, PatientProtocol):
                connection.close_if_stalled(now, patience_s)
