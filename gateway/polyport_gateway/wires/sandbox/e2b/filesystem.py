"""E2B's ``filesystem.Filesystem``: what there is in the working folder, and moving it about."""

from __future__ import annotations

import posixpath
import shlex
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from polyport.errors import BadRequestError
from polyport_gateway.call import CodeRun, Dispatch
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, RequestInfo, Scope, Send, info_of, run_until_disconnect, send_json
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import in_sandbox, run_code
from polyport_gateway.wires.sandbox.e2b.connect import (
    MessageStream,
    RPCError,
    read_message,
    read_streamed_message,
    send_rpc_error,
)
from polyport_gateway.wires.sandbox.e2b.door import PREFIX, sandbox_of
from polyport_gateway.wires.sandbox.e2b.paths import name_of, path_of
from polyport_gateway.wires.sandbox.e2b.sandboxes import E2BSandbox
from polyport_gateway.wires.sandbox.endpoint import Endpoint, result_of
from polyport_sandbox.errors import SandboxFileNotFoundError, SessionNotFoundError
from polyport_sandbox.types import FileInfo

__all__ = ["FilesystemService"]

_SERVICE = f"{PREFIX}/filesystem.Filesystem"
_DEEPEST = 64
_NO_WATCHING = "Folders can't be watched in this gateway's sandboxes; list them instead."

