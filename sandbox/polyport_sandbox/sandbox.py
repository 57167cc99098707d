"""The door for asyncio: run code once, or open a session."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NoReturn

from .base import Provider, load_provider
from .errors import InvalidRunError, SandboxUnavailableError
from .files import check_files, check_limits, check_upload, encode_code
from .metrics import Metrics, Snapshot
from .network.hosts import check_allow_hosts
from .registry import Registry, check_times, new_id
from .session import Session, SessionOpening
from .streams import last_result
from .toolbox import BoundedToolHost, ToolLimits
from .types import Language, Limits, RunEvent, RunRequest, RunResult, SessionRequest, ToolHost

__all__ = ["Sandbox"]

MAX_SESSION_NAME = 256


class Sandbox:
    r"""Run untrusted code and get back what it wrote, and nothing else.

    Args:
        provider: A provider's name, or one of your own.
        max_sessions: Sessions that may be open at once.
        max_sessions_per_caller: One caller's of these.
        tool_limits: What code in code mode may ask of its tools.
        log_code: Whether the log line of each run has its code. Off unless you mean it: code holds secrets.
        **provider_options: What the named provider takes; `DockerProvider` says what ``"docker"`` does.

    Example:
        ::

            async with Sandbox() as box:
                result = await box.run("print(6*7)", language="python", limits=Limits(wall_s=5))
                assert result.status == "ok" and result.stdout == b"42\n"

            async with Sandbox() as box, box.session() as session:
                await session.run("x = 1")
                assert (await session.run("x + 1")).displays[-1].text == "2"
    """

    def __init__(
        self,
        provider: str | Provider = "docker",
        *,
        max_sessions: int = 64,
        max_sessions_per_caller: int = 16,
        tool_limits: ToolLimits | None = None,
        log_code: bool = False,
        **provider_options: Any,
    ) -> None:
        self.provider = load_provider(provider, **provider_options) if isinstance(provider, str) else provider
        self._registry = Registry(max_sessions, max_sessions_per_caller)
        self._tool_limits = tool_limits or ToolLimits()
        self._metrics = Metrics(log_code=log_code)

    def __enter__(self) -> NoReturn:
        raise TypeError("Sandbox is for asyncio: write 'async with Sandbox() as box', or 'with SyncSandbox() as box'")

    def __exit__(self, *_: object) -> None:
        """Be there, so that ``with`` gets to say what is wrong."""

    async def __aenter__(self) -> Sandbox:
        await self.provider.open()
        self._registry.closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._registry.aclose()
        finally:
            await self.provider.aclose()

    async def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        limits: Limits | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        caller: str = "",
    ) -> RunResult:
        """Run `code` once, in a place of its own that is gone afterwards, and return its result; see `stream`."""
        return await last_result(
            self.stream(
                code,
                language=language,
                files=files,
                stdin=stdin,
                limits=limits,
                allow_hosts=allow_hosts,
                tools=tools,
                caller=caller,
            )
        )

    async def stream(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        limits: Limits | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        caller: str = "",
    ) -> AsyncGenerator[RunEvent]:
        """Run `code` once and give its events as they happen. Closing the generator kills the run.

        Args:
            code: The program.
            language: What it is written in.
            files: Put into its working folder, by relative name. What it leaves there comes back in the result.
            stdin: What it can read from its standard input.
            limits: What it may use.
            allow_hosts: Hosts it may reach: ``"example.org"``, ``"*.example.org"``, ``"example.org:8443"``.
            tools: What it may call on this side, as functions of the module ``polyport_tools``.
            caller: Whose run it is: callers take turns when runs have to wait.

        Raises:
            InvalidRunError: For an unknown language, bad files or hosts; nothing was started.
            SandboxBusyError: If too many runs wait already.
            SandboxUnavailableError: If nothing can run.
        """
        with self._metrics.refusals():
            limits = check_limits(limits)
            how, text = self.language(language), encode_code(code)
            files = check_files(text, how, files, stdin, limits)
            request = RunRequest(text, how, files, stdin, limits, check_allow_hosts(allow_hosts), self._bounded(tools))
        record = self._metrics.begin(request, caller=caller)
        async with contextlib.aclosing(record.follow(self.provider.stream(request, caller=caller))) as events:
            async for event in events:
                yield event

    def session(
        self,
        *,
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        idle_s: float = 1200.0,
        lifetime_s: float = 3600.0,
        name: str | None = None,
        caller: str = "",
    ) -> SessionOpening:
        """Open a session for a block: ``async with box.session() as session``; see `open_session`."""
        return SessionOpening(
            lambda: self.open_session(
                limits=limits,
                files=files,
                allow_hosts=allow_hosts,
                tools=tools,
                idle_s=idle_s,
                lifetime_s=lifetime_s,
                name=name,
                caller=caller,
            )
        )

    async def open_session(
        self,
        *,
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        idle_s: float = 1200.0,
        lifetime_s: float = 3600.0,
        name: str | None = None,
        caller: str = "",
    ) -> Session:
        """Open a place where variables, files and the working folder live on; close it with `Session.aclose`.

        Args:
            limits: What it may use; `wall_s` is a cell's, where a cell names none.
            files: Put into its working folder at the start.
            allow_hosts: As in `stream`.
            tools: As in `stream`.
            idle_s: Seconds without use after which it ends.
            lifetime_s: Seconds after which it ends in any case.
            name: What you call it.
            caller: Whose it is. For others it does not exist.

        Raises:
            InvalidRunError: For bad input, and by a provider without sessions; nothing was started.
            SandboxBusyError: If there are as many sessions as there may be, or too many runs wait.
            SandboxUnavailableError: If nothing can run.
        """
        with self._metrics.refusals():
            limits = check_limits(limits)
            check_times(idle_s, lifetime_s)
            _check_session_name(name)
            files = check_upload(files, limits)
            request = SessionRequest(limits, files, check_allow_hosts(allow_hosts), self._bounded(tools), lifetime_s)
            with self._registry.reserve(caller):
                place = await self.provider.open_session(request, caller=caller)
                session = Session(
                    new_id(),
                    place,
                    request,
                    languages=self.language,
                    idle_s=idle_s,
                    name=name,
                    caller=caller,
                    on_idle=self._registry.schedule,
                    on_end=self._registry.forget,
                    metrics=self._metrics,
                )
                self._registry.add(session)
        if self._registry.closed:  # while it opened
            await session.aclose()
            raise SandboxUnavailableError("The sandbox was closed meanwhile.", mend="open a new one")
        self._metrics.session_opened()
        return session

    def get_session(self, identity: str, *, caller: str = "") -> Session:
        """Find a session by its id.

        Raises:
            SessionNotFoundError: If there is none, or it is another caller's.
        """
        return self._registry.get(identity, caller)

    def sessions(self, *, caller: str = "") -> list[Session]:
        """A caller's sessions, oldest first."""
        return self._registry.of(caller)

    def metrics(self) -> Snapshot:
        """What was run so far, and what there is now."""
        ready = getattr(self.provider, "ready", None)
        return self._metrics.snapshot(
            sessions_open=len(self._registry), pool_ready=ready if isinstance(ready, int) else None
        )

    def _bounded(self, tools: ToolHost | None) -> ToolHost | None:
        return None if tools is None else BoundedToolHost(tools, self._tool_limits)

    def language(self, name: str) -> Language:
        """How a language is run.

        Raises:
            InvalidRunError: If it is not, with those that are.
        """
        how = self.provider.language(name) if isinstance(name, str) else None
        if how is None:
            known = ", ".join(self.provider.languages())
            raise InvalidRunError(f"unknown language {str(name)[:80]!r}; this sandbox runs {known}", param="language")
        return how


def _check_session_name(name: str | None) -> None:
    if name is None:
        return
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_SESSION_NAME or not name.isprintable():
        raise InvalidRunError(f"the session's name must be 1 to {MAX_SESSION_NAME} printable characters", param="name")
