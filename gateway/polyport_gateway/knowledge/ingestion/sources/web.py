"""A page of the web, fetched anew only where it has changed."""

from __future__ import annotations

import json
import re
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from mimetypes import guess_extension
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import httpcore

from polyport.errors import (
    BadRequestError,
    CallError,
    DeadlineExceededError,
    NotFoundError,
    PayloadTooLargeError,
    ServiceUnavailableError,
    UpstreamError,
)

from .base import Item, Listing, Loaded, Origin
from .guard import GuardedNetwork

__all__ = ["Web", "WebPage", "page_key"]

_LARGEST = 64 << 20
_REDIRECTS = 5
_TIMEOUTS = {"connect": 10.0, "read": 30.0, "write": 10.0, "pool": 30.0}
_DEADLINE_S = 300.0
_ACCEPT = "text/html, application/xhtml+xml, application/pdf, text/*;q=0.9, */*;q=0.8"
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}$")


def page_key(address: str) -> str:
    """Return the address as it names a document: without a fragment, the host in lower case.

    Raises:
        BadRequestError: It can't be fetched.
    """
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError as error:
        raise BadRequestError(f"{address[:200]!r} is no address: {error}.", param="sources") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise BadRequestError(f"{address[:200]!r} is no http or https address.", param="sources")
    if parts.username is not None or parts.password is not None:
        raise BadRequestError("An address must not carry a user or password.", param="sources")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.lower()
    place = f"{host}:{port}" if port is not None else host
    return urlunsplit((parts.scheme.lower(), place, parts.path or "/", parts.query, ""))


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    data: bytes


class Web:
    """Fetches pages; may be used from several threads.

    Args:
        allowed: Hosts that need not be public; see `GuardedNetwork`.
        network: What connects, where that is not to be a `GuardedNetwork` of these hosts.
        largest: Bytes that a page may have, unpacked.
        deadline_s: Seconds that fetching one may take in all.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        *,
        network: GuardedNetwork | None = None,
        largest: int = _LARGEST,
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=8,
            keepalive_expiry=10.0,
            http2=False,
            network_backend=network or GuardedNetwork(allowed),
        )
        self._largest = largest
        self._deadline_s = deadline_s

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def fetch(self, address: str, stamp: str | None = None) -> Loaded | None:
        """Fetch a page; None where it is still that of a stamp.

        Raises:
            BadRequestError: It is no address that can be fetched, or leads to one that can't.
            AddressRefusedError: It leads into a network of one's own.
            NotFoundError: There is no such page.
            PayloadTooLargeError: It is too large.
            UpstreamError: Its server fails.
        """
        until = time.monotonic() + self._deadline_s
        here = page_key(address)
        for _ in range(_REDIRECTS + 1):
            answer = self._get(here, stamp, until)
            if answer.status == 304 and stamp is not None:
                return None
            if answer.status not in (301, 302, 303, 307, 308):
                _check(here, answer)
                return Loaded(answer.data, _name(here, answer.headers), _stamp(answer.headers))
            target = _target(here, answer.headers.get("location", ""))
            if here.startswith("https:") and target.startswith("http:"):
                raise BadRequestError(f"{here} leads from https to http, and is not followed.", code="redirect_refused")
            here = target
        raise BadRequestError(f"{address} leads from one address to the next too often.", code="redirect_refused")

    def _get(self, address: str, stamp: str | None, until: float) -> _Answer:
        headers = [("Host", urlsplit(address).netloc), ("User-Agent", "polyport"), ("Accept", _ACCEPT),
                   ("Accept-Encoding", "gzip, deflate")]  # fmt: skip
        headers += _conditions(stamp)
        request = httpcore.Request("GET", _ascii(address), headers=headers, extensions={"timeout": _TIMEOUTS})
        try:
            response = self._pool.handle_request(request)
            try:
                found = _plain(response.headers)
                return _Answer(response.status, found, self._body(address, response, found, until))
            finally:
                response.close()
        except httpcore.TimeoutException as error:
            raise DeadlineExceededError(f"{address} did not answer in time.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, zlib.error, ssl.SSLError, ValueError) as error:
            raise UpstreamError(f"{address} can't be fetched: {error or type(error).__name__}.") from error

    def _body(self, address: str, response: httpcore.Response, headers: Mapping[str, str], until: float) -> bytes:
        if response.status != 200:
            return b""
        pieces: list[bytes] = []
        size = 0
        for piece in _unpacked(response.iter_stream(), headers.get("content-encoding", ""), self._largest):
            size += len(piece)
            if size > self._largest:
                raise PayloadTooLargeError(f"{address} has more than {self._largest:,} bytes, the most that are read.")
            if time.monotonic() > until:
                raise DeadlineExceededError(f"{address} took more than {self._deadline_s:g} s.")
            pieces.append(piece)
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class WebPage:
    """One page as a source.

    Args:
        address: Of the page.
        web: Fetches it.
        metadata: Put on its document.
        tags: Put on its document.
        chunker: Cuts it instead of the base's own.
    """

    address: str
    web: Web
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tags: tuple[str, ...] = ()
    chunker: str | None = None
    complete: bool = field(default=True, init=False)

    @property
    def label(self) -> str:
        """The address."""
        return page_key(self.address)

    def list(self, known: Iterable[Origin] = ()) -> Listing:
        """Return it: whether it has changed its server tells when it is fetched."""
        item = Item(
            self.label,
            lambda stamp: self.web.fetch(self.address, stamp),
            metadata=self.metadata,
            tags=self.tags,
            chunker=self.chunker,
        )
        return Listing((item,))


def _target(here: str, location: str) -> str:
    try:
        return page_key(urljoin(here, location))
    except ValueError as error:
        raise BadRequestError(f"{here} leads to what is no address: {error}.", code="redirect_refused") from None


def _unpacked(pieces: Iterable[bytes], encoding: str, largest: int) -> Iterator[bytes]:
    """Unpack in pieces, so that a small body that unpacks to terabytes is seen in time."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"it is encoded as {encoding!r}, which was not asked for")
    unpack: Any = None
    for piece in pieces:
        if unpack is None and piece:
            # "deflate" is sent with zlib's head and without.
            raw = encoding == "deflate" and (piece[0] & 0x0F) != 8
            unpack = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
        while piece:
            yield unpack.decompress(piece, min(1 << 20, largest + 1))
            piece = unpack.unconsumed_tail
    if unpack is not None:
        yield unpack.flush()
        if not unpack.eof:
            raise ValueError("it broke off")


