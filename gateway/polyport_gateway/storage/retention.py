"""What is old goes: in small batches, so that nobody waits long for the lock."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, delete, select

from polyport_gateway.storage.schema import jobs, now_ms, responses, usage

__all__ = ["DAY_MS", "SWEEP_BATCH", "sweep"]

DAY_MS = 86_400_000
SWEEP_BATCH = 1000


def sweep(connection: Connection, retention_days: int | None) -> bool:
    """Delete one batch of old usage rows, one of jobs that finished long ago and one of expired responses.

    Args:
        connection: In a transaction of its own.
        retention_days: The age from which usage rows and finished jobs are old; None for never.

    Returns:
        Whether there is more to delete.
    """
    now = now_ms()
    more = _delete_batch(connection, responses, responses.c.expires_at, now)
    if retention_days is not None:
        before = now - retention_days * DAY_MS
        more |= _delete_batch(connection, usage, usage.c.at, before)
        more |= _delete_batch(connection, jobs, jobs.c.finished_at, before)
    return more


def _delete_batch(connection: Connection, table: Table, time: ColumnElement[int], before: int) -> bool:
    oldest = select(table.c.id).where(time < before).order_by(time).limit(SWEEP_BATCH)
    return connection.execute(delete(table).where(table.c.id.in_(oldest))).rowcount >= SWEEP_BATCH
