"""Bytes that are kept beside the records: uploads, parsed documents, results of batches; named by what they are.

A blob's key is the SHA-256 of its bytes, in hexadecimal. So the same bytes are kept once, writing is idempotent, and
what is read can be checked. A blob belongs to nobody: the records name it, and one that no record names is swept.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from polyport.errors import ConfigurationError, NotFoundError, PayloadTooLargeError, ServiceUnavailableError

__all__ = ["Blob", "BlobStore", "FolderBlobs"]

_log = logging.getLogger("polyport.storage")

_KEY = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20
_INCOMING = "incoming"
_LOCK = "lock"
_YOUNG_S = 3600.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Blob:
    """What was kept.

    Args:
        key: SHA-256 of the bytes, in hexadecimal.
        size: How many there are.
    """

    key: str
    size: int


class BlobStore(Protocol):
    """Keeps bytes by their SHA-256. It blocks: call it from a worker thread."""

    def put(self, data: bytes | Iterable[bytes] | IO[bytes], *, limit: int | None = None) -> Blob:
        """Keep bytes; once it has returned they outlive a crash.

        Args:
            data: All of them, pieces, or a file opened for reading, which is read to its end.
            limit: Of bytes.

        Raises:
            PayloadTooLargeError: There are more.
            ServiceUnavailableError: The disk is full, or can't be written.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return a blob's bytes, checked.

        Raises:
            NotFoundError: It is not there, or damaged.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """Open a blob to read from any place; the caller closes it.

        Raises:
            NotFoundError: It is not there.
        """
        ...

    def stream(self, key: str, *, piece: int = _PIECE) -> Iterator[bytes]:
        """Yield a blob's bytes in pieces.

        Raises:
            NotFoundError: It is not there.
        """
        ...

    def size(self, key: str) -> int | None:
        """Return how many bytes a blob has; None where there is none."""
        ...

    def delete(self, key: str) -> bool:
        """Remove a blob; tell whether there was one."""
        ...

    def keys(self) -> Iterator[str]:
        """Yield the keys of all blobs, in no order."""
        ...

    def sweep(self, used: Callable[[list[str]], Iterable[str]], *, older_than_s: float = _YOUNG_S) -> int:
        """Remove what nothing names, and what killed writers left; return how many.

        Args:
            used: Returns which of some keys are named by a record.
            older_than_s: What was put less long ago is left, for its record may be on its way.
        """
        ...


