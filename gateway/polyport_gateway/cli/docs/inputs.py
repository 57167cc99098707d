"""Which files a command line names: files, folders with all that is in them, standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from polyport.errors import ConfigurationError

__all__ = ["Failure", "FoundFiles", "Input", "find_files"]

_STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """A file to read.

    Attributes:
        label: As it is shown.
        name: As the reader knows it.
        place: Where it stands among what was named, for what is made of it.
        path: Where it is.
        data: Its bytes, where they were taken from something that can be read only once.
    """

    label: str
    name: str
    place: PurePosixPath
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)

    def read(self, most: int) -> bytes:
        """Return its bytes.

        Raises:
            OSError: It can't be opened.
            ValueError: It has more than `most` bytes.
        """
        if self.data is not None:
            return self.data
        assert self.path is not None  # noqa: S101 - it has one or the other
        size = self.path.stat().st_size
        if size > most:
            raise ValueError(_too_many(size, most))
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that nothing came of, and why."""

    label: str
    reason: str
    code: str = "unreadable_document"
    page: int | None = None


@dataclass(slots=True)
class FoundFiles:
    """What a command line names.

    Attributes:
        inputs: What to read, in order.
        failures: What was named and isn't there.
        notes: What a folder holds and is left out, in words.
    """

    inputs: list[Input] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_files(named: Sequence[str], *, most: int, hidden: bool = False, stdin_name: str | None = None) -> FoundFiles:
    """Find what is to be read.

    Args:
        named: Files, folders, or ``-``.
        most: Bytes that a file may have; a folder's larger ones are left out.
        hidden: Whether a folder's hidden files and folders are taken.
        stdin_name: What to call standard input.

    Raises:
        ConfigurationError: Standard input is named twice.
    """
    if list(named).count(_STANDARD_INPUT) > 1:
        raise ConfigurationError("standard input (-) can be read once only")
    found = FoundFiles()
    for name in named:
        if name == _STANDARD_INPUT:
            _take_stdin(found, stdin_name or "standard input", most)
        elif Path(name).is_dir():
            _walk(found, Path(name), most, hidden=hidden)
        else:
            _take(found, Path(name), most)
    return found


def _take_stdin(found: FoundFiles, name: str, most: int) -> None:
    data = sys.stdin.buffer.read(most + 1)
    if len(data) > most:
        found.failures.append(Failure(name, _too_many(len(data), most, least=True)))
        return
    found.inputs.append(Input(name, PurePosixPath(name).name, PurePosixPath(name.replace(" ", "-")), data=data))


def _take(found: FoundFiles, path: Path, most: int) -> None:
    label = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            found.inputs.append(Input(label, path.name, PurePosixPath(path.name), path))
            return
        with path.open("rb") as file:  # a pipe, say: <(…)
            data = file.read(most + 1)
    except OSError as error:
        found.failures.append(Failure(label, _why(error), "not_found"))
        return
    if len(data) > most:
        found.failures.append(Failure(label, _too_many(len(data), most, least=True)))
        return
    found.inputs.append(Input(label, path.name, PurePosixPath(path.name), data=data))


def _walk(found: FoundFiles, folder: Path, most: int, *, hidden: bool) -> None:
    left = {"hidden": 0, "special": 0}

    def failed(error: OSError) -> None:
        found.failures.append(Failure(str(error.filename), _why(error), "not_found"))

    for parent, folders, files in os.walk(folder, onerror=failed):
        if not hidden:
            left["hidden"] += sum(name.startswith(".") for name in (*folders, *files))
            folders[:] = [name for name in folders if not name.startswith(".")]
            files = [name for name in files if not name.startswith(".")]
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            try:
                status = path.stat()
            except OSError as error:
                found.failures.append(Failure(str(path), _why(error), "not_found"))
                continue
            if not stat.S_ISREG(status.st_mode):
                left["special"] += 1
            elif status.st_size > most:
                found.notes.append(f"{path} is left out: {_too_many(status.st_size, most)}")
            else:
                place = PurePosixPath(path.relative_to(folder).as_posix())
                found.inputs.append(Input(str(path), name, place, path))
    found.notes += list(_left_out(folder, left["hidden"], left["special"]))


def _left_out(folder: Path, hidden: int, special: int) -> Iterator[str]:
    if hidden:
        yield f"{folder}: {hidden} hidden {_entries(hidden)} left out; --hidden takes them"
    if special:
        kind = "is no file" if special == 1 else "are no files"
        yield f"{folder}: {special} {_entries(special)} left out that {kind}"


def _entries(count: int) -> str:
    return "entry is" if count == 1 else "entries are"


def _too_many(size: int, most: int, *, least: bool = False) -> str:
    return f"it has {'at least ' if least else ''}{size:,} bytes; at most {most:,} are read (--max-mb)."


def _why(error: OSError) -> str:
    return f"{error.strerror or error}."
