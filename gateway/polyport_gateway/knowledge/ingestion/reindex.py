"""Another chunker, embedder or index without a pause: all is built beside, then one switch is thrown."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from polyport.errors import CallError, ConflictError
from polyport_gateway.knowledge.catalogue import DocumentRow

from .build import Draft, Target
from .repair import repair
from .report import Report
from .sources import Problem
from .work import Job, Work

__all__ = ["reindex"]

_PAGE = 64
_NAMED = 5


def reindex(
    work: Work,
    generation: int,
    report: Report,
    *,
    ready: Callable[[Target], None] | None = None,
    job: str | None = None,
    by: str | None = None,
) -> None:
    """Build all documents into a generation that was prepared, search that from then on, and drop the former ones.

    Documents may come, change and go meanwhile: what has changed is built again before the switch, which the catalogue
    refuses as long as one is missing. It may be killed at any moment and begun again.

    Args:
        work: The base.
        generation: As `Catalogue.prepare_generation` gave it.
        report: Told what is done.
        ready: Called when all documents are in it, before it is searched: to learn what searching needs.
        job: The job's id, for the update log.
        by: The id of the key that asked for it.

    Raises:
        ConflictError: Some documents can't be built, or the generation was dropped; what is searched
            stays.
        CallError: A model, the index or the database fails.
        CallCancelledError: The report says to stop.
    """
    _Reindexing(work, generation, report, Job(work, report, id=job, by=by, generation=generation)).run(ready)


class _Reindexing:
    def __init__(self, work: Work, generation: int, report: Report, job: Job) -> None:
        self._work, self._generation, self._report, self._job = work, generation, report, job
        self._failed: dict[int, str] = {}

    def run(self, ready: Callable[[Target], None] | None) -> None:
        catalogue, base = self._work.catalogue, self._work.base
        counts = catalogue.counts([base]).get(base)
        self._report.expect(counts.documents if counts is not None else 0)
        self._report.say("building beside what is searched")
        self._go_on()
        while not self._is_searched():
            self._check()
            self._build_stale()
            if ready is not None:
                ready(self._job.target)
            try:
                catalogue.switch(base, self._generation, job=self._job.id, by=self._job.by)
            except ConflictError as error:
                if error.code != "stale":
                    raise
        self._report.say("clearing away")
        for former in catalogue.generations(base):
            if former.generation < self._generation:
                catalogue.drop_generation(base, former.generation)
        self._job.clear()
        self._report.flush()

    def _go_on(self) -> None:
        """Put back what the index has lost, if this goes on with what was begun before: in memory, that is all."""
        begun = next(self._work.catalogue.scroll(self._work.base, self._generation, size=1), None)
        if begun is not None and not self._is_searched():
            self._check()
            repair(self._work.catalogue, self._job.target)

    def _is_searched(self) -> bool:
        row = self._work.catalogue.base_by_id(self._work.base)
        return row is not None and row.generation >= self._generation

    def _check(self) -> None:
        self._report.check()
        there = {one.generation for one in self._work.catalogue.generations(self._work.base)}
        if self._generation not in there:
            raise ConflictError("The generation that was being built is dropped: another reindexing has begun.")

    def _build_stale(self) -> None:
        """Go through the documents until all are built but those that can't be."""
        after = 0
        with ThreadPoolExecutor(max(1, self._work.readers), thread_name_prefix="polyport-reindex") as reading:
            while rows := self._work.catalogue.stale(self._work.base, self._generation, _PAGE, after=after):
                self._check()
                after = rows[-1].id
                drafts = [draft for draft in reading.map(self._draft, rows) if draft is not None]
                built = self._job.build(drafts) if drafts else []
                for draft, one in zip(drafts, built, strict=True):
                    if one.document is None and not one.overtaken and isinstance(draft.item, DocumentRow):
                        self._failed[draft.item.id] = draft.item.key
                self._report.count(done=sum(one.document is not None for one in built))
        # A document that failed may have been removed or replaced by now.
        failed = sorted(key for id_, key in self._failed.items() if self._is_stale(id_))
        self._failed = {}
        if failed:
            named = ", ".join(failed[:_NAMED]) + (f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else "")
            raise ConflictError(
                f"{len(failed)} documents can't be built anew: {named}. Take their files in again, or remove them; "
                "until then the base is searched as it was.",
                code="reindex_incomplete",
            )

    def _is_stale(self, document: int) -> bool:
        rows = self._work.catalogue.stale(self._work.base, self._generation, 1, after=document - 1)
        return bool(rows) and rows[0].id == document

    def _draft(self, row: DocumentRow) -> Draft | None:
        try:
            return Draft(row, self._work.parsed.get(row.parsed))
        except CallError as error:
            self._failed[row.id] = row.key
            self._report.problem(Problem.of(row.key, error))
            self._report.count(failed=1)
            return None
