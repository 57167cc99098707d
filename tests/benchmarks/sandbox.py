"""The sandbox beside bare ``docker run`` and ``exec`` and a peer: ``python -m tests.benchmarks.sandbox [ROUNDS]``."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from polyport_sandbox import Sandbox
from polyport_sandbox.docker.provider import DockerProvider
from polyport_sandbox.images.build import DEFAULT_IMAGE
from tests.benchmarks.report import Section, at_least, at_most, ratio, render
from tests.support.machine import ROOT, what_is_missing

__all__ = ["measure_sandbox"]

CODE = "print(6*7)"
PYTHON = ("python3", "-u", "-c", CODE)
BARE = ("docker", "run", "--rm", "--network=none", DEFAULT_IMAGE)
POOL = 4
AT_ONCE = 8
SESSIONS = 10
CELLS = 30
PEER_PYTHON = ROOT / ".venv-llm-sandbox" / "bin" / "python"
PEER_IMAGE = "polyport-tests/peer:benchmark"


@dataclass
class _Measured:
    """Every figure, by round."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    executed: list[float] = field(default_factory=list)
    cells: list[float] = field(default_factory=list)
    cell_rates: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    bare_rates: list[float] = field(default_factory=list)


def _timed(*command: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    assert done.stdout == b"42\n"
    return (time.perf_counter() - began) * 1000


async def _rate(run: Callable[[], Awaitable[object]], count: int, at_once: int = AT_ONCE) -> float:
    gate = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with gate:
            await run()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return count / (time.perf_counter() - began)


async def _one_shot(box: Sandbox) -> None:
    result = await box.run(CODE)
    assert result.stdout == b"42\n", result


async def _bare_run() -> None:
    await asyncio.to_thread(_timed, *BARE, *PYTHON)


async def _singles(box: Sandbox, provider: DockerProvider, count: int, found: _Measured) -> None:
    """One-shot, bare run and exec in turn, so that what slows the machine slows all three."""
    started = await asyncio.to_thread(
        subprocess.run, ["docker", "run", "-d", "--rm", "--network=none", DEFAULT_IMAGE, "sleep", "3600"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    warm = started.stdout.strip()
    try:
        for _ in range(count):
            await provider.when_ready(POOL)
            await asyncio.sleep(0.2)  # the pool is filled and the machine at rest
            began = time.perf_counter()
            await _one_shot(box)
            found.ours.append((time.perf_counter() - began) * 1000)
            await provider.when_ready(POOL)
            found.bare.append(await asyncio.to_thread(_timed, *BARE, *PYTHON))
            found.executed.append(await asyncio.to_thread(_timed, "docker", "exec", warm, *PYTHON))
    finally:
        await asyncio.to_thread(subprocess.run, ["docker", "rm", "-f", warm], capture_output=True, check=True)


async def _cells(box: Sandbox, found: _Measured) -> None:
    """A cell's latency in one session, and cells per second over several at once."""
    sessions = [await box.open_session() for _ in range(SESSIONS)]
    try:
        for session in sessions:
            await session.run(CODE)  # the first starts the kernel where it is not warm yet
        for _ in range(CELLS):
            began = time.perf_counter()
            assert (await sessions[0].run(CODE)).stdout == b"42\n"
            found.cells.append((time.perf_counter() - began) * 1000)

        async def many(session: Any) -> None:
            for _ in range(CELLS):
                assert (await session.run(CODE)).stdout == b"42\n"

        began = time.perf_counter()
        await asyncio.gather(*map(many, sessions))
        found.cell_rates.append(SESSIONS * CELLS / (time.perf_counter() - began))
    finally:
        await asyncio.gather(*(session.aclose() for session in sessions))


def _peer(count: int) -> dict[str, Any]:
    """The peer's own figures.

    Raises:
        RuntimeError: It is not installed, or does not run.
    """
    if not PEER_PYTHON.exists():
        raise RuntimeError("it is not installed (make sandbox-peer-venv)")

    def docker(*arguments: str) -> None:
        subprocess.run(["docker", *arguments], capture_output=True, check=True, timeout=120)

    try:
        # Our image with the one thing it needs: a program called `python`.
        docker("run", "--name=polyport-peer", "--network=none", DEFAULT_IMAGE, "ln", "-s", "python3", "/usr/bin/python")
        docker("commit", "--change", 'CMD ["bash"]', "polyport-peer", PEER_IMAGE)
        done = subprocess.run(
            [str(PEER_PYTHON), str(ROOT / "tests/benchmarks/sandbox_peer.py"), PEER_IMAGE, str(count)],
            capture_output=True, text=True, timeout=600, check=True,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    except subprocess.SubprocessError as error:
        raise RuntimeError(f"it does not run: {error}") from error
    finally:
        for leftover in (("rm", "-f", "polyport-peer"), ("rmi", "-f", PEER_IMAGE)):
            subprocess.run(["docker", *leftover], capture_output=True, check=False, timeout=60)


async def _measure(rounds: int) -> Section:
    section = Section("Sandbox: runs and cells of Python")
    found = _Measured()
    provider = DockerProvider(pool_size=POOL, max_running=AT_ONCE)
    async with Sandbox(provider) as box:
        await _singles(box, provider, rounds * 6, found)
        for _ in range(rounds):
            found.rates.append(await _rate(lambda: _one_shot(box), AT_ONCE * 4))
            await provider.when_ready(POOL)
            found.bare_rates.append(await _rate(_bare_run, AT_ONCE * 4))
            await _cells(box, found)
    section.add("one-shot from a filled pool, fresh and hardened", found.ours, "ms", at_most(25))
    section.add("  the same, 95th percentile", statistics.quantiles(found.ours, n=20)[-1], "ms")
    section.add("  bare docker run", found.bare, "ms")
    section.add("  docker exec into a warm container", found.executed, "ms")
    section.add("  bare docker run takes so many times ours", ratio(found.bare, found.ours), "×")
    section.add("a session's cell", found.cells, "ms", at_most(5))
    section.add(f"cells over {SESSIONS} sessions", found.cell_rates, "cells/s", at_least(300))
    section.add(f"one-shots sustained, {AT_ONCE} in flight", found.rates, "runs/s")
    section.add(f"  bare docker run, {AT_ONCE} in flight", found.bare_rates, "runs/s")
    section.add("  ours are so many times those", ratio(found.rates, found.bare_rates), "×", at_least(1))
    try:
        theirs = await asyncio.to_thread(_peer, rounds * 2)
    except RuntimeError as error:
        section.notes.append(f"llm-sandbox: {error}")
    else:
        section.add("llm-sandbox, a run in a session of its own", theirs["answered"], "ms")
        section.add("llm-sandbox, a run in an open session (a new process)", theirs["cells"], "ms")
        section.add(f"llm-sandbox, {AT_ONCE} in flight", theirs["rate"], "runs/s")
        section.notes.append(
            "llm-sandbox with its defaults, in the same image, its environment's set-up skipped and its container "
            "killed at the end rather than given its ten seconds' grace"
        )
    return section


def measure_sandbox(*, rounds: int) -> Section:
    """Measure one-shots, cells and sustained rates, beside bare Docker and a peer in the same run."""
    if missing := what_is_missing("sandbox"):
        section = Section("Sandbox: runs and cells of Python")
        section.notes.append(f"not measured: {missing}")
        return section
    return asyncio.run(_measure(rounds))


if __name__ == "__main__":
    print(render(measure_sandbox(rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 5)))
