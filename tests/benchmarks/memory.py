"""The gateway's memory over many requests."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.benchmarks.chat import CONNECTIONS, REQUEST
from tests.benchmarks.house import measured_gateway, upstream
from tests.benchmarks.report import Section, at_most
from tests.support.load import Target, generate

__all__ = ["measure_memory"]

SAMPLES = 20


def measure_memory(folder: Path, *, requests: int) -> Section:
    """Send `requests` chats and watch the resident memory."""
    section = Section(f"Memory over {requests:,} chat requests")
    with upstream() as bare, measured_gateway(folder, bare.url) as server:
        process = psutil.Process(server.pid)
        samples = [_resident_mb(process)]
        for _ in range(SAMPLES):
            load = generate(Target.of(server.url), [REQUEST] * CONNECTIONS, count=requests // SAMPLES)
            if load.errors:
                raise RuntimeError(f"{load.errors} answers failed")
            samples.append(_resident_mb(process))
    # The first half fills caches and pools; what grows in the second half is growth.
    second_half = samples[len(samples) // 2 :]
    growth = (second_half[-1] - second_half[0]) / (requests / 2) * 100_000
    section.add("at start", samples[0], "MB")
    section.add("after the last", samples[-1], "MB", at_most(150))
    section.add("highest", max(samples), "MB", at_most(150))
    section.add("growth, second half", growth, "MB per 100,000", at_most(5))
    section.notes.append("samples: " + " ".join(f"{sample:.0f}" for sample in samples))
    return section


def _resident_mb(process: psutil.Process) -> float:
    everything = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in everything) / 1e6
