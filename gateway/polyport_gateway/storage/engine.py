"""From a database URL to a SQLAlchemy engine, and from a driver's failure to words that help."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from polyport.errors import ConfigurationError, MissingDependencyError

__all__ = [
    "MOVED",
    "READ_ONLY",
    "WAIT_S",
    "Dialect",
    "dialect_of",
    "explain",
    "identity",
    "make_engine",
    "parse_url",
    "prepare_sqlite",
    "shown",
]

Dialect = Literal["sqlite", "postgresql"]

MOVED = "the file was moved, deleted or replaced"
READ_ONLY = "polyport_read_only"
"""Execution option of a connection that only reads, and so needs no write lock."""

WAIT_S = "polyport_wait_s"
"""Execution option: the seconds that a connection waits for SQLite's write lock."""

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_SECRETS = ("password", "sslpassword")
_POSTGRES_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "fallback_application_name": "polyport",
}


def parse_url(url: str) -> URL:
    """Read a database URL.

    Raises:
        ConfigurationError: It is no URL, or of a database that isn't supported.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # Not shown: what can't be parsed may hold a password anywhere.
        raise ConfigurationError(
            "database_url can't be read as a URL; write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ConfigurationError(
            f"database_url names {parsed.drivername!r}, which is not supported;"
            " use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return parsed.set(drivername=driver)


def dialect_of(url: URL) -> Dialect:
    """Return which of the two databases it is."""
    return "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"


def shown(url: URL) -> str:
    """Return the URL as it may be logged: every password masked."""
    hidden = {name: "***" for name in _SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def identity(url: URL) -> tuple[int, int] | None:
    """Return what tells an SQLite file from another at the same place; None where there is no file."""
    if dialect_of(url) != "sqlite" or in_memory(url) or url.database is None or url.database.startswith("file:"):
        return None
    try:
        found = Path(url.database).stat()
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino


def in_memory(url: URL) -> bool:
    """Whether it is an SQLite database that lives and dies with its connection."""
    return dialect_of(url) == "sqlite" and url.database in (None, "", ":memory:")


def make_engine(url: URL, *, connections: int, busy_timeout_s: float) -> Engine:
    """Build the engine; nothing connects yet.

    Args:
        url: From `parse_url`.
        connections: The most connections open at a time.
        busy_timeout_s: How long a statement waits for SQLite's write lock.

    Raises:
        MissingDependencyError: The driver isn't installed.
    """
    if dialect_of(url) == "postgresql":
        defaults = {name: value for name, value in _POSTGRES_DEFAULTS.items() if name not in url.query}
        try:
            return create_engine(url, pool_size=connections, max_overflow=0, pool_pre_ping=True, connect_args=defaults)
        except ImportError as error:
            raise MissingDependencyError("a PostgreSQL database", extra="postgres") from error
    connect_args = {"timeout": busy_timeout_s, "check_same_thread": False}
    if in_memory(url):
        engine = create_engine(url, poolclass=StaticPool, connect_args=connect_args)
    else:
        engine = create_engine(url, pool_size=connections, max_overflow=0, connect_args=connect_args)
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in `_on_sqlite_begin`, not where the driver guesses
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    # A deferred transaction that reads first and then writes fails at once when another has written meanwhile,
    # without waiting for the lock; one that takes the lock at its start waits its turn.
    options = connection.get_execution_options()
    wait_s = options.get(WAIT_S)
    if wait_s is not None and connection.info.get(WAIT_S) != wait_s:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
        connection.info[WAIT_S] = wait_s
    connection.exec_driver_sql("BEGIN" if options.get(READ_ONLY, False) else "BEGIN IMMEDIATE")


def prepare_sqlite(engine: Engine, *, busy_timeout_s: float) -> None:
    """Make the folder (0700) and the file (0600) if they aren't there, and turn on write-ahead logging."""
    database = engine.url.database
    if in_memory(engine.url) or database is None:
        return
    if not database.startswith("file:"):
        file = Path(database)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, whose own would be as open as the umask allows, even if for a moment.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))

    def switch() -> None:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.close()
        finally:
            connection.close()

    _retry_while_locked(switch, time.monotonic() + busy_timeout_s)


def _retry_while_locked(step: Callable[[], None], deadline: float) -> None:
    # SQLite answers "locked" at once, whatever the busy timeout, when two connections change the journal mode.
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def explain(error: Exception, url: URL) -> str:
    """Say what a failure of the driver or the file system means, and what to do."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = " ".join(str(cause).split())
    for secret in (url.password, *(url.query.get(name) for name in _SECRETS)):
        if isinstance(secret, str) and secret:
            said = said.replace(secret, "***")
    return f"the database {shown(url)} {_advice(said, dialect_of(url))} ({said})"


_SQLITE_ADVICE = (
    (MOVED, "is no longer where it was opened; put it back, or restart the gateway to go on with what is there"),
    ("not a database", "is a file, but not an SQLite database; set data_dir or database_url to another place"),
    ("malformed", "is damaged; restore it from a backup, or move it away to start anew"),
    ("locked", "is locked by another program; stop the one that holds it, or wait until it is done"),
    ("readonly", "can't be written; give this user write permission on the file and its folder"),
    ("Permission denied", "can't be opened; give this user write permission on the file and its folder"),
    ("Read-only file system", "is on a read-only file system; set data_dir or database_url to another place"),
    ("unable to open", "can't be opened; check that its folder exists and that this user may write there"),
    ("Is a directory", "is a folder; set database_url to a file"),
    ("Not a directory", "lies below a file, not a folder; set data_dir or database_url to another place"),
    ("File exists", "lies below a file, not a folder; set data_dir or database_url to another place"),
    ("full", "can't grow, the disk is full; free some space"),
    ("No space left", "can't grow, the disk is full; free some space"),
)
_POSTGRES_ADVICE = (
    ("authentication failed", "refused the user or password; check both in database_url"),
    ("no password supplied", "wants a password; put it into database_url"),
    ("does not exist", "has no such database or user; create it, or mend database_url"),
    ("permission denied", "does not let this user create tables; grant it CREATE on the schema"),
    ("read-only transaction", "is a read-only replica; point database_url at the primary"),
    ("too many clients", "has no connection left; raise its max_connections"),
)


def _advice(said: str, dialect: Dialect) -> str:
    for sign, advice in _SQLITE_ADVICE if dialect == "sqlite" else _POSTGRES_ADVICE:
        if sign in said:
            return advice
    if dialect == "sqlite":
        return "can't be used; check the disk and the file"
    return "can't be reached; check that the server runs and that database_url names its host and port"