def _plain(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _conditions(stamp: str | None) -> Iterator[tuple[str, str]]:
    if stamp is None:
        return
    try:
        kept = json.loads(stamp)
    except ValueError:
        return
    if isinstance(kept, dict):
        if isinstance(kept.get("etag"), str):
            yield "If-None-Match", kept["etag"]
        if isinstance(kept.get("modified"), str):
            yield "If-Modified-Since", kept["modified"]


def _stamp(headers: Mapping[str, str]) -> str | None:
    kept = {"etag": headers.get("etag"), "modified": headers.get("last-modified")}
    return json.dumps(kept) if any(kept.values()) else None


def _check(address: str, answer: _Answer) -> None:
    status = answer.status
    if status == 200:
        return
    if status == 410:
        raise NotFoundError(f"{address} is gone for good (HTTP 410).", code="page_removed")
    if status in (401, 403):
        raise NotFoundError(f"{address} may not be read without signing in (HTTP {status}).", code="page_refused")
    if status == 404:
        raise NotFoundError(f"There is no page {address} (HTTP 404). Its document is kept.", code="page_missing")
    kind: type[CallError] = ServiceUnavailableError if status in (429, 503) else UpstreamError
    raise kind(f"{address} answered HTTP {status}.")


def _name(address: str, headers: Mapping[str, str]) -> str:
    """Return a file's name for a page, with the ending that its type asks for where it has none."""
    given = Message()
    given["content-disposition"] = headers.get("content-disposition", "")
    given["content-type"] = headers.get("content-type", "application/octet-stream")
    parts = urlsplit(address)
    name = given.get_filename() or unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "page"
    name = name.replace("\\", "/").rpartition("/")[2][:200] or "page"
    kind = given.get_content_type()
    html = kind in ("text/html", "application/xhtml+xml")
    if html and not name.lower().endswith((".html", ".htm", ".xhtml")):
        return f"{name}.html"  # page.php is none of PHP
    return name if _ENDING.search(name) else name + (guess_extension(kind) or ".html")


def _ascii(address: str) -> str:
    """Return an address as it is sent: the host in IDNA, the rest percent-encoded."""
    parts = urlsplit(address)
    from urllib.parse import quote

    host = parts.netloc
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode("ascii") + colon + port
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit((parts.scheme, host, path, quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]"), ""))
