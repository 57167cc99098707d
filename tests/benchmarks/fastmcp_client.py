"""Call `add` through FastMCP's own client, 16 calls at a time, and print calls per second.

python -m tests.benchmarks.fastmcp_client URL MODE SECONDS
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, cast

from fastmcp import Client


async def main(url: str, mode: str, seconds: float) -> float:
    """Measure one client."""
    calls = 0
    async with Client(url, mode=cast(Any, mode)) as client:
        await client.call_tool("add", {"a": 20, "b": 22})
        stop_at = time.perf_counter() + seconds

        async def work() -> None:
            nonlocal calls
            while time.perf_counter() < stop_at:
                result = await client.call_tool("add", {"a": 20, "b": 22})
                if result.structured_content != {"result": 42}:
                    raise RuntimeError(f"add gave {result.structured_content!r}")
                calls += 1

        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(work())
        return calls / (time.perf_counter() - started)


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
