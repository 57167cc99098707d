"""Many runs at once, each of which must come back with its own answer: ``python -m tests.soak.runs [COUNT]``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from polyport_sandbox import Sandbox, SandboxError
from polyport_sandbox.docker.provider import DockerProvider
from polyport_sandbox.images.build import DEFAULT_IMAGE
from tests.support.dockerd import Daemon, own_daemon

__all__ = ["Soaked", "soak"]

AT_ONCE = 32
SETTLES_WITHIN_S = 60.0


@dataclass
class Soaked:
    """What came of it.

    Args:
        right: Runs that printed their own number.
        wrong: Runs that ended well with anything else: there may be none, ever.
        statuses: How often each other status came.
        refused: Runs that raised, by the error's class.
        seconds: From the first to the last.
        early_mb: The process's resident memory after the first tenth.
        late_mb: The same at the end.
        left: Containers of the sandbox that are still there once it is closed.
        after_restart: Runs asked for after the daemon was back that were right, and all of them.
    """

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    early_mb: float = 0.0
    late_mb: float = 0.0
    left: list[str] = field(default_factory=list)
    after_restart: tuple[int, int] = (0, 0)

    @property
    def accounted(self) -> int:
        """Runs that came back, in whatever way."""
        return self.right + len(self.wrong) + self.statuses.total() + self.refused.total()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


async def soak(count: int, daemon: Daemon, *, restart: bool) -> Soaked:
    """Make `count` runs, `AT_ONCE` in flight; with `restart`, restart the daemon half-way."""
    soaked = Soaked()
    numbers = iter(range(count))
    back_at: float | None = None
    late: list[bool] = []
    provider = DockerProvider(
        socket=daemon.socket, pool_size=8, max_running=AT_ONCE, max_waiting=AT_ONCE, patience_s=90.0
    )

    async def worker(box: Sandbox) -> None:
        for number in numbers:
            asked = time.monotonic()
            right = await _one(box, number, soaked)
            if back_at is not None and asked > back_at:
                late.append(right)
            if soaked.accounted == count // 10:
                gc.collect()
                soaked.early_mb = _resident_mb()

    async def restarter() -> None:
        nonlocal back_at
        while soaked.accounted < count // 2:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(daemon.restart)
        back_at = time.monotonic()

    began = time.monotonic()
    async with Sandbox(provider) as box, asyncio.TaskGroup() as group:
        if restart:
            group.create_task(restarter())
        for _ in range(AT_ONCE):
            group.create_task(worker(box))
    soaked.seconds = time.monotonic() - began
    gc.collect()
    soaked.late_mb = _resident_mb()
    soaked.left = await _left(daemon)
    soaked.after_restart = (sum(late), len(late))
    return soaked


async def _one(box: Sandbox, number: int, soaked: Soaked) -> bool:
    try:
        result = await box.run(f"print({number} * 7)", caller=f"caller-{number % 5}")
    except SandboxError as error:
        soaked.refused[type(error).__name__] += 1
        return False
    if result.status != "ok":
        soaked.statuses[result.status] += 1
    elif result.stdout != f"{number * 7}\n".encode():
        soaked.wrong.append(f"{number}: {result}")
    else:
        soaked.right += 1
        return True
    return False


async def _left(daemon: Daemon) -> list[str]:
    """The sandbox's containers that stay; one that is just going is given its time."""
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while True:
        listing = await asyncio.to_thread(daemon.docker, "ps", "-aq", "--filter", "label=io.polyport.sandbox=run")
        left: list[str] = listing.split()
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.5)


def main() -> int:
    """Soak, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--restart", action="store_true", help="restart the daemon half-way")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(own_daemon(DEFAULT_IMAGE))
        soaked = asyncio.run(soak(options.count, daemon, restart=options.restart))
    print(f"{soaked.right} of {options.count} right, {len(soaked.wrong)} wrong, {soaked.accounted} accounted for")
    print(f"other statuses: {dict(soaked.statuses) or 'none'}; refused: {dict(soaked.refused) or 'none'}")
    print(f"{soaked.seconds:.0f} s, {options.count / soaked.seconds:.1f} runs/s; containers left: {len(soaked.left)}")
    print(f"resident memory {soaked.early_mb:.0f} MB after a tenth, {soaked.late_mb:.0f} MB at the end")
    if options.restart:
        print(f"asked for after the restart: {soaked.after_restart[0]} of {soaked.after_restart[1]} right")
    return int(bool(soaked.wrong or soaked.left or soaked.accounted != options.count))


if __name__ == "__main__":
    sys.exit(main())
