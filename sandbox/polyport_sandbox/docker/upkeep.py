"""What does not keep code from running, but had better be seen to: an old image, a full disk, what was left."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

from polyport_sandbox.images import DEFAULT_IMAGE
from polyport_sandbox.images.build import is_up_to_date

from .containers import list_containers
from .doctor import Finding, Report, build_command, examine
from .engine import DEFAULT_SOCKET, Engine

__all__ = ["survey"]

LOW_DISK_MB = 2048
OLD_DAYS = 90  # Debian's point releases, with their security fixes, come about every two months
_PRUNE = "polyport sandbox prune, or python -m polyport_sandbox prune"


async def survey(*, socket: str = DEFAULT_SOCKET, image: str = DEFAULT_IMAGE, gvisor: str = "auto") -> Report:
    """Examine all that a run needs, and where it can be run, look at what had better be done."""
    report = await examine(socket=socket, image=image, gvisor=gvisor)
    if not all(finding.ok for finding in report.findings if finding.subject in ("socket", "daemon")):
        return report
    engine = Engine(socket)
    try:
        info = await engine.info()
        there = await engine.image(image)
    finally:
        await engine.aclose()
    more = [_swap(info), await asyncio.to_thread(_disk, info), await _orphans(socket)]
    if there is not None:
        more.append(_image_age(image, there))
    return dataclasses.replace(report, findings=(*report.findings, *(finding for finding in more if finding)))


def _swap(info: dict[str, Any]) -> Finding | None:
    """Without swap accounting, which cgroup v1 has off by default, a run may use swap beyond its memory limit."""
    if info.get("SwapLimit", True) or not _machine_has_swap():
        return None
    detail = "This kernel does not count swap, so a run may use it beyond its memory limit"
    return Finding(
        "swap limit", ok=True, detail=detail, mend="boot with swapaccount=1, or sudo swapoff -a", advice=True
    )


def _machine_has_swap() -> bool:
    try:
        return len(Path("/proc/swaps").read_text(encoding="ascii").splitlines()) > 1
    except OSError:
        return False


def _disk(info: dict[str, Any]) -> Finding | None:
    root = str(info.get("DockerRootDir", ""))
    try:
        free = shutil.disk_usage(root).free >> 20
    except OSError:
        return None  # on another machine's disk, or hidden from us
    low = free < LOW_DISK_MB
    detail = f"{free / 1024:.1f} GiB free under {root}"
    return Finding(
        "disk", ok=True, detail=detail, mend="docker image prune, or a larger disk" if low else None, advice=low
    )


async def _orphans(socket: str) -> Finding:
    containers = await list_containers(socket)
    orphans = sum(container.orphan for container in containers)
    detail = f"{len(containers) - orphans} in use, {orphans} left by processes that are gone"
    return Finding("containers", ok=True, detail=detail, mend=_PRUNE if orphans else None, advice=bool(orphans))


def _image_age(name: str, image: dict[str, Any]) -> Finding:
    fresh = is_up_to_date(image)
    days = _age_days(str(image.get("Created", "")))
    told = f"{image.get('Size', 0) / 1e6:.0f} MB, made {days} days ago" if days is not None else "of unknown age"
    if fresh is None:
        return Finding(
            "image's age", ok=True, detail=f"{told}; not by a recipe of ours, so it is not known if it is up to date"
        )
    if not fresh:
        detail = f"{told}, by an older recipe"
        return Finding("image's age", ok=True, detail=detail, mend=build_command(name), advice=True)
    old = days is not None and days > OLD_DAYS
    mend = f"{build_command(name)} --force" if old else None
    return Finding("image's age", ok=True, detail=f"{told}, up to date" if not old else told, mend=mend, advice=old)


def _age_days(created: str) -> int | None:
    try:
        made = time.mktime(time.strptime(created[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    return max(0, int((time.time() + time.timezone - made) // 86400))
