"""MCP `tools/call` through the gateway, beside a bare FastMCP server with the same function."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.house import fastmcp_peer, measured_gateway
from tests.benchmarks.report import Section, at_least, ratio
from tests.support.load import Target, generate, post
from tests.support.peers import ROOT, Server

__all__ = ["measure_mcp"]

CONNECTIONS = 16
SESSION, STATELESS = "2025-11-25", "2026-07-28"
ACCEPT = {"Accept": "application/json, text/event-stream"}
CALL: dict[str, Any] = {"name": "add", "arguments": {"a": 20, "b": 22}}
META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def measure_mcp(folder: Path, *, rounds: int, seconds: float) -> Section:
    """Measure both revisions with the raw generator, and with FastMCP's own client."""
    section = Section(f"MCP tools/call, one worker, {CONNECTIONS} connections ({rounds} rounds of {seconds:g} s)")
    measured: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        servers = {
            "fastmcp": stack.enter_context(fastmcp_peer()),
            "polyport": stack.enter_context(measured_gateway(folder)),
        }
        for _ in range(rounds):
            for revision in (SESSION, STATELESS):
                for name, server in servers.items():
                    measured.setdefault((revision, name), []).append(_raw(server, revision, seconds))
            for mode in ("legacy", STATELESS):
                for name, server in servers.items():
                    kind = f"fastmcp.Client, {SESSION if mode == 'legacy' else mode}"
                    measured.setdefault((kind, name), []).append(_fastmcp_client(server, mode, seconds))
    for kind in dict.fromkeys(kind for kind, _ in measured):
        ours, theirs = measured[kind, "polyport"], measured[kind, "fastmcp"]
        section.add(f"{kind}: fastmcp", theirs, "calls/s")
        section.add(f"{kind}: polyport", ours, "calls/s")
        section.add(f"{kind}: polyport / fastmcp", ratio(ours, theirs), "×", at_least(0.9))
    return section


def _raw(server: Server, revision: str, seconds: float) -> float:
    if revision == SESSION:
        requests = [_session_request(server) for _ in range(CONNECTIONS)]
    else:
        headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "add"}
        requests = [_request({**CALL, "_meta": META}, headers)] * CONNECTIONS
        _check(httpx.post(f"{server.url}/mcp", content=_body({**CALL, "_meta": META}), headers=_headers(headers)))
    load = generate(Target.of(server.url), requests, seconds=seconds)
    if load.errors:
        raise RuntimeError(f"{load.errors} of {load.requests} answers from {server.url} failed; this measures nothing")
    return load.per_second


def _session_request(server: Server) -> bytes:
    """Open a session, check that it answers rightly, and return the request that calls in it."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": SESSION,
            "capabilities": {},
            "clientInfo": {"name": "benchmark", "version": "1"},
        },
    }
    with httpx.Client(base_url=server.url, headers=ACCEPT, timeout=30) as client:
        answer = client.post("/mcp", json=hello).raise_for_status()
        headers = {"MCP-Protocol-Version": SESSION}
        if session := answer.headers.get("mcp-session-id"):
            headers["Mcp-Session-Id"] = session
        client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
        _check(client.post("/mcp", content=_body(CALL), headers=_headers(headers)))
    return _request(CALL, headers)


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {**ACCEPT, "Content-Type": "application/json", **headers}


def _body(params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}).encode()


def _request(params: dict[str, Any], headers: dict[str, str]) -> bytes:
    return post("/mcp", _body(params), _headers(headers))


def _check(answer: httpx.Response) -> None:
    answer.raise_for_status()
    text = answer.text
    if "data:" in text and not text.startswith("{"):
        text = next(line[5:] for line in reversed(text.splitlines()) if line.startswith("data:") and "result" in line)
    structured = json.loads(text)["result"]["structuredContent"]
    if structured != {"result": 42}:
        raise RuntimeError(f"{answer.url} adds wrongly: {structured}")


def _fastmcp_client(server: Server, mode: str, seconds: float) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.fastmcp_client", f"{server.url}/mcp", mode, str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout)
