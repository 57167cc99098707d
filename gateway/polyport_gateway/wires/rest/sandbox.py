"""``/v1/sandbox``: running code, and the sessions in which it lives on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from polyport.errors import CallError, InternalServerError
from polyport.types.sandbox import SandboxDeleted, SandboxSessionList
from polyport_gateway.call import Call, CodeEvent, CodeRun, Dispatch
from polyport_gateway.errors import to_call_error
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.sandboxes.session_tools import describe_session
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    ClientGoneError,
    Receive,
    Scope,
    Send,
    info_of,
    read_body,
    read_json,
    run_until_disconnect,
    send_bytes,
    send_error,
    send_json,
)
from polyport_gateway.wires.json_bodies import to_json
from polyport_gateway.wires.rest.sandbox_files import FileEndpoints
from polyport_gateway.wires.rest.sandbox_paths import PATHS
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import in_sandbox, sandbox_call

if TYPE_CHECKING:
    from polyport_sandbox import RunEvent, RunResult
    from polyport_sandbox.session import Session

__all__ = ["SandboxWire"]

_SSE = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))
_LARGE = 1 << 20

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class SandboxWire:
    """The endpoints of the sandbox.

    Every run is a call of `run_code`, and so is all else that takes time or room: that sees to limits, usage and
    cancellation. Whoever may not use that name may use nothing here.

    Args:
        service: The gateway's sandbox.
        dispatcher: The way through.
        settings: Limits on bodies.
    """

    def __init__(self, service: SandboxService, dispatcher: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._settings = settings
        files = FileEndpoints(service, dispatcher, settings)
        handlers: list[Handler] = [
            self._run,
            self._list,
            self._open,
            self._show,
            self._close,
            self._run,
            self._interrupt,
            self._restart,
            files.list,
            files.download,
            files.upload,
            files.delete,
        ]
        self.routes = [
            Route(method, path, _Endpoint(service, handler))
            for (method, path), handler in zip(PATHS, handlers, strict=True)
        ]

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run code, in a session or in a place of its own."""
        session = scope.get("path_params", {}).get("session_id")
        run, stream = await self._read_run(scope, receive, session)
        call = sandbox_call(self._dispatcher, info_of(scope), run, wire="rest")
        await run_until_disconnect(receive, _stream(call, send) if stream else _answer(call, send))

    async def _read_run(self, scope: Scope, receive: Receive, session: str | None) -> tuple[CodeRun, bool]:
        from polyport_sandbox.wire_format import run_from_json

        body = await read_json(scope, receive, settings=self._settings)
        asked = run_from_json(body, in_session=session is not None)
        run = CodeRun(
            code=asked.code,
            language=asked.language,
            files=asked.files,
            stdin=asked.stdin,
            limits=body.get("limits"),  # only what was named: the rest is this gateway's, or the session's
            allow_hosts=asked.allow_hosts,
            session=session,
            context=asked.context,
        )
        return run, asked.stream

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open a session."""
        from polyport_sandbox.wire_format import session_from_json

        body = await read_json(scope, receive, settings=self._settings)
        asked = session_from_json(body)
        info = info_of(scope)

        async def opened() -> Session:
            return await self._service.open_session(
                info.caller,
                limits=body.get("limits"),
                files=asked.files,
                allow_hosts=asked.allow_hosts,
                idle_s=asked.idle_s,
                lifetime_s=asked.lifetime_s,
                name=asked.name,
            )

        opening = in_sandbox(self._dispatcher, info, opened, wire="rest")
        await send_json(send, describe_session(await run_until_disconnect(receive, opening)))

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List the caller's sessions."""
        found = await self._service.sessions(info_of(scope).caller)
        await send_json(send, SandboxSessionList(data=[describe_session(session) for session in found]))

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a session."""
        await send_json(send, describe_session(await self._session(scope)))

    async def _close(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close a session, with all that runs in it."""
        session = await self._session(scope)
        await session.aclose()
        await send_json(send, SandboxDeleted(id=session.id, object="sandbox.session.deleted"))

    async def _interrupt(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the cell that runs in a session."""
        session = await self._session(scope)
        await send_json(send, {"interrupted": bool(await session.interrupt())})

    async def _restart(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start a session's kernels anew, or one of them; files stay."""
        context = await self._context(scope, receive)
        session = await self._session(scope)
        restarting = in_sandbox(self._dispatcher, info_of(scope), lambda: session.restart(context), wire="rest")
        await run_until_disconnect(receive, restarting)
        await send_json(send, {"restarted": True})

    async def _context(self, scope: Scope, receive: Receive) -> str | None:
        from polyport_sandbox import InvalidRunError

        length = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
        if length == b"0":
            await read_body(scope, receive, self._settings.max_body_bytes, self._settings.request_timeout_s)
            return None
        body = await read_json(scope, receive, settings=self._settings)
        context = body.get("context")
        if set(body) - {"context"} or not isinstance(context, str | None):
            raise InvalidRunError('a restart takes {"context": "name"}, or nothing for all of them', param="context")
        return context

    async def _session(self, scope: Scope) -> Session:
        return await self._service.session(scope["path_params"]["session_id"], info_of(scope).caller)


class _Endpoint:
    """One endpoint: refuses whoever may not run code, and answers with errors."""

    def __init__(self, service: SandboxService, handler: Handler) -> None:
        self._service = service
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        info = info_of(scope)
        try:
            self._service.check(info.caller)
            await self._handler(scope, receive, send)
        except ClientGoneError:
            return
        except CallError as error:
            await send_error(send, error, request_id=info.request_id)


async def _events(call: Call) -> AsyncIterator[RunEvent]:
    async with aclosing(call.run()) as events:
        async for event in events:
            if isinstance(event, CodeEvent):
                yield event.event


async def _answer(call: Call, send: Send) -> None:
    from polyport_sandbox import EndEvent

    result: RunResult | None = None
    async for event in _events(call):
        if isinstance(event, EndEvent):
            result = event.result
    if result is None:
        raise InternalServerError("The run ended without a result.")
    await send_bytes(send, await _written(result))


async def _written(result: RunResult) -> bytes:
    from polyport_sandbox.wire_format import result_to_json

    size = len(result.stdout) + len(result.stderr) + sum(map(len, result.files.values()))
    if size > _LARGE:
        return await asyncio.to_thread(lambda: to_json(result_to_json(result)))
    return to_json(result_to_json(result))


async def _stream(call: Call, send: Send) -> None:
    """Send events as they come; what fails before the first is an ordinary error."""
    from polyport_sandbox.wire_format import event_to_json

    started = False

    async def write(kind: str, data: Mapping[str, Any]) -> None:
        nonlocal started
        if not started:
            started = True
            await send({"type": "http.response.start", "status": 200, "headers": list(_SSE)})
        body = b"event: " + kind.encode("ascii") + b"\ndata: " + to_json(data) + b"\n\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})

    try:
        async with aclosing(call.run()) as events:
            async for event in events:
                if isinstance(event, CodeEvent):
                    await write(*event_to_json(event.event))
    except CallError as error:
        if not started:
            raise
        await write("error", {"error": to_call_error(error, request_id=call.request_id).body()})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
