"""``/v1/sandbox/sessions/{id}/files``: a session's files, as they are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

from polyport.errors import InvalidArgumentsError
from polyport.types.sandbox import SandboxDeleted, SandboxFile, SandboxFileList
from polyport_gateway.call import Dispatch
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
from polyport_gateway.wires.sandbox.calls import in_sandbox

if TYPE_CHECKING:
    from polyport_sandbox.session import Session

__all__ = ["FileEndpoints"]

_MOST_BYTES = 64 << 20
_NUMBER = re.compile(r"[0-9]{1,18}")

Value = TypeVar("Value")

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
        dispatcher: The way through.
        settings: Limits on bodies.
    """

    def __init__(self, service: SandboxService, dispatcher: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._settings = settings

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List what the working folder holds, or one folder in it (``?folder=``)."""
        folder = _query(scope).get("folder", "")
        session = await self._session(scope)
        found = await self._do(scope, receive, lambda: session.list(folder))
        await send_json(send, SandboxFileList(data=[describe_file(info) for info in found]))

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a file's bytes: one of as many as the session's limits allow, or as are asked for (``?max_bytes=``)."""
        name, most = scope["path_params"]["path"], _max_bytes(scope, self._service)
        session = await self._session(scope)
        content = await self._do(scope, receive, lambda: session.download(name, max_bytes=most))
        await send_bytes(send, content, headers=_RAW)

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write a file: the body is its content."""
        name = scope["path_params"]["path"]
        session = await self._session(scope)
        content = await read_body(scope, receive, self._settings.max_body_bytes, self._settings.request_timeout_s)
        await self._do(scope, receive, lambda: session.upload({name: content}))
        await send_json(send, SandboxFile(name=name, size=len(content)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete a file, or a folder with all in it."""
        name = scope["path_params"]["path"]
        session = await self._session(scope)
        await self._do(scope, receive, lambda: session.delete(name))
        await send_json(send, SandboxDeleted(id=name, object="sandbox.file.deleted"))

    async def _do(self, scope: Scope, receive: Receive, do: Callable[[], Awaitable[Value]]) -> Value:
        return await run_until_disconnect(receive, in_sandbox(self._dispatcher, info_of(scope), do, wire="rest"))

    async def _session(self, scope: Scope) -> Session:
        return await self._service.session(scope["path_params"]["session_id"], info_of(scope).caller)


def _query(scope: Scope) -> dict[str, str]:
    found = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


def _max_bytes(scope: Scope, service: SandboxService) -> int | None:
    given = _query(scope).get("max_bytes")
    if given is None:
        return None
    if _NUMBER.fullmatch(given) is None:
        raise InvalidArgumentsError(f"max_bytes is {given[:40]!r}; it must be a number of bytes", param="max_bytes")
    return min(int(given), int(service.plan.max_limits.get("output_file_bytes", _MOST_BYTES)))
