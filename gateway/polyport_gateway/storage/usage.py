"""Usage: one row per call, written off the hot path."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.retention import DAY_MS, sweep
from polyport_gateway.storage.schema import now_ms, usage

__all__ = ["UsageHealth", "UsageLog", "UsageRow", "UsageTotal"]

_log = logging.getLogger("polyport.usage")

_INTERVAL_S = 0.25
_BATCH = 1000
_MOST_PENDING = 100_000
_LONGEST_BACKOFF_S = 5.0
_FIRST_SWEEP_S = 1.0
_SWEEP_EVERY_S = 3600.0
_SWEEP_RETRY_S = 60.0
_SWEEP_PAUSE_S = 0.1
_CLOSE_TIMEOUT_S = 5.0
_INT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one call was and what it took.

    Attributes:
        request_id: Shared by a call and the calls it made.
        key_id: The caller's id.
        wire: Where it came in: ``openai``, ``mcp``, ``rest`` …
        kind: What was called: ``function``, ``model``, ``agent`` …
        name: The capability's name, as asked for.
        operation: ``tool``, ``chat`` …
        status: The HTTP status it had, or would have had.
        duration_ms: Until its last event.
        code: The error's code; None for success.
        prompt_tokens: As the engine counted; None where nothing was.
        completion_tokens: Likewise.
        depth: 0 for what came in on a wire; calls that it made are deeper.
        at: When it ended; milliseconds since 1970, UTC.
    """

    request_id: str
    key_id: str
    wire: str
    kind: str
    name: str
    operation: str
    status: int
    duration_ms: int
    code: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    depth: int = 0
    at: int = field(default_factory=now_ms)


@dataclass(frozen=True, slots=True)
class UsageHealth:
    """How the writing goes.

    Attributes:
        pending: Rows not written yet.
        dropped: Rows lost since the start, because too many were pending.
        error: Why the last try failed; None if it didn't.
    """

    pending: int
    dropped: int
    error: str | None


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """The calls of one capability by one key on one day (UTC).

    Attributes:
        day: Days since 1970.
        key_id: Whose.
        name: Of what.
        calls: How many.
        errors: How many of them failed (status 400 or more).
        prompt_tokens: Sum.
        completion_tokens: Sum.
        duration_ms: Sum.
    """

    day: int
    key_id: str
    name: str
    calls: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    duration_ms: int


