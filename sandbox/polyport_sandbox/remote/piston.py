"""Piston: one-shots through ``/api/v2/execute``, in the languages that its packages bring.

Shapes as published in its documentation (https://github.com/engineer-man/piston/blob/master/docs/api-v2.md).
"""

from __future__ import annotations

import base64
import re
import signal
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from polyport_sandbox.errors import InvalidRunError, SandboxError, SandboxUnavailableError
from polyport_sandbox.types import Language, Limits, RunEvent, RunRequest, Status

from .base import RemoteProvider, code_text, stdin_text
from .recorder import Recorder
from .service import Service, checked_url, read_key

__all__ = ["PistonPackage", "PistonProvider"]

FILENAMES = {
    "python": "main.py", "python2": "main.py", "bash": "main.sh", "javascript": "main.js", "typescript": "main.ts",
    "c": "main.c", "c++": "main.cpp", "go": "main.go", "java": "Main.java", "rust": "main.rs", "ruby": "main.rb",
    "php": "main.php", "perl": "main.pl", "lua": "main.lua", "julia": "main.jl", "kotlin": "main.kt", "r": "main.r",
    "swift": "main.swift", "haskell": "main.hs", "scala": "main.scala", "csharp": "main.cs",
}  # fmt: skip
GRACE_S = 15.0
INSTALL_S = 900.0
NEAR = 0.97
"""A killed run that used this part of its memory limit is held to have run out of it: Piston doesn't say."""
OVER = re.compile(r"(\w+) cannot exceed the configured limit of (\d+)")


@dataclass(frozen=True)
class PistonPackage:
    """A runtime that the service has, or could install."""

    language: str
    version: str
    installed: bool


