"""What an attack is, what it is made against, and how it is judged.

A program prints ``TRIED`` once it got as far as its attack (so that one which merely failed to start proves nothing)
and ``BREACH`` if the attack succeeded. Every flood is bounded in itself: where nothing holds it, it says ``BREACH`` and
stops before it harms the machine, so that the same program can be run against any sandbox.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from polyport_sandbox import Limits, RunResult

__all__ = [
    "MIB",
    "READ",
    "SYSCALL",
    "Attack",
    "Check",
    "CoarseResult",
    "NotOfferedError",
    "Place",
    "Target",
    "ended",
    "held",
    "perform",
    "said",
]

MIB = 1 << 20

SYSCALL = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return result, errno.errorcode.get(ctypes.get_errno(), "") if result < 0 else ""
def attempt(what, number, *arguments):
    result, error = call(number, *arguments)
    print("TRIED", what, error)
    if result >= 0:
        print("BREACH", what)
"""

READ = """
def look(*paths):
    for path in paths:
        print("TRIED", path)
        try:
            with open(path, "rb") as source:
                content = source.read(4096)
        except OSError:
            continue
        if content.strip(b"\\0 \\n"):
            print("BREACH", path, content[:80])
"""


class NotOfferedError(Exception):
    """The target's interface can't express this attack; the message says why."""


@dataclass(frozen=True)
class CoarseResult(RunResult):
    """The result of a sandbox that tells an exit code and a timeout apart and nothing finer.

    Args:
        written: Bytes of stdout that reached the host, of which `stdout` may hold only the first.
    """

    written: int = 0


class Place(Protocol):
    """A session of the target: what one run leaves is there for the next."""

    def run(self, code: str, *, wall_s: float = 10.0, language: str = "python") -> RunResult: ...
    def upload(self, files: Mapping[str, bytes]) -> None: ...
    def download(self, name: str) -> bytes: ...


class Target(Protocol):
    """A sandbox under attack."""

    name: str
    runtime: Literal["runc", "runsc"]
    offers: frozenset[str]

    def run(
        self,
        code: str,
        *,
        language: str = "python",
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> RunResult: ...
    def place(self) -> contextlib.AbstractContextManager[Place]: ...
    def containers(self) -> list[str]:
        """The ids of its running containers."""
        ...


Check = Callable[[RunResult], None]


def held(result: RunResult) -> None:
    """The attack was made and came to nothing."""
    assert b"TRIED" in result.stdout, result
    assert b"BREACH" not in result.stdout, result.stdout_text
    assert result.status in ("ok", "error"), result


def ended(*statuses: str) -> Check:
    """The run ended with one of these statuses, and without a breach."""

    def check(result: RunResult) -> None:
        allowed = set(statuses)
        if isinstance(result, CoarseResult) and allowed != {"timeout"}:
            allowed |= {"error", "killed", *(["timeout"] if "output_limit" in statuses else [])}
        assert b"BREACH" not in result.stdout, result.stdout_text[:200]
        assert result.status in allowed, result

    return check


def said(text: bytes, status: str = "ok") -> Check:
    """It printed this and ended so."""

    def check(result: RunResult) -> None:
        assert result.status == status, result
        assert text in result.stdout, result
        assert b"BREACH" not in result.stdout, result.stdout_text[:200]

    return check


@dataclass(frozen=True)
class Attack:
    """One attack: a program for a single run, or `play`, which may do whatever a target offers.

    Args:
        name: What is tried.
        must_hold: What a reader of the scoreboard is told must hold.
        code: The program.
        holds: Judges its result.
        on_runsc: Judges it under gVisor, where its kernel answers in the host's place and that is no breach.
        play: In the place of `code`: makes the attack and asserts what must hold.
        needs: What the target must offer.
        own: Why this is about this project's own parts, or too dangerous elsewhere, so that a peer is left out.
    """

    name: str
    must_hold: str
    code: str = ""
    holds: Check = held
    language: str = "python"
    limits: Limits = field(default_factory=lambda: Limits(wall_s=8))
    at_most_s: float = 20.0
    on_runsc: Check | None = None
    play: Callable[[Target], None] | None = None
    needs: frozenset[str] = frozenset()
    own: str = ""


def perform(attack: Attack, target: Target) -> None:
    """Make the attack and see that all held: no breach, in time, and the next run is as good as ever.

    Raises:
        AssertionError: It did not hold.
        NotOfferedError: The target can't be attacked so.
    """
    if missing := attack.needs - target.offers:
        raise NotOfferedError(f"it offers no {', '.join(sorted(missing))}")
    began = time.monotonic()
    if attack.play is not None:
        attack.play(target)
    else:
        result = target.run(attack.code, language=attack.language, limits=attack.limits)
        judge = attack.on_runsc if target.runtime == "runsc" and attack.on_runsc is not None else attack.holds
        judge(result)
    took = time.monotonic() - began
    assert took < attack.at_most_s, f"it took {took:.1f} s"
    after = target.run("print('fine')")
    assert (after.status, after.stdout) == ("ok", b"fine\n"), f"afterwards: {after}"