class FolderBlobs:
    """Blobs as files of a folder, for any number of threads and processes.

    A blob is written beside, synced, and renamed to its name, so it is there whole or not at all. Writers share a lock
    that removal takes alone: bytes that are put again while they are swept are either seen in time or written anew.

    Args:
        folder: Made if it is not there, for this user alone.

    Raises:
        ConfigurationError: It can't be made or written.

    Example:
        >>> import tempfile
        >>> blobs = FolderBlobs(Path(tempfile.mkdtemp()))
        >>> blobs.get(blobs.put(b"tea").key)
        b'tea'
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / _INCOMING
        try:
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigurationError(
                f"The folder of blobs, {folder}, can't be used: {error.strerror}. Let this user write there, or set "
                "data_dir to another place."
            ) from error

    def put(self, data: bytes | Iterable[bytes] | IO[bytes], *, limit: int | None = None) -> Blob:
        """Keep bytes; once it has returned they outlive a crash."""
        with self._clear():
            if isinstance(data, bytes):
                return self._put_bytes(data, limit)
            return self._put_pieces(_pieces(data), limit)

    def _put_bytes(self, data: bytes, limit: int | None) -> Blob:
        _check(len(data), limit)
        key = hashlib.sha256(data).hexdigest()
        with self._locked(fcntl.LOCK_SH):
            if self._renewed(key, len(data)):
                return Blob(key, len(data))
        return self._put_pieces([data], limit)

    def _put_pieces(self, pieces: Iterable[bytes], limit: int | None) -> Blob:
        digest, size = hashlib.sha256(), 0
        new = self._incoming / uuid.uuid4().hex
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # says that somebody writes, for as long as this process lives
                for piece in pieces:
                    size += len(piece)
                    _check(size, limit)
                    digest.update(piece)
                    _write(file.fileno(), piece)
                os.fsync(file.fileno())
                key = digest.hexdigest()
                self._name(new, key, size)
        finally:
            new.unlink(missing_ok=True)
        return Blob(key, size)

    def _name(self, new: Path, key: str, size: int) -> None:
        path = self._path(key)
        with self._locked(fcntl.LOCK_SH):
            if self._renewed(key, size):
                return
            made = not path.parent.exists()
            path.parent.mkdir(mode=0o700, exist_ok=True)
            new.replace(path)
            _sync(path.parent)
            if made:
                _sync(self._folder)

    def _renewed(self, key: str, size: int) -> bool:
        # A blob of another size was damaged by more than a killed process, and is written anew.
        path = self._path(key)
        try:
            if path.stat().st_size != size:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def get(self, key: str) -> bytes:
        """Return a blob's bytes, checked."""
        with self.open(key) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != key:
            _log.error("the blob %s is damaged: its bytes have another SHA-256", key)
            raise NotFoundError(f"The blob {key} is damaged.", code="blob_damaged")
        return data

    def open(self, key: str) -> BinaryIO:
        """Open a blob to read from any place; the caller closes it."""
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            raise _missing(key) from None

    def stream(self, key: str, *, piece: int = _PIECE) -> Iterator[bytes]:
        """Yield a blob's bytes in pieces."""
        with self.open(key) as file:
            while data := file.read(piece):
                yield data

    def size(self, key: str) -> int | None:
        """Return how many bytes a blob has; None where there is none."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> bool:
        """Remove a blob; tell whether there was one."""
        path = self._path(key)
        with self._locked(fcntl.LOCK_EX):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def keys(self) -> Iterator[str]:
        """Yield the keys of all blobs, in no order."""
        for path in self._folder.glob("??/*"):
            if _KEY.fullmatch(path.name) is not None:
                yield path.name

    def sweep(self, used: Callable[[list[str]], Iterable[str]], *, older_than_s: float = _YOUNG_S) -> int:
        """Remove what nothing names, and what killed writers left; return how many."""
        removed = self._sweep_incoming()
        batch: list[str] = []
        for key in self.keys():
            if self._is_old(key, older_than_s):
                batch.append(key)
            if len(batch) == 500:
                removed += self._sweep(batch, used, older_than_s)
                batch = []
        return removed + (self._sweep(batch, used, older_than_s) if batch else 0)

    def _sweep(self, keys: list[str], used: Callable[[list[str]], Iterable[str]], older_than_s: float) -> int:
        removed = 0
        for key in set(keys).difference(used(keys)):
            with self._locked(fcntl.LOCK_EX):
                if self._is_old(key, older_than_s):  # still: it may have been put again
                    self._path(key).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _is_old(self, key: str, older_than_s: float) -> bool:
        try:
            return self._path(key).stat().st_mtime <= time.time() - older_than_s
        except FileNotFoundError:
            return False

    def _sweep_incoming(self) -> int:
        removed = 0
        for path in self._incoming.iterdir():
            with suppress(OSError), path.open("rb") as file:
                # Between its making and its lock a file is younger than this.
                if path.stat().st_mtime < time.time() - 10:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        # What is no key must never become a path, wherever it came from.
        if _KEY.fullmatch(key) is None:
            raise _missing(key)
        return self._folder / key[:2] / key

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with (self._folder / _LOCK).open("rb") as file:
            fcntl.flock(file, how)
            yield

    @contextmanager
    def _clear(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise ServiceUnavailableError(
                    f"The disk of {self._folder} is full ({_free(self._folder)} left): nothing more can be kept until "
                    "some space is freed.",
                    code="disk_full",
                ) from error
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
                raise ServiceUnavailableError(f"{self._folder} can't be written: {error.strerror}.") from error
            raise


def _pieces(data: Iterable[bytes] | IO[bytes]) -> Iterable[bytes]:
    read = getattr(data, "read", None)
    return data if read is None else iter(lambda: bytes(read(_PIECE)), b"")


def _check(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise PayloadTooLargeError(f"There are more than {limit:,} bytes, the most that is taken.")


def _write(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free >> 20} MiB"
    except OSError:
        return "nothing"


def _missing(key: str) -> NotFoundError:
    return NotFoundError(f"There is no blob {key[:80]!r}.", code="blob_not_found")
