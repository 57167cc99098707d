"""Keywords anew, where what makes them has changed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from polyport.errors import CallCancelledError, CallError
from polyport_gateway.knowledge.catalogue import DocumentRow

from .build import Draft
from .cutting import EXTRA_KEYWORDS, extra_keywords
from .report import Report
from .sources import Problem
from .work import Job, Work

__all__ = ["rekey"]

_PAGE = 64
_ROUNDS = 5


def rekey(work: Work, report: Report, *, job: str | None = None, by: str | None = None) -> None:
    """Make the keywords of all documents anew whose keywords an earlier version made.

    It may be killed at any moment and begun again. Documents whose keywords can't be made are told, and stay behind.

    Args:
        work: The base, with what makes keywords and its version.
        report: Told what is done.
        job: The job's id, for the update log.
        by: The id of the key that asked for it.

    Raises:
        CallError: A model, the index or the database fails.
        CallCancelledError: The report says to stop.
    """
    running = Job(work, report, id=job, by=by)
    counts = work.catalogue.counts([work.base]).get(work.base)
    report.expect(counts.behind(work.keywords_version) if counts is not None else 0)
    report.say("making keywords")
    failed: set[int] = set()
    with ThreadPoolExecutor(max(1, work.readers), thread_name_prefix="polyport-rekey") as making:
        for _ in range(_ROUNDS):
            if not _pass(work, report, running, making, failed):
                break
    report.say("clearing away")
    running.clear()
    report.flush()


def _pass(work: Work, report: Report, job: Job, making: ThreadPoolExecutor, failed: set[int]) -> bool:
    """Go through all documents once; tell whether some were changed by others meanwhile."""
    after, overtaken = 0, False
    while rows := work.catalogue.behind(work.base, work.keywords_version, _PAGE, after=after):
        report.check()
        after = rows[-1].id
        wanted = [row for row in rows if row.id not in failed]
        made = list(zip(wanted, making.map(lambda row: _draft(work, row), wanted), strict=True))
        drafts: list[Draft] = []
        for row, outcome in made:
            if isinstance(outcome, Draft):
                drafts.append(outcome)
            else:
                failed.add(row.id)
                report.problem(outcome)
                report.count(done=1, failed=1)
        overtaken |= _build(report, job, drafts)
    return overtaken


def _draft(work: Work, row: DocumentRow) -> Draft | Problem:
    try:
        document = work.parsed.get(row.parsed)
        keywords = tuple(work.keywords(document, row.title))
    except CallCancelledError:
        raise
    except CallError as error:
        return Problem.of(row.key, error)
    receipt = {**(row.receipt or {}), EXTRA_KEYWORDS: extra_keywords(document, row.title, keywords)}
    changed = replace(
        row,
        keywords=keywords,
        keywords_version=work.keywords_version,
        version=row.version + 1,
        receipt=receipt,
    )
    return Draft(changed, document)


def _build(report: Report, job: Job, drafts: Sequence[Draft]) -> bool:
    built = job.build(drafts, action="rekeyed") if drafts else []
    report.count(done=sum(not one.overtaken for one in built), updated=sum(one.document is not None for one in built))
    return any(one.overtaken for one in built)
