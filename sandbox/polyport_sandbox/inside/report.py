"""Part of the supervisor: the connection to the host, requests down and frames up."""

from __future__ import annotations

import _json
import os
import select
import struct
from collections.abc import Iterator
from typing import Any

from .process import CHUNK, Job

MOST_PENDING = 1 << 18  # bytes on their way up, above which no more is read from the code


class HostGoneError(Exception):
    """The host closed its end; nobody waits for an answer."""


def read_exactly(count: int) -> bytes:
    """Read so many bytes of stdin; no more, no fewer."""
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            raise HostGoneError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Inbox:
    """What the host sends: headers, each followed by as many bytes as it announces."""

    def __init__(self) -> None:
        self.left = 0

    def header(self) -> Job:
        """Read the next header, past what nobody took of the one before."""
        while self.left:
            self.take(min(self.left, CHUNK))
        header: Job = decode(read_exactly(struct.unpack(">I", read_exactly(4))[0]))
        self.left = header["bytes"]
        return header

    def take(self, count: int) -> bytes:
        """Take the next of the announced bytes."""
        self.left -= count
        return read_exactly(count)

    def parts(self, count: int) -> Iterator[bytes]:
        """Take the next of the announced bytes in parts."""
        while count:
            part = self.take(min(count, CHUNK))
            count -= len(part)
            yield part


class _Plainly:
    """What the scanner asks of its context."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


# The two halves of `json` that are written in C: importing all of it, with `re`, would take a third of the start.
_scan = _json.make_scanner(_Plainly())  # type: ignore[arg-type]
_write = _json.make_encoder(None, str, _json.encode_basestring_ascii, None, ":", ",", False, False, True)


def decode(text: str | bytes) -> Any:
    """What the host wrote as JSON, without a space before it."""
    return _scan(text.decode() if isinstance(text, bytes) else text, 0)[0]


def encode(value: Any) -> bytes:
    """A value as a payload."""
    return "".join(_write(value, 0)).encode()


class Reporter:
    """Sends frames, each with the nonce, without ever waiting for the host to take them."""

    def __init__(self) -> None:
        self.nonce = bytes(16)
        self.pending = bytearray()
        os.set_blocking(1, False)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame, or keep it for `flush`."""
        self.pending += struct.pack(">Ic16s", len(payload), kind, self.nonce) + payload
        self.flush()

    def send_whole(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame where nothing else is to be seen to: wait where the host is slow."""
        self.send(kind, payload)
        while len(self.pending) > MOST_PENDING:
            self.wait()

    def flush(self) -> None:
        """Write what can be written now."""
        while self.pending:
            try:
                del self.pending[: os.write(1, self.pending[: 1 << 20])]
            except BlockingIOError:
                return
            except InterruptedError:
                continue
            except OSError:
                raise HostGoneError from None

    def wait(self) -> None:
        """Wait until something could be written."""
        select.select([], [1], [], 1)
        self.flush()

    def finish(self) -> None:
        """Write everything."""
        while self.pending:
            self.wait()
