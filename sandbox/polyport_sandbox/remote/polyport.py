"""Another Polyport gateway: its REST API for runs and sessions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from polyport.client.sse import SSEDecoder
from polyport_sandbox import wire_format
from polyport_sandbox.errors import (
    InvalidRunError,
    SandboxBusyError,
    SandboxError,
    SandboxFileNotFoundError,
    SandboxUnavailableError,
    SessionClosedError,
)
from polyport_sandbox.types import (
    LANGUAGES,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    FileInfo,
    Language,
    Limits,
    OutputEvent,
    RunEvent,
    RunRequest,
    SessionRequest,
)

from .base import RemoteProvider, guarded, refuse
from .recorder import Recorder
from .service import Service, checked_url, read_key

__all__ = ["PolyportProvider", "PolyportSession"]

GRACE_S = 120.0
"""Seconds beyond a run's own limit: the gateway may make it wait for its turn."""
QUIET_S = 60.0
NO_SANDBOX = "declare app.sandbox() at that gateway, or set POLYPORT_SANDBOX=docker there, and let the key use run_code"
CODES = {
    "invalid_run": InvalidRunError,
    "invalid_arguments": InvalidRunError,
    "sandbox_busy": SandboxBusyError,
    "file_not_found": SandboxFileNotFoundError,
    "session_not_found": SessionClosedError,
    "session_closed": SessionClosedError,
}


class GatewayService(Service):
    """A gateway, whose errors say by their code what they are."""

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> SandboxError:
        """Name an error by its code, or else by the status."""
        told = super().failure(status, headers, body)
        try:
            named = named_error(json.loads(body)["error"], retry_after=told.retry_after)
        except (ValueError, KeyError, TypeError, RecursionError):
            named = None
        if named is None and status == 404:  # run_code itself is not there, or not for this key
            return SandboxUnavailableError(f"{told}.", mend=NO_SANDBOX)
        return named or told


