"""SandboxFusion's ``/run_code``, ``/run_jupyter`` and ``/v1/ping``, after its OpenAPI description and documentation."""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from polyport_sandbox import CodeError, Limits, RunResult, SandboxError

from .server import SandboxServer, kernel_ended

LANGUAGES = [
    "python",
    "cpp",
    "nodejs",
    "go",
    "go_test",
    "java",
    "php",
    "csharp",
    "bash",
    "typescript",
    "sql",
    "rust",
    "cuda",
    "lua",
    "R",
    "perl",
    "D_ut",
    "ruby",
    "scala",
    "julia",
    "pytest",
    "junit",
    "kotlin_script",
    "jest",
    "verilog",
    "python_gpu",
    "lean",
    "swift",
    "racket",
]
CUT = 1024 * 1024


class SandboxFusionServer(SandboxServer):
    """The service. It runs Python and Bash, and for the other languages says that it failed."""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/ping", self._ping),
            Route("/run_code", self._run_code, methods=["POST"]),
            Route("/run_jupyter", self._run_jupyter, methods=["POST"]),
        ]

    async def _ping(self, _: Request) -> Response:
        return JSONResponse("pong")

    async def _run_code(self, request: Request) -> Response:
        body = await request.json()
        wrong = _wrong(body, {"code": str, "language": str}) or _wrong_language(body)
        if wrong is not None:
            return wrong
        files = _files_in(body)
        answer: dict[str, Any] = {
            "status": "Success", "message": "", "compile_result": None, "run_result": None,
            "executor_pod_name": None, "files": {},
        }  # fmt: skip
        try:
            result = await self.box.run(
                body["code"],
                language=body["language"],
                files=files,
                stdin=(body.get("stdin") or "").encode(),
                limits=_limits(body, body.get("run_timeout", 10)),
            )
        except SandboxError as error:
            return JSONResponse(
                {**answer, "status": "SandboxError", "message": f"exception on running code {body['code']}: {error}"}
            )
        stage = _stage(result)
        failed = stage["status"] != "Finished" or stage["return_code"] != 0
        answer.update(status="Failed" if failed else "Success", run_result=stage, files=_files_out(body, files, result))
        return JSONResponse(answer)

    async def _run_jupyter(self, request: Request) -> Response:
        body = await request.json()
        wrong = _wrong(body, {"cells": list})
        if wrong is not None:
            return wrong
        files = _files_in(body)
        answer: dict[str, Any] = {
            "status": "Success", "message": "", "driver": None, "cells": [], "executor_pod_name": None, "files": {},
        }  # fmt: skip
        limits = _limits(body, body.get("total_timeout", 45))
        async with self.box.session(limits=limits, files=files) as session:
            for cell in body["cells"]:
                result = await session.run(cell)
                if kernel_ended(result):
                    driver = {"status": "Finished", "execution_time": 1.0, "return_code": 1, "stdout": ""}
                    return JSONResponse({**answer, "status": "Failed", "driver": {**driver, "stderr": "Kernel died"}})
                if result.status in ("timeout", "output_limit"):  # output has no limit there, but time
                    driver = {"status": "TimeLimitExceeded", "execution_time": result.usage.wall_s, "return_code": None}
                    return JSONResponse(
                        {**answer, "status": "Failed", "driver": {**driver, "stdout": "", "stderr": ""}}
                    )
                answer["cells"].append(_cell(result))
            for name in body.get("fetch_files", []):
                try:
                    content = await session.download(name)
                except SandboxError:
                    continue
                answer["files"][name] = base64.b64encode(content).decode()
        driver = {"status": "Finished", "execution_time": 1.0, "return_code": 0, "stdout": "", "stderr": ""}
        return JSONResponse({**answer, "driver": driver})


def _wrong(body: Any, needed: dict[str, type]) -> Response | None:
    for name, kind in needed.items():
        if not isinstance(body.get(name), kind):
            detail = [{"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}]
            return JSONResponse({"detail": detail}, status_code=422)
    return None


def _wrong_language(body: Any) -> Response | None:
    if body["language"] in LANGUAGES:
        return None
    detail = [{"type": "literal_error", "loc": ["body", "language"], "msg": "Input should be 'python', 'cpp' or …"}]
    return JSONResponse({"detail": detail}, status_code=422)


def _limits(body: Any, wall_s: float) -> Limits:
    memory = body.get("memory_limit_MB", -1)
    return Limits(wall_s=wall_s, memory_mb=memory if memory > 0 else 256, output_bytes=CUT)


def _files_in(body: Any) -> dict[str, bytes]:
    return {name: base64.b64decode(content) for name, content in body.get("files", {}).items() if content is not None}


def _files_out(body: Any, files: dict[str, bytes], result: RunResult) -> dict[str, str]:
    there = {**files, **result.files}
    return {name: base64.b64encode(there[name]).decode() for name in body.get("fetch_files", []) if name in there}


def _stage(result: RunResult) -> dict[str, Any]:
    over = result.status == "timeout"
    return {
        "status": "TimeLimitExceeded" if over else "Finished",
        "execution_time": result.usage.wall_s,
        "return_code": None if over else result.exit_code,
        "stdout": result.stdout_text,
        "stderr": result.stderr_text,
    }


def _cell(result: RunResult) -> dict[str, Any]:
    error = result.error
    if error is None and result.exit_code:
        error = CodeError("SystemExit", str(result.exit_code), "")
    errors = [] if error is None else [{"ename": error.name, "evalue": error.value, "traceback": [error.traceback]}]
    return {
        "stdout": result.stdout_text,
        "stderr": result.stderr_text,
        "display": [dict(display.data) for display in result.displays],
        "error": errors,
    }
