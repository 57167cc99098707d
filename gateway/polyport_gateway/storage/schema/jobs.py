"""Durable jobs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, literal_column

from .base import BigId, Json, metadata

__all__ = ["IS_OPEN", "IS_RUNNING", "jobs"]

jobs = Table(
    "jobs",
    metadata,
    Column("number", BigId, primary_key=True, comment="the order of the queue"),
    Column("id", String(64), nullable=False, unique=True, comment="job-…"),
    Column("kind", String(64), nullable=False),
    Column("lane", String(128), comment="of those in a lane, one runs at a time"),
    Column("subject", String(128), comment="what it works on, to be found by"),
    Column("owner", String(16), comment="id of the key that asked for it"),
    Column("unique_key", String(128), comment="a job is submitted once by it"),
    Column("status", String(16), nullable=False),
    Column("input", Json, nullable=False),
    Column("state", Json, comment="the checkpoint that its handler left"),
    Column("progress", Json, nullable=False),
    Column("errors", Json, nullable=False, comment="of parts; they did not end it"),
    Column("result", Json),
    Column("error", Text, comment="why it failed"),
    Column("attempts", Integer, nullable=False, comment="how often it was begun"),
    Column("fruitless", Integer, nullable=False, comment="how often of late without getting further"),
    Column("worker", String(64), comment="that runs it"),
    Column("lease_until", BigInteger),
    Column("due_at", BigInteger, comment="not to be tried again before"),
    Column("cancelling", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger, index=True),
    sqlite_autoincrement=True,
)
IS_RUNNING = jobs.c.status == literal_column("'running'")
"""In the words of its index; with a parameter, that would not be used."""

IS_OPEN = jobs.c.finished_at.is_(None)

# The database itself sees to it that two processes never work in one lane.
Index("uq_jobs_running_lane", jobs.c.lane, unique=True, sqlite_where=IS_RUNNING, postgresql_where=IS_RUNNING)
Index("ix_jobs_open", jobs.c.status, jobs.c.number, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
Index("uq_jobs_unique_key", jobs.c.unique_key, unique=True)
Index("ix_jobs_subject", jobs.c.subject, jobs.c.number)
