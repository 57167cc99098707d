"""Whom the contract of sessions is held to, and what each of them can. Add a provider to `CANDIDATES`.

Abilities, each one's tests being skipped where a candidate lacks it:

===============  ====================================================================================
``sessions``     variables and files live on from cell to cell
``contexts``     several kernels in a session, which share its files
``displays``     rich results
``errors``       an uncaught exception by name, value and traceback
``streaming``    events as they happen, not all at the end
``interrupt``    a cell gives way to an interrupt with its variables kept
``give way``     so it does at its limit
``timeouts``     a cell's own limit on time
``crashes``      the kernel's death is one cell's, and files stay
``memory``       the limit on memory ends one cell
``output``       the limit on output ends one cell
``stdin``        a cell has an input
``bash``         Bash among the languages of a session
``links``        the file operations refuse links; a candidate without it follows none, but may show some
``caps``         files too large for a download are refused before they come
``tools``        code mode
``network``      an allow-list of hosts
``containers``   Docker's containers can be counted
===============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from polyport_sandbox import SyncSandbox
from tests.support.sandbox import opened
from tests.support.sandbox_servers.providers import SESSIONS

ABILITIES = frozenset(
    {"sessions", "contexts", "displays", "errors", "streaming", "interrupt",
     "give way", "timeouts", "crashes", "memory", "output", "stdin", "bash", "links", "caps", "tools", "network",
     "containers"}
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """One provider under test.

    Args:
        name: What the test's id has.
        opened: Opens a sandbox with it; takes the facade's and the provider's options.
        can: Which of the abilities it has.
        requires: What the machine must have, as for the marker ``requires``.
    """

    name: str
    opened: Callable[..., AbstractContextManager[SyncSandbox]]
    can: frozenset[str]
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = self.can - ABILITIES
        assert not unknown, f"no such abilities: {unknown}"


CANDIDATES = [Candidate("docker", opened, ABILITIES, ("docker", "sandbox"))]

CANDIDATES += [Candidate(name, opens, can, ("docker", "sandbox")) for name, opens, can in SESSIONS]


def candidates(*abilities: str) -> list[Any]:
    """The candidates as parameters, those without an ability skipped with that as the reason."""
    return [
        pytest.param(
            candidate,
            id=candidate.name,
            marks=[
                *([pytest.mark.requires(*candidate.requires)] if candidate.requires else []),
                *(
                    pytest.mark.skip(f"{candidate.name} can't do {missing}")
                    for missing in set(abilities) - candidate.can
                ),
            ],
        )
        for candidate in CANDIDATES
    ]


def needs(*abilities: str) -> Callable[[Any], Any]:
    """Mark a test as one for candidates that can do this; it is skipped for others."""

    def mark(test: Any) -> Any:
        test.needed_abilities = abilities
        return test

    return mark


def skip_unless_able(request: pytest.FixtureRequest, candidate: Candidate) -> None:
    """Skip a test that `needs` what the candidate can't do."""
    for ability in getattr(request.function, "needed_abilities", ()):
        if ability not in candidate.can:
            pytest.skip(f"{candidate.name} can't do {ability}")
