"""What E2B's shape keeps of a sandbox beyond its session: tokens, metadata, contexts, commands, and its timeout."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from polyport_gateway.call import Caller
from polyport_gateway.sandboxes.service import SandboxService
from polyport_sandbox.session import Session

__all__ = ["DEFAULT_TEMPLATE", "LONGEST_S", "CodeContext", "Command", "E2BSandbox", "E2BSandboxes", "Renew"]

DEFAULT_TEMPLATE = "code-interpreter-v1"
DEFAULT_S = 300.0
LONGEST_S = 86_400.0

Renew = Callable[[], Awaitable[Caller]]
"""Checks once more the key with which a sandbox was opened: a key that was revoked opens nothing any longer."""


@dataclass(slots=True)
class CodeContext:
    """One of a sandbox's places for variables.

    Attributes:
        id: Its id, and the session's name of it.
        language: What is run in it.
        cwd: Where its code starts.
        ready: Whether its environment and folder were set.
        left: Variables of one run that were not taken back yet: its client went away.
        executions: How often code was run in it.
    """

    id: str
    language: str
    cwd: str
    ready: bool = False
    left: Mapping[str, str] = field(default_factory=dict, repr=False)
    executions: int = 0


@dataclass(slots=True)
class Command:
    """A command under way."""

    pid: int
    cmd: str
    args: list[str]
    envs: Mapping[str, str]
    cwd: str | None
    tag: str | None
    task: asyncio.Task[None]
    killed: bool = False


@dataclass(slots=True, eq=False)
class E2BSandbox:
    """A sandbox as E2B's clients see it.

    Attributes:
        session: Where it lives; its id is the sandbox's.
        renew: Gives its owner, as long as their key is good.
        template: What it was made from, as the client said.
        metadata: The client's own notes.
        envs: Environment variables of all that runs in it.
        ends_at: When it ends, in seconds since the epoch; None for when its session does.
        envd_token: Opens its files and commands.
        traffic_token: Opens its code interpreter.
        idempotency_key: Under which it was asked for.
    """

    session: Session
    renew: Renew = field(repr=False)
    template: str = DEFAULT_TEMPLATE
    metadata: Mapping[str, str] = field(default_factory=dict)
    envs: Mapping[str, str] = field(default_factory=dict, repr=False)
    ends_at: float | None = None
    envd_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    traffic_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    idempotency_key: str | None = None
    contexts: dict[str, CodeContext] = field(default_factory=dict)
    commands: dict[int, Command] = field(default_factory=dict)
    last_pid: int = 0
    timer: asyncio.TimerHandle | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.session.id

    @property
    def end(self) -> float:
        """When it ends, in seconds since the epoch."""
        return self.session.expires_at if self.ends_at is None else min(self.ends_at, self.session.expires_at)


class E2BSandboxes:
    """The sandboxes there are; each ends with its session, and the session with its timeout.

    Args:
        service: Opens sessions.
    """

    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._known: dict[str, E2BSandbox] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Forget all; their sessions end with the service."""
        for sandbox in self._known.values():
            if sandbox.timer is not None:
                sandbox.timer.cancel()
        self._known.clear()

    def find(self, identity: str) -> E2BSandbox | None:
        """Return the sandbox of this id, whoever's it is; None if it has ended."""
        sandbox = self._known.get(identity)
        if sandbox is not None and sandbox.session.closed:
            self._forget(sandbox)
            return None
        return sandbox

    def signed(self, matches: Callable[[str], bool]) -> E2BSandbox | None:
        """Return the sandbox whose token a signature was made with: a signed URL names no other."""
        return next((one for one in self._living() if matches(one.envd_token)), None)

    async def create(
        self,
        caller: Caller,
        renew: Renew,
        *,
        template: str,
        timeout_s: float | None,
        metadata: Mapping[str, str],
        envs: Mapping[str, str],
        allow_hosts: tuple[str, ...],
        idempotency_key: str | None,
    ) -> E2BSandbox:
        """Open a sandbox, or return the one that was opened under the same idempotency key.

        Raises:
            CallError: It can't be had.
        """
        living = self._living()
        if idempotency_key is not None:
            for one in living:
                if one.idempotency_key == idempotency_key and one.session.caller == caller.id:
                    return one
        session = await self._service.open_session(
            caller, allow_hosts=allow_hosts, idle_s=LONGEST_S, lifetime_s=LONGEST_S
        )
        sandbox = E2BSandbox(
            session, renew, template=template, metadata=metadata, envs=envs, idempotency_key=idempotency_key
        )
        self._known[sandbox.id] = sandbox
        self.set_timeout(sandbox, DEFAULT_S if timeout_s is None else timeout_s)
        return sandbox

    async def get(self, identity: str, caller: Caller, renew: Renew) -> E2BSandbox:
        """Return one of a caller's sandboxes, also one that was opened as a session of another shape.

        Raises:
            SessionNotFoundError: There is none; somebody else's looks the same.
        """
        session = await self._service.session(identity, caller)
        return self._of(session, renew)

    async def all_of(self, caller: Caller, renew: Renew) -> list[E2BSandbox]:
        """Return a caller's sandboxes."""
        self._living()
        return [self._of(session, renew) for session in await self._service.sessions(caller)]

    def set_timeout(self, sandbox: E2BSandbox, seconds: float) -> None:
        """Let a sandbox end so many seconds from now."""
        if sandbox.timer is not None:
            sandbox.timer.cancel()
        sandbox.ends_at = time.time() + seconds
        sandbox.timer = asyncio.get_running_loop().call_later(seconds, self._end, sandbox)

    async def kill(self, sandbox: E2BSandbox) -> None:
        """End a sandbox now."""
        self._forget(sandbox)
        await sandbox.session.aclose()

    def _of(self, session: Session, renew: Renew) -> E2BSandbox:
        sandbox = self._known.get(session.id)
        if sandbox is None:
            self._living()  # for what is forgotten there
            sandbox = self._known[session.id] = E2BSandbox(session, renew)
        return sandbox

    def _living(self) -> list[E2BSandbox]:
        """Return all, once those whose sessions have ended are forgotten."""
        for sandbox in [one for one in self._known.values() if one.session.closed]:
            self._forget(sandbox)
        return list(self._known.values())

    def _end(self, sandbox: E2BSandbox) -> None:
        task = asyncio.ensure_future(self.kill(sandbox))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget(self, sandbox: E2BSandbox) -> None:
        if sandbox.timer is not None:
            sandbox.timer.cancel()
        self._known.pop(sandbox.id, None)
