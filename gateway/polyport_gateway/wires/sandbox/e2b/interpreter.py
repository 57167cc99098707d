"""E2B's code interpreter: ``/execute`` as a stream of JSON lines, and ``/contexts``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from polyport.errors import BadRequestError, CallError, ConflictError, NotFoundError
from polyport_gateway.call import CodeRun, Dispatch
from polyport_gateway.errors import to_call_error
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    Receive,
    RequestInfo,
    Scope,
    Send,
    info_of,
    read_json,
    run_until_disconnect,
    send_bytes,
    send_json,
)
from polyport_gateway.wires.json_bodies import to_json
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import in_sandbox, run_code
from polyport_gateway.wires.sandbox.e2b.door import PREFIX, sandbox_of
from polyport_gateway.wires.sandbox.e2b.environment import check_envs, leave_python, prepare_python, with_environment
from polyport_gateway.wires.sandbox.e2b.errors import send_refusal
from polyport_gateway.wires.sandbox.e2b.gathering import gathered
from polyport_gateway.wires.sandbox.e2b.limits import longest_run
from polyport_gateway.wires.sandbox.e2b.lines import write_events
from polyport_gateway.wires.sandbox.e2b.paths import WORK, folder_in_sandbox
from polyport_gateway.wires.sandbox.e2b.sandboxes import CodeContext, E2BSandbox
from polyport_gateway.wires.sandbox.endpoint import Endpoint, result_of
from polyport_sandbox.types import EndEvent, ErrorEvent, RunEvent

__all__ = ["Interpreter"]

_WIRE = "e2b"
_MOST_CONTEXTS = 32
_LANGUAGES = {
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
    "ts": "typescript",
    "sh": "bash",
    "shell": "bash",
}


class Execution(BaseModel):
    """The body of ``/execute``."""

    model_config = ConfigDict(extra="ignore")

    code: str
    context_id: str | None = None
    language: str | None = None
    env_vars: dict[str, str] | None = Field(default=None, max_length=256)


class NewContext(BaseModel):
    """The body that makes a context."""

    language: str | None = None
    cwd: str | None = Field(default=None, max_length=4096)


class Interpreter:
    """The code interpreter's endpoints.

    Args:
        service: Knows the languages and limits.
        dispatch: The one way through.
        settings: Limits on bodies.
    """

    def __init__(self, service: SandboxService, dispatch: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatch = dispatch
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return its paths."""
        return [
            _route("POST", "execute", self._execute),
            _route("GET", "contexts", self._list),
            _route("POST", "contexts", self._create),
            _route("POST", "contexts/{id}/restart", self._restart),
            _route("DELETE", "contexts/{id}", self._remove),
        ]

    async def _execute(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Execution.model_validate(await read_json(scope, receive, settings=self._settings))
        check_envs(body.env_vars or {})
        sandbox = sandbox_of(scope)
        context = self._context(sandbox, body)
        await run_until_disconnect(receive, self._answer(info_of(scope), sandbox, context, body, send))

    async def _answer(
        self, info: RequestInfo, sandbox: E2BSandbox, context: CodeContext, body: Execution, send: Send
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})

        async def write(line: Mapping[str, Any]) -> None:
            await send({"type": "http.response.body", "body": to_json(line) + b"\n", "more_body": True})

        context.executions += 1
        await write({"type": "number_of_executions", "execution_count": context.executions})
        try:
            async with aclosing(gathered(self._events(info, sandbox, context, body))) as events:
                await write_events(events, write)
        except CallError as error:
            failure = to_call_error(error, request_id=info.request_id)
            await write({"type": "error", "name": type(failure).__name__, "value": failure.message, "traceback": ""})
        await write({"type": "end_of_execution"})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(
        self, info: RequestInfo, sandbox: E2BSandbox, context: CodeContext, body: Execution
    ) -> AsyncGenerator[RunEvent]:
        envs = body.env_vars or {}
        if context.language != "python":
            cwd = context.cwd if context.cwd != WORK else None
            code = with_environment(context.language, body.code, {**sandbox.envs, **envs}, cwd)
            async with aclosing(self._run(info, sandbox, context, code)) as events:
                async for event in events:
                    yield event
            return
        lasting = {} if context.ready else sandbox.envs
        cwd = None if context.ready or context.cwd == WORK else context.cwd
        before = "\n".join([*leave_python(context.left, sandbox.envs), *prepare_python({**lasting, **envs}, cwd)])
        context.left = envs
        if before:
            prepared = await result_of(self._run(info, sandbox, context, before))
            if prepared.status != "ok":
                if prepared.error is not None:
                    yield ErrorEvent(prepared.error)
                yield EndEvent(prepared)
                return
        # A kernel that had to be killed has lost its environment; whether it was is not told to a client that has gone.
        context.ready = False
        async with aclosing(self._run(info, sandbox, context, body.code)) as events:
            async for event in events:
                if isinstance(event, EndEvent):
                    context.ready = event.result.status in ("ok", "error") and event.result.detail is None
                yield event
        if envs:
            await result_of(self._run(info, sandbox, context, "\n".join(leave_python(envs, sandbox.envs))))
            context.left = {}

    def _run(self, info: RequestInfo, sandbox: E2BSandbox, context: CodeContext, code: str) -> AsyncGenerator[RunEvent]:
        run = CodeRun(
            code,
            language=context.language,
            session=sandbox.id,
            context=context.id,
            limits={"wall_s": longest_run(self._service, sandbox)},
        )
        return run_code(self._dispatch, info, run, wire=_WIRE)

    def _context(self, sandbox: E2BSandbox, body: Execution) -> CodeContext:
        if body.context_id is not None:
            if body.language is not None:
                raise BadRequestError("Give context_id or language, not both.", param="language")
            if body.context_id == "default":
                return self._default(sandbox, "python")
            return _named(sandbox, body.context_id)
        return self._default(sandbox, self._language(body.language))

    def _default(self, sandbox: E2BSandbox, language: str) -> CodeContext:
        identity = "default" if language == "python" else f"default-{language}"
        if identity not in sandbox.contexts:
            sandbox.contexts[identity] = CodeContext(identity, language, WORK)
        return sandbox.contexts[identity]

    def _language(self, given: str | None) -> str:
        language = (given or "python").lower()
        language = _LANGUAGES.get(language, language)
        if language not in self._service.languages:
            known = ", ".join(self._service.languages)
            raise BadRequestError(f"This sandbox does not run {language[:80]!r}; it runs {known}.", param="language")
        return language

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        sandbox = sandbox_of(scope)
        self._default(sandbox, "python")
        await send_json(send, [_described(context) for context in sandbox.contexts.values()])

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = NewContext.model_validate(await read_json(scope, receive, settings=self._settings))
        sandbox = sandbox_of(scope)
        if len(sandbox.contexts) >= _MOST_CONTEXTS:
            raise ConflictError(f"The sandbox has {_MOST_CONTEXTS} contexts, as many as it may have; remove one.")
        context = CodeContext(uuid4().hex, self._language(body.language), folder_in_sandbox(body.cwd))
        sandbox.contexts[context.id] = context
        await send_json(send, _described(context))

    async def _restart(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox = sandbox_of(scope)
        context = self._in_path(scope, sandbox)
        await self._restarted(scope, receive, sandbox, context)
        context.ready, context.left, context.executions = False, {}, 0
        await send_bytes(send, b"", status=204, headers=())

    async def _remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox = sandbox_of(scope)
        context = self._in_path(scope, sandbox)
        await self._restarted(scope, receive, sandbox, context)
        sandbox.contexts.pop(context.id, None)
        await send_bytes(send, b"", status=204, headers=())

    async def _restarted(self, scope: Scope, receive: Receive, sandbox: E2BSandbox, context: CodeContext) -> None:
        restarting = in_sandbox(self._dispatch, info_of(scope), lambda: sandbox.session.restart(context.id), wire=_WIRE)
        await run_until_disconnect(receive, restarting)

    def _in_path(self, scope: Scope, sandbox: E2BSandbox) -> CodeContext:
        identity = unquote(scope["path_params"]["id"])
        return self._default(sandbox, "python") if identity == "default" else _named(sandbox, identity)


def _route(method: str, path: str, handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Route:
    return Route(method, f"{PREFIX}/{path}", Endpoint(handler, send_refusal))


def _named(sandbox: E2BSandbox, identity: str) -> CodeContext:
    context = sandbox.contexts.get(identity)
    if context is None:
        raise NotFoundError(f"Context {identity[:80]} not found")
    return context


def _described(context: CodeContext) -> dict[str, str]:
    return {"id": context.id, "language": context.language, "cwd": context.cwd}
