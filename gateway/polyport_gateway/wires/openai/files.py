"""``/v1/files``: files that callers keep at the gateway, as OpenAI describes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

from pydantic import ValidationError

from polyport.errors import BadRequestError
from polyport.types.files import ExpiringFile, File, FileDeleted, FileList, FileRequest
from polyport_gateway.errors import invalid_request
from polyport_gateway.files.service import FileService
from polyport_gateway.settings import Settings
from polyport_gateway.storage.files import StoredFile
from polyport_gateway.wires.forms import Form, content_type_of, open_form, plain_name
from polyport_gateway.wires.http import (
    Receive,
    Scope,
    Send,
    info_of,
    run_until_disconnect,
    send_json,
)
from polyport_gateway.wires.openai.file_paths import PATHS
from polyport_gateway.wires.openai.queries import read_number, read_order, read_query
from polyport_gateway.wires.router import Route

__all__ = ["FilesWire", "file_body"]

_MOST_ITEMS = 10_000
_AROUND = 64 * 1024
"""Bytes that a form may have besides the file."""
_EXPIRY = "expires_after"
_PIECE = 1 << 20

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


class FilesWire:
    """Everything under ``/v1/files``.

    Args:
        files: Where they are.
        settings: Limits.

    Attributes:
        routes: Each path, method and endpoint.
    """

    def __init__(self, files: FileService, settings: Settings) -> None:
        self._files = files
        self._settings = settings
        endpoints: list[Endpoint] = [self.create, self.list, self.retrieve, self.delete, self.content]
        self.routes = [Route(*place, endpoint) for place, endpoint in zip(PATHS, endpoints, strict=True)]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/files``."""
        caller = info_of(scope).caller
        self._files.check(caller)
        if content_type_of(scope) != "multipart/form-data":
            raise BadRequestError(
                f"The content type is {content_type_of(scope)[:80] or 'not given'}; send the file as "
                "multipart/form-data, members file and purpose.",
                param="file",
            )
        await self._files.check_room(caller, max(0, _length(scope) - _AROUND))
        async with open_form(
            scope,
            receive,
            limit=self._files.max_bytes + _AROUND,
            setting="files_max_bytes",
            timeout_s=self._settings.request_timeout_s,
            folder=await self._files.spool(),
        ) as form:
            file = form.file()
            asked = _read(form)
            expiry = asked.expires_after
            kept = await self._files.keep(
                caller,
                plain_name(file.name, folders=True),
                asked.purpose,
                file.file,
                file.size,
                expires_s=None if expiry is None else expiry.seconds,
            )
        await send_json(send, file_body(kept))

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/files``, the newest first unless asked otherwise."""
        query = read_query(scope)
        limit = read_number(query, "limit", _MOST_ITEMS, least=1, most=_MOST_ITEMS)
        found, more = await self._files.page(
            info_of(scope).caller,
            purpose=query.get("purpose"),
            after=query.get("after"),
            limit=limit,
            newest_first=read_order(query),
        )
        await send_json(send, _page(found, more))

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/files/{file_id}``."""
        await send_json(send, file_body(await self._files.find(_id(scope), info_of(scope).caller)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``DELETE /v1/files/{file_id}``; it goes from all vector stores too."""
        await self._files.delete(_id(scope), info_of(scope).caller)
        await send_json(send, FileDeleted(id=_id(scope)))

    async def content(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/files/{file_id}/content``."""
        file = await self._files.find(_id(scope), info_of(scope).caller)
        opened = await asyncio.to_thread(self._files.open, file)
        await run_until_disconnect(receive, _send(file, opened, send))


async def _send(file: StoredFile, opened: BinaryIO, send: Send) -> None:
    try:
        await send({"type": "http.response.start", "status": 200, "headers": _content_headers(file)})
        while piece := await asyncio.to_thread(opened.read, _PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        opened.close()


def file_body(file: StoredFile) -> File:
    """Return a file as it is shown."""
    members: dict[str, Any] = {
        "id": file.id,
        "bytes": file.bytes,
        "created_at": file.created_at // 1000,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": file.status,
    }
    if file.expires_at is None:
        return File(**members)
    return ExpiringFile(**members, expires_at=file.expires_at // 1000)


def _page(files: Sequence[StoredFile], more: bool) -> FileList:
    ids = [file.id for file in files]
    ends = {"first_id": ids[0] if ids else "", "last_id": ids[-1] if ids else ""}
    return FileList(data=[file_body(file) for file in files], has_more=more, **ends)


def _read(form: Form) -> FileRequest:
    """Return a form's plain members, of which those of ``expires_after`` come as ``expires_after[seconds]``."""
    members: dict[str, Any] = {}
    expiry: dict[str, str] = {}
    for name, value in form.fields:
        if name.startswith(f"{_EXPIRY}[") and name.endswith("]"):
            expiry[name[len(_EXPIRY) + 1 : -1]] = value
        elif name in members:
            raise BadRequestError(f"The form has the member {name[:80]!r} twice.", param=name[:80])
        else:
            members[name] = _object(value) if name == _EXPIRY else value
    if expiry:
        members[_EXPIRY] = expiry
    try:
        asked = FileRequest.model_validate(members)
    except ValidationError as error:
        raise invalid_request(error) from error
    for name in asked.unknown:
        raise BadRequestError(f"The form's member {name[:80]!r} is not known.", param=name[:80])
    return asked


def _object(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _content_headers(file: StoredFile) -> list[tuple[bytes, bytes]]:
    # The bytes are a caller's: no browser may take them for a page of this gateway's.
    name = f"attachment; filename*=UTF-8''{quote(file.filename, safe='', errors='replace')}"
    return [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", str(file.bytes).encode("ascii")),
        (b"content-disposition", name.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
    ]


def _length(scope: Scope) -> int:
    for key, value in scope["headers"]:
        if key == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _id(scope: Scope) -> str:
    found: str = scope["path_params"]["file_id"]
    return found
