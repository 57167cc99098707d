"""E2B's ``process.Process``: commands over bash, their output as a stream of enveloped messages."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyport.errors import CallError
from polyport_gateway.call import CodeRun, Dispatch
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, RequestInfo, Scope, Send, info_of, run_until_disconnect, send_json
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import run_code
from polyport_gateway.wires.sandbox.e2b.connect import (
    MessageStream,
    RPCError,
    deadline_of,
    read_message,
    read_streamed_message,
    send_rpc_error,
)
from polyport_gateway.wires.sandbox.e2b.door import PREFIX, sandbox_of
from polyport_gateway.wires.sandbox.e2b.environment import check_envs, command_line
from polyport_gateway.wires.sandbox.e2b.limits import longest_run
from polyport_gateway.wires.sandbox.e2b.paths import folder_in_sandbox
from polyport_gateway.wires.sandbox.e2b.sandboxes import Command, E2BSandbox
from polyport_gateway.wires.sandbox.endpoint import Endpoint
from polyport_sandbox.types import EndEvent, OutputEvent, RunResult

__all__ = ["ProcessService"]

_SERVICE = f"{PREFIX}/process.Process"
_KILLING = frozenset({"SIGNAL_SIGKILL", "SIGNAL_SIGTERM", 9, 15})
_NOT_OFFERED = {
    "Connect": "A command's output goes to whoever started it; it can't be joined from elsewhere.",
    "SendInput": "A command gets no input while it runs; put it into the command, or into a file.",
    "StreamInput": "A command gets no input while it runs; put it into the command, or into a file.",
    "CloseStdin": "A command's input is closed from the start.",
    "Update": "There are no terminals in this gateway's sandboxes.",
}
_PING_S = 50.0
_SECONDS = re.compile(rb"[1-9][0-9]{0,3}")
_STREAMED = frozenset({"Connect", "StreamInput"})


class Config(BaseModel):
    """What to start."""

    model_config = ConfigDict(extra="ignore")

    cmd: str = Field(min_length=1, max_length=4096)
    args: list[str] = Field(default_factory=list, max_length=1024)
    envs: dict[str, str] = Field(default_factory=dict, max_length=256)
    cwd: str | None = Field(default=None, max_length=4096)


class Start(BaseModel):
    """The message that starts a command."""

    model_config = ConfigDict(extra="ignore")

    process: Config
    pty: dict[str, Any] | None = None
    tag: str | None = Field(default=None, max_length=256)
    stdin: bool = False


class Selector(BaseModel):
    """Which command."""

    pid: int | None = None
    tag: str | None = None


class Signalling(BaseModel):
    """The message that sends a signal."""

    process: Selector
    signal: str | int = "SIGNAL_UNSPECIFIED"


class ProcessService:
    """The methods, each a path.

    Args:
        service: Knows the limits.
        dispatch: The one way through.
        settings: Limits on messages.
    """

    def __init__(self, service: SandboxService, dispatch: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatch = dispatch
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return its paths."""
        found = [_route("Start", self._start), _route("List", self._list), _route("SendSignal", self._signal)]
        return [*found, *(_route(name, self._not_offered(name)) for name in _NOT_OFFERED)]

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        info, sandbox, stream = info_of(scope), sandbox_of(scope), MessageStream(send)
        try:
            start = Start.model_validate(await read_streamed_message(scope, receive, self._settings))
            _check(start)
            run = self._run_of(sandbox, start, deadline_of(scope))
        except (CallError, ValidationError) as error:
            # Over a stream a refusal too is a message.
            await stream.end(error, request_id=info.request_id, identity=sandbox.id)
            return
        await run_until_disconnect(receive, self._follow(info, sandbox, start, run, stream, _pings(scope)))

    def _run_of(self, sandbox: E2BSandbox, start: Start, deadline: float | None) -> CodeRun:
        config = start.process
        script = command_line(config.cmd, config.args, {**sandbox.envs, **config.envs}, folder_in_sandbox(config.cwd))
        wall_s = longest_run(self._service, sandbox)
        if deadline is not None:
            wall_s = max(0.05, min(wall_s, deadline))
        # A context of its own: it has no variables to share.
        return CodeRun(script, language="bash", session=sandbox.id, context="commands", limits={"wall_s": wall_s})

    async def _follow(
        self, info: RequestInfo, sandbox: E2BSandbox, start: Start, run: CodeRun, stream: MessageStream, pings: float
    ) -> None:
        sandbox.last_pid += 1
        config, pid = start.process, sandbox.last_pid
        task = asyncio.ensure_future(self._pump(info, run, stream, pid))
        command = Command(pid, config.cmd, config.args, config.envs, config.cwd, start.tag, task)
        sandbox.commands[pid] = command
        try:
            while not (await asyncio.wait({task}, timeout=pings))[0]:
                await stream.write({"event": {"keepalive": {}}})
        finally:
            sandbox.commands.pop(pid, None)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if command.killed and task.cancelled():
            await stream.write(_ended(-1, exited=False, status="signal: killed", error="signal: killed"))
            await stream.end()
            return
        error = None if task.cancelled() else task.exception()
        await stream.end(error, request_id=info.request_id, identity=sandbox.id)

    async def _pump(self, info: RequestInfo, run: CodeRun, stream: MessageStream, pid: int) -> None:
        await stream.write({"event": {"start": {"pid": pid}}})
        async with aclosing(run_code(self._dispatch, info, run, wire="e2b")) as events:
            async for event in events:
                if isinstance(event, OutputEvent):
                    data = base64.b64encode(event.data).decode("ascii")
                    await stream.write({"event": {"data": {event.type: data}}})
                elif isinstance(event, EndEvent):
                    await stream.write(_end_of(event.result))

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_message(scope, receive, self._settings)
        await send_json(send, {"processes": [_shown(one) for one in sandbox_of(scope).commands.values()]})

    async def _signal(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = Signalling.model_validate(await read_message(scope, receive, self._settings))
        sandbox, wanted = sandbox_of(scope), message.process
        found = [
            one
            for one in sandbox.commands.values()
            if one.pid == wanted.pid or (wanted.tag is not None and one.tag == wanted.tag)
        ]
        if not found:
            raise RPCError("not_found", f"There is no command with the pid {wanted.pid} under way.")
        if message.signal not in _KILLING:
            raise RPCError("unimplemented", "Of signals, only SIGKILL and SIGTERM can be sent; both end the command.")
        for command in found:
            command.killed = True
            command.task.cancel()
        await asyncio.wait({command.task for command in found})
        await send_json(send, {})

    def _not_offered(self, name: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            failure = RPCError("unimplemented", _NOT_OFFERED[name])
            if name not in _STREAMED:
                await read_message(scope, receive, self._settings)
                raise failure
            await MessageStream(send).end(failure, request_id=info_of(scope).request_id)

        return handle


def _pings(scope: Scope) -> float:
    """Return the seconds after which a client wants to hear something, lest a proxy take the stream for dead."""
    given = next((value for key, value in scope["headers"] if key == b"keepalive-ping-interval"), b"")
    return float(given) if _SECONDS.fullmatch(given) else _PING_S


def _route(name: str, handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Route:
    return Route("POST", f"{_SERVICE}/{name}", Endpoint(handler, send_rpc_error))


def _check(start: Start) -> None:
    if start.pty is not None:
        raise RPCError("unimplemented", _NOT_OFFERED["Update"])
    if start.stdin:
        raise RPCError("unimplemented", _NOT_OFFERED["SendInput"])
    check_envs(start.process.envs)
    if any("\0" in text for text in (start.process.cmd, *start.process.args, start.process.cwd or "")):
        raise RPCError("invalid_argument", "A command can't have a null character.")


def _end_of(result: RunResult) -> dict[str, Any]:
    if result.status == "timeout":
        raise RPCError("deadline_exceeded", "The command was still running at its time limit and was stopped.")
    if result.status == "sandbox_error":
        raise RPCError("unavailable", result.detail or "The sandbox failed.")
    code = -1 if result.exit_code is None else result.exit_code
    if result.status in ("ok", "error"):
        return _ended(code, exited=True, status=f"exit status {code}", error=f"exit status {code}" if code else None)
    told = {"out_of_memory": "out of memory", "output_limit": "too much output"}.get(result.status, "signal: killed")
    return _ended(-1, exited=False, status=told, error=result.detail or told)


def _ended(code: int, *, exited: bool, status: str, error: str | None = None) -> dict[str, Any]:
    end: dict[str, Any] = {"exitCode": code, "exited": exited, "status": status}
    if error is not None:
        end["error"] = error
    return {"event": {"end": end}}


def _shown(command: Command) -> dict[str, Any]:
    config: dict[str, Any] = {"cmd": command.cmd, "args": command.args, "envs": dict(command.envs)}
    if command.cwd is not None:
        config["cwd"] = command.cwd
    shown: dict[str, Any] = {"pid": command.pid, "config": config}
    return shown if command.tag is None else {**shown, "tag": command.tag}
