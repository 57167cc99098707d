"""Many streams at once: all whole, all in order."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp

from tests.benchmarks.house import measured_gateway, upstream
from tests.benchmarks.report import Section, at_least
from tests.benchmarks.upstream import CHUNKS

__all__ = ["measure_streams"]

STREAMS = 200
EXPECTED = [f"{number} " for number in range(CHUNKS)]
BODY = {"model": "upstream", "stream": True, "messages": [{"role": "user", "content": "Count."}]}


def measure_streams(folder: Path, *, rounds: int) -> Section:
    """Open 200 streams at once, straight and through the gateway, and check every chunk."""
    section = Section(f"{STREAMS} concurrent streams of {CHUNKS} chunks ({rounds} rounds)")
    with upstream() as bare, measured_gateway(folder, bare.url) as server:
        straight, through, whole = [], [], []
        for _ in range(rounds):
            straight.append(asyncio.run(_round(bare.url))[1])
            good, seconds = asyncio.run(_round(server.url))
            whole.append(float(good))
            through.append(seconds)
    section.add("whole and in order", whole, f"of {STREAMS}", at_least(STREAMS))
    section.add("bare upstream", straight, "s")
    section.add("polyport", through, "s")
    return section


async def _round(url: str) -> tuple[int, float]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        started = time.perf_counter()
        outcomes = await asyncio.gather(*(_stream(session, url) for _ in range(STREAMS)))
        return sum(outcomes), time.perf_counter() - started


async def _stream(session: aiohttp.ClientSession, url: str) -> bool:
    pieces: list[str] = []
    ended = False
    async with session.post(f"{url}/v1/chat/completions", json=BODY) as answer:
        async for line in answer.content:
            if not line.startswith(b"data: "):
                continue
            data = line[6:].strip()
            if data == b"[DONE]":
                ended = True
            else:
                pieces.extend(c["delta"].get("content") or "" for c in json.loads(data)["choices"])
    return ended and [piece for piece in pieces if piece] == EXPECTED
