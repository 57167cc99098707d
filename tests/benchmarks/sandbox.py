"""The sandbox beside bare ``docker run`` and ``exec`` of the same image: ``python -m tests.benchmarks.sandbox``."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from polyport_sandbox import Sandbox
from polyport_sandbox.docker import DockerProvider
from polyport_sandbox.image import DEFAULT_IMAGE
from tests.benchmarks.report import Section, at_least, at_most, render

CODE = "print(6*7)"
PYTHON = ("python3", "-u", "-c", CODE)
POOL = 4
AT_ONCE = 8


def _timed(*command: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == b"42\n"
    return (time.perf_counter() - began) * 1000


async def _rate(run: Callable[[], Awaitable[object]], count: int) -> float:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with gate:
            await run()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return count / (time.perf_counter() - began)


async def measure_sandbox(*, rounds: int) -> Section:
    """Measure one-shot runs from a filled pool, bare `docker run` and `exec`, and sustained rates."""
    section = Section("Sandbox: one-shot Python runs")
    provider = DockerProvider(pool_size=POOL, max_running=AT_ONCE)
    ours: list[float] = []
    async with Sandbox(provider) as box:

        async def run() -> None:
            result = await box.run(CODE)
            assert result.stdout == b"42\n", result

        for _ in range(rounds):
            await provider.when_ready(POOL)
            await asyncio.sleep(0.2)  # the pool is filled and the machine at rest
            began = time.perf_counter()
            await run()
            ours.append((time.perf_counter() - began) * 1000)
        sustained = await _rate(run, rounds * 2)
    bare = [await asyncio.to_thread(_timed, "docker", "run", "--rm", "--network=none", DEFAULT_IMAGE, *PYTHON)
            for _ in range(rounds)]  # fmt: skip
    started = await asyncio.to_thread(
        subprocess.run, ["docker", "run", "-d", "--rm", "--network=none", DEFAULT_IMAGE, "sleep", "600"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    warm = started.stdout.strip()
    try:
        executed = [await asyncio.to_thread(_timed, "docker", "exec", warm, *PYTHON) for _ in range(rounds)]
    finally:
        await asyncio.to_thread(subprocess.run, ["docker", "rm", "-f", warm], capture_output=True, check=True)

    async def bare_run() -> None:
        await asyncio.to_thread(_timed, "docker", "run", "--rm", "--network=none", DEFAULT_IMAGE, *PYTHON)

    bare_rate = await _rate(bare_run, rounds * 2)
    section.add("fresh, hardened, from a filled pool", ours, "ms", at_most(25))
    section.add("bare docker run", bare, "ms")
    section.add("docker exec into a warm container", executed, "ms")
    section.add(f"sustained, {AT_ONCE} in flight", sustained, "runs/s", at_least(bare_rate))
    section.add(f"bare docker run, {AT_ONCE} in flight", bare_rate, "runs/s")
    return section


if __name__ == "__main__":
    found = asyncio.run(measure_sandbox(rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 30))
    print(render(found))
