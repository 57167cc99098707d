"""Grade candidate solutions in the sandbox by problems' own tests."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyport_sandbox import Limits, RunResult, Sandbox, SyncSandbox

__all__ = ["Problem", "grade", "grade_sync"]

JUDGE = Path(__file__).with_name("judge.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Problem:
    """A problem in HumanEval's form."""

    task_id: str
    prompt: str
    canonical_solution: str
    test: str
    entry_point: str

    @classmethod
    def of(cls, record: Mapping[str, str]) -> Problem:
        """Read one record."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})

    @property
    def reference(self) -> str:
        """Its own solution, whole."""
        return self.prompt + self.canonical_solution


def _job(problem: Problem, token: str) -> bytes:
    return json.dumps(
        {"prompt": problem.prompt, "test": problem.test, "entry_point": problem.entry_point, "token": token}
    ).encode()


def _passed(result: RunResult, token: str) -> bool:
    """A pass is the token and nothing else; an exit code proves nothing."""
    return result.status == "ok" and result.stdout == token.encode()


async def grade(box: Sandbox, problem: Problem, candidate: str, *, wall_s: float = 15.0) -> bool:
    """Say whether a candidate, a whole module, passes a problem's tests."""
    token = secrets.token_hex(16)
    files = {"candidate.py": candidate.encode()}
    result = await box.run(JUDGE, files=files, stdin=_job(problem, token), limits=Limits(wall_s=wall_s))
    return _passed(result, token)


def grade_sync(box: SyncSandbox, problem: Problem, candidate: str, *, wall_s: float = 15.0) -> bool:
    """`grade` for code without an event loop."""
    token = secrets.token_hex(16)
    files = {"candidate.py": candidate.encode()}
    result = box.run(JUDGE, files=files, stdin=_job(problem, token), limits=Limits(wall_s=wall_s))
    return _passed(result, token)
