"""`Transport`: one pool of HTTP connections to one upstream.

The only module here that needs aiohttp, so that nothing imports it before it is used.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Mapping

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from polyport_gateway.engines.failures import broken_off, invalid, silent, unreachable

__all__ = ["Transport"]

_log = logging.getLogger("polyport.engines")

_KEEPALIVE_S = 30.0
_RETRIES = 2
_LARGE_BODY = 1024 * 1024
_SKIPPED = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)


class _StaleConnectionError(Exception):
    """A pooled connection turned out to have been closed by the other side before it answered."""


class _Response(aiohttp.ClientResponse):
    """Knows whether its connection had served before: only then may a request be sent again."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        seen = vars(connection.protocol)
        reused = seen.get("_polyport_used", False)
        seen["_polyport_used"] = True
        try:
            return await super().start(connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if reused:
                raise _StaleConnectionError from error
            raise


class Transport:
    """Posts JSON and hands back the answer, its failures told as `CallError`.

    Must be made on the event loop that it is used on.

    Args:
        headers: Sent with every request.
        timeout_s: Seconds for which the upstream may send nothing; None for ever.
        connect_timeout_s: Seconds that a new connection may take.
        max_connections: Connections open at a time; 0 for no limit. Further calls wait.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        timeout_s: float | None,
        connect_timeout_s: float,
        max_connections: int,
    ) -> None:
        self._timeout_s = timeout_s
        # No total: the call's own deadline is the dispatcher's to keep.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=timeout_s)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=timeout,
            response_class=_Response,
            skip_auto_headers=_SKIPPED,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(
        self, name: str, url: URL, payload: bytes, request_id: str, traceparent: str | None
    ) -> aiohttp.ClientResponse:
        """Post a JSON body and return the answer once its head has arrived; the caller closes it.

        A request is sent again only when a pooled connection was found closed before any of the
        answer came, as RFC 9110 section 9.2.2 allows.

        Raises:
            CallError: No answer came.
        """
        headers = CIMultiDict({"x-request-id": request_id})
        if traceparent is not None:
            headers["traceparent"] = traceparent
        attempt = 0
        while True:
            # aiohttp warns of large bodies given as bytes: it would copy them to the socket in one go.
            data = payload if len(payload) <= _LARGE_BODY else io.BytesIO(payload)
            try:
                return await self._session.post(url, data=data, headers=headers, allow_redirects=False)
            except (_StaleConnectionError, aiohttp.ClientConnectionResetError) as error:
                attempt += 1
                if attempt > _RETRIES:
                    raise broken_off(name) from error
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                _log.warning("upstream of %r at %s: %s", name, url.origin(), type(error).__name__)
                raise unreachable(name) from error
            except TimeoutError as error:
                raise silent(name, self._timeout_s) from error
            except aiohttp.ClientResponseError as error:
                raise invalid(name, "it is not HTTP") from error
            except (aiohttp.ClientError, OSError) as error:
                raise broken_off(name) from error

    async def read(self, name: str, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            CallError: It has more than `limit` bytes, or didn't arrive whole.
        """
        length = response.content_length
        if length is not None and length > limit:
            raise invalid(name, f"it has {length} bytes; the limit is {limit}")
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read_some(name, response):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise invalid(name, f"it has more than {limit} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_some(self, name: str, response: aiohttp.ClientResponse) -> bytes:
        """Return the next piece of the body as it arrives; nothing at its end.

        Raises:
            CallError: It broke off, or nothing came for too long.
        """
        try:
            return await response.content.readany()
        except TimeoutError as error:
            raise silent(name, self._timeout_s) from error
        except (aiohttp.ClientError, OSError) as error:
            raise broken_off(name) from error

    async def finish(self, response: aiohttp.ClientResponse, *, within_s: float) -> None:
        """Read to the end what should have ended, so that the connection can serve again."""
        if response.content.at_eof():
            return
        try:
            async with asyncio.timeout(within_s):
                await response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return