class PistonProvider(RemoteProvider):
    """Run code in a Piston service. Its languages, and their aliases, are asked for when it is opened.

    What differs from the local sandbox, for all that the service can't be told:

    - It knows `wall_s` and `memory_mb`, and has a maximum of its own for both: a run that asks for more gets that.
      `cpus` and `pids` are its own to limit, and so is the network, which is off unless its administrator turned it on.
      `allow_hosts` is refused.
    - No file comes out of it.
    - Code, standard input and output are text. The service cuts output at its own ``PISTON_OUTPUT_MAX_SIZE``
      (1024 bytes, unless it is set) and kills what writes more.
    - Nothing is streamed: events come together, at the end. A request that is given up is not ended early by the
      service, and so the code runs on until its time limit at most.

    Args:
        url: Its base address, such as ``http://localhost:2000``.
        api_key: Sent as the ``Authorization`` header, for a service behind a proxy that asks for one.
        api_key_env: The environment variable that has the key where `api_key` is None.
        versions: By language, the version to run; the newest there is for the rest.
        install: By language, the version to install when the provider is opened, where it is not there yet.
        arguments: Given to each program.
        compile_timeout_s: Seconds that compilers get.
        timeout_s: Seconds for a connection.
    """

    name = "Piston"

    def __init__(
        self,
        *,
        url: str = "http://localhost:2000",
        api_key: str | None = None,
        api_key_env: str | None = None,
        versions: Mapping[str, str] | None = None,
        install: Mapping[str, str] | None = None,
        arguments: Iterable[str] = (),
        compile_timeout_s: float = 30.0,
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__()
        self._url = checked_url(url, what="Piston's url")
        self._key = (api_key, api_key_env)
        self._versions = dict(versions or {})
        self._install = dict(install or {})
        self._arguments = list(arguments)
        self._compile_s = compile_timeout_s
        self._timeout_s = timeout_s
        self._most: dict[tuple[str, str], int] = {}

    def _connect(self) -> Service:
        key = read_key(*self._key)
        headers = {} if key is None else {"authorization": key}
        return Service(self.name, self._url, headers=headers, timeout_s=self._timeout_s, key_hint="pass its api_key=…")

    async def _greet(self) -> None:
        if self._install:
            there = {(package.language, package.version) for package in await self.packages() if package.installed}
            for language, version in self._install.items():
                if (language, version) not in there:
                    await self.install(language, version)
        self._languages = await self._runtimes()
        if not self._languages:
            raise SandboxUnavailableError(
                "Piston has no languages installed.", mend='pass install={"python": "3.12.0"}, with a version it offers'
            )

    async def packages(self) -> list[PistonPackage]:
        """What is installed, and what could be."""
        value = (await self.service.call("GET", "/api/v2/packages")).json()
        try:
            return [
                PistonPackage(str(item["language"]), str(item["language_version"]), bool(item["installed"]))
                for item in value
            ]
        except (KeyError, TypeError) as error:
            raise SandboxError(f"Piston's packages can't be read: {type(error).__name__}: {error}") from error

    async def install(self, language: str, version: str) -> None:
        """Install a package, which may take minutes.

        Raises:
            InvalidRunError: If there is no such package, or it can't be installed.
        """
        await self.service.call(
            "POST", "/api/v2/packages", json={"language": language, "version": version}, total_s=INSTALL_S
        )

    async def _runtimes(self) -> dict[str, Language]:
        value = (await self.service.call("GET", "/api/v2/runtimes")).json()
        try:
            found = [(str(item["language"]), str(item["version"]), list(item.get("aliases") or ())) for item in value]
        except (KeyError, TypeError, AttributeError) as error:
            raise SandboxError(f"Piston's runtimes can't be read: {type(error).__name__}: {error}") from error
        newest: dict[str, tuple[str, list[str]]] = {}
        for name, version, aliases in found:
            wanted = self._versions.get(name)
            if wanted is not None and version != wanted:
                continue
            if name not in newest or _order(version) > _order(newest[name][0]):
                newest[name] = (version, aliases)
        missing = [f"{name} {version}" for name, version in self._versions.items() if name not in newest]
        if missing:
            raise SandboxUnavailableError(
                f"Piston does not have {', '.join(missing)}.", mend="install it, or ask for a version that is there"
            )
        languages = {
            alias: Language(alias, FILENAMES.get(name, "main"), ("piston", name, version))
            for name, (version, aliases) in newest.items()
            for alias in map(str, aliases)
        }
        own = {
            name: Language(name, FILENAMES.get(name, "main"), ("piston", name, version))
            for name, (version, _) in newest.items()
        }
        return {**languages, **own}

    async def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        limits = request.limits
        body = self._body(request)
        value = await self._execute(body, request)
        try:
            compiled, ran = value.get("compile"), value.get("run")
            for stage in (compiled, ran):
                for event in _written(stage or {}, recorder):
                    yield event
            stage = ran if ran is not None else compiled
            status, exit_code = _status(stage, body)
            usage = {"cpu_s": _scaled(stage, "cpu_time", 1e-3), "wall_s": _scaled(stage, "wall_time", 1e-3)}
            usage["peak_memory_mb"] = _scaled(stage, "memory", 1 / (1 << 20))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SandboxError(f"Piston's answer can't be read: {type(error).__name__}: {error}") from error
        yield recorder.end(status, exit_code, detail=_detail(ran, body, limits, status), usage=usage)

    def _body(self, request: RunRequest) -> dict[str, Any]:
        _, language, version = request.language.command
        limits = request.limits
        main = {"name": request.language.filename, "content": code_text(request), "encoding": "utf8"}
        others = [
            {"name": name, "content": base64.b64encode(content).decode("ascii"), "encoding": "base64"}
            for name, content in request.files.items()
        ]
        wall_ms = max(1, round(limits.wall_s * 1000))
        wanted = {
            "run_timeout": wall_ms,
            "run_cpu_time": max(1, round(wall_ms * max(1.0, limits.cpus))),
            "run_memory_limit": limits.memory_mb << 20,
            "compile_timeout": round(self._compile_s * 1000),
            "compile_cpu_time": round(self._compile_s * 1000),
        }
        return {
            "language": language,
            "version": version,
            "files": [main, *others],
            "stdin": stdin_text(request),
            "args": self._arguments,
            **{name: min(value, self._most.get((language, name), value)) for name, value in wanted.items()},
        }

    async def _execute(self, body: dict[str, Any], request: RunRequest) -> Any:
        """Execute it, and where the service says that it allows less, learn that and ask for it."""
        limits = request.limits
        total_s = limits.wall_s + self._compile_s + GRACE_S
        for _ in range(6):  # there are five constraints, and it names one at a time
            try:
                answer = await self.service.call(
                    "POST",
                    "/api/v2/execute",
                    json=body,
                    total_s=total_s,
                    # `output` has both streams once more, and the service's limit on them may be more than ours
                    max_bytes=24 * max(limits.output_bytes, 1 << 20) + (4 << 20),
                    repeatable=False,
                )
            except InvalidRunError as error:
                told = OVER.search(str(error))
                if told is None or told[1] not in body:
                    raise
                self._most[body["language"], told[1]] = body[told[1]] = int(told[2])
            else:
                return answer.json()
        raise SandboxError("Piston keeps refusing the limits that it says it allows")


def _written(stage: Mapping[str, Any], recorder: Recorder) -> Iterable[RunEvent]:
    streams: tuple[Literal["stdout"], Literal["stderr"]] = ("stdout", "stderr")
    for stream in streams:
        event = recorder.output(stream, (stage.get(stream) or "").encode("utf-8", "replace"))
        if event is not None:
            yield event


def _status(stage: Any, body: Mapping[str, Any]) -> tuple[Status, int | None]:
    code, name, status = stage["code"], stage["signal"], stage.get("status")
    if status == "XX":
        raise SandboxError(f"Piston failed: {str(stage.get('message') or 'an internal error of its isolation')[:200]}")
    number = _signal(name)
    if status == "TO":
        return "timeout", -signal.SIGKILL
    if status in ("OL", "EL"):
        return "output_limit", -signal.SIGKILL
    if number is None:
        if not isinstance(code, int):
            raise TypeError("there is neither an exit code nor a signal")
        return ("ok" if code == 0 else "error"), code
    used, limit = stage.get("memory"), body["run_memory_limit"]
    if number == signal.SIGKILL and isinstance(used, int | float) and used >= NEAR * limit > 0:
        return "out_of_memory", -number
    return "killed", -number


def _signal(name: Any) -> int | None:
    if name is None:
        return None
    try:
        return int(signal.Signals[str(name)])
    except KeyError as error:
        raise ValueError(f"the signal is {str(name)[:20]!r}") from error


def _detail(ran: Any, body: Mapping[str, Any], limits: Limits, status: Status) -> str | None:
    if ran is None:
        return "it was not run: compiling it failed"
    if status == "timeout" and body["run_timeout"] < round(limits.wall_s * 1000):
        return f"the service allows {body['run_timeout'] / 1000:g} s at most, less than limits.wall_s"
    return None


def _scaled(stage: Any, name: str, factor: float) -> float | None:
    value = stage.get(name)
    return value * factor if isinstance(value, int | float) and not isinstance(value, bool) else None


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
