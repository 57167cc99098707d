"""A sandbox's only way out: an HTTP proxy on the host that reaches the hosts of an allow-list and nothing else.

A sandbox has no network. Its supervisor forwards what connects to a port on its loopback, one `Channel` for each
connection, and `serve_proxy` is the other end: it takes ``CONNECT`` (for TLS) and absolute-form requests of plain HTTP.

- A host is allowed by its name and port. The name is looked up here, once, and the connection goes to the very address
  that was checked, so a name that changes its address between two look-ups gains nothing.
- An address that is not publicly routable is refused, whatever name led to it: loopback, private and link-local
  networks, the metadata services of clouds, and every way to write those (see `addresses.is_public`).
- A tunnel is opaque, but a TLS client that names its server (SNI) must name the host it asked for: another would be
  let in by a server that serves both. What is encrypted, the ``Host`` inside it too, can't be seen: allow a content
  network's host and you allow what stands behind the same front.
- Plain HTTP is read and written anew, one request for each connection, and its ``Host`` must be the target's. A
  redirect is only an answer: where the client follows it, it asks here again.
- Heads, bytes and seconds are bounded. Logged are host, port, bytes and the decision; never a path, header or content.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from polyport_sandbox.base import Channel

from .addresses import is_public
from .hosts import AllowedHost, normal_host, parse_allow_hosts
from .http_head import BadMessageError, Head, parse_request
from .relay import Closed, Meter, NothingError, exchange, read_head, tunnel

__all__ = ["Network", "ProxyLimits", "serve_proxy"]

_log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class ProxyLimits:
    """What one connection may take.

    Args:
        head_bytes: Bytes of a request's or response's head.
        head_s: Seconds until a request's head is there.
        connect_s: Seconds for the look-up, and again for the connection.
        idle_s: Seconds in which nothing moves either way.
        total_s: Seconds altogether.
        total_bytes: Bytes altogether, both ways together.
    """

    head_bytes: int = 16384
    head_s: float = 15.0
    connect_s: float = 10.0
    idle_s: float = 60.0
    total_s: float = 3600.0
    total_bytes: int = 256 << 20


async def resolve(host: str, port: int) -> list[Address]:
    """Look a name up as this machine does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


async def connect(address: Address, port: int) -> Streams:
    """Connect to an address."""
    return await asyncio.open_connection(str(address), port)


@dataclass(frozen=True)
class Network:
    """How the proxy reaches the world.

    Args:
        resolve: Looks a name up.
        connect: Connects to an address.
        is_public: Which addresses it may connect to.
    """

    resolve: Callable[[str, int], Awaitable[Sequence[Address]]] = resolve
    connect: Callable[[Address, int], Awaitable[Streams]] = connect
    is_public: Callable[[Address], bool] = is_public


@dataclass
class _Record:
    """What is logged of one connection."""

    host: str = "-"
    port: int = 0
    decision: str = "closed"
    meter: Meter = field(default_factory=lambda: Meter(0, 1.0))


