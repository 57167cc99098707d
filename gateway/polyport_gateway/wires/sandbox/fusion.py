"""SandboxFusion's ``/run_code`` and ``/run_jupyter``, under ``/v1/sandbox/fusion``.

Its client sends no key of its own; it takes one in the URL: ``http://key:YOUR_KEY@host:8400/v1/sandbox/fusion``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import posixpath
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from polyport.errors import BadRequestError, NotFoundError
from polyport_gateway.call import Caller, CodeRun, Dispatch
from polyport_gateway.errors import to_call_error
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.settings import Settings
from polyport_gateway.wires.access import Access
from polyport_gateway.wires.http import (
    Receive,
    RequestInfo,
    Scope,
    Send,
    error_headers,
    info_of,
    read_json,
    run_until_disconnect,
    send_bytes,
    send_json,
)
from polyport_gateway.wires.json_bodies import to_json
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import in_sandbox, run_code
from polyport_gateway.wires.sandbox.endpoint import Endpoint, bearer_of, caller_of, headers_of, result_of
from polyport_gateway.wires.sandbox.fusion_bodies import (
    LANGUAGES,
    CellResult,
    CommandResult,
    RunCodeAnswer,
    RunCodeBody,
    RunJupyterAnswer,
    RunJupyterBody,
    RunStatus,
)
from polyport_sandbox.errors import SandboxFileNotFoundError
from polyport_sandbox.session import Session
from polyport_sandbox.types import RunResult

__all__ = ["PREFIX", "FusionWire"]

PREFIX = "/v1/sandbox/fusion"

_WIRE = "sandbox-fusion"
_SPARE_S = 120.0  # beyond the cells: for a container, and the files
_NOT_SERVED = "Polyport serves SandboxFusion's /run_code and /run_jupyter; its data sets are not part of a sandbox."


class FusionWire:
    """SandboxFusion's endpoints.

    Args:
        service: Runs code.
        dispatch: The one way through.
        settings: Limits on bodies.
    """

    def __init__(self, service: SandboxService, dispatch: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatch = dispatch
        self._settings = settings
        self.routes = [
            Route("POST", f"{PREFIX}/run_code", Endpoint(self._run_code, send_refusal)),
            Route("POST", f"{PREFIX}/run_jupyter", Endpoint(self._run_jupyter, send_refusal)),
            Route("*", f"{PREFIX}/{{rest:path}}", Endpoint(_not_served, send_refusal)),
        ]

    def takes(self, scope: Scope, host: str | None) -> bool:
        """Whether a request is for SandboxFusion."""
        del host
        path: str = scope["path"]
        return path.startswith(f"{PREFIX}/")

    async def admit(self, scope: Scope, access: Access) -> Caller:
        """Return who asks; the key may be the password of the URL."""
        caller = await caller_of(bearer_of(headers_of(scope)), access, local=bool(scope.get("polyport.local")))
        self._service.check(caller)
        return caller

    async def refuse(self, scope: Scope, send: Send, error: BaseException, request_id: str) -> None:
        """Answer as FastAPI does."""
        del scope
        await send_refusal(send, error, request_id)

    async def _run_code(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = RunCodeBody.model_validate(await read_json(scope, receive, settings=self._settings))
        answer = await run_until_disconnect(receive, self._code_answer(info_of(scope), body))
        await send_json(send, answer)

    async def _code_answer(self, info: RequestInfo, body: RunCodeBody) -> RunCodeAnswer:
        language = LANGUAGES.get(body.language, body.language)
        known = self._service.languages
        if language not in known:
            return RunCodeAnswer(
                status="SandboxError",
                message=f"This sandbox does not run {body.language!r}; it runs {', '.join(known)}.",
            )
        if body.args:
            raise BadRequestError("args is for pytest, which this sandbox does not run; leave it out.", param="args")
        asked: dict[str, Any] = {"wall_s": body.run_timeout}
        if body.memory_limit_mb > 0:
            asked["memory_mb"] = body.memory_limit_mb
        files, wanted = _decoded(body.files), _names(body.fetch_files)
        run = CodeRun(
            body.code,
            language=language,
            files=files,
            stdin=(body.stdin or "").encode(),
            limits=asked,
        )
        result = await result_of(run_code(self._dispatch, info, run, wire=_WIRE))
        # What the code has not touched is as it was sent.
        found = {**files, **result.files}
        return RunCodeAnswer(
            status=_status(result),
            message=_message(result),
            run_result=_command_result(result),
            executor_pod_name=None,
            files=_encoded({name: found[clean] for name, clean in wanted.items() if clean in found}),
        )

    async def _run_jupyter(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = RunJupyterBody.model_validate(await read_json(scope, receive, settings=self._settings))
        answer = await run_until_disconnect(receive, self._jupyter_answer(info_of(scope), body))
        await send_json(send, answer)

    async def _jupyter_answer(self, info: RequestInfo, body: RunJupyterBody) -> RunJupyterAnswer:
        wanted = _names(body.fetch_files)
        lifetime = body.total_timeout + _SPARE_S
        files = _decoded(body.files)

        async def opened() -> Session:
            return await self._service.open_session(
                info.caller, files=files, idle_s=min(lifetime, 86_400.0), lifetime_s=lifetime
            )

        session = await in_sandbox(self._dispatch, info, opened, wire=_WIRE)
        try:
            answer = await self._cells(info, body, session)
            if answer.status == "Success":
                fetching = partial(_fetched, session, wanted)
                answer.files = _encoded(await in_sandbox(self._dispatch, info, fetching, wire=_WIRE))
        finally:
            await session.aclose()
        return answer

    async def _cells(self, info: RequestInfo, body: RunJupyterBody, session: Session) -> RunJupyterAnswer:
        clock = asyncio.get_running_loop().time
        began = clock()
        most = float(self._service.plan.max_limits.get("wall_s", body.total_timeout))
        cells: list[CellResult] = []
        driver = CommandResult(status="Finished", return_code=0, stdout="", stderr="")
        for cell in body.cells:
            left = began + body.total_timeout - clock()
            wall_s = max(0.05, min(left, body.cell_timeout or left, most))
            run = CodeRun(cell, session=session.id, limits={"wall_s": wall_s})
            result = await result_of(run_code(self._dispatch, info, run, wire=_WIRE))
            cells.append(_cell_result(result))
            if result.status == "sandbox_error":
                return RunJupyterAnswer(status="SandboxError", message=_message(result))
            if result.status == "timeout" or left <= 0:
                driver = CommandResult(status="TimeLimitExceeded", stdout="", stderr="")
                break
        driver.execution_time = clock() - began
        status: RunStatus = "Success" if driver.status == "Finished" else "Failed"
        return RunJupyterAnswer(status=status, driver=driver, cells=cells)


async def _not_served(scope: Scope, receive: Receive, send: Send) -> None:
    del receive, send
    raise NotFoundError(f"There is nothing at {scope['path'][:200]}. {_NOT_SERVED}")


async def send_refusal(send: Send, error: BaseException, request_id: str) -> None:
    """Answer with an error as FastAPI does: a body that doesn't fit with 422, and what is wrong where."""
    if isinstance(error, ValidationError):
        # Not the input itself: it is the caller's code.
        detail = [
            {"type": problem["type"], "loc": ["body", *problem["loc"]], "msg": problem["msg"]}
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        await send_bytes(send, to_json({"detail": detail}), status=422)
        return
    failure = to_call_error(error, request_id=request_id)
    status = failure.status if 400 <= failure.status <= 599 else 500
    await send_bytes(send, to_json({"detail": failure.message}), status=status, headers=error_headers(failure))


def _clean(name: str) -> str:
    """A name without ``./`` and the like; what is wrong with one is said by the sandbox."""
    return name if name.startswith("/") or not name else posixpath.normpath(name)


def _names(names: Iterable[str]) -> dict[str, str]:
    found = {name: _clean(name) for name in names}
    for name, clean in found.items():
        if clean.startswith(("/", "../")) or clean in ("", ".", ".."):
            raise BadRequestError(
                f"fetch_files: {name[:80]!r} does not lie in the working folder; give a name relative to it.",
                param="fetch_files",
            )
    return found


def _decoded(files: Mapping[str, str | None]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, content in files.items():
        if content is None:
            continue
        try:
            found[_clean(name)] = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequestError(f"files: the content of {name[:80]!r} is not base64.", param="files") from error
    return found


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}


async def _fetched(session: Session, wanted: Mapping[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = session.limits.output_file_bytes
    for name, clean in wanted.items():
        try:
            found[name] = await session.download(clean, max_bytes=left)
        except SandboxFileNotFoundError:
            continue  # as SandboxFusion has it: what isn't there isn't in the answer
        left -= len(found[name])
    return found


def _status(result: RunResult) -> RunStatus:
    if result.status == "sandbox_error":
        return "SandboxError"
    return "Success" if result.status == "ok" else "Failed"


def _message(result: RunResult) -> str:
    if result.status == "sandbox_error":
        return result.detail or "the sandbox failed"
    return {"out_of_memory": "out of memory", "output_limit": "too much output"}.get(result.status, "")


def _command_result(result: RunResult) -> CommandResult:
    if result.status == "sandbox_error":
        return CommandResult(status="Error", stderr=result.detail)
    timed_out = result.status == "timeout"
    return CommandResult(
        status="TimeLimitExceeded" if timed_out else "Finished",
        execution_time=result.usage.wall_s,
        cpu_time=result.usage.cpu_s,
        return_code=None if timed_out else result.exit_code,
        stdout=result.stdout_text,
        stderr=result.stderr_text,
    )


def _cell_result(result: RunResult) -> CellResult:
    cell = CellResult(
        stdout=result.stdout_text,
        stderr=result.stderr_text,
        display=[dict(display.data) for display in result.displays],
    )
    if result.error is not None:
        cell.error.append(_error(result.error.name, result.error.value, result.error.traceback))
    elif result.status not in ("ok", "sandbox_error"):
        cell.error.append(_error(result.status, result.detail or f"the cell ended with {result.status}", ""))
    return cell


def _error(name: str, value: str, traceback: str) -> dict[str, Any]:
    return {"ename": name, "evalue": value, "traceback": traceback.splitlines()}
