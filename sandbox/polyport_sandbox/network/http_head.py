"""HTTP/1.1 messages as a proxy must read them: strictly, so that both of its ends agree on where each one ends.

RFC 9112, and what is refused though the RFC lets a server repair it: a lone line feed or carriage return, folded
headers, blanks before a colon, both ``Content-Length`` and ``Transfer-Encoding``, several lengths, any coding but
``chunked``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["BadMessageError", "Body", "ChunkedBody", "Head", "ResponseHead", "parse_request", "parse_response"]

MAX_HEADERS = 100
MAX_LENGTH_DIGITS = 15
MAX_CHUNK_LINE = 128
MAX_TRAILERS = 8192
SPARE_FRAMING = 1 << 16  # bytes of chunks' lines beyond those of their content: tiny chunks cost more than they carry
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_VERSION = re.compile(rb"HTTP/1\.[01]")
_STATUS = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings", b"content-length",
}  # fmt: skip


class BadMessageError(ValueError):
    """A message that is no HTTP/1.1, or that two readers could read in two ways."""


Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Body:
    """How long a message's body is.

    Args:
        kind: ``none``, so many bytes, chunks, or all until the connection closes.
        length: For ``length``, how many bytes.
    """

    kind: Literal["none", "length", "chunked", "close"]
    length: int = 0

    def header(self) -> Headers:
        """The header that says so."""
        if self.kind == "length":
            return ((b"Content-Length", str(self.length).encode()),)
        return ((b"Transfer-Encoding", b"chunked"),) if self.kind == "chunked" else ()


@dataclass(frozen=True)
class Head:
    """A request's first line and headers."""

    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    body: Body

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header, by its name in lower case."""
        return [value for key, value in self.headers if key.lower() == name]

    def forwarded(self, target: bytes, host: bytes) -> bytes:
        """Write it for the next server: for this connection only, and without what was for the proxy."""
        kept = [(b"Host", host), *_end_to_end(self.headers, {b"host"}), *self.body.header(), (b"Connection", b"close")]
        return _written(b"%s %s %s" % (self.method, target, self.version), kept)


@dataclass(frozen=True)
class ResponseHead:
    """A response's first line and headers."""

    version: bytes
    status: int
    reason: bytes
    headers: Headers
    body: Body

    def forwarded(self) -> bytes:
        """Write it for the client."""
        kept = [*_end_to_end(self.headers), *self.body.header()]
        if self.status >= 200:
            if self.body.kind == "none":  # an answer to HEAD, or "not modified", may tell a length that is not sent
                kept += [(key, value) for key, value in self.headers if key.lower() == b"content-length"]
            kept.append((b"Connection", b"close"))
        return _written(b"%s %d %s" % (self.version, self.status, self.reason), kept)


def parse_request(data: bytes) -> Head:
    """Read a request's head, its last empty line included.

    Raises:
        BadMessageError: With what is wrong.
    """
    lines = _lines(data)
    words = lines[0].split(b" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise BadMessageError("the request line is malformed")
    method, target, version = words
    if not _VERSION.fullmatch(version):
        raise BadMessageError("the version is not HTTP/1.0 or HTTP/1.1")
    headers = _headers(lines[1:])
    return Head(method, target, version, headers, _framing(headers) or Body("none"))


def parse_response(data: bytes, *, method: bytes) -> ResponseHead:
    """Read a response's head, its last empty line included.

    Args:
        data: The bytes of it.
        method: Of the request that it answers.

    Raises:
        BadMessageError: With what is wrong.
    """
    lines = _lines(data)
    found = _STATUS.fullmatch(lines[0])
    if found is None:
        raise BadMessageError("the status line is malformed")
    status = int(found[2])
    headers = _headers(lines[1:])
    framing = _framing(headers)
    empty = method == b"HEAD" or status < 200 or status in (204, 304)
    return ResponseHead(found[1], status, found[3] or b"", headers, Body("none") if empty else framing or Body("close"))


class ChunkedBody:
    """Find the end of a chunked body that is passed on as it is."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._state: Literal["size", "data", "data-end", "trailer", "done"] = "size"
        self._left = 0
        self._trailers = 0
        self._framing = self._content = 0

    @property
    def done(self) -> bool:
        """Whether its end was seen."""
        return self._state == "done"

    def feed(self, data: bytes) -> int:
        """Take in bytes; say how many of them belong to the body.

        Raises:
            BadMessageError: With what is wrong.
        """
        at = 0
        while at < len(data) and not self.done:
            if self._state == "data":
                step = min(self._left, len(data) - at)
                self._left -= step
                self._content += step
                at += step
                if not self._left:
                    self._state = "data-end"
                continue
            end = data.find(b"\n", at)
            part = data[at:] if end < 0 else data[at : end + 1]
            self._line += part
            at += len(part)
            self._framing += len(part)
            if len(self._line) > MAX_CHUNK_LINE + MAX_TRAILERS * (self._state == "trailer"):
                raise BadMessageError("a chunk's line is too long")
            if self._framing > SPARE_FRAMING + self._content:
                raise BadMessageError("its chunks are too small")
            if end >= 0:
                self._take_line()
        return at

    def _take_line(self) -> None:
        if not self._line.endswith(b"\r\n"):
            raise BadMessageError("a line ends without a carriage return")
        line, self._line = bytes(self._line[:-2]), bytearray()
        if self._state == "size":
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise BadMessageError("a chunk's size is malformed")
            self._left = int(found[1], 16)
            self._state = "data" if self._left else "trailer"
        elif self._state == "data-end":
            if line:
                raise BadMessageError("a chunk is longer than its size")
            self._state = "size"
        elif not line:
            self._state = "done"
        else:
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS:
                raise BadMessageError("the trailers are too large")
            _header(line)


def _lines(data: bytes) -> list[bytes]:
    if not data.endswith(b"\r\n\r\n"):
        raise BadMessageError("the head does not end")
    lines = data[:-4].split(b"\r\n")
    if any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines):
        raise BadMessageError("a line has a lone line feed, carriage return or NUL")
    if len(lines) > MAX_HEADERS + 1:
        raise BadMessageError(f"there are more than {MAX_HEADERS} headers")
    return lines


def _headers(lines: Iterable[bytes]) -> Headers:
    return tuple(_header(line) for line in lines)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    value = value.strip(b"\t ")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise BadMessageError("a header is malformed, or folded")
    return name, value


def _framing(headers: Headers) -> Body | None:
    """How long the headers say that the body is; None if they don't."""
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    if codings and lengths:
        raise BadMessageError("it has both a Content-Length and a Transfer-Encoding")
    if codings:
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadMessageError("its Transfer-Encoding is not 'chunked' alone")
        return Body("chunked")
    if not lengths:
        return None
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS, lengths[0]):
        raise BadMessageError("its Content-Length is not one number")
    return Body("length", int(lengths[0]))


def _end_to_end(headers: Headers, without: set[bytes] | None = None) -> list[tuple[bytes, bytes]]:
    """Leave out what concerns one connection only, and what `Connection` names."""
    named = {
        word.strip().lower()
        for name, value in headers
        if name.lower() in (b"connection", b"proxy-connection")
        for word in value.split(b",")
    }
    left_out = _HOP_BY_HOP | named | (without or set())
    return [(name, value) for name, value in headers if name.lower() not in left_out]


def _written(first: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"\r\n".join([first, *(b"%s: %s" % header for header in headers), b"", b""])