class PolyportProvider(RemoteProvider):
    """Run code in the sandbox of another Polyport gateway.

    Limits are kept there, and all of them; one that is left as it is by default is the gateway's own.

    Tools can't be called from it: they would have to reach back here.

    Args:
        url: The gateway's address, such as ``http://localhost:8000``.
        api_key: Its key.
        api_key_env: The environment variable that has the key where `api_key` is None.
        languages: What it runs, where that is more than the built-in languages.
        timeout_s: Seconds for a connection.
    """

    name = "The Polyport gateway"

    def __init__(
        self,
        *,
        url: str,
        api_key: str | None = None,
        api_key_env: str = "POLYPORT_API_KEY",
        languages: tuple[str, ...] = (),
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__()
        self._url = checked_url(url, what="the gateway's url").removesuffix("/v1")
        self._key = (api_key, api_key_env)
        self._timeout_s = timeout_s
        more = {name: Language(name, f"main.{name}", ("polyport", name)) for name in languages}
        self._languages = {**more, **LANGUAGES}

    def _connect(self) -> Service:
        key = read_key(*self._key)
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        hint = f"check the gateway's key (api_key=…, or {self._key[1]}), and that it may use run_code"
        return GatewayService(self.name, self._url, headers=headers, timeout_s=self._timeout_s, key_hint=hint)

    async def _greet(self) -> None:
        await self.service.call("GET", "/v1/sandbox/sessions")

    def _allows_network(self) -> bool:
        return True

    async def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        body = wire_format.run_to_json(request, stream=True)
        async with contextlib.aclosing(run(self.service, "/v1/sandbox/run", body, request.limits, recorder)) as events:
            async for event in events:
                yield event

    async def open_session(self, request: SessionRequest, *, caller: str) -> PolyportSession:
        """Open a session there; it ends there by itself after its lifetime."""
        refuse(request, network=True)
        # Who is idle is decided here, where the callers are.
        body = wire_format.session_to_json(request, idle_s=request.lifetime_s)
        answer = await self.service.call("POST", "/v1/sandbox/sessions", json=body, total_s=GRACE_S, repeatable=False)
        value = answer.json()
        identity = value.get("id") if isinstance(value, dict) else None
        if not isinstance(identity, str) or not identity:
            raise SandboxError("The gateway's new session has no id")
        return PolyportSession(self, identity, request.limits)


class PolyportSession:
    """A session of another gateway.

    Args:
        provider: By which it was opened.
        identity: Its id there.
        limits: As it was opened with.
    """

    def __init__(self, provider: PolyportProvider, identity: str, limits: Limits) -> None:
        self._provider = provider
        self._limits = limits
        self._path = f"/v1/sandbox/sessions/{quote(identity, safe='')}"
        self._closed = False

    async def stream(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        """Run one cell; leaving it interrupts it."""
        recorder = Recorder(request.limits)
        async with contextlib.aclosing(guarded(self._run(request, recorder), recorder)) as events:
            async for event in events:
                yield event

    async def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        body = wire_format.run_to_json(request, session_limits=self._limits, stream=True)
        path = f"{self._path}/run"
        async with contextlib.aclosing(
            run(self._service, path, body, request.limits, recorder, leaving=self._leave)
        ) as events:
            async for event in events:
                yield event

    async def _leave(self) -> None:
        if not self._closed:
            await self._provider.finish(self.interrupt())

    async def upload(self, files: Mapping[str, bytes]) -> None:
        """Write files by relative name."""
        for name, content in files.items():
            await self._service.call("PUT", self._file(name), content=content, total_s=GRACE_S, repeatable=True)

    async def download(self, name: str, *, max_bytes: int) -> bytes:
        """Read one regular file."""
        params = {"max_bytes": str(max_bytes)}
        async with self._service.open("GET", self._file(name), params=params, read_s=QUIET_S) as response:
            size = response.headers.get("content-length", "")
            if size.isdigit() and int(size) > max_bytes:
                raise InvalidRunError(f"{name!r} has {size} bytes, more than the {max_bytes} asked for")
            try:
                return await self._service.read(response, max_bytes)
            except SandboxError as error:
                raise InvalidRunError(f"{name!r} can't be had: {error}") from error

    async def list(self, folder: str = "") -> list[FileInfo]:
        """What a folder holds."""
        params = {"folder": folder} if folder else {}
        answer = await self._service.call("GET", f"{self._path}/files", params=params, max_bytes=16 << 20)
        value = answer.json()
        found = value.get("data", value.get("files")) if isinstance(value, dict) else value
        if not isinstance(found, list):
            raise SandboxError("The gateway's list of files is none")
        return [wire_format.file_info_from_json(item) for item in found]

    async def delete(self, name: str) -> None:
        """Delete a file or a folder."""
        await self._service.call("DELETE", self._file(name), repeatable=False)

    async def restart(self, context: str | None = None) -> None:
        """Start kernels anew; files stay."""
        body = {} if context is None else {"context": context}
        await self._service.call("POST", f"{self._path}/restart", json=body, total_s=GRACE_S, repeatable=True)

    async def aclose(self) -> None:
        """End it there."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(SessionClosedError):
                await self._provider.finish(self._service.call("DELETE", self._path))

    async def interrupt(self) -> None:
        """Interrupt there what runs: the cell's own end comes on its stream."""
        with contextlib.suppress(SandboxError):  # it may have ended just now
            await self._service.call("POST", f"{self._path}/interrupt", json={}, repeatable=True)

    def _file(self, name: str) -> str:
        return f"{self._path}/files/{quote(name)}"

    @property
    def _service(self) -> Service:
        return self._provider.service


def named_error(error: Any, *, retry_after: float | None = None) -> SandboxError | None:
    """Make of an OpenAI error object what its code says; None where the code says nothing."""
    if not isinstance(error, Mapping):
        return None
    message, code, param = str(error.get("message") or ""), error.get("code"), error.get("param")
    if code == "sandbox_disabled":
        return SandboxUnavailableError(f"The Polyport gateway says: {message}", mend=NO_SANDBOX)
    if code == "sandbox_unavailable":
        what, _, mend = message.partition(" To mend it: ")
        return SandboxUnavailableError(
            f"The Polyport gateway says: {what}", mend=f"at that gateway, {mend or 'see why'}"
        )
    kind = CODES.get(str(code))
    if kind is None:
        return None
    return kind(message, param=param if isinstance(param, str) else None, retry_after=retry_after)


async def run(
    service: Service,
    path: str,
    body: Mapping[str, Any],
    limits: Limits,
    recorder: Recorder,
    *,
    leaving: Callable[[], Awaitable[None]] | None = None,
) -> AsyncGenerator[RunEvent]:
    """Post a run and give its events.

    Args:
        service: The gateway.
        path: Where to post it.
        body: The run.
        limits: Its limits.
        recorder: Keeps what came.
        leaving: Done where the run is left before its end, while the connection is still open: closing it ends the run
            as well, and it is better ended once than twice.
    """
    until = time.monotonic() + limits.wall_s + GRACE_S
    # Each event is there once by itself and once in the end; base64 and JSON make it longer.
    most = 24 * limits.output_bytes + 4 * (limits.display_bytes + limits.output_file_bytes) + (4 << 20)
    async with (
        service.open("POST", path, json=body, read_s=limits.wall_s + GRACE_S, repeatable=False) as response,
        contextlib.aclosing(_events(response, most)) as events,
    ):
        try:
            async for event in _told(events, until):
                _record(event, recorder)
                yield event
                if isinstance(event, EndEvent):
                    leaving = None
                    return
        finally:
            if leaving is not None:
                await leaving()


async def _told(events: AsyncGenerator[tuple[str, Any]], until: float) -> AsyncGenerator[RunEvent]:
    """Read what the gateway tells, until it has told the end."""
    while True:
        try:
            name, value = await asyncio.wait_for(anext(events), max(0.0, until - time.monotonic()))
        except TimeoutError:
            raise SandboxError("The gateway did not end the run in time") from None
        except StopAsyncIteration:
            raise SandboxError("The gateway's stream ended before the run did") from None
        if wire_format.is_failure(name, value):
            raise named_error(value["error"]) or SandboxError(
                f"The gateway failed: {str(value['error'].get('message'))[:300]}"
            )
        event = wire_format.event_from_json(name, value)
        if event is None:
            continue
        yield event


def _record(event: RunEvent, recorder: Recorder) -> None:
    """Keep what came, for the case that the rest does not."""
    match event:
        case OutputEvent():
            recorder.output(event.type, event.data)
        case DisplayEvent():
            recorder.display(event.display)
        case ErrorEvent():
            recorder.fail(event.error)
        case EndEvent():
            pass


async def _events(response: httpx.Response, most: int) -> AsyncGenerator[tuple[str, Any]]:
    decoder, size = SSEDecoder(), 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > most:
            raise SandboxError(f"The gateway sent more than the {most} bytes that these limits allow")
        for event in decoder.feed(piece):
            try:
                yield event.event, json.loads(event.data)
            except (ValueError, RecursionError) as error:
                raise SandboxError(f"The gateway's {event.event!r} event is not JSON") from error
