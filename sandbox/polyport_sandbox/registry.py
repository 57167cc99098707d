"""The sessions there are: who has how many, whose is which, and when each ends."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import InvalidRunError, SandboxBusyError, SandboxUnavailableError, SessionNotFoundError
from .session import Session

__all__ = ["Registry", "check_times", "new_id"]

CLOSE_ALL_S = 30.0
IDLE_S = (0.05, 86_400.0)
LIFETIME_S = (0.05, 7 * 86_400.0)
RETRY_AFTER_S = 5.0


def new_id() -> str:
    """Make an id that can't be guessed, of the form that OpenAI's containers have."""
    return f"cntr_{secrets.token_hex(16)}"


def check_times(idle_s: float, lifetime_s: float) -> None:
    """Refuse expiries out of range."""
    for name, value, (low, high) in (("idle_s", idle_s, IDLE_S), ("lifetime_s", lifetime_s, LIFETIME_S)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidRunError(f"{name} is {value!r}; it must be seconds from {low:g} to {high:g}", param=name)


class Registry:
    """Keep sessions, end them in time by one timer for all, and hold to the caps.

    Args:
        most: Sessions at once.
        most_per_caller: One caller's of these.
    """

    def __init__(self, most: int, most_per_caller: int) -> None:
        self._most = most
        self._most_per_caller = most_per_caller
        self._sessions: dict[str, Session] = {}
        self._opening: dict[str, int] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self.closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def reserve(self, caller: str) -> Iterator[None]:
        """Hold a place while a session opens.

        Raises:
            SandboxBusyError: If there are as many sessions as there may be.
        """
        if self.closed:
            raise SandboxUnavailableError("The sandbox is closed.", mend="async with Sandbox() as box: …")
        theirs = self._opening.get(caller, 0) + sum(session.caller == caller for session in self._sessions.values())
        if theirs >= self._most_per_caller:
            raise SandboxBusyError(
                f"You have {theirs} sessions, as many as a caller may have at once "
                f"(max_sessions_per_caller={self._most_per_caller}). Close one, or wait until one expires.",
                retry_after=RETRY_AFTER_S,
            )
        everyone = sum(self._opening.values()) + len(self._sessions)
        if everyone >= self._most:
            raise SandboxBusyError(
                f"There are {everyone} sessions, as many as this sandbox has at once (max_sessions={self._most}). "
                "Close one of yours, or try again later.",
                retry_after=RETRY_AFTER_S,
            )
        self._opening[caller] = self._opening.get(caller, 0) + 1
        try:
            yield
        finally:
            self._opening[caller] -= 1
            if not self._opening[caller]:
                del self._opening[caller]

    def add(self, session: Session) -> None:
        """Keep a session, within its `reserve`."""
        self._sessions[session.id] = session
        self.schedule(session)

    def get(self, identity: str, caller: str) -> Session:
        """Find a caller's session.

        Raises:
            SessionNotFoundError: If there is none, or it is somebody else's: the two look the same.
        """
        session = self._sessions.get(identity) if isinstance(identity, str) else None
        if session is None or session.caller != caller:
            raise SessionNotFoundError(
                f"There is no session {str(identity)[:80]!r}: it was never there, has expired or was closed. "
                "Open a new one.",
                param="session",
            )
        return session

    def of(self, caller: str) -> list[Session]:
        """A caller's sessions, oldest first."""
        return [session for session in self._sessions.values() if session.caller == caller]

    def forget(self, session: Session) -> None:
        """Drop a session that has ended."""
        self._sessions.pop(session.id, None)
        task = session.end("")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def schedule(self, session: Session) -> None:
        """Let the timer ring for this session if none does before it."""
        if session.due < self._timer_due:
            self._ring_at(session.due)

    def _ring_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due - time.monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer, self._timer_due = None, float("inf")
        now = time.monotonic()
        for session in [session for session in self._sessions.values() if session.due <= now]:
            session.end(_why_expired(session, now))
        if self._sessions:
            self._ring_at(min(session.due for session in self._sessions.values()))

    async def aclose(self) -> None:
        """End every session, all at the same time, and wait for it, though not for ever."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_due = None, float("inf")
        for session in list(self._sessions.values()):
            session.end("the sandbox was closed")
        if self._ending:
            await asyncio.wait(set(self._ending), timeout=CLOSE_ALL_S)


def _why_expired(session: Session, now: float) -> str:
    if now >= session.lifetime_ends:
        return f"its lifetime of {session.lifetime_s:g} s was over"
    return f"it was not used for {session.idle_s:g} s"
