"""Part of the supervisor: listeners that the code can connect to, each connection carried to the host.

It only carries bytes; who is let through to where is decided by the host. Each side may send so many bytes before the
other has said that it took them, so neither a slow host nor slow code makes anything grow here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

CHANNEL_CHUNK = 65536
WINDOW = 1 << 18  # bytes on their way in one direction of one channel
MOST_CHANNELS = 32
PROXY_PORT = 3128
TOOLS_SOCKET = "\0polyport-tools"
OPERATIONS = ("data", "close", "credit")


class Stream:
    """One connection of the code's."""

    def __init__(self, identity: int, fd: int) -> None:
        self.identity = identity
        self.fd = fd
        self.credit = WINDOW  # bytes that the host will still take
        self.outbox = bytearray()
        self.taken = 0  # bytes written to the code that the host has not been told of
        self.reading = True
        self.writing = True
        self.closing = False


class Channels:
    """Every listener and connection."""

    def __init__(self, kinds: list[str], send: Callable[[bytes, bytes], None]) -> None:
        import _socket  # only where something is to listen

        self._send = send
        self._listeners: dict[int, tuple[Any, bytes]] = {}
        self._streams: dict[int, Stream] = {}
        self._by_fd: dict[int, Stream] = {}
        self._next = 1
        for kind in kinds:
            if kind == "proxy":
                listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
                listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", PROXY_PORT))
            else:
                listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
                listener.bind(TOOLS_SOCKET)
            listener.listen(MOST_CHANNELS)
            listener.setblocking(False)
            self._listeners[listener.fileno()] = (listener, kind.encode())

    def readers(self) -> list[int]:
        """The descriptors to wait on for something to read."""
        found = [stream.fd for stream in self._streams.values() if stream.reading and stream.credit > 0]
        return found + (list(self._listeners) if len(self._streams) < MOST_CHANNELS else [])

    def writers(self) -> list[int]:
        """The descriptors to wait on to be written to."""
        return [stream.fd for stream in self._streams.values() if stream.outbox]

    def handle(self, ready: list[int], writable: list[int]) -> None:
        """See to the descriptors that have something."""
        for fd in writable:
            if fd in self._by_fd:
                self._write(self._by_fd[fd])
        for fd in ready:
            if fd in self._by_fd:
                self._read(self._by_fd[fd])
            elif fd in self._listeners and len(self._streams) < MOST_CHANNELS:
                self._accept(*self._listeners[fd])

    def _accept(self, listener: Any, kind: bytes) -> None:
        try:
            fd, _ = listener._accept()  # noqa: SLF001 - what socket.accept calls
        except OSError:
            return
        os.set_blocking(fd, False)
        stream = Stream(self._next, fd)
        self._next += 1
        self._streams[stream.identity] = self._by_fd[fd] = stream
        self._send(b"C", struct.pack(">I", stream.identity) + kind)

    def _read(self, stream: Stream) -> None:
        try:
            data = os.read(stream.fd, min(CHANNEL_CHUNK, max(1, stream.credit)))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            stream.credit -= len(data)
            self._send(b"c", struct.pack(">I", stream.identity) + data)
        else:
            stream.reading = False
            self._send(b"x", struct.pack(">I", stream.identity))

    def _write(self, stream: Stream) -> None:
        while stream.outbox:
            try:
                count = os.write(stream.fd, stream.outbox[:CHANNEL_CHUNK])
            except BlockingIOError:
                break
            except OSError:
                stream.outbox.clear()
                if stream.writing and not stream.closing:
                    self._send(b"y", struct.pack(">I", stream.identity))
                stream.writing = False
                break
            del stream.outbox[:count]
            stream.taken += count
        if stream.taken >= WINDOW // 4 and not stream.closing:
            self._send(b"w", struct.pack(">II", stream.identity, stream.taken))
            stream.taken = 0
        if stream.closing and not stream.outbox:
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        del self._streams[stream.identity], self._by_fd[stream.fd]
        os.close(stream.fd)

    def request(self, header: dict[str, Any], data: bytes) -> None:
        """Do what the host asks of one connection; it may be gone already."""
        stream = self._streams.get(header["id"])
        if stream is None:
            return
        if header["op"] == "credit":
            stream.credit += header["count"]
            return
        if header["op"] == "close":
            stream.closing, stream.reading = True, False
        elif stream.writing:
            stream.outbox += data
        self._write(stream)
