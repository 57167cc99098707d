"""What the remote providers have in common."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from polyport_sandbox.base import ProviderSession
from polyport_sandbox.errors import (
    InvalidRunError,
    SandboxBusyError,
    SandboxError,
    SandboxUnavailableError,
    SessionNotFoundError,
)
from polyport_sandbox.types import Language, RunEvent, RunRequest, SessionRequest

from .recorder import Recorder
from .service import Service

__all__ = ["RemoteProvider", "code_text", "guarded", "refuse", "stdin_text"]

CANCELLATIONS = 3
HOLD_S = 10.0
REFUSALS = (InvalidRunError, SandboxBusyError, SandboxUnavailableError, SessionNotFoundError)
"""What is raised; every other failure is a result with the status ``sandbox_error``, which keeps what came before."""


class RemoteProvider:
    """A provider whose runs happen behind HTTP. A kind of service fills in `_connect` and `_run`."""

    name = "The service"

    def __init__(self) -> None:
        self._service: Service | None = None
        self._languages: dict[str, Language] = {}
        self._ending: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Make connections possible, and ask the service whether it is there and takes the key."""
        if self._service is not None:
            return
        self._service = self._connect()
        try:
            await self._greet()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End every run, as far as the service lets its callers, and close the connections."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=10)
        service, self._service = self._service, None
        if service is not None:
            await service.aclose()

    def language(self, name: str) -> Language | None:
        """How a language is run."""
        return self._languages.get(name)

    def languages(self) -> list[str]:
        """The names of the languages there are."""
        return sorted(self._languages)

    async def stream(self, request: RunRequest, *, caller: str) -> AsyncGenerator[RunEvent]:
        """Run code once; who the caller is stays here."""
        refuse(request, network=self._allows_network())
        recorder = Recorder(request.limits)
        async with contextlib.aclosing(guarded(self._run(request, recorder), recorder)) as events:
            async for event in events:
                yield event

    async def open_session(self, request: SessionRequest, *, caller: str) -> ProviderSession:
        """Refuse: there are none, unless a kind of service says otherwise."""
        raise InvalidRunError(f"{self.name} has no sessions: nothing lives on from one of its runs to the next")

    @property
    def service(self) -> Service:
        """The open service.

        Raises:
            SandboxUnavailableError: If the provider is not open.
        """
        if self._service is None:
            raise SandboxUnavailableError("The sandbox is not open.", mend="async with Sandbox(…) as box: …")
        return self._service

    def _connect(self) -> Service:
        raise NotImplementedError

    async def _greet(self) -> None:
        """Ask what there is."""

    def _allows_network(self) -> bool:
        return False

    def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        raise NotImplementedError

    async def finish(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do what has to be done to its end, also when the caller is cancelled meanwhile, and once more.

        Whoever goes on cancelling is let go; the work is then done with nobody waiting.
        """
        task = self.later(work)
        cancelled: asyncio.CancelledError | None = None
        for _ in range(CANCELLATIONS):
            try:
                await asyncio.wait({task}, timeout=HOLD_S)
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if task.done():
            task.result()

    def later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do what has to be done with nobody waiting, but `aclose`."""
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


async def guarded(events: AsyncGenerator[RunEvent], recorder: Recorder) -> AsyncGenerator[RunEvent]:
    """Turn a failure of the service into an end that says so."""
    async with contextlib.aclosing(events):
        try:
            async for event in events:
                yield event
        except REFUSALS:
            raise
        except SandboxError as error:
            yield recorder.end("sandbox_error", detail=str(error))


def refuse(request: RunRequest | SessionRequest, *, network: bool) -> None:
    """Refuse what would be unsafe, or a lie, to leave out.

    Raises:
        InvalidRunError: For tools, which need a way back here; for hosts, where a service can't hold code to them.
    """
    if request.tools is not None:
        raise InvalidRunError(
            "tools can't be called from a remote sandbox; run it where the tools are, with the docker provider",
            param="tools",
        )
    if request.allow_hosts and not network:
        raise InvalidRunError(
            "this sandbox can't hold code to a list of hosts; leave allow_hosts out, or use another provider",
            param="allow_hosts",
        )


def code_text(request: RunRequest) -> str:
    """The program, for a service that takes text only."""
    return _text(request.code, "the code", "code")


def stdin_text(request: RunRequest) -> str:
    """The standard input, for a service that takes text only."""
    return _text(request.stdin, "stdin", "stdin")


def _text(data: bytes, what: str, param: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRunError(
            f"{what} must be UTF-8 for this sandbox, which takes text only: {error}", param=param
        ) from error
