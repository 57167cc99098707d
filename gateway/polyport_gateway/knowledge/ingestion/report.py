"""How far a job has come, for whoever started it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from polyport.errors import CallCancelledError

from .sources import Problem

__all__ = ["Figures", "Report"]

_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What was done.

    Args:
        done: Files or documents that are dealt with.
        total: Of how many; None while it is not known.
        added: Documents that are new.
        updated: That have changed.
        unchanged: That have not.
        removed: That are gone.
        failed: Files that could not be taken in.
        message: What is being done.
    """

    done: int = 0
    total: int | None = None
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    message: str | None = None

    def dump(self) -> Mapping[str, int | str | None]:
        """Return them as JSON."""
        return asdict(self)


class Report:
    """Counts what a job does; may be used from several threads.

    Args:
        tell: Told the figures now and then, and at the end.
        problem: Told of each thing that could not be taken in.
        cancelled: Whether to stop.
        every_s: How often figures are told.
    """

    def __init__(
        self,
        tell: Callable[[Figures], None] | None = None,
        *,
        problem: Callable[[Problem], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        every_s: float = 0.5,
    ) -> None:
        self._tell, self._told_problem, self._cancelled = tell, problem, cancelled
        self._every_s = every_s
        self._told_at = 0.0
        self._lock = threading.Lock()
        self.figures = Figures()
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.problem_count = 0

    def check(self) -> None:
        """Go on, or not.

        Raises:
            CallCancelledError: Whoever started the job wants no more of it.
        """
        if self._cancelled is not None and self._cancelled():
            raise CallCancelledError("The job was cancelled; what it has done so far is kept.")

    def count(self, **more: int) -> None:
        """Add to figures by their names."""
        with self._lock:
            self.figures = replace(
                self.figures, **{name: getattr(self.figures, name) + number for name, number in more.items()}
            )
        self._now_and_then()

    def expect(self, total: int) -> None:
        """Say that so many more are to be done."""
        with self._lock:
            self.figures = replace(self.figures, total=(self.figures.total or 0) + total)
        self._now_and_then()

    def say(self, message: str) -> None:
        """Say what is being done."""
        with self._lock:
            self.figures = replace(self.figures, message=message)
        self.flush()

    def note(self, note: str) -> None:
        """Say what is worth knowing at the end."""
        with self._lock:
            self.notes.append(note)

    def problem(self, problem: Problem) -> None:
        """Tell of something that could not be taken in; it doesn't end the job. The first hundred are kept."""
        with self._lock:
            self.problem_count += 1
            if len(self.problems) < _PROBLEMS:
                self.problems.append(problem)
        if self._told_problem is not None:
            self._told_problem(problem)

    def _now_and_then(self) -> None:
        if time.monotonic() - self._told_at >= self._every_s:
            self.flush()

    def flush(self) -> None:
        """Tell the figures now."""
        self._told_at = time.monotonic()
        if self._tell is not None:
            self._tell(self.figures)