class UsageLog:
    """Takes rows at once, and writes them in batches from a thread of its own.

    While the database can't be written (locked, full, read-only, gone), rows wait in memory, the newest
    100,000 of them, and writing is tried again with back-off. A row is written at least once: twice only if a
    connection to PostgreSQL breaks between a commit and its confirmation.

    Args:
        db: An open database.
        retention_days: Delete rows older than this; None to keep them for ever.
        most_pending: Rows kept in memory at most; beyond, the oldest are dropped and counted.
    """

    def __init__(self, db: Database, retention_days: int | None = None, *, most_pending: int = _MOST_PENDING) -> None:
        self._db = db
        self._retention_days = retention_days
        self._rows: deque[UsageRow] = deque(maxlen=most_pending)
        self._writing: list[UsageRow] = []
        self._dropped = 0
        self._drops_logged = 0
        self._error: str | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._give_up_at = float("inf")
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Begin to write."""
        self._closing.clear()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._work, name="polyport-usage", daemon=True)
        self._thread.start()

    def record(self, row: UsageRow) -> None:
        """Take a row; returns at once, from any thread."""
        rows = self._rows
        if len(rows) == rows.maxlen:
            self._dropped += 1
        rows.append(row)
        if not self._wake.is_set():
            self._wake.set()

    def health(self) -> UsageHealth:
        """Say how the writing goes."""
        return UsageHealth(len(self._rows) + len(self._writing), self._dropped, self._error)

    async def totals(self, since: int, until: int | None = None, *, top_level: bool = False) -> list[UsageTotal]:
        """Add up usage by day, key and name, the newest day first.

        Args:
            since: From when on; milliseconds since 1970, UTC.
            until: Up to when; None for now.
            top_level: Count only what came in on a wire, not what agents called in turn.

        Raises:
            ServiceUnavailableError: The database can't be read.
        """
        return await self._db.read(lambda connection: _totals(connection, since, until, top_level))

    async def close(self, timeout_s: float = _CLOSE_TIMEOUT_S) -> None:
        """Write what is pending, for about `timeout_s` at most; what is left then is lost, and logged."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._give_up_at = time.monotonic() + timeout_s
        self._closing.set()
        self._wake.set()
        give_up = time.monotonic() + timeout_s
        # Not joined in another thread: while the interpreter shuts down, Python 3.12 starts none.
        while thread.is_alive() and time.monotonic() < give_up:  # noqa: ASYNC110 - a thread sets no asyncio event
            await asyncio.sleep(0.005)
        if left := self.health().pending:
            _log.error("%d usage rows could not be written before shutdown: %s", left, self._error or "too slow")

    def _work(self) -> None:
        sweep_at = time.monotonic() + _FIRST_SWEEP_S
        while not self._closing.is_set():
            if self._wake.wait(max(0.0, sweep_at - time.monotonic())):
                self._closing.wait(_INTERVAL_S)  # rows gather for a batch
                self._wake.clear()
                self._flush()
            if time.monotonic() >= sweep_at and not self._closing.is_set():
                sweep_at = time.monotonic() + self._sweep()
        self._flush()

    def _flush(self) -> None:
        """Write all that is pending, however many tries it takes; when closing, until it is time to give up."""
        backoff = _INTERVAL_S
        while self._writing or self._rows:
            if not self._writing:
                self._writing = [self._rows.popleft() for _ in range(min(_BATCH, len(self._rows)))]
            if self._write_batch():
                backoff = _INTERVAL_S
                continue
            if time.monotonic() + backoff >= self._give_up_at:
                return
            if self._closing.wait(backoff):
                time.sleep(_INTERVAL_S)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)

    def _write_batch(self) -> bool:
        """Write `self._writing`, and leave in it what has to be tried again."""
        if self._dropped > self._drops_logged:
            _log.warning("%d usage rows dropped: too many waited for the database", self._dropped - self._drops_logged)
            self._drops_logged = self._dropped
        if self._write(self._writing):
            self._writing = []
            return True
        if self._error is not None:
            return False
        # The database is well but refuses some row: only that one may be lost.
        while self._writing:
            if not self._write(self._writing[:1]):
                if self._error is not None:
                    return False
                self._dropped += 1
                _log.error("a usage row can't be written and is dropped: %r", self._writing[0])
            self._writing = self._writing[1:]
        return True

    def _write(self, rows: list[UsageRow]) -> bool:
        """Write rows in one transaction; `_error` says whether a failure was the database's or the rows'."""
        values = [_values(row) for row in rows]
        try:
            self._db.submit(lambda connection: connection.execute(usage.insert(), values)).result()
        except (SQLAlchemyError, ValueError, OverflowError):
            self._error = None
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows stay and the thread lives
            if self._error is None:
                _log.warning("usage rows wait in memory: %s", self._db.explain(error))
            self._error = self._db.explain(error)
            return False
        if self._error is not None:
            _log.info("usage rows are written again")
            self._error = None
        return True

    def _sweep(self) -> float:
        """Delete a batch of what is old; return the seconds until the next."""
        days = self._retention_days
        try:
            more = self._db.submit(lambda connection: sweep(connection, days)).result()
        except Exception as error:  # noqa: BLE001 - old rows can wait, the thread has new ones to write
            _log.warning("old records could not be deleted: %s", self._db.explain(error))
            return _SWEEP_RETRY_S
        return _SWEEP_PAUSE_S if more else _SWEEP_EVERY_S


def _values(row: UsageRow) -> dict[str, str | int | None]:
    """Return what fits the columns: a name that a client made up must neither break nor bloat the table."""
    return {
        "at": row.at,
        "request_id": _text(row.request_id, 64),
        "key_id": _text(row.key_id, 16),
        "wire": _text(row.wire, 16),
        "kind": _text(row.kind, 16),
        "name": _text(row.name, 64),
        "operation": _text(row.operation, 16),
        "status": min(row.status, 999),
        "code": None if row.code is None else _text(row.code, 40),
        "prompt_tokens": _count(row.prompt_tokens),
        "completion_tokens": _count(row.completion_tokens),
        "duration_ms": min(row.duration_ms, _INT_MAX),
        "depth": row.depth,
    }


def _text(value: str, length: int) -> str:
    if not value.isprintable():
        value = "".join(char if char.isprintable() else "?" for char in value[:length])
    return value[:length]


def _count(value: int | None) -> int | None:
    return None if value is None else min(value, _INT_MAX)


def _totals(connection: Connection, since: int, until: int | None, top_level: bool) -> list[UsageTotal]:
    day = (usage.c.at // DAY_MS).label("day")
    query = select(
        day,
        usage.c.key_id,
        usage.c.name,
        func.count(),
        func.sum(case((usage.c.status >= 400, 1), else_=0)),
        func.coalesce(func.sum(usage.c.prompt_tokens), 0),
        func.coalesce(func.sum(usage.c.completion_tokens), 0),
        func.sum(usage.c.duration_ms),
    ).where(usage.c.at >= since)
    if until is not None:
        query = query.where(usage.c.at < until)
    if top_level:
        query = query.where(usage.c.depth == 0)
    query = query.group_by(day, usage.c.key_id, usage.c.name).order_by(day.desc(), usage.c.key_id, usage.c.name)
    return [UsageTotal(*map(_plain, row)) for row in connection.execute(query)]


def _plain(value: Any) -> Any:
    # PostgreSQL adds up whole numbers to Decimal.
    return value if isinstance(value, str) else int(value)
