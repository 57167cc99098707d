"""What the host itself sees of a container: its processes and what its control groups count."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counted", "cgroup", "counted", "cpu_seconds", "processes_with"]

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Counted:
    """A container's processes now, how many it may have, and how often the kernel refused it another."""

    now: int
    most: int
    refused: int


def cgroup(container: str, controller: str) -> Path | None:
    """The control group of a container, under cgroup v1 or v2, wherever the daemon put it."""
    root = CGROUPS / controller if (CGROUPS / controller).is_dir() else CGROUPS
    for pattern in (f"*/{container}", container, f"*/docker-{container}.scope", f"*/*/{container}"):
        for found in root.glob(pattern):
            return found
    return None


def counted(container: str) -> Counted | None:
    """What the kernel counts of a container's processes; None once it is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        folder = cgroup(container, "pids")
        if folder is not None:
            limit = (folder / "pids.max").read_text().strip()
            return Counted(
                int((folder / "pids.current").read_text()),
                1 << 30 if limit == "max" else int(limit),
                int((folder / "pids.events").read_text().split()[1]),
            )
    return None


def cpu_seconds(container: str) -> float | None:
    """Processor seconds that the host has given a container; None once it is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        folder = cgroup(container, "cpuacct")
        if folder is not None:
            if (folder / "cpuacct.usage").exists():
                return int((folder / "cpuacct.usage").read_text()) / 1e9
            return int((folder / "cpu.stat").read_text().split()[1]) / 1e6
    return None


def processes_with(marker: str) -> Iterator[int]:
    """Processes of the host, of every namespace, whose command line has a marker in it."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in (folder / "cmdline").read_bytes():
                    yield int(folder.name)
