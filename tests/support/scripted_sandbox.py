"""A provider in memory that runs a tiny language of actions, so that what stands over providers is tested exactly.

One action a line, words separated by blanks::

    say TEXT …        write a line to stdout            err TEXT …        write a line to stderr
    show TEXT …       display                           result TEXT …     the last expression's value
    set NAME VALUE    keep a variable                   get NAME          write it to stdout
    write FILE TEXT … a file                            cat FILE          write it to stdout
    sleep SECONDS     wait                              hang              wait for ever, or an interrupt
    stubborn SECONDS  wait, and that long after an interruption too
    fail NAME TEXT …  an exception that nobody caught   exit NUMBER       end with it
    die               the place is lost                 vanish            end without an end
    call TOOL JSON    call a tool, write its result
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyport_sandbox import (
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    FileInfo,
    InvalidRunError,
    Language,
    OutputEvent,
    ProviderSession,
    RunEvent,
    RunRequest,
    RunResult,
    SandboxFileNotFoundError,
    SessionClosedError,
    SessionRequest,
    Usage,
)

LANGUAGES = {"python": Language("python", "main.py", ()), "bash": Language("bash", "main.sh", ())}


class _Interrupted(Exception):  # noqa: N818 - what an interrupt raises
    pass


@dataclass
class Place:
    """A place with variables and files."""

    files: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    busy: int = 0
    most_busy: int = 0
    lost: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    log: list[str] = field(default_factory=list)

    def check(self) -> None:
        if self.lost:
            raise SessionClosedError("the place is gone")

    async def run(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        self.check()
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        began = time.monotonic()
        told: dict[str, Any] = {"stdout": b"", "stderr": b"", "displays": [], "error": None, "exit": 0}
        try:
            for line in request.code.decode().splitlines():
                verb, _, rest = line.strip().partition(" ")
                self.log.append(line.strip())
                async for event in self._act(verb, rest, request, told):
                    yield event
                if verb == "vanish":
                    return
                if told["error"] or told["exit"]:
                    break
        except _Interrupted:
            told["error"], told["exit"] = CodeError("KeyboardInterrupt", "", "KeyboardInterrupt"), 1
            yield ErrorEvent(told["error"])
        finally:
            self.busy -= 1
        status = "error" if told["error"] or told["exit"] else "ok"
        yield EndEvent(
            RunResult(
                status,
                told["exit"],
                told["stdout"],
                told["stderr"],
                usage=Usage(cpu_s=0.001, peak_memory_mb=20.0, wall_s=time.monotonic() - began),
                displays=tuple(told["displays"]),
                error=told["error"],
            )
        )

    async def _act(self, verb: str, rest: str, request: RunRequest, told: dict[str, Any]) -> AsyncGenerator[RunEvent]:
        first, _, second = rest.partition(" ")
        mine = self.variables.setdefault(request.context, {})
        if verb in ("say", "err"):
            yield self._output("stdout" if verb == "say" else "stderr", rest, told)
        elif verb in ("get", "cat"):
            yield self._output("stdout", mine[rest] if verb == "get" else self.files[rest].decode(), told)
        elif verb in ("show", "result"):
            display = Display({"text/plain": rest}, is_result=verb == "result")
            told["displays"].append(display)
            yield DisplayEvent("result" if verb == "result" else "display", display)
        elif verb == "set":
            mine[first] = second
        elif verb == "write":
            self.files[first] = second.encode()
        elif verb == "fail":
            told["error"], told["exit"] = CodeError(first, second, f"{first}: {second}"), 1
            yield ErrorEvent(told["error"])
        elif verb == "exit":
            told["exit"] = int(rest)
        elif verb == "call":
            assert request.tools is not None
            yield self._output("stdout", json.dumps(await request.tools.call(first, json.loads(second))), told)
        else:
            await self._wait(verb, rest)

    async def _wait(self, verb: str, rest: str) -> None:
        if verb == "sleep":
            await asyncio.sleep(float(rest))
        elif verb == "hang":
            await self.asked.wait()
            self.asked.clear()
            raise _Interrupted
        elif verb == "stubborn":
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(float(rest))
        elif verb == "die":
            self.lost = True
            self.check()
        elif verb != "vanish":
            raise AssertionError(f"no such action: {verb}")

    def _output(self, kind: Any, text: str, told: dict[str, Any]) -> OutputEvent:
        data = text.encode() + b"\n"
        told[kind] += data
        return OutputEvent(kind, data)


class ScriptedSession:
    """A place that lives on."""

    def __init__(self, request: SessionRequest, *, close_s: float = 0.0) -> None:
        self.request = request
        self.place = Place(dict(request.files))
        self.closed = 0
        self.close_s = close_s

    def stream(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        return self.place.run(request)

    async def upload(self, files: Mapping[str, bytes]) -> None:
        await self._breathe()
        self.place.files |= files

    async def download(self, name: str, *, max_bytes: int) -> bytes:
        await self._breathe()
        if name not in self.place.files:
            raise SandboxFileNotFoundError(f"There is no file {name!r}.")
        if len(self.place.files[name]) > max_bytes:
            raise InvalidRunError(f"{name} is larger than {max_bytes} bytes")
        return self.place.files[name]

    async def list(self, folder: str = "") -> list[FileInfo]:
        await self._breathe()
        inside = f"{folder}/" if folder else ""
        return [FileInfo(n, len(c), 0.0) for n, c in sorted(self.place.files.items()) if n.startswith(inside)]

    async def delete(self, name: str) -> None:
        await self._breathe()
        if self.place.files.pop(name, None) is None:
            raise SandboxFileNotFoundError(f"There is no file {name!r}.")

    async def restart(self, context: str | None = None) -> None:
        await self._breathe()
        for name in [context] if context else list(self.place.variables):
            self.place.variables.pop(name, None)

    async def aclose(self) -> None:
        self.closed += 1
        await asyncio.sleep(self.close_s)
        self.place.lost = True

    async def _breathe(self) -> None:
        """Take a moment, and see that nothing else happens in it."""
        self.place.check()
        assert self.place.busy == 0, "two things at once in one session"
        self.place.busy += 1
        try:
            await asyncio.sleep(0)
        finally:
            self.place.busy -= 1
        self.place.check()


class InterruptibleSession(ScriptedSession):
    """One that asks its cell to end, which says so itself; ``stubborn`` ones do not."""

    async def interrupt(self) -> None:
        self.place.check()
        self.place.asked.set()


class ScriptedProvider:
    """Run scripts; keeps all it was asked for.

    Args:
        open_s: Seconds that a session takes to open.
        close_s: Seconds that one takes to close.
        interruptible: Whether cells can be asked to end.
    """

    ready = 3

    def __init__(self, *, open_s: float = 0.0, close_s: float = 0.0, interruptible: bool = False) -> None:
        self.requests: list[RunRequest] = []
        self.sessions: list[ScriptedSession] = []
        self.runs: list[Place] = []
        self.callers: list[str] = []
        self.opened = self.closed = 0
        self.open_s, self.close_s = open_s, close_s
        self.kind = InterruptibleSession if interruptible else ScriptedSession

    async def open(self) -> None:
        self.opened += 1

    async def aclose(self) -> None:
        self.closed += 1

    def language(self, name: str) -> Language | None:
        return LANGUAGES.get(name)

    def languages(self) -> list[str]:
        return sorted(LANGUAGES)

    def stream(self, request: RunRequest, *, caller: str) -> AsyncGenerator[RunEvent]:
        self.requests.append(request)
        self.callers.append(caller)
        place = Place(dict(request.files))
        self.runs.append(place)
        return place.run(request)

    async def open_session(self, request: SessionRequest, *, caller: str) -> ProviderSession:
        self.callers.append(caller)
        await asyncio.sleep(self.open_s)
        session = self.kind(request, close_s=self.close_s)
        self.sessions.append(session)
        return session
