"""What a container may do: nothing it does not need. Every setting here is on by default and none has an off switch."""

from __future__ import annotations

import importlib.resources
import json
import secrets
from functools import cache
from typing import Any

from polyport_sandbox.inside.sources import supervisor_config, supervisor_source
from polyport_sandbox.types import Limits

__all__ = [
    "IMAGE_LABEL",
    "LABEL",
    "OWNER_LABEL",
    "container_settings",
    "resource_settings",
    "seccomp_profile",
]

LABEL = "io.polyport.sandbox"
OWNER_LABEL = "io.polyport.sandbox.owner"
IMAGE_LABEL = "io.polyport.sandbox.image"

# Each container gets a user id of its own out of a range that systemd's allocation table leaves free, so that what the
# kernel counts per user (inotify watches, pipe pages, pending signals) is not shared between two runs.
FIRST_UID = 1_900_000_000
UIDS = 100_000_000

WORK_MB = 64
TMP_MB = 32
SHM_MB = 16

# gVisor's own threads, and those that stand for the code's, count towards the container's limit too.
GVISOR_THREADS = 192

_MASKED = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/buddyinfo",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/pagetypeinfo",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/proc/zoneinfo",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/kernel",
    "/sys/module",
]
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


@cache
def seccomp_profile() -> str:
    """Our system call filter: Docker's default, less what a run has no use for."""
    return json.dumps(
        json.loads(importlib.resources.files("polyport_sandbox.docker").joinpath("seccomp.json").read_text("utf-8"))
    )


def resource_settings(limits: Limits, runtime: str | None = None) -> dict[str, int]:
    """The limits that cgroups hold, in Docker's words; runc can change them on a running container, gVisor can't."""
    memory = limits.memory_mb << 20
    return {
        "Memory": memory,
        "MemorySwap": memory,  # memory and swap together, so none of the latter
        "NanoCpus": int(limits.cpus * 1e9),
        "PidsLimit": limits.pids + 1 + (GVISOR_THREADS if runtime == "runsc" else 0),  # the supervisor is the one
    }


def container_settings(
    image: str, limits: Limits, *, owner: str, runtime: str | None, image_name: str = ""
) -> dict[str, Any]:
    """The body of Docker's "create a container" for one single-use sandbox; `image` is an id, and has this name."""
    uid = FIRST_UID + secrets.randbelow(UIDS)

    def tmpfs(megabytes: int, inodes: int, extra: str = "") -> str:
        return f"rw,nosuid,nodev,size={megabytes}m,nr_inodes={inodes},mode=0700,uid={uid},gid={uid}{extra}"

    host: dict[str, Any] = {
        **resource_settings(limits, runtime),
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
        "ReadonlyRootfs": True,
        "Tmpfs": {
            "/work": tmpfs(WORK_MB, 8192, ",exec"),
            "/tmp": tmpfs(TMP_MB, 4096, ",exec"),  # noqa: S108 - inside the container
            "/dev/shm": tmpfs(SHM_MB, 1024, ",noexec"),  # noqa: S108
        },
        "IpcMode": "none",
        "CgroupnsMode": "private",
        "NetworkMode": "none",
        "LogConfig": {"Type": "none", "Config": {}},
        "MaskedPaths": _MASKED,
        "ReadonlyPaths": _READ_ONLY,
        "OomScoreAdj": 500,  # where the whole machine runs out, sandboxes go first
        # Descriptors: the supervisor's; it gives the code 512, below those by which a kernel speaks to it.
        "Ulimits": [
            {"Name": name, "Soft": value, "Hard": value}
            for name, value in {"nofile": 2048, "fsize": WORK_MB << 20, "msgqueue": 0, "core": 0, "memlock": 0}.items()
        ],
        "RestartPolicy": {"Name": "no"},
    }
    if runtime is not None:
        host["Runtime"] = runtime
    return {
        "Image": image,
        "User": f"{uid}:{uid}",
        "WorkingDir": "/work",
        "Hostname": "sandbox",
        "Env": [],
        "Entrypoint": ["python3", "-I", "-S", "-c", supervisor_source(), supervisor_config()],
        "Cmd": [],
        "Labels": {LABEL: "run", OWNER_LABEL: owner, IMAGE_LABEL: image_name or image},
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": True,
        # When we go, however we go, Docker closes stdin, and the supervisor ends its run and itself.
        "StdinOnce": True,
        "NetworkDisabled": True,
        "HostConfig": host,
    }
