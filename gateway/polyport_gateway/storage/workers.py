"""Names of processes that leave their name in the records, so that another one can tell whether they still live.

A name holds the machine (its boot and its namespace of processes), the process's number and when it started. What
another machine's process does can't be told from here: there, only time tells.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from functools import cache
from pathlib import Path

__all__ = ["is_dead", "new_worker"]


def new_worker() -> str:
    """Return a name for something in this process, unlike all others."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_started(pid) or ''}:{secrets.token_hex(4)}"


def is_dead(worker: str) -> bool:
    """Whether the process of a name has surely ended."""
    place, _, rest = worker.partition(":")
    if not place or place != _place() or rest.count(":") != 2:
        return False
    pid, started, _ = rest.split(":")
    return bool(started) and pid.isdigit() and _started(int(pid)) != started


@cache
def _place() -> str:
    """Name the machine, or the container: where numbers of processes mean the same. Empty where that isn't known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{socket.gethostname()} {boot} {namespace}".encode()).hexdigest()[:12]


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since the machine did; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else started