Method = Callable[[E2BSandbox, RequestInfo, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


class FilesystemService:
    """The methods, each a path.

    Args:
        dispatch: The one way through.
        settings: Limits on messages.
    """

    def __init__(self, dispatch: Dispatch, settings: Settings) -> None:
        self._dispatch = dispatch
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return its paths."""
        methods: dict[str, Method] = {
            "ListDir": self._as_call(_list),
            "Stat": self._as_call(_stat),
            "MakeDir": self._make_folder,
            "Move": self._move,
            "Remove": self._as_call(_remove),
            "CreateWatcher": _no_watching,
            "GetWatcherEvents": _no_watching,
            "RemoveWatcher": _no_watching,
        }
        found = [
            Route("POST", f"{_SERVICE}/{name}", Endpoint(self._single(method), send_rpc_error))
            for name, method in methods.items()
        ]
        return [*found, Route("POST", f"{_SERVICE}/WatchDir", Endpoint(self._watch, send_rpc_error))]

    def _single(self, method: Method) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            message = await read_message(scope, receive, self._settings)
            answer = await run_until_disconnect(receive, method(sandbox_of(scope), info_of(scope), message))
            await send_json(send, answer)

        return handle

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_streamed_message(scope, receive, self._settings)
        await MessageStream(send).end(RPCError("unimplemented", _NO_WATCHING), request_id=info_of(scope).request_id)

    def _as_call(self, work: Callable[[E2BSandbox, dict[str, Any]], Awaitable[dict[str, Any]]]) -> Method:
        async def method(sandbox: E2BSandbox, info: RequestInfo, message: dict[str, Any]) -> dict[str, Any]:
            return await in_sandbox(self._dispatch, info, lambda: work(sandbox, message), wire="e2b")

        return method

    async def _make_folder(self, sandbox: E2BSandbox, info: RequestInfo, message: dict[str, Any]) -> dict[str, Any]:
        name = name_of(_text(message, "path"))
        there = await _look_for(sandbox, name)
        if there is not None:
            what = "folder" if there.is_folder else "file"
            raise RPCError("already_exists", f"There is a {what} at {path_of(name)} already.")
        await self._bash(sandbox, info, f"mkdir -p -- {shlex.quote(path_of(name))}")
        return {"entry": _entry(await _find(sandbox, name))}

    async def _move(self, sandbox: E2BSandbox, info: RequestInfo, message: dict[str, Any]) -> dict[str, Any]:
        source, target = name_of(_text(message, "source")), name_of(_text(message, "destination"))
        await _find(sandbox, source)
        if not source or not target or f"{target}/".startswith(f"{source}/"):
            raise BadRequestError(f"{path_of(source)} can't be moved to {path_of(target)}.", param="destination")
        folder = shlex.quote(path_of(posixpath.dirname(target)))
        old, new = shlex.quote(path_of(source)), shlex.quote(path_of(target))
        await self._bash(sandbox, info, f"mkdir -p -- {folder} && mv -T -- {old} {new}")
        return {"entry": _entry(await _find(sandbox, target))}

    async def _bash(self, sandbox: E2BSandbox, info: RequestInfo, script: str) -> None:
        run = CodeRun(script, language="bash", session=sandbox.id)
        result = await result_of(run_code(self._dispatch, info, run, wire="e2b"))
        if result.status != "ok":
            raise RPCError(
                "failed_precondition", result.stderr_text.strip()[:500] or f"The sandbox said {result.status}."
            )


async def _list(sandbox: E2BSandbox, message: dict[str, Any]) -> dict[str, Any]:
    folder = name_of(_text(message, "path"))
    depth = message.get("depth", 1)
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= _DEEPEST:
        raise BadRequestError(f"depth must be a whole number from 0 to {_DEEPEST}.", param="depth")
    entry = await _find(sandbox, folder)
    if not entry.is_folder:
        raise BadRequestError(f"{path_of(folder)} is a file; only a folder can be listed.", param="path")
    level = folder.count("/") + 1 if folder else 0
    entries = [one for one in await sandbox.session.list(folder) if one.name.count("/") < level + max(1, depth)]
    return {"entries": [_entry(one) for one in sorted(entries, key=lambda one: one.name)]}


async def _stat(sandbox: E2BSandbox, message: dict[str, Any]) -> dict[str, Any]:
    return {"entry": _entry(await _find(sandbox, name_of(_text(message, "path"))))}


async def _remove(sandbox: E2BSandbox, message: dict[str, Any]) -> dict[str, Any]:
    name = name_of(_text(message, "path"))
    if not name:
        raise BadRequestError("The working folder itself can't be removed.", param="path")
    try:
        await sandbox.session.delete(name)
    except SandboxFileNotFoundError as error:
        raise RPCError("not_found", f"There is no file or folder at {path_of(name)}.") from error
    return {}


async def _no_watching(sandbox: E2BSandbox, info: RequestInfo, message: dict[str, Any]) -> dict[str, Any]:
    del sandbox, info, message
    raise RPCError("unimplemented", _NO_WATCHING)


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name, "")
    if not isinstance(value, str) or len(value) > 4096 or "\0" in value:
        raise BadRequestError(f"{name} must be a path.", param=name)
    return value


async def _look_for(sandbox: E2BSandbox, name: str) -> FileInfo | None:
    if not name:
        return FileInfo("", 0, sandbox.session.created_at, is_folder=True)
    try:
        beside = await sandbox.session.list(posixpath.dirname(name))
    except SessionNotFoundError:
        raise
    except SandboxFileNotFoundError:
        return None
    return next((one for one in beside if one.name == name), None)


async def _find(sandbox: E2BSandbox, name: str) -> FileInfo:
    found = await _look_for(sandbox, name)
    if found is None:
        raise RPCError("not_found", f"There is no file or folder at {path_of(name)}.")
    return found


def _entry(info: FileInfo) -> dict[str, Any]:
    whole = int(info.modified)
    modified = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((info.modified - whole) * 1000):03d}Z"
    return {
        "name": posixpath.basename(path_of(info.name)),
        "type": "FILE_TYPE_DIRECTORY" if info.is_folder else "FILE_TYPE_FILE",
        "path": path_of(info.name),
        "size": str(info.size),  # 64 bits go as text in JSON
        "mode": 0o755 if info.is_folder else 0o644,
        "permissions": "drwxr-xr-x" if info.is_folder else "-rw-r--r--",
        "owner": "user",
        "group": "user",
        "modifiedTime": modified,
    }
