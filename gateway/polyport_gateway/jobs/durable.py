"""`JobRunner`: does durable jobs, follows them, and leaves none behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from polyport.errors import CallError, ConfigurationError, NotFoundError, PolyportError, ServiceUnavailableError
from polyport_gateway.jobs.context import JobContext, StopReason
from polyport_gateway.storage.jobs import JobGlance, JobRow, JobStatus, JobStore
from polyport_gateway.storage.schema.base import dump_json
from polyport_gateway.storage.workers import new_worker

__all__ = ["Handler", "JobRunner"]

_log = logging.getLogger("polyport.jobs")

Handler: TypeAlias = Callable[[JobContext], Awaitable[Any]]
"""Does a job: a loop that can be broken off anywhere and run again. What it returns is the job's result, JSON."""

_KEEP_EVERY_S = 1.0
_FREE_EVERY_S = 5.0
_THREADS_EACH = 2
_LAST_TRY_S = 5.0
_LONGEST_BACKOFF_S = 30.0


@dataclass(slots=True)
class _Running:
    context: JobContext
    task: asyncio.Task[None]
    renewed_at: float
    dirty: bool = False  # there is progress that the database doesn't know
    telling: bool = False  # the loop is about to be told of some
    settling: bool = False  # the handler has ended


class JobRunner:
    """Runs jobs of the kinds it has handlers for, whichever process submitted them.

    A job whose process is killed, or that loses touch with the database for `lease_s`, is taken over by another one
    (or by the same gateway after its restart), which gives the handler the newest checkpoint. A handler that raises
    `ServiceUnavailableError` is tried again a little later.

    Clocks of machines that share a database should agree to some seconds.

    Args:
        store: The jobs.
        concurrency: How many run at a time in this process.
        lease_s: How long a process holds a job without a sign of life.
        poll_s: How often to look for what other processes have submitted or cancelled.
        most_attempts: How often a job is begun without getting further, before it is given up. It has got further when
            more is done than the attempt before left, or with another checkpoint.
        patience_s: How long a handler that was asked to stop may go on before it is cancelled.

    Example::

        runner = JobRunner(JobStore(database))
        runner.register("ingest", ingest)  # async def ingest(context: JobContext) -> dict: ...
        await runner.start()
        job = await runner.submit("ingest", {"sources": ["./docs"]}, lane="knowledge:1")
        async for state in runner.follow(job.id):
            print(state.status, state.progress)
    """

    def __init__(
        self,
        store: JobStore,
        *,
        concurrency: int = 4,
        lease_s: float = 60.0,
        poll_s: float = 1.0,
        most_attempts: int = 5,
        patience_s: float = 2.0,
    ) -> None:
        self.store = store
        self.worker = new_worker()
        self._concurrency = concurrency
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._most_attempts = most_attempts
        self._patience_s = patience_s
        self._handlers: dict[str, Handler] = {}
        self._running: dict[str, _Running] = {}
        self._claiming: asyncio.Task[None] | None = None
        self._upkeep: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._stopping = False
        self._free_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: ThreadPoolExecutor | None = None

    def register(self, kind: str, handler: Handler) -> None:
        """Say what does jobs of a kind.

        Raises:
            ConfigurationError: Something else does already.
        """
        if self._handlers.get(kind, handler) is not handler:
            raise ConfigurationError(f"Jobs of the kind {kind!r} have a handler already.")
        self._handlers[kind] = handler
        self._wake.set()

    async def start(self) -> None:
        """Begin to work, with what an earlier process left unfinished first."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._free_at = 0.0
        self._threads = ThreadPoolExecutor(_THREADS_EACH * self._concurrency, thread_name_prefix="polyport-job")
        self._claiming = asyncio.create_task(self._claim_on(), name="jobs: claim")
        self._upkeep = [
            asyncio.create_task(self._repeat(self._renew, self._lease_s / 4), name="jobs: renew"),
            asyncio.create_task(self._repeat(self._keep, _KEEP_EVERY_S), name="jobs: keep"),
        ]

    async def stop(self, timeout_s: float = 30.0) -> None:
        """Stop working: what runs is put back into the queue, and goes on at the next start.

        Args:
            timeout_s: How long to wait for handlers. One that goes on is left behind; its job is begun anew when the
                process has ended, or the lease.
        """
        self._stopping = True
        if self._claiming is not None:
            self._claiming.cancel()  # No more jobs; the leases of the others are renewed to the end.
            await asyncio.wait({self._claiming})
        for running in self._running.values():
            self._interrupt(running, "stopping")
        if waiting := {running.task for running in self._running.values()}:
            _, late = await asyncio.wait(waiting, timeout=timeout_s)
            for task in late:
                _log.error("%s does not stop; it is left behind", task.get_name())
        for task in self._upkeep:
            task.cancel()
        if self._upkeep:
            await asyncio.wait(self._upkeep)
        self._claiming, self._upkeep = None, []
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        for id_ in list(self._news):
            self._tell(id_)

    async def submit(
        self,
        kind: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002
        *,
        lane: str | None = None,
        subject: str | None = None,
        owner: str | None = None,
        unique_key: str | None = None,
    ) -> JobRow:
        """Put a job into the queue; see `JobStore.submit`."""
        job = await self.store.submit(kind, input, lane=lane, subject=subject, owner=owner, unique_key=unique_key)
        self._wake.set()
        return job

    async def get(self, id: str) -> JobRow | None:  # noqa: A002
        """Return a job as it is now; None if there is none."""
        running = self._running.get(id)
        return running.context.snapshot() if running is not None else await self.store.get(id)

    async def cancel(self, id: str) -> JobRow | None:  # noqa: A002
        """Cancel a job: at once if it waits; one that runs is asked to stop. None if there is none."""
        job = await self.store.cancel(id)
        running = self._running.get(id)
        if running is not None:
            self._interrupt(running, "cancelled")
        self._tell(id)
        return job

    async def wait(self, id: str) -> JobRow:  # noqa: A002
        """Wait until a job has ended, in whichever way.

        Raises:
            NotFoundError: There is none.
            ServiceUnavailableError: The gateway stops before.
        """
        async for job in self.follow(id):
            if job.finished:
                return job
        raise ServiceUnavailableError("The gateway is stopping; the job goes on at its next start.")

    async def follow(self, id: str) -> AsyncIterator[JobRow]:  # noqa: A002
        """Give a job as it is, and again whenever that has changed, until it has ended or the gateway stops.

        A slow follower misses what was between, and never the end.

        Raises:
            NotFoundError: There is none, or it was deleted.
        """
        last: JobRow | None = None
        seen: JobGlance | None = None
        while True:
            news = self._listen(id)
            # Hundreds may wait in the queue, with long inputs, and be followed: of those little is read.
            glance = None if id in self._running else await self.store.glance(id)
            if last is None or id in self._running or glance != seen:
                job = await self.get(id)
                if job is None:
                    raise NotFoundError(f"There is no job {id!r}.")
                if job != last:
                    yield job
                    last = job
            seen = glance
            if last.finished or self._stopping:
                return
            if not news.is_set():
                # Another process may have the news.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), None if id in self._running else self._poll_s)

    def _listen(self, id_: str) -> asyncio.Event:
        """Return what is set when there is news of a job; it is kept for as long as somebody listens."""
        news = self._news.get(id_)
        if news is None:
            news = self._news[id_] = asyncio.Event()
        return news

    def _tell(self, id_: str) -> None:
        news = self._news.pop(id_, None)
        if news is not None:
            news.set()

    def _changed(self, id_: str) -> None:
        """Take note of news from a handler, in whichever thread."""
        running = self._running.get(id_)
        if running is None or self._loop is None:
            return
        running.dirty = True
        if _current_loop() is self._loop:
            self._tell(id_)
        elif not running.telling:
            # Not one more for each of a thousand steps a second: the next one tells of all.
            running.telling = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._tell_of, running)

    def _tell_of(self, running: _Running) -> None:
        running.telling = False
        self._tell(running.context.id)

    async def _repeat(self, step: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self._survive(step)

    async def _survive(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Take a step that may fail, whatever the reason: without it, jobs would silently stand still."""
        try:
            await step()
        except ServiceUnavailableError:
            return False  # The database has said in the log what is wrong.
        except Exception:  # noqa: BLE001 - as above, and the log has it
            _log.exception("upkeep of jobs failed; it is tried again")
            return False
        return True

    async def _claim_on(self) -> None:
        pause_s = self._poll_s
        while not self._stopping:
            self._wake.clear()
            well = await self._survive(self._look)
            pause_s = self._poll_s if well else min(pause_s * 2, _LONGEST_BACKOFF_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._free_at:
            await self.store.free_the_dead()
            self._free_at = now + _FREE_EVERY_S
        await self._claim_all()
        if self._running:
            for id_ in await self.store.cancelled(list(self._running)):
                if id_ in self._running:
                    self._interrupt(self._running[id_], "cancelled")

    async def _claim_all(self) -> None:
        while self._handlers and len(self._running) < self._concurrency and not self._stopping:
            claimed = asyncio.ensure_future(
                self.store.claim(
                    self.worker,
                    list(self._handlers),
                    lease_ms=int(self._lease_s * 1000),
                    most_attempts=self._most_attempts,
                )
            )
            try:
                job = await asyncio.shield(claimed)
            except asyncio.CancelledError:
                # What is claimed in this very moment must not wait for its lease to end.
                await asyncio.wait({claimed})
                if not claimed.cancelled() and claimed.exception() is None and (job := claimed.result()) is not None:
                    with contextlib.suppress(ServiceUnavailableError):
                        await self.store.release(job, job.progress, job.errors)
                raise
            if job is None:
                return
            self._begin(job)

    def _begin(self, job: JobRow) -> None:
        context = JobContext(job, self.store, lambda: self._changed(job.id), self._threads)
        task = asyncio.create_task(self._work(context), name=f"job {job.id}")
        running = self._running[job.id] = _Running(context, task, asyncio.get_running_loop().time())
        task.add_done_callback(lambda _: self._ended(running))
        self._tell(job.id)

    def _ended(self, running: _Running) -> None:
        # What was put back into the queue may have been begun anew before this is told.
        if self._running.get(running.context.id) is running:
            del self._running[running.context.id]
        self._wake.set()
        self._tell(running.context.id)

    def _interrupt(self, running: _Running, reason: StopReason) -> None:
        """Ask a handler to stop; cancel it if it does not within `patience_s`."""
        first = running.context.stop_reason is None
        running.context.stop(reason)
        if first:
            asyncio.get_running_loop().call_later(self._patience_s, running.task.cancel)

    async def _renew(self) -> None:
        if not self._running:
            return
        now = asyncio.get_running_loop().time()
        asked = dict(self._running)
        try:
            held = await self.store.renew(self.worker, list(asked), lease_ms=int(self._lease_s * 1000))
        except ServiceUnavailableError:
            for running in asked.values():
                # Nobody can be told that the lease is over, so by now another may have begun the job.
                if now - running.renewed_at > self._lease_s:
                    self._lose(running)
            raise
        for id_, running in asked.items():
            if self._running.get(id_) is not running:
                continue
            if id_ not in held:
                self._lose(running)
                continue
            running.renewed_at = now
            if held[id_]:
                self._interrupt(running, "cancelled")

    def _lose(self, running: _Running) -> None:
        if running.context.stop_reason != "lost" and not running.settling:
            _log.warning("job %s is lost to another process, or was deleted", running.context.id)
            self._interrupt(running, "lost")

    async def _keep(self) -> None:
        for running in list(self._running.values()):
            if not running.dirty or running.settling:
                continue
            running.dirty = False
            job = running.context.snapshot()
            try:
                held = await self.store.keep(job, job.progress, job.errors)
            except ServiceUnavailableError:
                running.dirty = True
                raise
            if not held:
                self._lose(running)

    async def _work(self, context: JobContext) -> None:
        """Run a handler, and write what became of it, whoever wants this task cancelled meanwhile."""
        try:
            result = await self._handlers[context.job.kind](context)
            dump_json(result)  # What can't be kept is the handler's failure.
        except asyncio.CancelledError as error:
            outcome = self._interrupted(context, error)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its job must end
            outcome = self._failed(context, error)
        else:
            outcome = self._finished(context, "completed", result=result)
        self._running[context.id].settling = True
        written = asyncio.ensure_future(self._until_written(outcome))
        while not written.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({written})
        written.result()

    async def _until_written(self, outcome: Callable[[], Awaitable[bool]]) -> None:
        """Write how a job ended, however long the database is away; if the gateway stops meanwhile, it runs again."""
        pause_s, began_at = 0.2, asyncio.get_running_loop().time()
        while True:
            try:
                await outcome()
                return
            except ServiceUnavailableError:
                if self._stopping and asyncio.get_running_loop().time() - began_at > _LAST_TRY_S:
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LAST_TRY_S)

    def _interrupted(self, context: JobContext, error: BaseException) -> Callable[[], Awaitable[bool]]:
        if context.stop_reason == "cancelled":
            return self._finished(context, "cancelled")
        if context.stop_reason is None:
            return self._again(context, error)
        # A job that is lost is the other's: the store knows, and changes nothing.
        return self._released(context)

    def _failed(self, context: JobContext, error: Exception) -> Callable[[], Awaitable[bool]]:
        if context.stop_reason is not None:
            if not isinstance(error, CallError):
                _log.warning("job %s failed while it was %s", context.id, context.stop_reason, exc_info=error)
            return self._interrupted(context, error)
        if isinstance(error, ServiceUnavailableError):
            return self._again(context, error)
        said = str(error)
        if not isinstance(error, PolyportError):
            said = f"It failed with {type(error).__name__}; the gateway's log says more."
            _log.error("job %s failed", context.id, exc_info=error)
        return self._finished(context, "failed", error=said)

    def _again(self, context: JobContext, error: BaseException) -> Callable[[], Awaitable[bool]]:
        """Try a job once more, a little later each time, until it has been begun too often."""
        attempts = context.job.fruitless
        if attempts >= self._most_attempts:
            said = str(error) or f"Its handler ended with {type(error).__name__}."
            return self._finished(context, "failed", error=f"{said} It was begun {attempts} times.")
        wanted_s = error.retry_after if isinstance(error, CallError) and error.retry_after else 0.0
        after_s = max(wanted_s, min(2.0**attempts, _LONGEST_BACKOFF_S))
        _log.warning("job %s is begun again in %.0f s: %s", context.id, after_s, error or type(error).__name__)
        return self._released(context, counted=True, after_ms=int(after_s * 1000))

    def _released(
        self, context: JobContext, *, counted: bool = False, after_ms: int = 0
    ) -> Callable[[], Awaitable[bool]]:
        job = context.snapshot()
        return lambda: self.store.release(job, job.progress, job.errors, counted=counted, after_ms=after_ms)

    def _finished(
        self, context: JobContext, status: JobStatus, *, result: Any = None, error: str | None = None
    ) -> Callable[[], Awaitable[bool]]:
        job = context.snapshot()
        return lambda: self.store.finish(job, status, job.progress, job.errors, result=result, error=error)


def _current_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
