"""Piston's ``/api/v2``: runtimes, packages and execute, after its documentation and what its own source answers."""

from __future__ import annotations

import base64
import binascii
import signal
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from polyport_sandbox import Limits, RunResult

from .server import SandboxServer


class PistonServer(SandboxServer):
    """The service, with the limits that are its defaults but for the output's."""

    configured: ClassVar = {
        "run_timeout": 3000,
        "compile_timeout": 10000,
        "run_cpu_time": 3000,
        "compile_cpu_time": 10000,
    }
    output_max_size = 65536
    packages: ClassVar = [
        {"language": "python", "language_version": "3.9.4", "installed": True},
        {"language": "python", "language_version": "3.12.0", "installed": True},
        {"language": "bash", "language_version": "5.2.0", "installed": True},
        {"language": "lua", "language_version": "5.4.4", "installed": False},
    ]
    aliases: ClassVar = {"python": ["py", "py3", "python3"], "bash": ["sh"], "lua": []}

    def routes(self) -> list[BaseRoute]:
        self.packages = [dict(package) for package in self.packages]
        return [
            Route("/api/v2/runtimes", self._runtimes),
            Route("/api/v2/packages", self._list_packages),
            Route("/api/v2/packages", self._install, methods=["POST"]),
            Route("/api/v2/execute", self._execute, methods=["POST"]),
        ]

    async def _runtimes(self, _: Request) -> Response:
        return JSONResponse(
            [
                {"language": p["language"], "version": p["language_version"], "aliases": self.aliases[p["language"]]}
                for p in self.packages
                if p["installed"]
            ]
        )

    async def _list_packages(self, _: Request) -> Response:
        return JSONResponse(self.packages)

    async def _install(self, request: Request) -> Response:
        body = await request.json()
        for package in self.packages:
            if (package["language"], package["language_version"]) == (body["language"], body["version"]):
                package["installed"] = True
                return JSONResponse(body)
        name = f"{body['language']}-{body['version']}"
        return JSONResponse({"message": f"Requested package {name} does not exist"}, status_code=404)

    async def _execute(self, request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse({"message": "requests must be of type application/json"}, status_code=415)
        body = await request.json()
        wrong = self._wrong(body)
        if wrong is not None:
            return JSONResponse({"message": wrong}, status_code=400)
        main, *others = body["files"]
        try:
            files = {file["name"]: _content(file) for file in others}
        except binascii.Error:
            return JSONResponse({"message": "Internal server error"}, status_code=500)
        language = next(name for name, more in self.aliases.items() if body["language"] in (name, *more))
        limits = self._limits(body)
        result = await self.box.run(
            main["content"], language=language, files=files, stdin=body.get("stdin", "").encode(), limits=limits
        )
        answer = {"language": language, "version": body["version"], "run": self._stage(result)}
        return JSONResponse(answer)

    def _wrong(self, body: Any) -> str | None:
        for name in ("language", "version"):
            if not isinstance(body.get(name), str) or not body[name]:
                return f"{name} is required as a string"
        if not isinstance(body.get("files"), list):
            return "files is required as an array"
        there = [(p["language"], p["language_version"]) for p in self.packages if p["installed"]]
        language = next((name for name, more in self.aliases.items() if body["language"] in (name, *more)), None)
        if (language, body["version"]) not in there:
            return f"{body['language']}-{body['version']} runtime is unknown"
        if not any(file.get("encoding", "utf8") == "utf8" for file in body["files"]):
            return "files must include at least one utf8 encoded file"
        for name, most in self.configured.items():
            if body.get(name) and body[name] > most:
                return f"{name} cannot exceed the configured limit of {most}"
        return None

    def _limits(self, body: Any) -> Limits:
        memory = body.get("run_memory_limit", -1)
        return Limits(
            wall_s=body.get("run_timeout", 3000) / 1000,
            memory_mb=memory >> 20 if memory > 0 else 256,
            output_bytes=self.output_max_size,
        )

    def _stage(self, result: RunResult) -> dict[str, Any]:
        code, name, message, status = result.exit_code, None, None, None
        if result.status == "timeout":
            code, name, message, status = None, "SIGKILL", "Time limit exceeded", "TO"
        elif result.status == "output_limit":
            status = "OL" if result.stdout_truncated else "EL"
            code, name = None, "SIGKILL"
            message = f"{'stdout' if result.stdout_truncated else 'stderr'} length exceeded"
        elif result.status in ("killed", "out_of_memory"):
            name = signal.Signals(-(result.exit_code or 0)).name
            code, message, status = None, f"Caught fatal signal {-(result.exit_code or 0)}", "SG"
        elif code:
            message, status = f"Exited with error status {code}", "RE"
        peak = result.usage.peak_memory_mb
        return {
            "stdout": result.stdout_text,
            "stderr": result.stderr_text,
            "output": result.stdout_text + result.stderr_text,
            "code": code,
            "signal": name,
            "message": message,
            "status": status,
            "cpu_time": round(result.usage.cpu_s * 1000),
            "wall_time": round(result.usage.wall_s * 1000),
            "memory": None if peak is None else round(peak * (1 << 20)),
        }


def _content(file: dict[str, Any]) -> bytes:
    encoding = file.get("encoding", "utf8")
    if encoding == "base64":
        return base64.b64decode(file["content"], validate=True)
    return bytes.fromhex(file["content"]) if encoding == "hex" else file["content"].encode()
