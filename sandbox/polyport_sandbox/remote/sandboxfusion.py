"""SandboxFusion: one-shots through ``/run_code``, displays through ``/run_jupyter``.

Shapes as published in its OpenAPI description (https://bytedance.github.io/SandboxFusion/docs/api/).
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Literal

from polyport_sandbox.errors import SandboxError
from polyport_sandbox.types import CodeError, Display, Language, Limits, RunEvent, RunRequest, Status

from .base import RemoteProvider, code_text, stdin_text
from .kernel import exit_of, plain
from .recorder import Recorder
from .service import Service, checked_url, read_key

__all__ = ["SandboxFusionProvider"]

LANGUAGES = {
    "python": "main.py",
    "bash": "main.sh",
    "javascript": "main.js",
    "typescript": "main.ts",
    "cpp": "main.cpp",
    "go": "main.go",
    "java": "Main.java",
    "php": "main.php",
    "csharp": "Program.cs",
    "rust": "main.rs",
    "lua": "main.lua",
    "r": "main.R",
    "perl": "main.pl",
    "ruby": "main.rb",
    "scala": "main.scala",
    "julia": "main.jl",
    "kotlin": "main.kts",
    "swift": "main.swift",
    "racket": "main.rkt",
    "sql": "main.sql",
    "lean": "main.lean",
    "verilog": "main.sv",
    "pytest": "test_main.py",
}
THEIR_NAMES = {"javascript": "nodejs", "r": "R", "kotlin": "kotlin_script"}
GRACE_S = 15.0
"""Seconds beyond the time limits that the service may take to start, clean up and answer."""


class SandboxFusionProvider(RemoteProvider):
    """Run code in a SandboxFusion service.

    What differs from the local sandbox, for all that the service can't be told:

    - It knows `wall_s` and `memory_mb` (where its isolation keeps it); `cpus` and `pids` are its own to limit.
    - Whether code reaches a network is the service's configuration. `allow_hosts` is refused.
    - It gives back only files that are asked for by name: those that went in, and `fetch_files`.
    - Output is text, so bytes that are not UTF-8 are lost, and the service itself cuts each stream at 1 MiB.
    - Nothing is streamed: events come together, at the end. A request that is given up is not ended early by the
      service, and so the code runs on until its time limit at most.
    - With `displays`, of a cell that ran out of time or took its kernel with it nothing else is told, the service gives
      it ten seconds more than its limit, and its output has no limit there.
    - Running out of memory is seen as what it leads to: an exception, or a signal.

    Args:
        url: Its base address, such as ``http://localhost:8080``.
        api_key: Sent as a bearer token, for a service behind a proxy that asks for one.
        api_key_env: The environment variable that has the key where `api_key` is None.
        displays: Run Python as a notebook's cell, with rich results and without an exit code or standard input.
        fetch_files: Files asked for after each run, where it left them.
        compile_timeout_s: Seconds that compilers get.
        timeout_s: Seconds for a connection.
    """

    name = "SandboxFusion"

    def __init__(
        self,
        *,
        url: str = "http://localhost:8080",
        api_key: str | None = None,
        api_key_env: str | None = None,
        displays: bool = False,
        fetch_files: Iterable[str] = (),
        compile_timeout_s: float = 30.0,
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__()
        self._url = checked_url(url, what="SandboxFusion's url")
        self._key = (api_key, api_key_env)
        self._displays = displays
        self._fetch = tuple(fetch_files)
        self._compile_s = compile_timeout_s
        self._timeout_s = timeout_s
        self._languages = {
            name: Language(name, filename, ("sandboxfusion", THEIR_NAMES.get(name, name)))
            for name, filename in LANGUAGES.items()
        }

    def _connect(self) -> Service:
        key = read_key(*self._key)
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return Service(self.name, self._url, headers=headers, timeout_s=self._timeout_s, key_hint="pass its api_key=…")

    async def _greet(self) -> None:
        # Any answer that is not a refusal will do: those who speak the same API may not have this path.
        await self.service.call("GET", "/v1/ping", accept=(404, 405))

    async def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        limits, code = request.limits, code_text(request)
        notebook = self._displays and request.language.name == "python" and not request.stdin
        body = self._cells(code, request) if notebook else self._script(code, request)
        total_s = limits.wall_s + (0 if notebook else self._compile_s) + GRACE_S
        answer = await self.service.call(
            "POST",
            "/run_jupyter" if notebook else "/run_code",
            json=body,
            total_s=total_s,
            max_bytes=_answer_bytes(limits),
            repeatable=False,
        )
        value = answer.json()
        try:
            for event in _notebook(value, code, recorder) if notebook else _script(value, code, recorder):
                yield event
            _keep_files(value, request, recorder)
            status, exit_code = (_cell_status if notebook else _status)(value, recorder)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SandboxError(f"SandboxFusion's answer can't be read: {type(error).__name__}: {error}") from error
        note = recorder.left_out()
        if note is not None:
            yield note
        yield recorder.end(status, exit_code, detail=_detail(value), usage={"wall_s": _seconds(value)})

    def _script(self, code: str, request: RunRequest) -> dict[str, Any]:
        return {
            "language": request.language.command[1],
            "code": code,
            "stdin": stdin_text(request) if request.stdin else None,
            "run_timeout": request.limits.wall_s,
            "compile_timeout": self._compile_s,
            **self._common(request),
        }

    def _cells(self, code: str, request: RunRequest) -> dict[str, Any]:
        # The time that a kernel takes to start counts for them, so it is added.
        wall_s = request.limits.wall_s
        return {
            "cells": [code],
            "cell_timeout": wall_s,
            "total_timeout": math.ceil(wall_s),
            "kernel": "python3",
            **self._common(request),
        }

    def _common(self, request: RunRequest) -> dict[str, Any]:
        return {
            "memory_limit_MB": request.limits.memory_mb,
            "files": {name: base64.b64encode(content).decode("ascii") for name, content in request.files.items()},
            "fetch_files": sorted({*request.files, *self._fetch}),
        }


def _answer_bytes(limits: Limits) -> int:
    # JSON may write a character of output in six, and base64 three bytes in four.
    # It sends what it has, whatever our limits: what is over them is cut here.
    output = max(limits.output_bytes, 1 << 20)
    files = max(limits.output_file_bytes, 16 << 20)
    return 12 * output + 2 * (files + max(limits.display_bytes, 16 << 20)) + (4 << 20)


def _check(value: Any, code: str) -> None:
    if value["status"] == "SandboxError":
        # Its message quotes the code, which is nobody's to read in a log.
        message = str(value.get("message") or "").replace(code, "…") if code else str(value.get("message") or "")
        raise SandboxError(f"SandboxFusion failed: {message[:300] or 'it does not say why'}")
    if value["status"] not in ("Success", "Failed"):
        raise ValueError(f"its status is {str(value['status'])[:40]!r}")


def _script(value: Any, code: str, recorder: Recorder) -> Iterable[RunEvent]:
    _check(value, code)
    stages = [stage for stage in (value.get("compile_result"), value.get("run_result")) if stage is not None]
    if not stages:
        raise ValueError("it tells of no run")
    for stage in stages:
        yield from _written(stage, recorder)


def _written(stage: Mapping[str, Any], recorder: Recorder) -> Iterable[RunEvent]:
    streams: tuple[Literal["stdout"], Literal["stderr"]] = ("stdout", "stderr")
    for stream in streams:
        event = recorder.output(stream, (stage.get(stream) or "").encode("utf-8", "replace"))
        if event is not None:
            yield event


def _status(value: Any, recorder: Recorder) -> tuple[Status, int | None]:
    stage = value.get("run_result") or value["compile_result"]
    if stage["status"] == "TimeLimitExceeded":
        return "timeout", None
    if stage["status"] != "Finished":
        raise SandboxError(f"SandboxFusion did not run it: its status is {str(stage['status'])[:40]!r}")
    code = stage["return_code"]
    if not isinstance(code, int):
        raise TypeError("the return code is no number")
    if code < 0:
        return "killed", code
    return ("ok" if code == 0 else "error"), code


def _notebook(value: Any, code: str, recorder: Recorder) -> Iterable[RunEvent]:
    _check(value, code)
    for cell in value.get("cells") or ():
        yield from _written(cell, recorder)
        for data in cell["display"]:
            # They don't say which one is the last expression's value.
            event = recorder.display(Display({str(kind): form for kind, form in data.items()}))
            if event is not None:
                yield event
        for error in cell["error"][:1]:
            traceback = "\n".join(error.get("traceback") or ())
            yield recorder.fail(CodeError(str(error["ename"]), str(error["evalue"]), plain(traceback)))


def _cell_status(value: Any, recorder: Recorder) -> tuple[Status, int | None]:
    driver = value.get("driver") or {}
    if value["status"] == "Failed":
        if driver.get("status") == "TimeLimitExceeded" or driver.get("return_code") == 0:
            return "timeout", None
        raise SandboxError(f"SandboxFusion's notebook failed: {str(driver.get('stderr') or '')[-300:]}")
    if recorder.error is None:
        return "ok", 0
    if recorder.error.name == "SystemExit":
        return exit_of(recorder.error.value)
    return "error", 1


def _keep_files(value: Any, request: RunRequest, recorder: Recorder) -> None:
    for name, content in (value.get("files") or {}).items():
        try:
            data = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the file {name[:80]!r} is not base64") from error
        if request.files.get(name) != data:
            recorder.file(name, data)


def _detail(value: Any) -> str | None:
    if value.get("run_result") is None and value.get("compile_result") is not None:
        return "it was not run: compiling it failed"
    return None


def _seconds(value: Any) -> float | None:
    took = (value.get("run_result") or {}).get("execution_time")
    return float(took) if isinstance(took, int | float) else None
