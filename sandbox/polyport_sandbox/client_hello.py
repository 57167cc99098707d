"""Which host a TLS client asks for: the server name in its first message (RFC 8446 §4.1.2, RFC 6066 §3)."""

from __future__ import annotations

from typing import Literal

__all__ = ["NoHelloError", "server_name"]

MAX_HELLO = 65536
_HANDSHAKE = 0x16
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0


class NoHelloError(ValueError):
    """What looks like TLS begins with no whole and well-formed ClientHello."""


class _Reader:
    """Take apart bytes that say how long each of their parts is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def take(self, count: int) -> bytes:
        if count > len(self._data):
            raise NoHelloError("a part is cut short")
        part, self._data = self._data[:count], self._data[count:]
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def part(self, size: int) -> bytes:
        return self.take(self.number(size))


def server_name(data: bytes) -> str | Literal[False] | None:
    """Read the name from what a client sent first.

    Args:
        data: Its first bytes; more of them where this gave None.

    Returns:
        The name; ``""`` for a hello without one; False if this is no TLS at all; None if more is needed to say.

    Raises:
        NoHelloError: If it is TLS, but no ClientHello that can be read.
    """
    if data and data[0] != _HANDSHAKE:
        return False
    message = _message(data)
    return None if message is None else _name(message)


def _message(data: bytes) -> bytes | None:
    """Put the first handshake message together from its records; None while it is not whole."""
    collected = b""
    at = 0
    while True:
        if len(collected) >= 4:
            if collected[0] != _CLIENT_HELLO:
                raise NoHelloError("the first message is no ClientHello")
            length = int.from_bytes(collected[1:4], "big")
            if length > MAX_HELLO:
                raise NoHelloError("the ClientHello is too large")
            if len(collected) >= 4 + length:
                return collected[4 : 4 + length]
        if len(data) < at + 5:
            return None
        kind, major, length = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5], "big")
        if kind != _HANDSHAKE or major != 3 or not 1 <= length <= 1 << 14:
            raise NoHelloError("a record is malformed")
        if len(data) < at + 5 + length:
            # What is not there yet may still be enough to see that it is too much.
            return None
        collected += data[at + 5 : at + 5 + length]
        at += 5 + length


def _name(message: bytes) -> str:
    hello = _Reader(message)
    hello.take(2 + 32)  # version, random
    hello.part(1)  # session id
    hello.part(2)  # cipher suites
    hello.part(1)  # compression methods
    if not hello:
        return ""
    extensions = _Reader(hello.part(2))
    if hello:
        raise NoHelloError("something follows the extensions")
    found: str | None = None
    while extensions:
        kind, content = extensions.number(2), extensions.part(2)
        if kind != _SERVER_NAME:
            continue
        if found is not None:
            raise NoHelloError("there are two lists of server names")
        found = _host_name(content)
    return found or ""


def _host_name(content: bytes) -> str:
    outer = _Reader(content)
    names = _Reader(outer.part(2))
    if outer:
        raise NoHelloError("something follows the server names")
    kind, name = names.number(1), names.part(2)
    if names or kind != _HOST_NAME or not name:
        raise NoHelloError("there is not exactly one server name")
    try:
        return name.decode("ascii").lower()
    except UnicodeDecodeError as error:
        raise NoHelloError("the server name is not ASCII") from error