class _RefusedError(Exception):
    """The answer to a request that is not served."""

    def __init__(self, status: str, decision: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.decision = decision
        self.text = text


async def serve_proxy(
    stream: Channel,
    allow_hosts: Sequence[str] | Sequence[AllowedHost],
    *,
    limits: ProxyLimits | None = None,
    network: Network | None = None,
) -> None:
    """Serve one connection of a sandbox to its proxy, until it ends.

    Args:
        stream: The connection. It is closed at the end.
        allow_hosts: What it may reach, as in `RunRequest.allow_hosts`.
        limits: What it may take.
        network: How the world is reached.

    Raises:
        InvalidRunError: If an entry of `allow_hosts` is malformed.
    """
    allowed = tuple(entry for entry in allow_hosts if isinstance(entry, AllowedHost)) or parse_allow_hosts(
        [entry for entry in allow_hosts if isinstance(entry, str)]
    )
    limits = limits or ProxyLimits()
    record = _Record(meter=Meter(limits.total_bytes, limits.idle_s))
    try:
        async with asyncio.timeout(limits.total_s):
            await _serve(stream, allowed, limits, network or Network(), record)
    except TimeoutError:
        record.decision = "timeout"
    except Closed as error:
        record.decision = str(error) or record.decision
    except OSError:
        pass  # one end broke off: there is nobody left to tell
    finally:
        _log.log(
            logging.DEBUG if record.decision == "closed" else logging.INFO,
            "sandbox proxy: host=%s port=%d decision=%s bytes_up=%d bytes_down=%d",
            record.host, record.port, record.decision, record.meter.up, record.meter.down,
        )  # fmt: skip
        with contextlib.suppress(OSError):
            await stream.aclose()


async def _serve(
    stream: Channel, allowed: Sequence[AllowedHost], limits: ProxyLimits, network: Network, record: _Record
) -> None:
    try:
        head, rest = await _request(stream, limits)
        host, port, path = _target(head)
        record.host, record.port = host, port
        _check_allowed(host, port, allowed)
        reader, writer = await _connected(host, port, limits, network)
    except _RefusedError as error:
        record.decision = error.decision
        await _refuse(stream, error)
        return
    record.decision = "allowed"
    try:
        if path is None:
            await tunnel(stream, rest, reader, writer, host=host, meter=record.meter)
        else:
            await exchange(
                stream, rest, reader, writer, head, path, record.meter, host=_authority(host, port, 80),
                head_bytes=limits.head_bytes,
            )  # fmt: skip
    except BadMessageError as error:
        record.decision = "bad message"
        await _refuse(stream, _RefusedError("502 Bad Gateway", "bad message", f"From {host}: {error}."))
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


async def _request(stream: Channel, limits: ProxyLimits) -> tuple[Head, bytes]:
    try:
        async with asyncio.timeout(limits.head_s):
            data, rest = await read_head(stream.read, limits.head_bytes)
        return parse_request(data), rest
    except NothingError:
        raise Closed from None
    except TimeoutError:
        raise _RefusedError("408 Request Timeout", "timeout", "The request did not arrive in time.") from None
    except BadMessageError as error:
        raise _RefusedError("400 Bad Request", "bad message", f"The request can't be read: {error}.") from None


def _target(head: Head) -> tuple[str, int, bytes | None]:
    """Where a request goes: the host, the port, and the path of plain HTTP."""
    if head.method == b"CONNECT":
        host, port = _split(head.target, None)
        if head.body.kind != "none":
            raise _bad("a CONNECT has no body")
        return host, port, None
    scheme, separator, after = head.target.partition(b"://")
    if not separator:
        raise _bad("this is a proxy: ask with the whole URL, or with CONNECT")
    if scheme.lower() != b"http":
        raise _bad("only http:// URLs can be asked for so; for https use CONNECT")
    ends = min((at for at in map(after.find, (b"/", b"?", b"#")) if at >= 0), default=len(after))
    authority, path = after[:ends], after[ends:]
    if b"#" in path:
        raise _bad("the URL has a fragment")
    host, port = _split(authority, 80)
    named = head.values(b"host")
    if len(named) != 1 or _split(named[0], 80) != (host, port):
        raise _bad("the Host header is not the URL's host")
    return host, port, path if path.startswith(b"/") else b"/" + path


def _split(authority: bytes, default_port: int | None) -> tuple[str, int]:
    """Take a host and port apart."""
    text = authority.decode("latin-1")
    if "@" in text:
        raise _bad("the URL has a user name")
    name, colon, digits = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        name, digits = text, "" if default_port is None else str(default_port)
    host = normal_host(name) if text.isascii() else None
    if host is None or (":" in host and not name.startswith("[")):
        raise _bad("the host is malformed")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        raise _bad("the port is missing or malformed")
    return host, int(digits)


def _bad(problem: str) -> _RefusedError:
    return _RefusedError("400 Bad Request", "bad message", f"The request can't be served: {problem}.")


def _check_allowed(host: str, port: int, allowed: Sequence[AllowedHost]) -> None:
    if not any(entry.allows(host, port) for entry in allowed):
        raise _RefusedError(
            "403 Forbidden",
            "not allowed",
            f"This sandbox may not reach {_authority(host, port, 443)}: it is not in allow_hosts of the run.",
        )


async def _connected(host: str, port: int, limits: ProxyLimits, network: Network) -> Streams:
    """Look a host up once, and connect to an address of it that was checked."""
    try:
        async with asyncio.timeout(limits.connect_s):
            found = await network.resolve(host, port)
    except (OSError, TimeoutError, UnicodeError):
        raise _RefusedError("502 Bad Gateway", "no address", f"No address was found for {host}.") from None
    public = [address for address in found if network.is_public(address)]
    if not public:
        raise _RefusedError(
            "403 Forbidden",
            "not public",
            f"This sandbox may not reach {host}: it is in allow_hosts of the run, but its address is not publicly "
            "routable, and no other is ever reached.",
        )
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.connect_s):
            for address in public:
                with contextlib.suppress(OSError):
                    return await network.connect(address, port)
    raise _RefusedError("504 Gateway Timeout", "no connection", f"{host} does not answer on port {port}.")


def _authority(host: str, port: int, default: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == default else f"{name}:{port}"


async def _refuse(stream: Channel, error: _RefusedError) -> None:
    body = f"{error.text}\n".encode()
    head = (
        f"HTTP/1.1 {error.status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    await stream.write(head.encode() + body)
