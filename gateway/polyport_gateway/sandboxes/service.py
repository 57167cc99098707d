"""`SandboxService`: the one sandbox of a gateway, opened when it is first needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from polyport.errors import CallError, ConfigurationError, NotFoundError, UnsupportedOperationError
from polyport_gateway.call import Caller, CodeRun
from polyport_gateway.sandboxes.plan import SandboxPlan

if TYPE_CHECKING:
    from polyport_sandbox import Limits, Provider, RunEvent, Sandbox, ToolHost
    from polyport_sandbox.session import Session

__all__ = ["RUN_CODE", "SandboxService", "SandboxState"]

_log = logging.getLogger("polyport.sandbox")

RUN_CODE = "run_code"
"""The name that opens the sandbox: who may not use it may use nothing of it."""

SandboxState: TypeAlias = Literal["none", "opening", "ready", "unavailable"]

_OUTPUT_LIMITS = frozenset({"wall_s", "output_bytes", "output_files", "output_file_bytes", "displays", "display_bytes"})


class SandboxService:
    """Opens the sandbox on first use and closes it with the gateway; holds every caller to what the plan allows.

    A gateway starts without what the sandbox needs: each use then says what is missing, and tries again.

    Args:
        plan: How it is made; None for a gateway that has none.

    Attributes:
        plan: The same.
        state: How the last try to open it went.

    Raises:
        ConfigurationError: There is no such provider, or its options or the limits can't be used.
    """

    def __init__(self, plan: SandboxPlan | None) -> None:
        self.plan = plan or SandboxPlan()
        self.enabled = plan is not None
        self.state: SandboxState = "opening" if self.enabled else "none"
        self._lock = asyncio.Lock()
        self._box: Sandbox | None = None
        self._warming: asyncio.Task[None] | None = None
        self._closed = False
        self._default: Limits | None = None
        self._languages: list[str] = []
        if self.enabled:
            self._default = _default_limits(self.plan)
            self._languages = self._provider().languages()

    @property
    def languages(self) -> list[str]:
        """The names of the languages it runs."""
        return self._languages

    async def start(self) -> None:
        """Begin to open it, without waiting for it."""
        if self.enabled:
            self._closed = False
            self._warming = asyncio.create_task(self._warm())

    async def close(self) -> None:
        """End every run and session, and leave nothing behind."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
            self._warming = None
        async with self._lock:
            box, self._box = self._box, None
            if box is not None:
                await box.__aexit__(None, None, None)

    async def box(self) -> Sandbox:
        """Return the sandbox, opened.

        Raises:
            UnsupportedOperationError: There is none; with how to get one.
            SandboxUnavailableError: It can't be opened; with what mends it.
        """
        if self._box is not None:
            return self._box
        self.require()
        from polyport_sandbox import SandboxUnavailableError

        async with self._lock:
            if self._closed:
                raise SandboxUnavailableError("The gateway is shutting down.", mend="try again in a moment")
            if self._box is None:
                self._box = await self._opened()
            return self._box

    async def examine(self) -> None:
        """Look whether it can run code, and start nothing where its provider can say so without.

        Raises:
            SandboxUnavailableError: It can't; with what mends it.
        """
        doctor = getattr(self._provider(), "doctor", None)
        if doctor is not None:
            (await doctor()).raise_if_unfit()
            return
        try:
            await self.box()
        finally:
            await self.close()

    def figures(self) -> str:
        """Write what it has done, in Prometheus' text format; nothing before it was opened."""
        return "" if self._box is None else self._box.metrics().render_prometheus()

    def require(self, *, param: str | None = None) -> None:
        """Refuse where there is no sandbox.

        Raises:
            UnsupportedOperationError: With how to get one.
        """
        if not self.enabled:
            raise UnsupportedOperationError(
                "This gateway runs no code: its sandbox is not switched on. Its operator can declare "
                'app.sandbox("docker") or set POLYPORT_SANDBOX=docker.',
                code="sandbox_disabled",
                param=param,
            )

    def check(self, caller: Caller) -> None:
        """Refuse everybody where there is no sandbox, and a caller who may not run code.

        Raises:
            UnsupportedOperationError: There is none; with how to get one.
            NotFoundError: It looks the same as where there is no such name.
        """
        self.require()
        if not caller.may(RUN_CODE):
            raise NotFoundError(
                f"The model or function {RUN_CODE!r} does not exist or you do not have access to it.",
                code="model_not_found",
            )

    def limits(self, asked: Mapping[str, Any] | Limits | None = None, *, base: Limits | None = None) -> Limits:
        """Return what a run may use that asks for these limits.

        Args:
            asked: By name; what is left out is as in `base`.
            base: A session's, say; the gateway's own where it is None.

        Raises:
            InvalidRunError: One is unknown, out of range, or more than this gateway gives.
        """
        from polyport_sandbox import InvalidRunError, Limits

        start = base or self._default or Limits()
        if asked is None:
            return start
        values = asdict(asked) if isinstance(asked, Limits) else dict(asked)
        known = asdict(start)
        for name, value in values.items():
            if name not in known:
                raise InvalidRunError(f"unknown limit {name!r}; known are {', '.join(sorted(known))}", param=name)
            most = self.plan.max_limits.get(name)
            if most is not None and isinstance(value, int | float) and value > most:
                raise InvalidRunError(f"limits.{name} is {value}; this gateway gives at most {most:g}", param=name)
        return replace(start, **values)

    def hosts(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Return the hosts that were asked for, if all of them may be reached.

        Raises:
            InvalidRunError: One may not.
        """
        refused = [host for host in asked if not any(_covers(entry, host) for entry in self.plan.allow_hosts)]
        if refused:
            from polyport_sandbox import InvalidRunError

            allowed = ", ".join(self.plan.allow_hosts) or "none"
            raise InvalidRunError(
                f"allow_hosts: {refused[0]!r} may not be reached from this gateway's sandbox (allowed: {allowed})",
                param="allow_hosts",
            )
        return asked

    async def stream(self, run: CodeRun, caller: Caller) -> AsyncGenerator[RunEvent, None]:
        """Run code and give its events; closing the generator kills the run.

        Raises:
            InvalidRunError: It can't be run as asked; nothing was started.
            SessionNotFoundError: The caller has no such session.
            SandboxBusyError: Too many wait already.
            SandboxUnavailableError: Nothing can run.
        """
        hosts = self.hosts(run.allow_hosts)
        if run.session is not None:
            events = await self._in_session(run, caller)
        else:
            limits = self.limits(run.limits)
            box = await self.box()
            events = box.stream(
                run.code,
                language=run.language,
                files=run.files,
                stdin=run.stdin,
                limits=limits,
                allow_hosts=hosts,
                tools=run.tools,
                caller=caller.id,
            )
        async with aclosing(events):
            async for event in events:
                yield event

    async def _in_session(self, run: CodeRun, caller: Caller) -> AsyncGenerator[RunEvent, None]:
        assert run.session is not None  # noqa: S101 - asked by `stream` alone
        session = await self.session(run.session, caller)
        if run.allow_hosts or run.tools is not None:
            from polyport_sandbox import InvalidRunError

            raise InvalidRunError("a session's hosts and tools are chosen when it is opened", param="allow_hosts")
        limits = None
        if run.limits is not None:
            whole = asdict(run.limits) if is_dataclass(run.limits) else run.limits
            asked = {name: value for name, value in whole.items() if name in _OUTPUT_LIMITS}
            limits = self.limits(asked, base=session.limits)
        if run.files:
            await session.upload(run.files)
        return session.stream(run.code, language=run.language, stdin=run.stdin, limits=limits, context=run.context)

    async def open_session(
        self,
        caller: Caller,
        *,
        limits: Mapping[str, Any] | Limits | None = None,
        files: Mapping[str, bytes] | None = None,
        allow_hosts: tuple[str, ...] = (),
        tools: ToolHost | None = None,
        idle_s: float | None = None,
        lifetime_s: float | None = None,
        name: str | None = None,
    ) -> Session:
        """Open a session of this caller's; what is left out is as `Sandbox.open_session` has it.

        Raises:
            InvalidRunError: It can't be given as asked.
            SandboxBusyError: There are too many.
            SandboxUnavailableError: Nothing can run.
        """
        allowed, hosts = self.limits(limits), self.hosts(allow_hosts)
        times = {"idle_s": idle_s, "lifetime_s": lifetime_s}
        box = await self.box()
        return await box.open_session(
            limits=allowed,
            files=files,
            allow_hosts=hosts,
            tools=tools,
            name=name,
            caller=caller.id,
            **{key: value for key, value in times.items() if value is not None},
        )

    async def session(self, identity: str, caller: Caller) -> Session:
        """Return a session of this caller's.

        Raises:
            SessionNotFoundError: There is none; somebody else's looks the same.
            SandboxUnavailableError: Nothing can run.
        """
        box = await self.box()
        return box.get_session(identity, caller=caller.id)

    async def sessions(self, caller: Caller) -> list[Session]:
        """Return this caller's sessions, oldest first."""
        if self._box is None:
            return []  # nobody can have opened one
        return list(self._box.sessions(caller=caller.id))

    def _provider(self) -> Provider:
        from polyport_sandbox import load_provider

        if not isinstance(self.plan.provider, str):
            provider: Provider = self.plan.provider
            return provider
        return load_provider(self.plan.provider, **self._options())

    def _options(self) -> dict[str, Any]:
        options = dict(self.plan.options)
        if self.plan.provider == "docker":
            # Containers that stand ready are made for these, so that a run that asks for nothing starts soonest.
            options.setdefault("limits", self._default)
        return options

    def _make(self) -> Sandbox:
        from polyport_sandbox import Sandbox

        return Sandbox(
            self._provider(),
            max_sessions=self.plan.max_sessions,
            max_sessions_per_caller=self.plan.max_sessions_per_caller,
        )

    async def _opened(self) -> Sandbox:
        box = self._make()
        try:
            await box.__aenter__()
        except BaseException:
            self.state = "unavailable"
            with suppress(Exception):  # it may have begun something before it failed
                await box.provider.aclose()
            raise
        self.state = "ready"
        return box

    async def _warm(self) -> None:
        try:
            await self.box()
        except CallError as error:
            _log.warning("the sandbox can't run code yet: %s", error.message)
        except Exception:  # noqa: BLE001 - a provider may fail in any way, and the rest of the gateway still serves
            _log.exception("the sandbox could not be opened")


def _default_limits(plan: SandboxPlan) -> Limits:
    from polyport_sandbox import InvalidRunError, Limits

    try:
        default = Limits(**dict(plan.limits))  # type: ignore[arg-type]
        Limits(**dict(plan.max_limits))  # type: ignore[arg-type]
    except (InvalidRunError, TypeError) as error:
        raise ConfigurationError(f"the sandbox's limits can't be used: {error}") from error
    for name, value in asdict(default).items():
        most = plan.max_limits.get(name)
        if most is not None and value > most:
            raise ConfigurationError(
                f"the sandbox's limit {name} is {value:g}, more than a run may ask for at most ({most:g}); "
                "lower the one or raise the other"
            )
    return default


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of an allow-list covers what a caller asks for, itself a host or a pattern of hosts."""
    entry, host = entry.lower(), host.lower()
    if entry in (host, "*"):
        return True
    entry_name, _, entry_port = entry.partition(":")
    name, _, port = host.partition(":")
    if entry_port != port and (entry_port or port not in ("80", "443")):
        return False
    if entry_name.startswith("*."):
        return name.removeprefix("*.").endswith(entry_name[1:]) or name == entry_name
    return name == entry_name
