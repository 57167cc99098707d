"""What it costs to start: the server, the import, the installation."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.house import measured_gateway
from tests.benchmarks.report import Section, at_most
from tests.support.peers import ROOT, clean_environment

__all__ = ["measure_start"]

IMPORT = """
import sys, time
before = len(sys.modules)
started = time.perf_counter()
import polyport
print(time.perf_counter() - started, len(sys.modules) - before)
"""
USE = """
import time
started = time.perf_counter()
from polyport import App, Client
print(time.perf_counter() - started)
"""
PACKAGES = """
import importlib.metadata, json
print(json.dumps(sorted({d.name for d in importlib.metadata.distributions()} - {"pip", "setuptools"})))
"""


def measure_start(folder: Path, *, rounds: int, install: bool) -> Section:
    """Measure `polyport serve` until it answers, `import polyport`, and what an installation brings.

    Args:
        folder: For records and the environment.
        rounds: How often.
        install: Whether to install into an empty environment, which needs a package index.
    """
    section = Section(f"Start ({rounds} rounds)")
    ready = []
    for number in range(rounds):
        with measured_gateway(folder / f"start-{number}") as server:
            ready.append(server.ready_s)
    imports = [_python(IMPORT).split() for _ in range(rounds)]
    section.add("polyport serve, until /healthz answers", ready, "s", at_most(2))
    section.add("import polyport", [float(seconds) for seconds, _ in imports], "s", at_most(0.15))
    section.add("import polyport", [float(modules) for _, modules in imports], "modules")
    section.add("from polyport import App, Client", [float(_python(USE)) for _ in range(rounds)], "s")
    if install:
        section.add("pip install polyport", float(len(packages := _packages())), "packages", at_most(15))
        section.notes.append("an installation brings " + ", ".join(packages))
    return section


def _python(code: str, python: Path | str = sys.executable) -> str:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=clean_environment())
    return done.stdout


def _packages() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "empty"
        subprocess.run(["scripts/venv", environment, "."], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        found: list[str] = json.loads(_python(PACKAGES, environment / "bin" / "python"))
    return found
