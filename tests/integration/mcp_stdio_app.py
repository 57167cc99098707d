"""Serves a small app over standard input and output, as `polyport mcp` does; run by `test_mcp_stdio.py`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from polyport import App, Context
from polyport_gateway.server import create_gateway, running
from polyport_gateway.wires.mcp.stdio import serve_stdio

app = App("stdio")


@app.function
def shout(megabytes: int) -> str:
    """Print a lot, in every way."""
    line = "x" * 1023 + "\n"
    for _ in range(megabytes * 1024):
        sys.stdout.write(line)
    sys.stdout.flush()
    os.write(1, b'{"jsonrpc": "2.0", "id": 1, "result": {}}\n')
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    return "printed"


@app.function
def read() -> str:
    """Read what would be the protocol's own input."""
    return sys.stdin.read()


@app.function
async def slow(ctx: Context) -> str:
    """Take for ever."""
    await ctx.progress(1)
    await asyncio.sleep(60)
    return "done"


@app.function
async def ask(ctx: Context) -> str:
    """Ask."""
    form = {"type": "object", "properties": {"name": {"type": "string"}}}
    return str((await ctx.elicit("Who?", form)).data.get("name"))


async def main() -> None:
    gateway = create_gateway(app)
    async with running(gateway):
        await serve_stdio(gateway.catalog, gateway.dispatcher, gateway.settings)


if __name__ == "__main__":
    asyncio.run(main())
