"""The peer: a bare FastMCP server with the same function, served by uvicorn as our gateway is.

python tests/benchmarks/fastmcp_peer.py PORT
"""

from __future__ import annotations

import sys

import uvicorn
from fastmcp import FastMCP

server = FastMCP("bare")


@server.tool
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


if __name__ == "__main__":
    uvicorn.run(server.http_app(path="/mcp"), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", workers=1)
