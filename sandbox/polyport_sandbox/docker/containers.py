"""The sandbox's containers on this machine, whoever's they are, and clearing away what is nobody's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from .engine import DEFAULT_SOCKET, Engine, EngineError
from .hardening import IMAGE_LABEL, LABEL, OWNER_LABEL
from .orphans import is_orphan

__all__ = ["ContainerInfo", "Removed", "list_containers", "prune"]


@dataclass(frozen=True)
class ContainerInfo:
    """One container.

    Args:
        id: Docker's id, in short.
        name: Its name.
        image: What it was made from.
        state: Docker's word: running, created, exited …
        age_s: Seconds since it was made.
        pid: The process it belongs to, where its label says.
        orphan: Whether that process is gone.
    """

    id: str
    name: str
    image: str
    state: str
    age_s: float
    pid: int | None
    orphan: bool


@dataclass(frozen=True)
class Removed:
    """What was cleared away, by name or short id."""

    containers: tuple[str, ...]
    images: tuple[str, ...]


async def list_containers(socket: str = DEFAULT_SOCKET) -> list[ContainerInfo]:
    """List every container of the sandbox, oldest first.

    Raises:
        SandboxUnavailableError: If Docker does not answer.
    """
    engine = Engine(socket)
    try:
        found = [_info(container) for container in await engine.labelled(f"{LABEL}=run")]
    finally:
        await engine.aclose()
    return sorted(found, key=lambda container: -container.age_s)


def _info(container: dict[str, Any]) -> ContainerInfo:
    pid = str((container.get("Labels") or {}).get(OWNER_LABEL, "")).rpartition("/")[0].rpartition("/")[2]
    return ContainerInfo(
        id=str(container["Id"])[:12],
        name=str((container.get("Names") or ["/?"])[0]).lstrip("/"),
        image=str((container.get("Labels") or {}).get(IMAGE_LABEL) or container.get("Image", "?")),
        state=str(container.get("State", "?")),
        age_s=max(0.0, time.time() - float(container.get("Created", time.time()))),
        pid=int(pid) if pid.isdecimal() else None,
        orphan=is_orphan(container),
    )


async def prune(socket: str = DEFAULT_SOCKET, *, everything: bool = False) -> Removed:
    """Remove containers whose process is gone (or all), and images of ours that lost their name to a newer build.

    Raises:
        SandboxUnavailableError: If Docker does not answer.
    """
    containers = [found for found in await list_containers(socket) if everything or found.orphan]
    images: list[str] = []
    engine = Engine(socket)
    try:
        for container in containers:
            await engine.remove(container.id)
        for image in await engine.images(dangling=["true"], label=[f"{LABEL}=image"]):
            try:
                await engine.remove_image(str(image["Id"]))
            except EngineError as error:
                if error.status not in (404, 409):  # somebody's container is still made from it
                    raise
            else:
                images.append(str(image["Id"]).removeprefix("sha256:")[:12])
    finally:
        await engine.aclose()
    return Removed(tuple(container.name for container in containers), tuple(images))
