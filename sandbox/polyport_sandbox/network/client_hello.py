"""Which host a TLS client asks for: the server name in its first message (RFC 8446 §4.1.2, RFC 6066 §3)."""

from __future__ import annotations

from typing import Literal

__all__ = ["ClientHello", "NoHelloError", "server_name"]

MAX_HELLO = 1 << 15
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


class ClientHello:
    """Read the name from what a client sends first, however it is cut; each byte is looked at once."""

    def __init__(self) -> None:
        self._record = bytearray()
        self._message = bytearray()

    def feed(self, data: bytes) -> str | Literal[False] | None:
        """Take in what came next.

        Returns:
            The name; ``""`` for a hello without one; False if this is no TLS at all; None if more is needed to say.

        Raises:
            NoHelloError: If it is TLS, but no ClientHello that can be read.
        """
        view = memoryview(data)
        while view:
            taken = min(len(view), self._wanted())
            self._record += view[:taken]
            view = view[taken:]
            if self._record[0] != _HANDSHAKE:
                return False
            if len(self._record) >= 5 and not self._wanted():
                self._message += self._record[5:]
                self._record.clear()
                whole = self._whole()
                if whole is not None:
                    return _name(whole)
        return None

    def _wanted(self) -> int:
        """How many bytes the record still lacks."""
        if len(self._record) < 5:
            return 5 - len(self._record)
        major, length = self._record[1], int.from_bytes(self._record[3:5], "big")
        if self._record[0] != _HANDSHAKE or major != 3 or not 1 <= length <= 1 << 14:
            raise NoHelloError("a record is malformed")
        return 5 + length - len(self._record)

    def _whole(self) -> bytes | None:
        """The first handshake message, without its header; None while it is not whole."""
        if len(self._message) < 4:
            return None
        length = int.from_bytes(self._message[1:4], "big")
        if self._message[0] != _CLIENT_HELLO or length > MAX_HELLO:
            raise NoHelloError("the first message is no ClientHello, or a far too large one")
        return bytes(self._message[4 : 4 + length]) if len(self._message) >= 4 + length else None


def server_name(data: bytes) -> str | Literal[False] | None:
    """Read the name from the first bytes of a connection; see `ClientHello.feed`."""
    return ClientHello().feed(data)


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
