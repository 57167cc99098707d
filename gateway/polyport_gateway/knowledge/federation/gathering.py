"""Asking several shelves at once, each for no longer than the question may take.

A search is synchronous and can't be interrupted, so it runs in a thread of its own. One that has not come back at the
deadline is left behind: what it finds later is dropped. A vector server that hangs would so collect threads, one a
question, until there are no more; therefore a shelf that has a few searches left behind is not asked before one of them
has come back (the bulkhead and the circuit breaker of Nygard, "Release It!", 2007). The threads are daemons, so that a
search that never comes back does not keep the process from ending.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from polyport.errors import CallError, DeadlineExceededError, PolyportError, ServiceUnavailableError
from polyport.types.knowledge import LeftOut

__all__ = ["Deadline", "Gatherer", "Part"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_MOST_LATE = 4
_UNEXPECTED = "failed"


@dataclass(frozen=True)
class Deadline:
    """Until when a search is waited for, by `time.monotonic`; None: without end."""

    at: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """Return the deadline in so many seconds."""
        return cls(None if seconds is None else time.monotonic() + seconds)

    @property
    def left(self) -> float | None:
        """The seconds that are left, 0 at least; None: without end."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether nobody waits any more: what has steps left may stop."""
        return self.at is not None and time.monotonic() >= self.at


@dataclass(frozen=True)
class Part(Generic[T]):
    """A search among others.

    Args:
        shelf: What is asked, by name: the parts of one that does not answer are told from others by it.
        bases: The knowledge bases that are left out when it fails.
        search: Is called in a thread; gets the deadline, which it may hand on to what it calls.
    """

    shelf: str
    bases: tuple[str, ...]
    search: Callable[[Deadline], T]


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    place: int
    value: T | None
    error: Exception | None


class _Task(Generic[T]):
    """One search in its thread."""

    def __init__(self, place: int, part: Part[T], deadline: Deadline, outcomes: queue.SimpleQueue[_Outcome[T]]) -> None:
        self.part = part
        self.done = self.late = False
        self._place, self._deadline = place, deadline
        self._outcomes = outcomes

    def run(self) -> None:
        """Search, and hand on what came of it."""
        outcome: _Outcome[T]
        try:
            outcome = _Outcome(self._place, self.part.search(self._deadline), None)
        except Exception as error:  # noqa: BLE001  # goes to the one who asked, as what is left out
            outcome = _Outcome(self._place, None, error)
        self._outcomes.put(outcome)


class Gatherer:
    """Runs searches side by side; one for the whole process, used from any thread.

    >>> part = Part("shelf", ("handbook",), lambda deadline: 42)
    >>> [value for _, value in Gatherer().gather([part], timeout=5)[0]]
    [42]

    Args:
        most_late: Searches of a shelf that may be out after their deadline before it is asked no more.
    """

    def __init__(self, *, most_late: int = _MOST_LATE) -> None:
        self._most_late = most_late
        self._lock = threading.Lock()
        self._late: Counter[str] = Counter()

    @property
    def late(self) -> dict[str, int]:
        """How many searches of each shelf are out that nobody waits for any more."""
        with self._lock:
            return {shelf: count for shelf, count in self._late.items() if count}

    def gather(
        self, parts: Sequence[Part[T]], timeout: float | None = None
    ) -> tuple[list[tuple[Part[T], T]], list[LeftOut]]:
        """Return what the searches gave, in the order of the parts, and the bases of those that gave nothing.

        Args:
            parts: To be asked.
            timeout: Seconds to wait for all of them; None waits without end.

        Raises:
            PolyportError: None of them gave anything: their error where it is of one kind, or
                `ServiceUnavailableError`, which tells them all.
        """
        deadline = Deadline.after(timeout)
        outcomes: queue.SimpleQueue[_Outcome[T]] = queue.SimpleQueue()
        tasks: dict[int, _Task[T]] = {}
        failures: dict[int, Exception] = {}
        for place, part in enumerate(parts):
            refusal = self._refusal(part.shelf)
            if refusal is not None:
                failures[place] = refusal
                continue
            tasks[place] = _Task(place, part, deadline, outcomes)
            if len(parts) == 1 and timeout is None:
                tasks[place].run()  # nobody could leave it behind
            else:
                self._start(tasks[place])
        values: dict[int, T] = {}
        while len(values) + len(failures) < len(parts):
            try:
                outcome = outcomes.get(timeout=deadline.left)
            except queue.Empty:
                break
            if outcome.error is not None:
                failures[outcome.place] = outcome.error
            else:
                values[outcome.place] = outcome.value  # type: ignore[assignment]  # None may be what was found
        for place, task in tasks.items():
            if place not in values and place not in failures:
                self._leave(task)
                failures[place] = DeadlineExceededError(f"It gave no answer within {timeout:g} s.")
        if parts and not values:
            raise _joined(parts, failures)
        found = [(part, values[place]) for place, part in enumerate(parts) if place in values]
        return found, _left_out(parts, failures)

    def _refusal(self, shelf: str) -> Exception | None:
        with self._lock:
            late = self._late[shelf]
        if late < self._most_late:
            return None
        return ServiceUnavailableError(f"It was not asked, for {late} earlier searches have not come back yet.")

    def _start(self, task: _Task[T]) -> None:
        context = contextvars.copy_context()

        def work() -> None:
            try:
                context.run(task.run)
            finally:
                with self._lock:
                    task.done = True
                    if task.late:
                        self._late[task.part.shelf] -= 1

        threading.Thread(target=work, name=f"search {task.part.shelf}", daemon=True).start()

    def _leave(self, task: _Task[T]) -> None:
        with self._lock:
            if not task.done:
                task.late = True
                self._late[task.part.shelf] += 1


def _left_out(parts: Sequence[Part[T]], failures: dict[int, Exception]) -> list[LeftOut]:
    found = []
    for place, error in failures.items():
        code, reason = _told(error)
        if code == _UNEXPECTED:
            _log.error("A search of %s failed", parts[place].shelf, exc_info=error)
        found += [LeftOut(knowledge=base, code=code, reason=reason) for base in parts[place].bases]
    return sorted(found, key=lambda one: one.knowledge)


def _told(error: Exception) -> tuple[str, str]:
    """Return the code and the reason, in words for whoever asked: nothing of the inside."""
    if isinstance(error, ServiceUnavailableError):
        return "unavailable", error.message
    if isinstance(error, CallError):
        return error.code, error.message
    return _UNEXPECTED, "The search failed; the log says how."


def _joined(parts: Sequence[Part[T]], failures: dict[int, Exception]) -> Exception:
    """Return the error of a question that no part answered."""
    errors = [failures[place] for place in sorted(failures)]
    if len({type(error) for error in errors}) == 1 and isinstance(errors[0], PolyportError):
        return errors[0]
    told = "; ".join(f"{one.knowledge}: {one.reason}" for one in _left_out(parts, failures))
    return ServiceUnavailableError(f"No knowledge base gave an answer. {told}")
