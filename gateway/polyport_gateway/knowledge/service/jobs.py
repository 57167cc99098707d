"""The jobs of knowledge bases: taking documents in, keywords anew, building anew; what they need after each."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from polyport.errors import CallError, ConflictError, NotFoundError, PolyportError
from polyport.types.knowledge import JobKind, KnowledgeJob, SourceError
from polyport_gateway.call import Caller
from polyport_gateway.jobs.context import JobContext
from polyport_gateway.jobs.durable import JobRunner
from polyport_gateway.knowledge.catalogue import DocumentRow
from polyport_gateway.knowledge.ingestion.build import Draft
from polyport_gateway.knowledge.ingestion.ingest import ingest
from polyport_gateway.knowledge.ingestion.reindex import reindex
from polyport_gateway.knowledge.ingestion.rekey import rekey
from polyport_gateway.knowledge.ingestion.report import Figures, Report
from polyport_gateway.knowledge.ingestion.sources import (
    Problem,
    Source,
    Upload,
    Uploads,
    Web,
    WebPage,
    open_sources,
)
from polyport_gateway.knowledge.ingestion.watch import Watcher
from polyport_gateway.knowledge.ingestion.work import Job
from polyport_gateway.storage.blobs import BlobStore
from polyport_gateway.storage.jobs import JobRow

from .building import Building
from .forms import BaseStatus
from .learning import Learning
from .recipes import Recipes
from .registry import OpenBase, Registry

__all__ = ["KnowledgeJobs", "Page"]

T = TypeVar("T")

_log = logging.getLogger("polyport.knowledge")

_PREFIX = "knowledge."
_DOING: Mapping[str, BaseStatus] = {"ingest": "ingesting", "rekey": "rekeying", "reindex": "reindexing"}
_KINDS = [_PREFIX + kind for kind in _DOING]
_SWEEP_EVERY_S = 3600.0
_MOST_JOBS = 10_000
_COMING = "coming"
_THREADS = 4
_LATEST_S = 120.0
"""After so long a base learns from its documents, though more of them are waiting to be taken in."""
_UNLEARNED = "unlearned"
"""The member of a base's state that says that it has not learned from its latest documents."""


@dataclass(frozen=True, slots=True)
class Page:
    """An address that was handed in."""

    address: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    chunker: str | None = None


