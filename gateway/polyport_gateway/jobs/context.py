"""`JobContext`: what a handler of a durable job knows and tells, from the loop or from a thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

from polyport.errors import CallCancelledError
from polyport_gateway.storage.jobs import MOST_ERRORS, JobProblem, JobProgress, JobRow, JobStore

__all__ = ["JobContext", "StopReason"]

P = ParamSpec("P")
T = TypeVar("T")

StopReason: TypeAlias = Literal["cancelled", "stopping", "lost"]
"""Why a handler is to stop: somebody cancelled the job; the gateway stops; another process has taken the job over."""


class JobContext:
    """A job, as its handler sees it. Every method but `checkpoint` and `run` may be called from any thread.

    Attributes:
        job: The job as it was when it was begun.
        state: The newest checkpoint: the former attempt's, at first.
        stop_reason: Why to stop; None to go on.
    """

    def __init__(self, job: JobRow, store: JobStore, tell: Callable[[], None], threads: Executor | None = None) -> None:
        self.job = job
        self.state: Any = job.state
        self.stop_reason: StopReason | None = None
        self._store = store
        self._tell = tell
        self._threads = threads
        self._lock = threading.Lock()
        self._progress = job.progress
        self._errors = list(job.errors)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def input(self) -> Mapping[str, Any]:
        """What the job was asked."""
        return self.job.input

    @property
    def cancelled(self) -> bool:
        """Whether to stop, for whatever reason; work in a thread looks at it between its steps."""
        return self.stop_reason is not None

    def check(self) -> None:
        """Go on, or not.

        Raises:
            CallCancelledError: The handler is to stop.
        """
        if self.stop_reason is not None:
            raise CallCancelledError(f"The job {self.id} is {self.stop_reason}.")

    def progress(
        self, done: int | None = None, total: int | None = None, message: str | None = None, **counts: int
    ) -> None:
        """Say how far it is. Followers see it at once; the database, now and then.

        Args:
            done: Of `total`.
            total: How much there is to do.
            message: What is being done.
            counts: What became of it so far; those left out stay as they are, as all that is left out does.
        """
        with self._lock:
            now = self._progress
            self._progress = JobProgress(
                now.done if done is None else int(done),
                now.total if total is None else int(total),
                now.message if message is None else str(message),
                {**now.counts, **{name: int(count) for name, count in counts.items()}},
            )
        self._tell()

    def advance(self, done: int = 1, **counts: int) -> None:
        """Add to what is done, and to what became of it; threads may do so side by side."""
        with self._lock:
            now = self._progress
            added = {name: now.counts.get(name, 0) + int(count) for name, count in counts.items()}
            self._progress = replace(now, done=now.done + int(done), counts={**now.counts, **added})
        self._tell()

    def error(self, source: str, message: str, code: str | None = None) -> None:
        """Note a part that failed; the first hundred are kept. Count them by `advance` or `progress`."""
        with self._lock:
            if len(self._errors) >= MOST_ERRORS:
                return
            self._errors.append(JobProblem(source[:2000], message[:2000], code))
        self._tell()

    async def checkpoint(self, state: Any) -> None:
        """Keep how far it is: if this attempt ends untimely, the next begins with this `state`.

        Raises:
            CallCancelledError: The handler is to stop.
            ServiceUnavailableError: The database can't be written.
        """
        self._kept(state, await self._store.keep(*self._now(), state))

    def checkpoint_sync(self, state: Any) -> None:
        """Do what `checkpoint` does, from a thread that is not the loop's."""
        self._kept(state, self._store.keep_sync(*self._now(), state))

    def _kept(self, state: Any, held: bool) -> None:
        if not held:
            self.stop("lost")
        self.check()
        self.state = state

    def _now(self) -> tuple[JobRow, JobProgress, tuple[JobProblem, ...]]:
        with self._lock:
            return self.job, self._progress, tuple(self._errors)

    def snapshot(self) -> JobRow:
        """Return the job as it is now."""
        job, progress, errors = self._now()
        return replace(job, progress=progress, errors=errors, state=self.state)

    def stop(self, reason: StopReason) -> None:
        """Ask the handler to stop; the first reason counts, but one whose job was lost has nothing left to say."""
        if self.stop_reason is None or reason == "lost":
            self.stop_reason = reason

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread of the jobs' own, so that a long one takes none from those that answer requests.

        It is never left behind: if the job is cancelled, this waits until `work` has ended. So `work` should look at
        `cancelled`, or call `check`, between its steps.
        """
        step = functools.partial(contextvars.copy_context().run, functools.partial(work, *args, **kwargs))
        future = asyncio.get_running_loop().run_in_executor(self._threads, step)
        interrupted: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError as error:
                interrupted = error
        if interrupted is not None:
            future.exception()
            raise interrupted
        return future.result()
