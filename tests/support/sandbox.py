"""A sandbox that a module's tests share, and what Docker says of its containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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
