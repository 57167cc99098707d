"""Containers that a crashed process left: found by their label, removed at the next start.

A container whose process is gone ends by itself, for Docker closes its stdin; what remains is to remove it.
"""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from pathlib import Path

from .engine import Engine
from .hardening import LABEL, OWNER_LABEL

__all__ = ["is_orphan", "owner", "remove_orphans"]

_log = logging.getLogger(__name__)

SETTLED_S = 60.0  # a container of a process we can't see may be in the making for so long


@cache
def _here() -> str:
    """The machine's boot and the process namespace: within one, a process id and its start time name a process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in brackets may hold anything; field 22 is counted from behind it.
    return stat.rpartition(")")[2].split()[19]


def owner() -> str:
    """What this process writes on its containers."""
    return f"{_here()}/{os.getpid()}/{_started(os.getpid())}"


def is_orphan(container: dict[str, object]) -> bool:
    """Whether the process that a container belongs to is gone."""
    labels = container.get("Labels")
    mark = str(labels.get(OWNER_LABEL, "")) if isinstance(labels, dict) else ""
    place, _, rest = mark.rpartition("/")
    place, _, pid = place.rpartition("/")
    if place == _here() and pid.isdecimal():
        return _started(int(pid)) != rest
    # Of another boot, or of a process in another namespace: it is in use if it runs.
    created = container.get("Created")
    age = time.time() - created if isinstance(created, int | float) else SETTLED_S
    return container.get("State") != "running" and age >= SETTLED_S


async def remove_orphans(engine: Engine) -> int:
    """Remove containers whose process is gone; return how many there were."""
    orphans = [str(c["Id"]) for c in await engine.labelled(f"{LABEL}=run") if is_orphan(c)]
    for identity in orphans:
        await engine.remove(identity)
    if orphans:
        _log.info("removed %d sandbox containers that an earlier process had left", len(orphans))
    return len(orphans)
