"""`JobStore`: durable jobs, as the database has them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import jobs, now_ms
from polyport_gateway.storage.schema.base import storable
from polyport_gateway.storage.schema.jobs import IS_OPEN, IS_RUNNING
from polyport_gateway.storage.workers import is_dead

__all__ = ["FINISHED", "MOST_ERRORS", "JobGlance", "JobProblem", "JobProgress", "JobRow", "JobStatus", "JobStore"]

JobStatus: TypeAlias = Literal["queued", "running", "completed", "failed", "cancelled"]

FINISHED: frozenset[JobStatus] = frozenset({"completed", "failed", "cancelled"})
MOST_ERRORS = 100
"""How many problems of a job's parts are kept; the first ones."""

_CLAIM_TRIES = 5
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Args:
        done: Of `total`.
        total: How much there is to do; None while that isn't known.
        message: What is being done.
        counts: What became of it, by the handler's own words: added, failed …
    """

    done: int = 0
    total: int | None = None
    message: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobProblem:
    """A part of a job that failed, and didn't end it."""

    source: str
    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job.

    Args:
        number: Its place in the queue.
        id: Its public id.
        kind: Names its handler.
        lane: Of the jobs in a lane, one runs at a time; None for any number.
        subject: What it works on.
        owner: The id of the key that asked for it.
        status: Where it is.
        input: What it was asked.
        state: The newest checkpoint.
        progress: How far it is.
        errors: The first problems.
        result: What its handler returned.
        error: Why it failed.
        attempts: How often it was begun.
        fruitless: How often of late, this time included, without getting further than before.
        worker: Who runs it.
        cancelling: Whether it was cancelled while it ran.
        created_at: Milliseconds since 1970, as all times here.
        started_at: When it was first begun.
        finished_at: When it ended.
    """

    number: int
    id: str
    kind: str
    lane: str | None
    subject: str | None
    owner: str | None
    status: JobStatus
    input: Mapping[str, Any]
    state: Any
    progress: JobProgress
    errors: tuple[JobProblem, ...]
    result: Any
    error: str | None
    attempts: int
    fruitless: int
    worker: str | None
    cancelling: bool
    created_at: int
    started_at: int | None
    finished_at: int | None

    @property
    def finished(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self.status in FINISHED


class JobGlance(NamedTuple):
    """What changes whenever a job does that runs elsewhere; its input, which may be long, is not read for it.

    Args:
        status: Where it is.
        attempts: How often it was begun.
        cancelling: Whether it was cancelled while it ran.
        progress: How far it is.
        errors: The first problems.
    """

    status: JobStatus
    attempts: int
    cancelling: bool
    progress: Mapping[str, Any]
    errors: Sequence[Mapping[str, Any]]


class JobStore:
    """The jobs of all processes that share a database.

    What a worker writes, it writes as the one that holds the job: a worker that lost its lease to another changes
    nothing any more, and is told so.

    Args:
        database: An open one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
        """Put a job into the queue; it is kept when this returns.

        Args:
            kind: Names its handler.
            input: JSON.
            lane: Of the jobs in a lane, one runs at a time.
            subject: What it works on, to find it by.
            owner: The id of the key that asks for it.
            unique_key: If a job was submitted with this key before, that one is returned, whoever asks: a key that
                callers choose has to have the caller in it.
        """
        values: dict[str, Any] = {
            "id": f"job-{secrets.token_hex(12)}",
            "kind": kind,
            "lane": lane,
            "subject": subject,
            "owner": owner,
            "unique_key": unique_key,
            "status": "queued",
            "input": dict(input or {}),
            "progress": asdict(JobProgress()),
            "errors": [],
            "attempts": 0,
            "fruitless": 0,
            "cancelling": False,
            "created_at": now_ms(),
        }
        insert = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert
        query = insert(jobs).values(values).on_conflict_do_nothing(index_elements=["unique_key"]).returning(jobs)

        def work(connection: Connection) -> JobRow:
            made = connection.execute(query).one_or_none()
            if made is None:
                made = connection.execute(select(jobs).where(jobs.c.unique_key == unique_key)).one()
            return _job(made)

        return await self._database.run(work)

    async def get(self, id: str) -> JobRow | None:  # noqa: A002
        """Return a job."""
        if "\0" in id:
            return None
        query = select(jobs).where(jobs.c.id == id)
        return await self._database.read(lambda connection: _first(connection.execute(query).all()))

    async def glance(self, id: str) -> JobGlance | None:  # noqa: A002
        """Return as much of a job as tells whether it has changed; None if there is none."""
        if "\0" in id:
            return None
        columns = jobs.c.status, jobs.c.attempts, jobs.c.cancelling, jobs.c.progress, jobs.c.errors
        query = select(*columns).where(jobs.c.id == id)
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else JobGlance(*row)

    async def find(
        self,
        *,
        subject: str | None = None,
        kinds: Collection[str] | None = None,
        status: Collection[JobStatus] | None = None,
        owner: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[JobRow]:
        """Return the newest jobs, the newest first.

        Args:
            subject: Only those that work on it.
            kinds: Only of these.
            status: Only these.
            owner: Only that of this key.
            before: Only those of a smaller number.
            limit: The most.
        """
        conditions: list[ColumnElement[bool]] = []
        if subject is not None:
            conditions.append(jobs.c.subject == subject)
        if kinds is not None:
            conditions.append(jobs.c.kind.in_(kinds))
        if status is not None:
            conditions.append(jobs.c.status.in_(status))
        if owner is not None:
            conditions.append(jobs.c.owner == owner)
        if before is not None:
            conditions.append(jobs.c.number < before)
        query = select(jobs).where(*conditions).order_by(jobs.c.number.desc()).limit(limit)
        return await self._database.read(lambda connection: [_job(row) for row in connection.execute(query)])

    async def cancel(self, id: str) -> JobRow | None:  # noqa: A002
        """Cancel a job that waits, or tell the worker that runs it to; None if there is none."""
        if "\0" in id:
            return None
        here = jobs.c.id == id
        waiting = update(jobs).where(here, jobs.c.status == "queued")
        running = update(jobs).where(here, IS_RUNNING).values(cancelling=True)

        def work(connection: Connection) -> JobRow | None:
            connection.execute(waiting.values(status="cancelled", finished_at=now_ms(), cancelling=True))
            connection.execute(running)
            return _first(connection.execute(select(jobs).where(here)).all())

        return await self._database.run(work)

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Delete a job that has finished; whether there was one."""
        query = delete(jobs).where(jobs.c.id == id, jobs.c.status.in_(FINISHED))
        return "\0" not in id and await self._database.run(lambda connection: connection.execute(query).rowcount > 0)

    async def claim(self, worker: str, kinds: Collection[str], *, lease_ms: int, most_attempts: int) -> JobRow | None:
        """Take the next job, and hold it for a while; None if there is nothing to do.

        Jobs whose worker has ended, or has not renewed its lease, are taken over. One that was begun too often without
        getting further fails: whatever ends its workers would go on doing so.

        Args:
            worker: Who asks.
            kinds: Which jobs it can do.
            lease_ms: How long it holds the job, from now; `renew` prolongs it.
            most_attempts: How often a job is begun without getting further.
        """
        if not await self._database.read(lambda connection: _anything(connection, kinds)):
            return None
        for _ in range(_CLAIM_TRIES):
            try:
                return await self._database.run(
                    lambda connection: _claim(connection, worker, kinds, lease_ms, most_attempts)
                )
            except IntegrityError:
                continue  # Another process began a job of the same lane at the same moment.
        return None

    async def renew(self, worker: str, ids: Collection[str], *, lease_ms: int) -> dict[str, bool]:
        """Hold jobs for longer; return those still held, and whether each is to be cancelled."""
        query = update(jobs).where(jobs.c.id.in_(ids), jobs.c.worker == worker, IS_RUNNING)
        query = query.values(lease_until=now_ms() + lease_ms)
        held = query.returning(jobs.c.id, jobs.c.cancelling)
        return await self._database.run(lambda connection: {row[0]: bool(row[1]) for row in connection.execute(held)})

    async def cancelled(self, ids: Collection[str]) -> set[str]:
        """Return those of some jobs that are to be cancelled."""
        query = select(jobs.c.id).where(jobs.c.id.in_(ids), jobs.c.cancelling.is_(True))
        return await self._database.read(lambda connection: set(connection.execute(query).scalars()))

    def keep_sync(
        self,
        job: JobRow,
        progress: JobProgress,
        errors: Sequence[JobProblem],
        state: Any = None,
    ) -> bool:
        """Keep how far a job is, from a thread; see `keep`."""
        return self._database.submit(_keeping(job, progress, errors, state)).result()

    async def keep(self, job: JobRow, progress: JobProgress, errors: Sequence[JobProblem], state: Any = None) -> bool:
        """Keep how far a job is; False if its worker holds it no longer.

        Args:
            job: As it was claimed.
            progress: Now.
            errors: All so far.
            state: A checkpoint; the former one stays when left out.
        """
        return await self._database.run(_keeping(job, progress, errors, state))

    async def finish(
        self,
        job: JobRow,
        status: JobStatus,
        progress: JobProgress,
        errors: Sequence[JobProblem],
        *,
        result: Any = None,
        error: str | None = None,
    ) -> bool:
        """End a job; False if its worker holds it no longer."""
        values = {
            **_progress_values(progress, errors),
            "status": status,
            "result": result,
            "error": None if error is None else storable(error)[:_LONGEST],
            "finished_at": now_ms(),
            "lease_until": None,
        }
        query = update(jobs).where(_held(job)).values(values)
        return await self._database.run(lambda connection: connection.execute(query).rowcount > 0)

    async def release(
        self,
        job: JobRow,
        progress: JobProgress,
        errors: Sequence[JobProblem],
        *,
        counted: bool = False,
        after_ms: int = 0,
    ) -> bool:
        """Put a job back into the queue; False if its worker holds it no longer.

        Args:
            job: As it was claimed.
            progress: Now.
            errors: All so far.
            counted: Whether this attempt counts as fruitless, unless it got further.
            after_ms: How long nobody is to begin it again.
        """
        values = {
            **_progress_values(progress, errors),
            "status": "queued",
            "worker": None,
            "lease_until": None,
            "fruitless": jobs.c.fruitless if counted else _one_less(),
            "due_at": now_ms() + after_ms if after_ms else None,
        }
        query = update(jobs).where(_held(job)).values(values)
        cancelled = update(jobs).where(jobs.c.number == job.number, jobs.c.status == "queued", jobs.c.cancelling)
        cancelled = cancelled.values(status="cancelled", finished_at=now_ms())

        def work(connection: Connection) -> bool:
            held = connection.execute(query).rowcount > 0
            connection.execute(cancelled)
            return held

        return await self._database.run(work)

    async def free_the_dead(self) -> int:
        """End the leases of workers that have surely ended, so that nobody waits for them; return how many."""

        def running(connection: Connection) -> list[tuple[int, str]]:
            query = select(jobs.c.number, jobs.c.worker).where(IS_RUNNING, IS_OPEN)
            return [(row.number, row.worker) for row in connection.execute(query)]

        dead = [(number, worker) for number, worker in await self._database.read(running) if is_dead(worker)]

        def free(connection: Connection) -> None:
            for number, worker in dead:
                here = (jobs.c.number == number) & (jobs.c.worker == worker) & (IS_RUNNING)
                connection.execute(update(jobs).where(here).values(lease_until=0))

        if dead:
            await self._database.run(free)
        return len(dead)


def _held(job: JobRow) -> ColumnElement[bool]:
    return and_(
        jobs.c.number == job.number,
        jobs.c.worker == job.worker,
        jobs.c.attempts == job.attempts,
        IS_RUNNING,
    )


def _expired() -> ColumnElement[bool]:
    return and_(IS_RUNNING, IS_OPEN, jobs.c.lease_until < now_ms())


def _ready() -> ColumnElement[bool]:
    other = jobs.alias("other")
    busy = exists().where(other.c.lane == jobs.c.lane, other.c.status == literal_column("'running'"))
    due = or_(jobs.c.due_at.is_(None), jobs.c.due_at <= now_ms())
    return and_(jobs.c.status == "queued", IS_OPEN, due, or_(jobs.c.lane.is_(None), ~busy))


def _anything(connection: Connection, kinds: Collection[str]) -> bool:
    query = select(jobs.c.number).where(jobs.c.kind.in_(kinds), or_(_ready(), _expired())).limit(1)
    return connection.execute(query).first() is not None


def _claim(
    connection: Connection, worker: str, kinds: Collection[str], lease_ms: int, most_attempts: int
) -> JobRow | None:
    now = now_ms()
    over = update(jobs).where(jobs.c.kind.in_(kinds), _expired())
    ended = {"finished_at": now, "lease_until": None}
    connection.execute(over.where(jobs.c.cancelling.is_(True)).values(status="cancelled", **ended))
    error = (
        f"It was begun {most_attempts} times, and each time the process that ran it ended before it got any further."
    )
    connection.execute(over.where(jobs.c.fruitless >= most_attempts).values(status="failed", error=error, **ended))
    chosen = (
        select(jobs.c.number)
        .where(jobs.c.kind.in_(kinds), or_(_ready(), _expired()))
        .order_by(jobs.c.number)
        .limit(1)
        .with_for_update(skip_locked=True, of=jobs)
    )
    number = connection.execute(chosen).scalar_one_or_none()
    if number is None:
        return None
    query = update(jobs).where(jobs.c.number == number)
    values = {
        "status": "running",
        "worker": worker,
        "lease_until": now + lease_ms,
        "attempts": jobs.c.attempts + 1,
        "fruitless": jobs.c.fruitless + 1,
        "due_at": None,
        "started_at": func.coalesce(jobs.c.started_at, now),
    }
    return _job(connection.execute(query.values(values).returning(jobs)).one())


def _one_less() -> ColumnElement[int]:
    return case((jobs.c.fruitless > 0, jobs.c.fruitless - 1), else_=0)


def _progress_values(progress: JobProgress, errors: Sequence[JobProblem]) -> dict[str, Any]:
    return {"progress": asdict(progress), "errors": [asdict(error) for error in errors[:MOST_ERRORS]]}


def _keeping(
    job: JobRow, progress: JobProgress, errors: Sequence[JobProblem], state: Any
) -> Callable[[Connection], bool]:
    values = _progress_values(progress, errors)
    if state is not None:
        values["state"] = state
    if progress.done > job.progress.done or (state is not None and state != job.state):
        values["fruitless"] = 0
    query = update(jobs).where(_held(job)).values(values)
    return lambda connection: connection.execute(query).rowcount > 0


def _first(rows: Sequence[Row[Any]]) -> JobRow | None:
    return _job(rows[0]) if rows else None


def _job(row: Row[Any]) -> JobRow:
    return JobRow(
        number=row.number,
        id=row.id,
        kind=row.kind,
        lane=row.lane,
        subject=row.subject,
        owner=row.owner,
        status=row.status,
        input=row.input,
        state=row.state,
        progress=JobProgress(**row.progress),
        errors=tuple(JobProblem(**error) for error in row.errors),
        result=row.result,
        error=row.error,
        attempts=row.attempts,
        fruitless=row.fruitless,
        worker=row.worker,
        cancelling=bool(row.cancelling),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
