"""Every provider of sandboxes, as the contract suite opens it, and what each can't tell or do.

The remote ones stand before servers on loopback, which run the code in the Docker sandbox.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from polyport import App
from polyport.testing import gateway
from polyport_sandbox import SyncSandbox
from polyport_sandbox.docker.provider import DockerProvider
from polyport_sandbox.remote.e2b import E2BProvider
from polyport_sandbox.remote.piston import PistonProvider
from polyport_sandbox.remote.polyport import PolyportProvider
from polyport_sandbox.remote.sandboxfusion import SandboxFusionProvider
from tests.support.sandbox import opened

from .e2b import KEY, E2BServer
from .piston import PistonServer
from .sandboxfusion import SandboxFusionServer

Ended = tuple[str, int | None]


@dataclass(frozen=True)
class Kind:
    """One way to run code.

    Attributes:
        name: What it is called here.
        open: Opens it; takes the facade's options.
        can: What it can, of: ``stdin``, ``bytes`` (output that is not text arrives as it was), ``usage``, ``files`` (it
            finds what came out by itself), ``input_files`` (of those that went in it finds the changed ones),
            ``partial`` (what was written before a time limit is kept), ``sessions``.
        ends: How a program ends here, by its code, where that differs.
        untold: With which statuses there is no exit code.
        output_bytes: The most that it takes of one stream.
    """

    name: str
    open: Callable[..., AbstractContextManager[SyncSandbox]]
    can: frozenset[str]
    ends: Mapping[str, Ended] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    output_bytes: int = 8 << 20

    def needs(self, *abilities: str) -> None:
        """Skip what it can't do, as its documentation says."""
        for ability in abilities:
            if ability not in self.can:
                pytest.skip(f"{self.name} has no {ability}, as its documentation says")

    def end(self, code: str, status: str, exit_code: int | None) -> Ended:
        """How a program ends here that ends so in the local sandbox."""
        if code in self.ends:
            return self.ends[code]
        return status, None if status in self.untold else exit_code


def _docker() -> DockerProvider:
    return DockerProvider(pool_size=2, max_running=4, gvisor="never")


@contextlib.contextmanager
def _piston(**options: Any) -> Iterator[SyncSandbox]:
    with PistonServer(_docker) as server, SyncSandbox(PistonProvider(url=server.url), **options) as box:
        yield box


@contextlib.contextmanager
def _sandboxfusion(**options: Any) -> Iterator[SyncSandbox]:
    with SandboxFusionServer(_docker) as server, SyncSandbox(SandboxFusionProvider(url=server.url), **options) as box:
        yield box


@contextlib.contextmanager
def _notebook(**options: Any) -> Iterator[SyncSandbox]:
    with SandboxFusionServer(_docker) as server:
        provider = SandboxFusionProvider(url=server.url, displays=True)
        with SyncSandbox(provider, **options) as box:
            yield box


@contextlib.contextmanager
def _e2b(**options: Any) -> Iterator[SyncSandbox]:
    with E2BServer(_docker) as server:
        provider = E2BProvider(api_key=KEY, url=server.url, sandbox_url=server.url)
        with SyncSandbox(provider, **options) as box:
            yield box


@contextlib.contextmanager
def _gateway() -> Iterator[str]:
    app = App("sandboxes")
    app.sandbox(_docker())
    with gateway(app) as running:
        yield running.url


@contextlib.contextmanager
def _polyport(**options: Any) -> Iterator[SyncSandbox]:
    with _gateway() as url, SyncSandbox(PolyportProvider(url=url), **options) as box:
        yield box


@contextlib.contextmanager
def _served_sandboxfusion(**options: Any) -> Iterator[SyncSandbox]:
    with _gateway() as url, SyncSandbox(SandboxFusionProvider(url=f"{url}/v1/sandbox/fusion"), **options) as box:
        yield box


@contextlib.contextmanager
def _served_e2b(**options: Any) -> Iterator[SyncSandbox]:
    with _gateway() as url:
        there = f"{url}/v1/sandbox/e2b"
        provider = E2BProvider(api_key="e2b_none", url=there, sandbox_url=there, folder="/work")
        with SyncSandbox(provider, **options) as box:
            yield box


ALL = frozenset({"stdin", "bytes", "usage", "files", "input_files", "partial", "sessions"})
EXITING, FLOODS = "import os; os._exit(137)", "x = b'x' * (1 << 30)"
DYING = ("import os; os.kill(os.getpid(), 9)", "import os; os.abort()", "import ctypes; ctypes.string_at(0)")
ENDLESS = ("while True: print('x' * 1000)", "import sys\nwhile True: sys.stderr.write('x' * 1000)")
UNTOLD = frozenset({"timeout", "killed", "output_limit", "out_of_memory"})

FUSION: Mapping[str, Any] = {
    "can": frozenset({"stdin", "input_files", "partial"}),
    "ends": {FLOODS: ("killed", -9)},
    "untold": frozenset({"timeout"}),
    "output_bytes": (1 << 20) - 1,
}
# A kernel that the code took with it says neither why nor how.
E2B: Mapping[str, Any] = {
    "can": frozenset({"files", "input_files", "partial", "sessions"}),
    "ends": dict.fromkeys((EXITING, FLOODS), ("killed", None)),
    "untold": UNTOLD,
}
NOTEBOOK: Mapping[str, Any] = {
    "can": frozenset({"input_files"}),
    "ends": {
        **dict.fromkeys((EXITING, FLOODS, *DYING), ("sandbox_error", None)),
        **dict.fromkeys(ENDLESS, ("timeout", None)),
    },
    "untold": UNTOLD,
}

KINDS = [
    Kind("docker", opened, ALL),
    Kind("polyport", _polyport, ALL),
    Kind("piston", _piston, frozenset({"stdin", "usage", "partial"}), output_bytes=PistonServer.output_max_size),
    Kind("sandboxfusion", _sandboxfusion, **FUSION),
    Kind("sandboxfusion-notebook", _notebook, **NOTEBOOK),
    Kind("e2b", _e2b, **E2B),
    Kind("sandboxfusion-served", _served_sandboxfusion, **FUSION),
    Kind("e2b-served", _served_e2b, **E2B),
]
PROVIDERS = [pytest.param(kind, id=kind.name, marks=pytest.mark.requires("docker", "sandbox")) for kind in KINDS]

# What their sessions can, in the words of `tests.support.sandbox_candidates`. Not for E2B's shape: `streaming` (its
# tests want the quotes of a string, which the service takes off), `crashes` and `timeouts` (a kernel that died or was
# replaced says too little).
_BOTH = {"sessions", "contexts", "displays", "errors", "interrupt", "output"}
_OURS = {"streaming", "caps", "timeouts", "crashes", "give way", "memory", "stdin", "bash", "links"}
SESSIONS: list[tuple[str, Callable[..., AbstractContextManager[SyncSandbox]], frozenset[str]]] = [
    ("polyport", _polyport, frozenset({*_BOTH, *_OURS})),
    ("e2b", _e2b, frozenset({*_BOTH, "caps"})),
    ("e2b-served", _served_e2b, frozenset(_BOTH)),
]
