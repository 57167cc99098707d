"""After a crash, and after worse: an index is derived, so what it lacks is put into it again, from the catalogue.

A killed process leaves garbage, which `recover` clears. An index can also be lost or old: one in memory is empty at
each start, a folder was deleted or restored from last week's snapshot, a server was set up anew. `repair` finds that
out and mends it; the vectors come from the cache, as far as it has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from polyport_gateway.knowledge.catalogue import Catalogue, ChunkRow

from .build import IndexOf, Target, clear, upsert_again
from .report import Report

__all__ = ["Repaired", "recover", "repair"]

_PAGE = 500
_SAMPLE = 300


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was wrong with an index.

    Args:
        missing: Chunks that it lacked.
        extra: Chunks that it had and the catalogue does not know.
    """

    missing: int = 0
    extra: int = 0


def recover(
    catalogue: Catalogue,
    index_of: IndexOf,
    *,
    grace_ms: int | None = None,
    stopping: Callable[[], bool] | None = None,
) -> int:
    """Finish what a killed process left half done: drop generations that were switched from, and clear garbage away.

    Jobs are not its matter: they go on by themselves.

    Args:
        catalogue: The catalogue.
        index_of: Finds the index of garbage.
        grace_ms: See `Catalogue.garbage`.
        stopping: Whether to leave the rest to the next time.

    Returns:
        How many chunks were cleared away.
    """
    for base in catalogue.bases():
        for one in catalogue.generations(base.id):
            if one.generation < base.generation:
                catalogue.drop_generation(base.id, one.generation)
    return clear(catalogue, index_of, grace_ms=grace_ms, stopping=stopping)


def repair(catalogue: Catalogue, target: Target, *, full: bool = False, report: Report | None = None) -> Repaired:
    """Make an index hold what the catalogue says it holds.

    Args:
        catalogue: The truth.
        target: A generation, and its index.
        full: Compare all chunks; otherwise, of the generation that is searched, only if their number is not right, or
            one of a sample is not there.
        report: Told what is done.

    Raises:
        CallError: A model, the index or the database fails.
    """
    report = report or Report()
    if not full and _is_searched(catalogue, target) and _seems_whole(catalogue, target):
        return Repaired()
    report.say("comparing index and catalogue")
    missing = 0
    for rows in catalogue.scroll(target.base, target.generation, size=_PAGE):
        report.check()
        lost = _lost(target, [row for row in rows if row.searchable])
        missing += _put_back(catalogue, target, lost)
        report.count(done=len(rows), updated=len(lost))
    return Repaired(missing, _remove_unknown(catalogue, target, report))


def _is_searched(catalogue: Catalogue, target: Target) -> bool:
    base = catalogue.base_by_id(target.base)
    return base is not None and base.generation == target.generation


def _seems_whole(catalogue: Catalogue, target: Target) -> bool:
    counts = catalogue.counts([target.base]).get(target.base)
    if counts is None:
        return True
    # Garbage that is not cleared yet makes it more; never less.
    if target.index.count({"part": target.part}) < counts.chunks:
        return False
    sample = catalogue.chunk_ids(target.base, target.generation, sample=_SAMPLE)
    return len(_held(target, sample)) == len(sample)


def _held(target: Target, ids: Sequence[int]) -> set[int]:
    asked = np.array(ids, np.int64)
    return set(asked[target.index.meeting(asked, {"part": target.part})].tolist()) if len(asked) else set()


def _lost(target: Target, rows: Sequence[ChunkRow]) -> list[ChunkRow]:
    held = _held(target, [row.id for row in rows])
    return [row for row in rows if row.id not in held]


def _put_back(catalogue: Catalogue, target: Target, rows: Sequence[ChunkRow]) -> int:
    documents = catalogue.by_ids(target.base, list({row.document.id for row in rows}))
    pairs = [(row, documents[row.document.id]) for row in rows if row.document.id in documents]
    if not pairs:
        return 0
    upsert_again(target, pairs)
    ids = [row.id for row, _ in pairs]
    # Another generation than the one that is searched has one job that builds it, and no other.
    there = catalogue.live(ids).keys() if _is_searched(catalogue, target) else catalogue.existing(ids)
    late = sorted(set(ids) - there)
    if late:
        # Replaced while they were put back: they may have been cleared away already, and nobody would do so again.
        with target.writing:
            target.index.delete(late)
    return len(pairs) - len(late)


def _remove_unknown(catalogue: Catalogue, target: Target, report: Report) -> int:
    """Remove chunks that have no rows at all; those that are dead or staged have, and are the garbage's matter."""
    removed, after = 0, -1
    while records := target.index.scroll(after=after, limit=_PAGE, where={"part": target.part}):
        report.check()
        after = records[-1].id
        ids = [record.id for record in records]
        unknown = sorted(set(ids) - catalogue.existing(ids))
        if unknown:
            with target.writing:
                target.index.delete(unknown)
            removed += len(unknown)
    return removed
