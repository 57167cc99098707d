"""Measure everything in one run and print it beside what was to be reached.

python tests/benchmarks/run.py [--quick] [--rounds N] [--only chat,mcp,…] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.chat import measure_chat  # noqa: E402
from tests.benchmarks.memory import measure_memory  # noqa: E402
from tests.benchmarks.reading import measure_reading  # noqa: E402
from tests.benchmarks.report import Section, machine, render  # noqa: E402
from tests.benchmarks.sandbox import measure_sandbox  # noqa: E402
from tests.benchmarks.start import measure_start  # noqa: E402
from tests.benchmarks.streams import measure_streams  # noqa: E402
from tests.benchmarks.tool_calls import measure_mcp  # noqa: E402


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds and a tenth of the requests")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (5, or 2 with --quick)")
    parser.add_argument("--json", type=Path, help="also write every figure and round to this file")
    parser.add_argument(
        "--only", default="", help="chat, mcp, memory, streams, sandbox, reading, start; several with commas"
    )
    options = parser.parse_args()
    rounds = options.rounds or (2 if options.quick else 5)
    seconds = 2.0 if options.quick else 5.0
    parts: dict[str, Callable[[Path], Section]] = {
        "chat": lambda folder: measure_chat(folder, rounds=rounds, seconds=seconds),
        "mcp": lambda folder: measure_mcp(folder, rounds=rounds, seconds=seconds),
        "memory": lambda folder: measure_memory(folder, requests=10_000 if options.quick else 100_000),
        "streams": lambda folder: measure_streams(folder, rounds=rounds),
        "sandbox": lambda _: measure_sandbox(rounds=rounds),
        "reading": lambda folder: measure_reading(folder, rounds=rounds),
        "start": lambda folder: measure_start(folder, rounds=rounds, install=not options.quick),
    }
    chosen = [name for name in options.only.split(",") if name] or list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    about = machine()
    print(f"{about['processor']}, {about['cores']} cores, Python {about['python']}")
    print(f"Load before the start: {about['load_before']:.2f}; what else runs here shows in the numbers.")
    print("The servers and the load generator share these cores; a peer is measured in the same round as we are.")
    started = time.time()
    results = {}
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            section = parts[name](Path(folder))
        print(render(section), flush=True)
        results[name] = section.as_json()
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": about, "seconds": time.time() - started, "sections": results}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
