"""Connections whose client never finishes asking, or never reads: uvicorn's HTTP/1.1 with the limits it leaves out.

Only whoever serves over HTTP imports this; it needs uvicorn and httptools.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from polyport.errors import BadRequestError
from polyport_gateway.wires.access import new_request_id
from polyport_gateway.wires.json_bodies import to_json
from polyport_gateway.wires.transport import GatheringTransport

__all__ = ["PatientProtocol", "close_stalled"]

_LARGEST_HEAD = 64 * 1024
_SWEEP_S = 1.0
_REASONS = {400: "Bad Request", 431: "Request Header Fields Too Large"}


class PatientProtocol(HttpToolsProtocol):
    """One connection: for how long its client has owed the rest of a request's head, or taken nothing of an answer.

    uvicorn waits for either for ever. Bodies are timed and measured by `read_body`. A call whose answer nobody takes
    stands still where no deadline reaches it, and would keep its place among the calls under way.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owing_since: float | None = None
        self._head_bytes = 0
        self._unsent: float = 0
        self._unread_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(cast("Any", GatheringTransport(transport, self.loop)))
        self._owing_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the head has grown too large."""
        if self._head_bytes:
            self._head_bytes += len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self._refuse(431, "head_too_large", f"The request head is larger than {_LARGEST_HEAD} bytes.")
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

    def resume_writing(self) -> None:
        """Note that the client has taken something: by the next look the buffer may be as full as before."""
        self._unsent = math.inf
        super().resume_writing()  # type: ignore[no-untyped-call, unused-ignore]

    def close_if_stalled(self, now: float, patience_s: float) -> None:
        """Close the connection if its client has owed the rest of a head, or taken nothing, for too long."""
        if self._owing_since is not None and now - self._owing_since > patience_s:
            self.transport.close()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > patience_s:
            # Closing would wait until the rest has been taken.
            self.transport.abort()
        self._unsent = unsent

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as any other request is refused."""
        self._refuse(400, "invalid_request", "The request is not valid HTTP/1.1.")

    def _should_upgrade_to_ws(self) -> bool:
        # Nothing here speaks WebSocket; RFC 9110 lets a server answer as if no upgrade had been asked for.
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a client that offers an upgrade is no concern of the operator's."""

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = to_json({"error": BadRequestError(message, code=code, status=status).body()})
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\nx-request-id: {new_request_id()}\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
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
