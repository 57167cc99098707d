"""E2B's ``/files`` and ``/health``: whole files in and out."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from polyport.errors import BadRequestError, NotFoundError, PayloadTooLargeError
from polyport_gateway.call import Dispatch
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    Receive,
    Scope,
    Send,
    info_of,
    read_body,
    run_until_disconnect,
    send_bytes,
    send_json,
)
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import in_sandbox
from polyport_gateway.wires.sandbox.e2b.door import PREFIX, sandbox_of
from polyport_gateway.wires.sandbox.e2b.errors import SandboxGoneError, send_refusal
from polyport_gateway.wires.sandbox.e2b.paths import name_of, path_of
from polyport_gateway.wires.sandbox.endpoint import Endpoint, headers_of, query_of
from polyport_sandbox.errors import SandboxFileNotFoundError, SessionNotFoundError

__all__ = ["Files"]

_MOST_FILES = 256
Value = TypeVar("Value")


class Files:
    """The endpoints for whole files.

    Args:
        dispatch: The one way through.
        settings: Limits on bodies.
    """

    def __init__(self, dispatch: Dispatch, settings: Settings) -> None:
        self._dispatch = dispatch
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return its paths."""
        return [
            _route("GET", "health", _health),
            _route("GET", "files", self._download),
            _route("POST", "files", self._upload),
        ]

    async def _download(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = query_of(scope).get("path", "")
        name = name_of(path)
        if not name:
            raise BadRequestError(f"{path[:200] or '.'!r} is a folder; give the path of a file.", param="path")
        try:
            content = await self._do(scope, receive, lambda: sandbox_of(scope).session.download(name))
        except SandboxFileNotFoundError as error:
            raise NotFoundError(f"The path {path[:200]!r} does not exist, or is no regular file.") from error
        shown = quote(name.rpartition("/")[2])
        await send_bytes(
            send,
            content,
            headers=[
                (b"content-type", b"application/octet-stream"),
                (b"content-disposition", f"attachment; filename*=UTF-8''{shown}".encode("ascii")),
                (b"x-content-type-options", b"nosniff"),
            ],
        )

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox = sandbox_of(scope)
        headers, path = headers_of(scope), query_of(scope).get("path", "")
        metadata = [name for name in headers if name.startswith("x-metadata-")]
        if metadata:
            raise BadRequestError(f"Files keep no metadata here; leave out {metadata[0]}.")
        body = await read_body(scope, receive, self._settings.max_body_bytes, self._settings.request_timeout_s)
        body = _plain(body, headers.get("content-encoding", "identity"), self._settings.max_body_bytes)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            parts = await _parts(body, headers)
        elif kind == "application/octet-stream":
            parts = [("", body)]
        else:
            raise BadRequestError(
                f"Files come as multipart/form-data or application/octet-stream, not {kind[:80]!r}.", status=415
            )
        files = _named(parts, path)
        await self._do(scope, receive, lambda: sandbox.session.upload(files))
        written = [{"path": path_of(name), "name": name.rpartition("/")[2], "type": "file"} for name in files]
        await send_json(send, written)

    async def _do(self, scope: Scope, receive: Receive, do: Callable[[], Awaitable[Value]]) -> Value:
        return await run_until_disconnect(receive, in_sandbox(self._dispatch, info_of(scope), do, wire="e2b"))


def _route(method: str, path: str, handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Route:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await handler(scope, receive, send)
        except SessionNotFoundError as error:
            raise SandboxGoneError(sandbox_of(scope).id) from error

    return Route(method, f"{PREFIX}/{path}", Endpoint(handle, send_refusal))


async def _health(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send_bytes(send, b"", status=204, headers=())


def _plain(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise BadRequestError(f"The content encoding {encoding[:40]!r} is not known; send gzip, or none.", status=415)
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequestError("The body is not valid gzip.") from error
    if len(plain) > limit:
        raise PayloadTooLargeError(f"The unpacked body is larger than {limit} bytes (max_body_bytes).")
    if not inflate.eof:
        raise BadRequestError("The gzip body is cut off.")
    return plain


async def _parts(body: bytes, headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Return the files of a form, each with the name it came under."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers(headers), stream(), max_files=_MOST_FILES, max_fields=0)
    parser.spool_max_size = len(body) + 1  # it is in memory already
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        why = error.message if isinstance(error, MultiPartException) else "it has no boundary"
        raise BadRequestError(f"The form can't be read: {why}") from error
    try:
        found: list[Any] = [value for _, value in form.multi_items()]
        return [(upload.filename or "", await upload.read()) for upload in found if isinstance(upload, UploadFile)]
    finally:
        await form.close()


def _named(parts: list[tuple[str, bytes]], path: str) -> dict[str, bytes]:
    """Return contents by their names in the working folder; one file alone may be named by the query."""
    if not parts:
        raise BadRequestError("The form has no file; send each as a part with a file name.")
    found: dict[str, bytes] = {}
    for filename, content in parts:
        wanted = path if path and len(parts) == 1 else filename
        name = name_of(wanted)
        if not name:
            raise BadRequestError("A file needs a path: as the query's path, or as the part's file name.", param="path")
        if name in found:
            raise BadRequestError(f"The file {wanted[:200]!r} is there twice.", param="path")
        found[name] = content
    return found
