"""Graders cheated: a candidate that ends, patches or forges its way to a pass."""

from __future__ import annotations

from tests.support.broken import BREAKINGS
from tests.support.grading import Problem, grade_sync

from .case import Attack, Target
from .targets import OursTarget

__all__ = ["GRADING"]

PROBLEM = Problem(
    "toy",
    'from typing import List\n\n\ndef doubled(numbers: List[int]) -> List[int]:\n    """Double each."""\n',
    "    return [2 * number for number in numbers]\n",
    "def check(candidate):\n    assert candidate([1, 2]) == [2, 4]\n    assert candidate([]) == []\n    assert candidate([7]) == doubled([7])\n",
    "doubled",
)


def _attack(kind: str) -> Attack:
    def play(target: Target) -> None:
        assert isinstance(target, OursTarget)
        candidate = BREAKINGS[kind](PROBLEM)
        assert not grade_sync(target.box, PROBLEM, candidate, wall_s=4), f"BREACH: it passed by: {kind}"
        assert grade_sync(target.box, PROBLEM, PROBLEM.reference), "the right solution does not pass"

    return Attack(
        f"a grader cheated: {kind}", "it is no pass", play=play, needs=frozenset({"our own parts"}), at_most_s=40
    )


GRADING = [_attack(kind) for kind in BREAKINGS]
