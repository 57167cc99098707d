"""Reading, embedding and writing at the same time, with a bound on what waits between them.

Files are read side by side by some threads (each waits for a process that parses). Their documents are gathered into
batches, which a few other threads build: while one batch is embedded, another is written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeAlias

from polyport_gateway.knowledge.catalogue import NewDocument

from .build import Draft
from .sources import Item, Problem
from .work import Job

__all__ = ["Found", "Gone", "Outcome", "Pipeline", "Unchanged"]

_log = logging.getLogger("polyport.knowledge")

_CHUNKS = 256
"""Of a batch: several of an embedder's own, so that these are full."""
_DOCUMENTS = 128
_OLDEST_S = 2.0
"""A batch that is not full waits no longer than this."""
_BUILDERS = 2
_WAIT_S = 0.5

Found: TypeAlias = tuple[str, Item]
"""An item, and the label of its source."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that has not changed.

    Args:
        problem: That it has still.
    """

    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A document whose file is gone for good.

    Args:
        id: The document's number.
    """

    id: int


Outcome: TypeAlias = Draft | Unchanged | Gone | None
"""What becomes of a file; None where it failed, which is told already."""


class Pipeline:
    """Takes files through.

    Args:
        job: That builds them.
        prepare: Reads a file, in a thread of the readers.
        is_new: Whether there was no document of a key.
    """

    def __init__(self, job: Job, prepare: Callable[[str, Item], Outcome], is_new: Callable[[str], bool]) -> None:
        self._job, self._prepare, self._is_new = job, prepare, is_new
        self._gone: list[int] = []
        self._batch: list[tuple[Found, Draft]] = []
        self._chunks = 0
        self._since = 0.0
        self._again: list[Found] = []

    def run(self, items: Sequence[Found]) -> list[Found]:
        """Take files through; return those whose documents others changed meanwhile, to be looked at again.

        Raises:
            CallError: Nothing can be built any more. What was built is kept.
        """
        readers = self._job.work.readers
        reading = ThreadPoolExecutor(readers, thread_name_prefix="polyport-ingest-read")
        building = ThreadPoolExecutor(_BUILDERS, thread_name_prefix="polyport-ingest-build")
        left = iter(items)
        read: dict[Future[Outcome], Found] = {}
        built: set[Future[None]] = set()
        try:
            while True:
                self._job.report.check()
                while len(read) < 2 * readers and (item := next(left, None)) is not None:
                    read[reading.submit(self._read, item)] = item
                if not read and not self._batch and not built:
                    return self._again
                waiting: list[Future[Any]] = [*read, *built]
                wait(waiting, _WAIT_S, FIRST_COMPLETED)
                for one in [future for future in read if future.done()]:
                    self._take(read.pop(one), one.result())
                for other in [future for future in built if future.done()]:
                    built.discard(other)
                    other.result()
                if self._is_due(idle=not read) and len(built) <= _BUILDERS:
                    built.add(building.submit(self._build, self._batch))
                    self._batch, self._chunks = [], 0
        finally:
            reading.shutdown(cancel_futures=True)
            building.shutdown(cancel_futures=True)
            self._remove()

    def _read(self, found: Found) -> Outcome:
        return self._prepare(*found)

    def _take(self, found: Found, outcome: Outcome) -> None:
        report = self._job.report
        if isinstance(outcome, Draft):
            if not self._batch:
                self._since = time.monotonic()
            self._batch.append((found, outcome))
            self._chunks += len(outcome.chunks or ())
            return
        if isinstance(outcome, Unchanged):
            if outcome.problem is not None:
                report.problem(outcome.problem)
            report.count(unchanged=1)
        elif isinstance(outcome, Gone):
            self._gone.append(outcome.id)
        report.count(done=1)

    def _is_due(self, *, idle: bool) -> bool:
        if not self._batch:
            return False
        full = self._chunks >= _CHUNKS or len(self._batch) >= _DOCUMENTS
        return full or idle or time.monotonic() - self._since > _OLDEST_S

    def _build(self, batch: Sequence[tuple[Found, Draft]]) -> None:
        rows = self._job.build([draft for _, draft in batch])
        for (found, draft), row in zip(batch, rows, strict=True):
            if row.document is not None:
                new = isinstance(draft.item, NewDocument) and self._is_new(draft.item.key)
                self._job.report.count(done=1, **{"added" if new else "updated": 1})
            elif row.overtaken:
                self._again.append(found)
            else:
                self._job.report.count(done=1)

    def _remove(self) -> None:
        if self._gone:
            work = self._job.work
            removed = work.catalogue.remove(work.base, self._gone, job=self._job.id, by=self._job.by)
            self._job.report.count(removed=removed)
            self._gone = []
