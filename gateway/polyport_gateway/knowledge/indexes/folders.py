"""The folder of an index on disk: who has it, copies of it, and several generations of it."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from polyport.errors import ConfigurationError, ConflictError, ServiceUnavailableError

from .base import Schema

__all__ = ["Generations", "Lock", "copied", "opened_schema", "restore", "size_of", "write_atomically"]

_SCHEMA = "schema.json"
_LOCK = "lock"
_CURRENT = "CURRENT"
_RESERVE = 128 << 20
"""Bytes that an index leaves free on a disk."""


class Lock:
    """Keeps a folder for one index; the kernel lets go of it when the process ends, however it ends.

    Raises:
        ConflictError: Another index, here or in another process, has it.
        ConfigurationError: It can't be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (folder / _LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{folder} can't hold an index: {error.strerror or error}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise ConflictError(
                f"The index in {folder} is open already, in the process {owner}. An embedded index belongs to one "
                "process: stop that one, or use an index server for several.",
                code="index_locked",
            ) from None
        with suppress(OSError):  # on a full disk the owner is not known, but the lock holds
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), str(os.getpid()).encode())

    def release(self) -> None:
        """Let go."""
        self._file.close()


def opened_schema(folder: Path, schema: Schema | None) -> tuple[Schema, Schema | None]:
    """Return the schema to open a folder's index with, and the one it has so far; None where it is new.

    Args:
        folder: Of the index.
        schema: What is wanted; None takes what there is.

    Raises:
        ConfigurationError: It is for another schema, or there is none.
    """
    kept = folder / _SCHEMA
    if kept.exists():
        try:
            found = Schema.load(kept.read_text(encoding="utf-8"))
        except (TypeError, ValueError) as error:
            raise damaged(folder, error) from error
        if schema is not None:
            schema.agree(found, str(folder))
        return found.with_fields_of(schema), found
    if schema is None:
        raise ConfigurationError(f"There is no index in {folder}; give a schema to make one.")
    return schema, None


def damaged(folder: Path, error: Exception) -> ConfigurationError:
    """Say that an index can't be read."""
    return ConfigurationError(
        f"The index in {folder} is damaged ({error}). Restore it from a snapshot, or remove the folder and rebuild it."
    )


def keep_schema(folder: Path, schema: Schema) -> None:
    """Write the schema, which says that the index is there.

    Raises:
        ServiceUnavailableError: It can't be written.
    """
    try:
        write_atomically(folder / _SCHEMA, schema.dump())
    except OSError as error:
        raise ServiceUnavailableError(
            f"The index in {folder} could not be changed: {error.strerror or error}."
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def copied(target: Path) -> Iterator[Path]:
    """Give a folder to write to, which gets its name when all is written.

    Raises:
        ConflictError: The target exists.
    """
    if target.exists():
        raise ConflictError(f"{target} exists; a snapshot is written to a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield new
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def copy_index(folder: Path, target: Path) -> None:
    """Copy an index that nobody writes to.

    Raises:
        ConflictError: The target exists.
        ServiceUnavailableError: There is no room for it.
    """
    with copied(target) as new:
        need_room(target.parent, size_of(folder), to="copy the index")
        shutil.copytree(folder, new, ignore=shutil.ignore_patterns(_LOCK))


def restore(snapshot: Path, folder: Path) -> None:
    """Make a folder's index that of a snapshot; to be opened after.

    Raises:
        ConfigurationError: There is no snapshot of an index.
        ConflictError: The folder exists.
    """
    if not (snapshot / _SCHEMA).exists():
        raise ConfigurationError(f"{snapshot} is no snapshot of an index: it has no {_SCHEMA}.")
    copy_index(snapshot, folder)


def need_room(folder: Path, wanted: int = 0, *, to: str = "change the index; it can still be searched") -> None:
    """Check that the disk has room for some bytes, and a reserve.

    Args:
        folder: On the disk.
        wanted: Bytes, beside the reserve.
        to: What they are needed for.

    Raises:
        ServiceUnavailableError: It has not.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted + _RESERVE:
        raise ServiceUnavailableError(
            f"The disk of {folder} has {free >> 20} MiB left, and {(wanted + _RESERVE) >> 20} MiB are needed to {to}."
        )


def size_of(folder: Path) -> int:
    """Return the bytes that a folder takes on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


class Generations:
    """Indexes of the same chunks, one of which is current: another is built beside it, then switched to.

    The switch is the renaming of one small file: a killed process leaves the former or the new one current, never half.

    Args:
        folder: Holds a folder for each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> Path | None:
        """Return the folder of the current one."""
        file = self.folder / _CURRENT
        if not file.exists():
            return None
        return self.folder / file.read_text(encoding="utf-8").strip()

    def new(self) -> Path:
        """Return a folder for another."""
        return self.folder / uuid.uuid4().hex

    def switch(self, generation: Path) -> None:
        """Make one the current one.

        Raises:
            ConfigurationError: It is no index of this folder.
        """
        if generation.parent != self.folder or not (generation / _SCHEMA).exists():
            raise ConfigurationError(f"{generation} is no finished index in {self.folder}.")
        write_atomically(self.folder / _CURRENT, generation.name)

    def clean(self) -> list[Path]:
        """Remove all that are not current and not open, such as what a killed rebuild left; return them."""
        current = self.current()
        removed = []
        for path in sorted(self.folder.iterdir()):
            if not path.is_dir() or path == current:
                continue
            try:
                lock = Lock(path)
            except ConflictError:
                continue
            shutil.rmtree(path)
            lock.release()
            removed.append(path)
        return removed
