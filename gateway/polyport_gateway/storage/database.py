"""`Database`: the records, reached from the event loop without ever holding it up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from polyport.errors import ConfigurationError, ServiceUnavailableError
from polyport_gateway.storage.engine import (
    MOVED,
    READ_ONLY,
    WAIT_S,
    Dialect,
    dialect_of,
    explain,
    identity,
    in_memory,
    make_engine,
    parse_url,
    prepare_sqlite,
    shown,
)
from polyport_gateway.storage.migrate import bring_up_to_date, current_revision
from polyport_gateway.storage.schema import REVISION

__all__ = ["Database"]

_log = logging.getLogger("polyport.storage")

T = TypeVar("T")

_READERS = 4
_GUESTS = 8  # connections for threads that read by themselves; when all are busy, the next waits its turn
_COMPLAIN_EVERY_S = 30.0
_SHORT_WAIT_S = 0.05
_POSTGRES_WRITERS = 4
_OUR_FAULT = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
_SCHEMA_LOCK = 0x706F6C79  # "poly": names our advisory lock among those of a shared PostgreSQL database


class Database:
    """One database of records, on SQLite or PostgreSQL.

    Reads and writes run in threads of its own. On SQLite there is one writing thread, since SQLite
    lets one transaction write at a time and its own waiting is neither fair nor cheap; readers are
    never held up by it.

    Args:
        url: ``sqlite:///FILE``, ``sqlite://`` (in memory) or ``postgresql://…``.
        busy_timeout_s: How long to wait for a database that another program has locked.

    Raises:
        ConfigurationError: The URL can't be used.
        MissingDependencyError: The driver isn't installed.

    >>> async def main() -> int:
    ...     async with Database("sqlite://") as db:
    ...         return await db.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())
    >>> asyncio.run(main())
    1
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 5.0) -> None:
        parsed = parse_url(url)
        self.dialect: Dialect = dialect_of(parsed)
        self.where = shown(parsed)
        self._busy_timeout_s = busy_timeout_s
        self._writers = 1 if self.dialect == "sqlite" else _POSTGRES_WRITERS
        # The one connection of a database in memory takes one thread at a time.
        self._readers = 0 if in_memory(parsed) else _READERS
        self._engine: Engine = make_engine(
            parsed,
            connections=self._writers + self._readers + (_GUESTS if self._readers else 0),
            busy_timeout_s=busy_timeout_s,
        )
        self._complaint = ("", 0.0)
        self._identity: tuple[int, int] | None = None
        self._start_threads()

    def _start_threads(self) -> None:
        self._writing = ThreadPoolExecutor(self._writers, thread_name_prefix="polyport-db-write")
        self._reading = self._writing
        if self._readers:
            self._reading = ThreadPoolExecutor(self._readers, thread_name_prefix="polyport-db-read")
        self._closed = False

    async def open(self) -> Database:
        """Connect; create the tables of a new database, migrate those of an older one. A closed one opens anew.

        Raises:
            ConfigurationError: It can't be reached, read, written or understood; the message says what to do.
        """
        if self._closed:
            self._start_threads()
        await asyncio.get_running_loop().run_in_executor(self._writing, self._open)
        return self

    def _open(self) -> None:
        try:
            if self.dialect == "sqlite":
                prepare_sqlite(self._engine, busy_timeout_s=self._busy_timeout_s)
            # Beginning to write proves that it can be written, and keeps others who open it waiting.
            with self._engine.begin() as connection:
                if current_revision(connection) != REVISION:
                    self._lock_schema(connection)
                    bring_up_to_date(connection, where=self.where)
        except (SQLAlchemyError, self._driver_error, OSError) as error:
            raise ConfigurationError(explain(error, self._engine.url)) from error
        self._identity = identity(self._engine.url)

    @property
    def _driver_error(self) -> type[Exception]:
        return self._engine.dialect.loaded_dbapi.Error

    def _lock_schema(self, connection: Connection) -> None:
        if self.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that may write, in a thread; commit it, or roll it back if it raises.

        Once begun it runs to its end even if the caller is cancelled.

        Raises:
            ServiceUnavailableError: The database is locked, full, read-only or gone.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._in_turn, work, time.monotonic())

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, in a thread; never waits for writers.

        Raises:
            ServiceUnavailableError: The database is locked or gone.
        """
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Do what `run` does, in the thread that asks."""
        return self._transact(work, read_only=False)

    def read_sync(self, work: Callable[[Connection], T]) -> T:
        """Do what `read` does, in the thread that asks; a database in memory has one thread that may."""
        return self._read(work) if self._readers else self._reading.submit(self._read, work).result()

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._transact(work, read_only=True)

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Start `work` as `run` does, in turn with the other writers, for a thread that waits by itself."""
        return self._writing.submit(self._in_turn, work, time.monotonic())

    def explain(self, error: BaseException) -> str:
        """Say what a failure means and what to do; for the log, not for callers."""
        cause = error.__cause__ if isinstance(error, ServiceUnavailableError) else error
        return explain(cause if isinstance(cause, Exception) else Exception(str(error)), self._engine.url)

    def _in_turn(self, work: Callable[[Connection], T], asked_at: float) -> T:
        # Behind others that waited for a locked database in vain, one doesn't wait as long once more.
        wait_s = self._busy_timeout_s
        if time.monotonic() - asked_at > wait_s / 2:
            wait_s = min(wait_s, _SHORT_WAIT_S)
        return self._transact(work, read_only=False, wait_s=wait_s)

    def _transact(self, work: Callable[[Connection], T], *, read_only: bool, wait_s: float | None = None) -> T:
        wait_s = self._busy_timeout_s if wait_s is None else wait_s
        self._check_file()
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(**{READ_ONLY: read_only, WAIT_S: wait_s})
                with connection.begin():
                    return work(connection)
        except _OUR_FAULT:
            raise
        except (DBAPIError, PoolTimeoutError) as error:
            raise self._unavailable(error) from error

    def _check_file(self) -> None:
        # SQLite goes on with a file that was deleted, and all that it writes there is lost at exit.
        if self._identity is not None and identity(self._engine.url) != self._identity:
            error = FileNotFoundError(MOVED)
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> ServiceUnavailableError:
        self._complain(explain(error, self._engine.url))
        return ServiceUnavailableError(
            "The gateway's database can't be used at the moment; try again soon.", retry_after=1.0
        )

    def _complain(self, what: str) -> None:
        # A database that is gone fails every request and every background task: say it now and then, not each time.
        now = time.monotonic()
        if what != self._complaint[0] or now - self._complaint[1] > _COMPLAIN_EVERY_S:
            self._complaint = (what, now)
            _log.warning("%s", what)

    async def close(self) -> None:
        """Finish what was begun and disconnect."""
        self._closed = True
        try:
            await asyncio.to_thread(self._close)
        except RuntimeError:
            # While the interpreter shuts down, Python 3.12 starts no thread, and there is nothing left to hold up.
            self._close()

    def _close(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        self._engine.dispose()

    async def __aenter__(self) -> Database:
        try:
            return await self.open()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
