"""A sandbox that a module's tests share, and what Docker says of its containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyport_sandbox import SyncSandbox


@contextmanager
def opened(**options: Any) -> Iterator[SyncSandbox]:
    """Open the Docker sandbox with small numbers, for two cores."""
    with SyncSandbox("docker", **{"pool_size": 2, "max_running": 4, "gvisor": "never", **options}) as box:
        yield box


def docker(*arguments: str) -> str:
    """Run Docker's own client and return what it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def containers(state: str | None = None) -> list[dict[str, Any]]:
    """Inspect every container of the sandbox."""
    filters = ["--filter", "label=io.polyport.sandbox=run", *(["--filter", f"status={state}"] if state else [])]
    identities = docker("ps", "-aq", *filters).split()
    if not identities:
        return []
    # One may be removed between the two questions.
    done = subprocess.run(["docker", "inspect", *identities], capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout or "[]")


def process_tree(pid: int) -> dict[int, str]:
    """A process of this machine and all below it, each with when it started; none where they can't be seen."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        if (fields := _stat(pid)) is not None:
            found[pid] = fields[19]
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())
    return found


def lives(pid: int, started: str) -> bool:
    """Whether this very process still does anything: one that ended and waits to be collected does not."""
    fields = _stat(pid)
    return fields is not None and fields[19] == started and fields[0] not in "ZX"


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
