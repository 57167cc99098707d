"""E2B's API, code interpreter and envd, after what its published clients send and its own servers' source answers.

Everything is served at one address: clients are pointed at it for the API, and for each sandbox's ports, which they
name in headers besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import uuid
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from polyport_sandbox import (
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    FileInfo,
    Limits,
    OutputEvent,
    RunEvent,
    SandboxError,
    SandboxFileNotFoundError,
    Session,
    SessionClosedError,
)

from .server import SandboxServer, kernel_ended

HOME = "/home/user"
KEY = "e2b_0123456789abcdef"
KEEPALIVE_S = 5.0
NAMES = {
    "text/plain": "text", "text/html": "html", "text/markdown": "markdown", "image/svg+xml": "svg", "image/png": "png",
    "image/jpeg": "jpeg", "application/pdf": "pdf", "text/latex": "latex", "application/json": "json",
    "application/javascript": "javascript",
}  # fmt: skip


class Box:
    """One sandbox of the service."""

    def __init__(self, session: Session, made_with: dict[str, Any]) -> None:
        self.id = "i" + uuid.uuid4().hex[:19]
        self.token = secrets.token_hex(16)
        self.session = session
        self.made_with = made_with
        self.contexts = {"python": str(uuid.uuid4())}


class E2BServer(SandboxServer):
    """The service."""

    def routes(self) -> list[BaseRoute]:
        self.boxes: dict[str, Box] = {}
        return [
            Route("/v2/sandboxes", self._list_sandboxes),
            Route("/v2/sandboxes", self._create, methods=["POST"]),
            Route("/sandboxes/{id}", self._get),
            Route("/sandboxes/{id}", self._kill, methods=["DELETE"]),
            Route("/health", self._health),
            Route("/execute", self._execute, methods=["POST"]),
            Route("/contexts", self._list_contexts),
            Route("/contexts", self._create_context, methods=["POST"]),
            Route("/contexts/{id}/restart", self._restart, methods=["POST"]),
            Route("/contexts/{id}", self._remove_context, methods=["DELETE"]),
            Route("/files", self._download),
            Route("/files", self._upload, methods=["POST"]),
            Route("/filesystem.Filesystem/{procedure}", self._filesystem, methods=["POST"]),
        ]

    async def _list_sandboxes(self, request: Request) -> Response:
        return _unauthorized(request) or JSONResponse([_described(box) for box in self.boxes.values()])

    async def _create(self, request: Request) -> Response:
        refused = _unauthorized(request)
        if refused is not None:
            return refused
        body = await request.json()
        if body.get("templateID") != "code-interpreter-v1":
            message = f"template '{body.get('templateID')}' not found"
            return JSONResponse({"code": 404, "message": message}, status_code=404)
        session = await self.box.open_session(limits=Limits(wall_s=600, output_bytes=8 << 20), lifetime_s=3600)
        box = Box(session, body)
        self.boxes[box.id] = box
        return JSONResponse(
            {**_described(box), "clientID": "c", "envdAccessToken": box.token, "domain": None}, status_code=201
        )

    async def _get(self, request: Request) -> Response:
        refused = _unauthorized(request)
        box = self.boxes.get(request.path_params["id"])
        if refused is not None:
            return refused
        return _no_sandbox() if box is None else JSONResponse({**_described(box), "state": "running"})

    async def _kill(self, request: Request) -> Response:
        refused = _unauthorized(request)
        if refused is not None:
            return refused
        box = self.boxes.pop(request.path_params["id"], None)
        if box is None:
            return _no_sandbox()
        await box.session.aclose()
        return Response(status_code=204)

    async def _health(self, request: Request) -> Response:
        _, refused = self._at(request, 49983)
        return refused or Response(status_code=204)

    def _at(self, request: Request, port: int) -> tuple[Box, Response | None]:
        """Find the sandbox that a request is for, as the proxy before it does."""
        identity = request.headers.get("e2b-sandbox-id", "")
        box = self.boxes.get(identity)
        if box is None or box.session.closed:
            body = {"sandboxId": identity, "message": "The sandbox was not found", "code": 502}
            return None, JSONResponse(body, status_code=502)  # type: ignore[return-value]
        if request.headers.get("e2b-sandbox-port") != str(port):
            body = {"sandboxId": identity, "message": "The sandbox is running but port is not open", "code": 502}
            return box, JSONResponse(body, status_code=502)
        if port == 49983 and request.headers.get("x-access-token") != box.token:
            body = {"code": 401, "message": "unauthorized access, please provide a valid access token"}
            return box, JSONResponse(body, status_code=401)
        return box, None

    async def _execute(self, request: Request) -> Response:
        box, refused = self._at(request, 49999)
        if refused is not None:
            return refused
        body = await request.json()
        context, language = body.get("context_id"), body.get("language")
        if context and language:
            return PlainTextResponse("Only one of context_id or language can be provided", status_code=400)
        if context and context not in box.contexts.values():
            return PlainTextResponse(f"Context {context} not found", status_code=404)
        if not context and (language or "python") not in box.contexts:
            box.contexts[language] = str(uuid.uuid4())
        context = context or box.contexts[language or "python"]
        name = next(name for name, identity in box.contexts.items() if identity == context).partition("#")[0]
        return StreamingResponse(_lines(box.session, body["code"], name, context), media_type="text/plain")

    async def _list_contexts(self, request: Request) -> Response:
        box, refused = self._at(request, 49999)
        return refused or JSONResponse([_context(name, identity) for name, identity in box.contexts.items()])

    async def _create_context(self, request: Request) -> Response:
        box, refused = self._at(request, 49999)
        if refused is not None:
            return refused
        body = await request.json()
        identity = str(uuid.uuid4())
        name = f"{body.get('language') or 'python'}#{identity}"
        box.contexts[name] = identity
        return JSONResponse(_context(name, identity))

    async def _restart(self, request: Request) -> Response:
        box, refused = self._at(request, 49999)
        identity = request.path_params["id"]
        if refused is not None:
            return refused
        if identity not in box.contexts.values():
            return PlainTextResponse(f"Context {identity} not found", status_code=404)
        await box.session.restart(identity)
        return JSONResponse(None)

    async def _remove_context(self, request: Request) -> Response:
        box, refused = self._at(request, 49999)
        if refused is not None:
            return refused
        for name, identity in list(box.contexts.items()):
            if identity == request.path_params["id"]:
                del box.contexts[name]
                await box.session.restart(identity)
                return JSONResponse(None)
        return PlainTextResponse("Context not found", status_code=404)

    async def _download(self, request: Request) -> Response:
        box, refused = self._at(request, 49983)
        if refused is not None:
            return refused
        path = request.query_params["path"]
        try:
            return Response(
                await box.session.download(_name(path), max_bytes=64 << 20), media_type="application/octet-stream"
            )
        except SandboxError as error:
            return JSONResponse({"code": 404, "message": f"path '{path}' does not exist: {error}"}, status_code=404)

    async def _upload(self, request: Request) -> Response:
        box, refused = self._at(request, 49983)
        if refused is not None:
            return refused
        path = request.query_params.get("path")
        files = {}
        if request.headers["content-type"].startswith("application/octet-stream"):
            files[path or ""] = await request.body()
        else:
            async with request.form() as form:
                for _, part in form.multi_items():
                    assert not isinstance(part, str)
                    files[path or part.filename or ""] = await part.read()
        try:
            await box.session.upload({_name(name): content for name, content in files.items()})
        except SandboxError as error:
            return JSONResponse({"code": 400, "message": str(error)}, status_code=400)
        return JSONResponse([{"name": n.rpartition("/")[2], "type": "file", "path": _absolute(n)} for n in files])

    async def _filesystem(self, request: Request) -> Response:
        box, refused = self._at(request, 49983)
        if refused is not None:
            return refused
        if not request.headers["content-type"].startswith("application/json"):
            return Response(status_code=415)
        path = (await request.json()).get("path", "")
        try:
            return JSONResponse(await _filesystem(box.session, request.path_params["procedure"], path))
        except SandboxFileNotFoundError as error:
            return JSONResponse({"code": "not_found", "message": f"path not found: {error}"}, status_code=404)
        except SandboxError as error:
            return JSONResponse({"code": "invalid_argument", "message": str(error)}, status_code=400)


async def _filesystem(session: Session, procedure: str, path: str) -> dict[str, Any]:
    if procedure == "ListDir":
        inside = "" if _absolute(path) == HOME else _name(path)
        return {"entries": [_entry(info) for info in await session.list(inside)]}
    if procedure == "Stat":
        for info in await session.list():
            if info.name == _name(path):
                return {"entry": _entry(info)}
        raise SandboxFileNotFoundError(path)
    assert procedure == "Remove", procedure
    with contextlib.suppress(SandboxFileNotFoundError):
        await session.delete(_name(path))
    return {}


async def _lines(session: Session, code: str, language: str, context: str) -> AsyncGenerator[str]:
    """Give the messages of a run, and one now and then while it says nothing."""
    yield json.dumps({"type": "number_of_executions", "execution_count": 1}) + "\n"
    async with contextlib.aclosing(session.stream(code, language=language, context=context)) as events:
        waiting: asyncio.Task[RunEvent] | None = None
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(events))
                done, _ = await asyncio.wait({waiting}, timeout=KEEPALIVE_S)
                if not done:
                    yield json.dumps({"type": "keepalive"}) + "\n"
                    continue
                try:
                    event = waiting.result()
                except SessionClosedError:
                    return  # the sandbox was killed: nobody is there to say more
                waiting = None
                for message in _messages(event):
                    yield json.dumps(message) + "\n"
                if isinstance(event, EndEvent):
                    break
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.wait({waiting})
    yield json.dumps({"type": "end_of_execution"}) + "\n"


def _messages(event: RunEvent) -> list[dict[str, Any]]:
    match event:
        case OutputEvent():
            stamp = datetime.now(UTC).isoformat()
            return [{"type": event.type, "text": event.data.decode("utf-8", "replace"), "timestamp": stamp}]
        case DisplayEvent():
            return [_result(event.display)]
        case ErrorEvent():
            error = event.error
            return [{"type": "error", "name": error.name, "value": error.value, "traceback": error.traceback}]
        case EndEvent():
            if kernel_ended(event.result) or event.result.status == "sandbox_error":
                return [
                    {"type": "error", "name": "ContextRestarting", "value": "Context was restarted", "traceback": ""}
                ]
            if event.result.error is None and event.result.exit_code:
                code = str(event.result.exit_code)
                return [{"type": "error", "name": "SystemExit", "value": code, "traceback": ""}]
            return []


def _result(display: Display) -> dict[str, Any]:
    named = {NAMES[kind]: value for kind, value in display.data.items() if kind in NAMES}
    text = named.get("text")
    if text is not None and text[:1] in ("'", '"') and text.endswith(text[:1]):
        named["text"] = text[1:-1]  # so does the service
    extra = {kind: value for kind, value in display.data.items() if kind not in NAMES}
    return {"type": "result", **named, "extra": extra, "is_main_result": display.is_result}


def _entry(info: FileInfo) -> dict[str, Any]:
    entry = {
        "name": info.name.rpartition("/")[2],
        "type": "FILE_TYPE_DIRECTORY" if info.is_folder else "FILE_TYPE_FILE",
        "path": f"{HOME}/{info.name}",
        "size": str(info.size),  # as protobuf's JSON writes 64 bits
        "mode": 0o644,
        "permissions": "-rw-r--r--",
        "owner": "user",
        "group": "user",
        "modifiedTime": datetime.fromtimestamp(info.modified, UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "000Z"),
    }
    return {name: value for name, value in entry.items() if value not in ("0", 0)}


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"{HOME}/{path}".rstrip("/")


def _name(path: str) -> str:
    return _absolute(path).removeprefix(f"{HOME}/")


def _context(name: str, identity: str) -> dict[str, str]:
    return {"id": identity, "language": name.partition("#")[0], "cwd": HOME}


def _described(box: Box) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {
        "templateID": "code-interpreter-v1", "sandboxID": box.id, "clientID": "c", "envdVersion": "0.6.7",
        "startedAt": now, "endAt": now, "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 512, "state": "running",
    }  # fmt: skip


def _unauthorized(request: Request) -> Response | None:
    if request.headers.get("x-api-key") == KEY:
        return None
    return JSONResponse({"code": 401, "message": "authorization header is missing or wrong"}, status_code=401)


def _no_sandbox() -> Response:
    return JSONResponse({"code": 404, "message": "sandbox not found"}, status_code=404)
