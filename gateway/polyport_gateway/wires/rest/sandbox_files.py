"""``/v1/sandbox/sessions/{id}/files``: a session's files, as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from polyport.types.sandbox import SandboxDeleted, SandboxFile, SandboxFileList
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.sandboxes.session_tools import describe_file
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

if TYPE_CHECKING:
    from polyport_sandbox.session import Session

__all__ = ["FileEndpoints"]

# It was made by untrusted code: no browser may take it for a page of this gateway's.
_RAW = (
    (b"content-type", b"application/octet-stream"),
    (b"content-disposition", b"attachment"),
    (b"x-content-type-options", b"nosniff"),
)


class FileEndpoints:
    """Lists, reads, writes and deletes a session's files.

    Args:
        service: The gateway's sandbox.
        settings: Limits on bodies.
    """

    def __init__(self, service: SandboxService, settings: Settings) -> None:
        self._service = service
        self._settings = settings

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List what the working folder holds, or one folder in it (``?folder=``)."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        session = await self._session(scope)
        found = await run_until_disconnect(receive, session.list(query.get("folder", [""])[-1]))
        await send_json(send, SandboxFileList(data=[describe_file(info) for info in found]))

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file's bytes."""
        session = await self._session(scope)
        content = await run_until_disconnect(receive, session.download(scope["path_params"]["path"]))
        await send_bytes(send, content, headers=_RAW)

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write a file: the body is its content."""
        name = scope["path_params"]["path"]
        session = await self._session(scope)
        content = await read_body(scope, receive, self._settings.max_body_bytes, self._settings.request_timeout_s)
        await run_until_disconnect(receive, session.upload({name: content}))
        await send_json(send, SandboxFile(name=name, size=len(content)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete a file, or a folder with all in it."""
        name = scope["path_params"]["path"]
        session = await self._session(scope)
        await run_until_disconnect(receive, session.delete(name))
        await send_json(send, SandboxDeleted(id=name, object="sandbox.file.deleted"))

    async def _session(self, scope: Scope) -> Session:
        return await self._service.session(scope["path_params"]["session_id"], info_of(scope).caller)
