"""Vectors by what they are of: a text that was embedded once, for whatever base, is not embedded again.

The file is a cache and nothing else: it may be removed at any time, and what is wrong with it (damage, a full disk, a
lock that lasts) costs time, never a document. So it is an SQLite file of its own, apart from the records.

A vector's key is a hash of the embedder's fingerprint and the text, so a look-up is one search of one small index.
What was put first goes first where the file is full: only reindexing asks for old ones.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["EmbeddingCache"]

Value = TypeVar("Value")

_log = logging.getLogger("polyport.knowledge")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, vector BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS vectors_by_key ON vectors (key);
"""
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",  # whole after a crash of the machine, though not up to its last second
    "PRAGMA auto_vacuum=NONE",  # the room of what went is used again
)
_AT_A_TIME = 500
_WAIT_S = 10.0
_SHED = 0.1
"""The share that goes at once where the file is full."""
_COMPLAIN_EVERY_S = 60.0
_CONNECTIONS = 8
_DAMAGE = ("malformed", "not a database", "file is encrypted", "disk image", "no such table")


class EmbeddingCache:
    """Keeps vectors in a file, for any number of threads and processes.

    Args:
        file: Made if it is not there; set aside and begun anew if it is damaged.
        most_bytes: About how large it may grow.

    Example:
        >>> import tempfile
        >>> cache = EmbeddingCache(Path(tempfile.mkdtemp()) / "embeddings.sqlite3")
        >>> cache.put("minilm", ["tea"], np.ones((1, 3), np.float32))
        >>> [vector is not None for vector in cache.get("minilm", ["tea", "milk"])]
        [True, False]
        >>> cache.close()
    """

    def __init__(self, file: Path, *, most_bytes: int = 4 << 30) -> None:
        self.file = file
        self._most_bytes = most_bytes
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(_CONNECTIONS)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._opened: tuple[int, int] | None = None
        self._closed = False
        self._complained = 0.0

    def get(self, embedder: str, texts: Sequence[str]) -> list[NDArray[np.float32] | None]:
        """Return the vector of each text; None for one that is not kept.

        Args:
            embedder: What tells the embedder from others, and its model from other models.
            texts: Any number.
        """
        keys = [_key(embedder, text) for text in texts]
        found: dict[bytes, NDArray[np.float32]] = {}
        for start in range(0, len(keys), _AT_A_TIME):
            part = keys[start : start + _AT_A_TIME]
            nothing: dict[bytes, NDArray[np.float32]] = {}
            found |= self._do(partial(_select, keys=part), nothing)
        return [found.get(key) for key in keys]

    def put(self, embedder: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors of texts, a row for each; one that is kept already is replaced.

        Raises:
            ValueError: There are more rows than texts, or fewer.
        """
        if len(texts) != len(vectors):
            raise ValueError(f"{len(texts)} texts can't have {len(vectors)} vectors.")
        rows = [
            (_key(embedder, text), np.ascontiguousarray(vector, "<f4").tobytes())
            for text, vector in zip(texts, vectors, strict=True)
        ]
        with self._writing:  # one at a time: SQLite's own waiting is neither fair nor cheap
            for start in range(0, len(rows), _AT_A_TIME):
                part = rows[start : start + _AT_A_TIME]
                self._do(partial(self._insert, rows=part), None)

    def __len__(self) -> int:
        return self._do(lambda connection: int(connection.execute("SELECT COUNT(*) FROM vectors").fetchone()[0]), 0)

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        self._drop_idle()

    def _insert(self, connection: sqlite3.Connection, rows: list[tuple[bytes, bytes]]) -> None:
        with _transaction(connection):
            self._shed(connection, sum(len(vector) for _, vector in rows))
            connection.executemany("INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", rows)

    def _shed(self, connection: sqlite3.Connection, wanted: int) -> None:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size + wanted <= self._most_bytes:
            return
        first, last = connection.execute("SELECT MIN(number), MAX(number) FROM vectors").fetchone()
        if first is not None:
            upto = first + max(1, int((last - first) * _SHED))
            connection.execute("DELETE FROM vectors WHERE number <= ?", (upto,))

    def _do(self, work: Callable[[sqlite3.Connection], Value], otherwise: Value) -> Value:
        """Do something with the file; where it can't be, say so now and then, and return what goes on without it."""
        try:
            try:
                return self._try(work)
            except sqlite3.DatabaseError as error:
                if not any(sign in str(error) for sign in _DAMAGE):
                    raise
                self._set_aside(error)
                return self._try(work)
        except (sqlite3.Error, OSError) as error:
            self._complain(error)
            return otherwise

    def _try(self, work: Callable[[sqlite3.Connection], Value]) -> Value:
        connection = self._take()
        try:
            found = work(connection)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        return found

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            there = _identity(self.file)
            if self._opened is None or there != self._opened:
                # Removed, or set aside by another process: what the old file gets nobody would find.
                self._drop_idle()
                connection = self._connect()
                self._opened = _identity(self.file)
                return connection
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if not self._closed and _identity(self.file) == self._opened:
            with suppress(queue.Full):
                self._idle.put_nowait(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        with self._lock:
            if self._opened is not None and _identity(self.file) != self._opened:
                return  # another thread or process has done so
            self._drop_idle()
            aside = self.file.with_name(f"{self.file.name}.damaged-{int(time.time())}")
            _log.warning("the cache of embeddings %s is damaged (%s): begun anew, the former is %s",
                         self.file, error, aside)  # fmt: skip
            with suppress(FileNotFoundError):
                self.file.replace(aside)
            for ending in ("-wal", "-shm"):
                self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
            self._opened = None

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_EVERY_S:
            self._complained = now
            _log.warning("the cache of embeddings %s can't be used (%s): texts are embedded again", self.file, error)


def _key(embedder: str, text: str) -> bytes:
    # The embedder's own hash has a fixed length, so no text can pass for the end of another's name.
    first = hashlib.sha256(embedder.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(first + text.encode("utf-8", "surrogatepass")).digest()


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
    marks = ",".join("?" * len(keys))
    with closing(connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", keys)) as rows:  # noqa: S608
        return {key: np.frombuffer(vector, "<f4") for key, vector in rows}


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