class KnowledgeJobs:
    """Submits and does the jobs.

    Args:
        runner: Runs them, now or after the next start.
        registry: The bases.
        building: What they work with.
        learning: Learns from documents that have changed.
        recipes: How bases are to be built.
        blobs: Where uploads are.
        web: Fetches pages.
        declared: Names of bases that the app declares.

    Attributes:
        rebuilt: Told of an embedder whose vectors were made anew: its model may be another under the same name.
    """

    def __init__(
        self,
        runner: JobRunner,
        registry: Registry,
        building: Building,
        learning: Learning,
        recipes: Recipes,
        blobs: BlobStore,
        web: Web,
        declared: Sequence[str],
    ) -> None:
        self._runner, self._registry, self._building = runner, registry, building
        self._learning = learning
        self._recipes, self._blobs, self._web = recipes, blobs, web
        self._declared = frozenset(declared)
        self._watcher = Watcher()
        self._active: dict[int, dict[str, str]] = {}
        self._errors: dict[int, dict[str, str]] = {}
        self._unlearned_since: dict[int, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._mending: asyncio.Task[Any] | None = None
        self._loop = asyncio.get_running_loop()
        # Of its own, so that nothing of it goes on when the gateway is closed.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="polyport-knowledge")
        self._stopping = threading.Event()
        self.rebuilt: Callable[[str], None] = lambda embedder: None
        for kind, handler in (("ingest", self._ingest), ("rekey", self._rekey), ("reindex", self._reindex)):
            runner.register(_PREFIX + kind, handler)

    async def start(self) -> None:
        """Go on with what is unfinished, mend what a crash or a restored folder has left, and watch folders."""
        for job in await self._runner.store.find(status=("queued", "running"), kinds=_KINDS):
            self._note(job)
        await self._runner.start()
        self._mending = self._background(self._mend(), "mend")
        self._background(self._watcher.run(), "watch")
        self._background(self._sweep(), "sweep")

    async def mended(self) -> None:
        """Wait until indexes have been compared with the catalogue, and hold what it says; once after each start."""
        if self._mending is not None:
            await asyncio.wait({self._mending})

    async def close(self) -> None:
        """Stop: what runs goes on at the next start, and nothing is at work when this returns."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await self._runner.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def is_declared(self, name: str) -> bool:
        """Whether the app declares a base."""
        return name in self._declared

    def doing(self, base: OpenBase) -> bool:
        """Whether documents are being taken in."""
        return "ingest" in self._active.get(base.id, {}).values()

    def status(self, base: OpenBase) -> tuple[BaseStatus, str | None]:
        """Say what is being done with a base, and what went wrong last."""
        kinds = set(self._active.get(base.id, {}).values())
        doing = next((state for kind, state in _DOING.items() if kind in kinds), None)
        error = " ".join(self._errors.get(base.id, {}).values()) or None
        return doing or ("ready" if error is None else "failed"), error

    async def refresh(self, base: OpenBase, *, by: str | None, force: bool = False) -> KnowledgeJob:
        """Look at a base's sources again."""
        return await self._submit(base, "ingest", {"whole": True, "force": force}, by)

    async def add(
        self, base: OpenBase, uploads: Sequence[Upload], pages: Sequence[Page], *, by: str | None
    ) -> KnowledgeJob:
        """Take in what was handed in."""
        given = {"uploads": [upload.dump() for upload in uploads], "pages": [asdict(page) for page in pages]}
        return await self._submit(base, "ingest", given, by)

    async def rekey(self, base: OpenBase, *, by: str | None) -> KnowledgeJob:
        """Make keywords anew that an earlier version made."""
        return await self._submit(base, "rekey", {}, by)

    async def reindex(self, base: OpenBase, *, by: str | None) -> KnowledgeJob | None:
        """Build a base as it is to be, beside what is searched; None where it is so already.

        Raises:
            BadRequestError: Something that it names is not there.
            CallError: An embedder does not answer.
        """
        wanted = await self._recipes.generation(base.config, base.generation)
        if wanted.same_build(base.generation):
            return None
        prepared = await asyncio.to_thread(self._registry.prepare, base, wanted)
        return await self._submit(base, "reindex", {"generation": prepared.number}, by)

    async def reindex_now(self, base: OpenBase, *, by: str | None) -> KnowledgeJob:
        """Build a base anew, whether or not it is as it is to be already; models may have been replaced unseen.

        Raises:
            BadRequestError: Something that it names is not there.
            CallError: An embedder does not answer.
        """
        job = await self.reindex(base, by=by)
        if job is None:
            wanted = await self._recipes.generation(base.config)
            again = await asyncio.to_thread(self._registry.prepare, base, wanted)
            job = await self._submit(base, "reindex", {"generation": again.number}, by)
        return job

    async def follow_config(self, base: OpenBase, *, by: str | None) -> KnowledgeJob | None:
        """Do in the background what a base's configuration asks for, and what is built does not have.

        Returns:
            The job that builds it anew, where that is needed.
        """
        job: KnowledgeJob | None = None
        try:
            job = await self.reindex(base, by=by)
        except CallError as error:
            # The base goes on as it was; the next start, or refresh, tries again.
            self._fail(base.id, "reindex", f"It can't be built as it is configured: {error}")
            _log.warning("%s can't be built as it is configured: %s", base.name, error)
        config = base.config
        if config.on_keywords_change == "batch":
            counts = await asyncio.to_thread(self._building.counts, base)
            if counts.behind(config.keywords_version):
                await self.rekey(base, by=by)
        self.watch(base)
        return job

    def bring_up(self, base: OpenBase) -> None:
        """Do `up` in the background."""
        self._active.setdefault(base.id, {})[_COMING] = "ingest"
        self._background(self._brought_up(base), f"bring up {base.name}")

    async def _brought_up(self, base: OpenBase) -> None:
        try:
            await self.up(base)
        finally:
            self._active.get(base.id, {}).pop(_COMING, None)

    async def up(self, base: OpenBase) -> None:
        """Have a base as it is declared: built as it is to be, and as its sources are."""
        job = await self.follow_config(base, by=None)
        if job is not None and not base.row.updated_at > base.row.created_at:
            await self._runner.wait(job.id)  # it is empty, and need not be built twice
        current = self._registry.by_id(base.id)
        if current is not None and current.config.sources and not await self._is_to_be_refreshed(current):
            await self.refresh(current, by=None)

    async def _is_to_be_refreshed(self, base: OpenBase) -> bool:
        """Whether an earlier start has asked for it, and it has not begun."""
        waiting = await self._runner.store.find(
            subject=_subject(base.id), kinds=[_PREFIX + "ingest"], status=["queued"]
        )
        return any(job.input.get("whole") for job in waiting)

    def watch(self, base: OpenBase) -> None:
        """Look at a base's folders again and again, if it is to be so; or no more."""
        if not base.config.watch or not base.config.sources:
            self._watcher.remove(base.name)
            return
        number = base.id

        def changed() -> bool:
            return asyncio.run_coroutine_threadsafe(self._refresh_by_id(number), self._loop).result()

        # It looks at all files once.
        self._background(
            self._in_thread(lambda: self._watcher.add(base.name, self._sources(base), changed)), f"watch {base.name}"
        )

    async def _refresh_by_id(self, number: int) -> bool:
        """Take in what has changed; False where an ingestion is under way, which may have looked already."""
        base = self._registry.by_id(number)
        if base is None or "ingest" in self._active.get(number, {}).values():
            return base is None
        await self.refresh(base, by=None)
        return True

    async def rebuild(self, base: OpenBase, row: DocumentRow, *, by: str | None) -> None:
        """Build a document anew at once.

        Raises:
            ConflictError: It was changed by others meanwhile.
            CallError: A model, the index or the database fails.
        """

        def work() -> None:
            parsed = self._building.parsed.get(row.parsed)
            (built,) = Job(self._building.work(base), Report(), by=by).build([Draft(row, parsed)])
            if built.document is None:
                raise ConflictError(f"{row.key!r} was changed by others meanwhile; try again.")

        await asyncio.to_thread(work)
        self.clear()

    def clear(self) -> None:
        """Clear away in the background what nothing needs any more."""
        self._background(self._in_thread(self._building.clear, self._stopping.is_set), "clear")

    async def stop(self, base: OpenBase) -> None:
        """Cancel all jobs of a base."""
        self._watcher.remove(base.name)
        for id_ in list(self._active.get(base.id, {})):
            await self._runner.cancel(id_)

    async def jobs(self, *, caller: Caller, base: OpenBase | None = None, limit: int = 100) -> list[KnowledgeJob]:
        """Return jobs, the newest first."""
        rows = await self._runner.store.find(
            subject=None if base is None else _subject(base.id),
            kinds=_KINDS,
            limit=limit,
        )
        shown = [(self._base_of(row), row) for row in rows]
        return [self._form(row, found) for found, row in shown if found is not None and found.seen_by(caller)]

    async def job(self, id: str, *, caller: Caller) -> KnowledgeJob:  # noqa: A002
        """Return a job as it is now.

        Raises:
            NotFoundError: There is none, for this caller.
        """
        return self._seen(id, await self._runner.get(id), caller)

    async def follow(self, id: str, *, caller: Caller) -> AsyncGenerator[KnowledgeJob, None]:  # noqa: A002
        """Give a job as it is, and again whenever that has changed, until it has ended.

        Raises:
            NotFoundError: There is none, for this caller.
        """
        await self.job(id, caller=caller)
        async for row in self._runner.follow(id):
            yield self._seen(id, row, caller)

    async def cancel(self, id: str, *, caller: Caller) -> KnowledgeJob:  # noqa: A002
        """Cancel a job; what it has done is kept.

        Raises:
            NotFoundError: There is none, for this caller.
        """
        await self.job(id, caller=caller)
        return self._seen(id, await self._runner.cancel(id), caller)

    def _seen(self, id_: str, row: JobRow | None, caller: Caller) -> KnowledgeJob:
        base = None if row is None or not row.kind.startswith(_PREFIX) else self._base_of(row)
        if row is None or base is None or not base.seen_by(caller):
            raise NotFoundError(
                f"The job {id_[:100]!r} does not exist or you do not have access to it.", code="job_not_found"
            )
        return self._form(row, base)

    def _base_of(self, row: JobRow) -> OpenBase | None:
        return self._registry.by_id(int(row.input.get("base", 0)))

    def _form(self, row: JobRow, base: OpenBase) -> KnowledgeJob:
        if row.finished:
            self._settle(row)
        kind: JobKind = row.kind.removeprefix(_PREFIX)  # type: ignore[assignment]
        counts = row.progress.counts
        return KnowledgeJob(
            id=row.id,
            knowledge=base.name,
            kind=kind,
            status=row.status,
            done=row.progress.done,
            total=row.progress.total,
            added=counts.get("added", 0),
            updated=counts.get("updated", 0),
            unchanged=counts.get("unchanged", 0),
            removed=counts.get("removed", 0),
            failed=counts.get("failed", 0),
            message=row.progress.message,
            error=row.error,
            errors=[SourceError(source=one.source, message=one.message, code=one.code) for one in row.errors],
            created_at=row.created_at // 1000,
            started_at=None if row.started_at is None else row.started_at // 1000,
            finished_at=None if row.finished_at is None else row.finished_at // 1000,
        )

    async def _submit(self, base: OpenBase, kind: JobKind, given: Mapping[str, Any], by: str | None) -> KnowledgeJob:
        row = await self._runner.submit(
            _PREFIX + kind,
            {"base": base.id, **given},
            lane=f"{_subject(base.id)}:{kind}",
            subject=_subject(base.id),
            owner=by,
        )
        self._note(row)
        return self._form(row, base)

    def _note(self, row: JobRow) -> None:
        number = int(row.input.get("base", 0))
        self._active.setdefault(number, {})[row.id] = row.kind.removeprefix(_PREFIX)
        self._background(self._until_done(row.id, number), f"follow {row.id}")

    async def _until_done(self, id_: str, number: int) -> None:
        try:
            row = await self._runner.wait(id_)
        except CallError:
            self._active.get(number, {}).pop(id_, None)
            return
        self._settle(row)
        base = self._registry.by_id(number)
        if row.status != "completed" and base is not None and base.state(_UNLEARNED) and not self.doing(base):
            # It was the job after which the base was to learn.
            self._background(self._in_thread(self._learn, base, Report(), due=True), f"learn of {base.name}")

    def _settle(self, row: JobRow) -> None:
        """Have a base's status follow from a job that is seen to have ended: never before its end, and never after."""
        number, kind = int(row.input.get("base", 0)), row.kind.removeprefix(_PREFIX)
        if self._active.get(number, {}).pop(row.id, None) is None:
            return
        if row.status == "failed":
            self._fail(number, kind, row.error or "The last job failed.")
        elif row.status == "completed":
            self._errors.get(number, {}).pop(kind, None)

    def _fail(self, number: int, kind: str, error: str) -> None:
        self._errors.setdefault(number, {})[kind] = error

    async def _ingest(self, context: JobContext) -> Any:
        base = self._base(context)
        given = context.input
        if given.get("whole"):
            sources = self._sources(base)
        else:
            uploads = [Upload.load(one) for one in given.get("uploads") or ()]
            sources = [_page(one, self._web) for one in given.get("pages") or ()]
            if uploads:
                sources.append(Uploads(uploads, self._blobs))
        report = _report(context)
        work = self._building.work(base)
        await context.run(
            ingest,
            work,
            sources,
            report,
            job=context.id,
            by=context.job.owner,
            whole=bool(given.get("whole")),
            force=bool(given.get("force")),
        )
        await context.run(self._after, base, report, learn=await self._is_to_learn(base))
        return {"notes": report.notes}

    async def _rekey(self, context: JobContext) -> Any:
        base = self._base(context)
        report = _report(context)
        await context.run(rekey, self._building.work(base), report, job=context.id, by=context.job.owner)
        await context.run(self._after, base, report)
        return {}

    async def _reindex(self, context: JobContext) -> Any:
        base = self._base(context)
        report = _report(context)
        await context.run(
            reindex,
            self._building.work(base),
            int(context.input["generation"]),
            report,
            ready=self._learning.learn,
            job=context.id,
            by=context.job.owner,
        )
        now = await asyncio.to_thread(self._registry.refresh, base.id)
        if now is not None:
            for embedder in now.generation.embedders:
                self.rebuilt(embedder)
            await asyncio.to_thread(self._note_changed, now, report.figures.done)
            await context.run(self._put_in_order, now, report)
        return {}

    async def _is_to_learn(self, base: OpenBase) -> bool:
        """Whether a base learns after this job: where more documents wait to be taken in, once after the last ones."""
        waiting = await self._runner.store.find(
            subject=_subject(base.id), kinds=[_PREFIX + "ingest"], status=["queued"], limit=1
        )
        now = time.monotonic()
        return not waiting or now - self._unlearned_since.setdefault(base.id, now) > _LATEST_S

    def _after(self, base: OpenBase, report: Report, *, learn: bool = True) -> None:
        """Learn what searching needs of documents that have changed."""
        changed = report.figures.added + report.figures.updated + report.figures.removed
        due = bool((self._registry.by_id(base.id) or base).state(_UNLEARNED))
        if not changed and not due:
            return
        self._note_changed(base, changed)
        if learn:
            self._learn(base, report, due=due)
            self._put_in_order(base, report)
        elif not due:
            # Whatever becomes of this process, the next job is to know.
            self._registry.keep_state(base, {_UNLEARNED: True})

    def _learn(self, base: OpenBase, report: Report, *, due: bool) -> None:
        report.say("learning from the documents")
        try:
            self._learning.learn(self._building.target(base.id))
        except CallError as error:
            _log.warning("%s: what was learned of it is as before: %s", base.name, error)
        self._unlearned_since.pop(base.id, None)
        if due:
            self._registry.keep_state(self._registry.by_id(base.id) or base, {_UNLEARNED: None})

    def _note_changed(self, base: OpenBase, documents: int) -> None:
        counts = self._building.counts(base)
        each = max(1, round(counts.chunks / max(1, counts.documents)))
        self._building.shelf(base).note_changed(documents * each)

    def _put_in_order(self, base: OpenBase, report: Report) -> None:
        """Have the index make its graphs, if much has changed in it."""
        shelf = self._building.shelf(base)
        if shelf.is_due():
            report.say("putting the index in order")
            shelf.index.optimize()

    async def _sweep(self) -> None:
        """Remove, now and then, what was handed in or read and is needed no more."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            unfinished = await self._runner.store.find(status=("queued", "running"), kinds=_KINDS, limit=_MOST_JOBS)
            if len(unfinished) < _MOST_JOBS:
                waiting = {one["blob"] for job in unfinished for one in job.input.get("uploads") or ()}
                await self._in_thread(self._building.sweep, self._blobs, waiting)

    async def _mend(self) -> None:
        """Clear away what a killed process left, and put back what an index has lost."""
        await self._in_thread(self._building.recover, self._stopping.is_set)
        self._background(self._in_thread(self._building.warm, self._stopping.is_set), "warm")
        for base in self._registry.all():
            try:
                repaired = await self._in_thread(self._building.repair, base, self._stopping.is_set)
            except PolyportError as error:
                self._fail(base.id, "index", str(error))
                _log.warning("%s can't be searched: %s", base.name, error)
                continue
            if repaired.missing or repaired.extra:
                _log.warning(
                    "%s: %d chunks were put back into its index, %d removed that were not its own",
                    base.name, repaired.missing, repaired.extra,
                )  # fmt: skip

    def _base(self, context: JobContext) -> OpenBase:
        number = int(context.input["base"])
        base = self._registry.by_id(number) or self._registry.refresh(number)
        if base is None:
            raise NotFoundError("The knowledge base was deleted.")
        return base

    def _sources(self, base: OpenBase) -> list[Source]:
        return list(open_sources(base.config.sources, self._web, base=Path()))

    def _in_thread(self, work: Callable[..., T], *args: Any, **options: Any) -> asyncio.Future[T]:
        """Do something in a thread that `close` waits for."""
        return self._loop.run_in_executor(self._threads, partial(work, *args, **options))

    def _background(self, work: Any, name: str) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, name))
        return task

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background work of knowledge bases (%s) failed", name, exc_info=error)


def _page(given: Mapping[str, Any], web: Web) -> WebPage:
    return WebPage(given["address"], web, given["metadata"], tuple(given["tags"]), given["chunker"])


def _subject(number: int) -> str:
    return f"knowledge:{number}"


def _report(context: JobContext) -> Report:
    def tell(figures: Figures) -> None:
        context.progress(
            figures.done,
            figures.total,
            figures.message,
            added=figures.added,
            updated=figures.updated,
            unchanged=figures.unchanged,
            removed=figures.removed,
            failed=figures.failed,
        )

    def problem(found: Problem) -> None:
        context.error(found.key, found.message, found.code)

    cancelled: Callable[[], bool] = lambda: context.cancelled  # noqa: E731
    return Report(tell, problem=problem, cancelled=cancelled)
