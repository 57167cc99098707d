"""Files of this machine: a folder, a pattern, a single file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from polyport.errors import ConflictError, NotFoundError, PayloadTooLargeError

from .base import Item, Listing, Loaded, Origin, Problem, SourceFailedError

__all__ = ["JUNK", "Folder", "SingleFile"]

JUNK = ("~$*", ".~lock.*", "thumbs.db", "desktop.ini", "*.tmp", "*.part", "*.crdownload", "*.swp", "*~", "*.pyc",
        "__pycache__", "__macosx", "node_modules")  # fmt: skip
"""Names that no person means to be read, in lower case."""

_LARGEST = 256 << 20
_FRESH_S = 2.0
"""A file that was changed so lately may change again within the same tick of its clock, so its stamp says nothing."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with all that is below it.

    Hidden files, junk and special files are passed over. A link to a file is followed where it stays in the folder;
    one that leads out is refused, and told. A link to a folder is passed over: what it leads to in the folder is read
    there.

    Args:
        path: Of the folder.
        label: The beginning of its files' keys.
        include: Patterns, one of which a file's path from the folder on must match, whatever the case; ``*`` matches
            any characters, ``/`` too. None: all files.
        exclude: Patterns that it must not match, nor a folder that it is in.
        largest: Bytes that a file may have.
    """

    path: Path
    label: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    largest: int = _LARGEST
    complete: bool = field(default=True, init=False)

    def list(self, known: Iterable[Origin] = ()) -> Listing:
        """Look at what there is.

        An empty folder is one without documents, unless it is not the folder that documents came from: then a disk
        is most likely not mounted.
        """
        root = self._root()
        walk = _Walk(self, root)
        items = tuple(walk.items())
        identity = _identity(root)
        roots = {origin.root for origin in known if origin.root is not None}
        if not items and not walk.problems and roots and identity not in roots:
            raise SourceFailedError(
                f"The folder {self.path} is empty, and another than the one that its documents came from: its disk may "
                "not be mounted. The documents are kept."
            )
        note = None if items or walk.problems else f"The folder {self.path} has no files to read."
        return Listing(items, tuple(walk.problems), tuple(walk.unseen), identity, note)

    def _root(self) -> Path:
        try:
            root = self.path.resolve(strict=True)
            if not root.is_dir():
                raise SourceFailedError(f"{self.path} is no folder.")
            os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError:
            raise SourceFailedError(
                f"There is no folder {self.path}. Documents that came from it are kept; remove the source to remove "
                "them."
            ) from None
        except (OSError, RuntimeError) as error:
            raise SourceFailedError(f"The folder {self.path} can't be read: {_why(error)}.") from error
        return root

    def takes(self, path: str) -> bool:
        """Whether a path from the folder on is among those that are asked for."""
        path = path.casefold()
        return not self.include or any(_matches(path, pattern.casefold()) for pattern in self.include)

    def passes_over(self, path: str, name: str) -> bool:
        """Whether a file or folder is not to be looked at."""
        if name.startswith(".") or any(fnmatchcase(name.casefold(), pattern) for pattern in JUNK):
            return True
        return any(_matches(path.casefold(), pattern.casefold()) for pattern in self.exclude)


class _Walk:
    def __init__(self, folder: Folder, root: Path) -> None:
        self._folder, self._root = folder, root
        self.problems: list[Problem] = []
        self.unseen: list[str] = []

    def items(self) -> Iterator[Item]:
        for parent, folders, files in os.walk(self._root, onerror=self._failed):
            here = Path(parent).relative_to(self._root)
            kept = []
            for name in sorted(folders):
                path = self._path(here, name)
                if self._folder.passes_over(path, name):
                    continue
                if Path(parent, name).is_symlink():
                    self._link(Path(parent, name), path)
                else:
                    kept.append(name)
            folders[:] = kept
            for name in sorted(files):
                path = self._path(here, name)
                if not self._folder.passes_over(path, name) and self._folder.takes(path):
                    yield from self._file(Path(parent, name), path)

    def _path(self, here: Path, name: str) -> str:
        return _text((here / name).as_posix())

    def _key(self, path: str) -> str:
        return f"{self._folder.label}/{path}"

    def _failed(self, error: OSError) -> None:
        # What is in there may be there still.
        path = _text(Path(os.fsdecode(error.filename)).relative_to(self._root).as_posix())
        key = f"{self._folder.label}/" if path == "." else f"{self._key(path)}/"
        self.unseen.append(key)
        self.problems.append(Problem(key, f"The folder can't be read: {_why(error)}.", "unreadable_folder"))

    def _link(self, link: Path, path: str) -> bool:
        """Tell whether a link stays in the folder; one that leads out is a problem, one to nothing is nothing."""
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        if target.is_relative_to(self._root):
            return True
        self.problems.append(
            Problem(self._key(path), "It is a link that leads out of the folder, and is not followed.", "link_refused")
        )
        return False

    def _file(self, file: Path, path: str) -> Iterator[Item]:
        try:
            if file.is_symlink() and not self._link(file, path):
                return
            status = file.stat()
        except OSError:
            return  # it went meanwhile
        if not stat.S_ISREG(status.st_mode):
            return
        key = self._key(path)
        load = partial(_load, file, self._root, self._folder.largest)
        yield Item(key, load, _stamp(status), status.st_size)


@dataclass(frozen=True, slots=True)
class SingleFile:
    """One file.

    Args:
        path: Of the file.
        label: Its key.
        largest: Bytes that it may have.
    """

    path: Path
    label: str
    largest: int = _LARGEST
    complete: bool = field(default=True, init=False)

    def list(self, known: Iterable[Origin] = ()) -> Listing:
        """Look whether it is there."""
        try:
            file = self.path.resolve(strict=True)
            status = file.stat()
        except (OSError, RuntimeError) as error:
            raise SourceFailedError(
                f"The file {self.path} can't be read: {_why(error)}. Its document is kept; remove the source to remove "
                "it."
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise SourceFailedError(f"{self.path} is no file.")
        load = partial(_load, file, file.parent, self.largest)
        return Listing((Item(self.label, load, _stamp(status), status.st_size),))


def _load(file: Path, root: Path, largest: int, stamp: str | None) -> Loaded | None:
    """Read a file whole.

    Raises:
        NotFoundError: It went, can't be read, or leads out of its folder by now.
        PayloadTooLargeError: It has too many bytes.
        ConflictError: It is being written.
    """
    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(root):
            raise NotFoundError(f"{file.name} is a link that leads out of its folder.", code="link_refused")
        descriptor = _open(root, real.relative_to(root))
        with os.fdopen(descriptor, "rb") as opened:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise NotFoundError(f"{file.name} is no file any more.")
            if stamp is not None and stamp == _stamp(before):
                return None
            _check_size(file.name, before.st_size, largest)
            data = opened.read(largest + 1)
            after = os.fstat(descriptor)
    except (OSError, RuntimeError) as error:
        raise NotFoundError(f"{file.name} can't be read: {_why(error)}.", code="unreadable_file") from error
    _check_size(file.name, len(data), largest)
    if _stamp(before) != _stamp(after) or len(data) != after.st_size:
        raise ConflictError(f"{file.name} is being written; it is read next time.", code="being_written")
    fresh = time.time() - max(after.st_mtime, after.st_ctime) < _FRESH_S
    return Loaded(data, _text(real.name if real.suffix else file.name), None if fresh else _stamp(after))


def _open(root: Path, inside: Path) -> int:
    """Open a file step by step, through no link, so that nothing that is put in its place meanwhile leads out."""
    *folders, name = inside.parts or ("",)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        # Without waiting for who might write: it may be a pipe by now.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)


def _check_size(name: str, size: int, largest: int) -> None:
    if size > largest:
        raise PayloadTooLargeError(f"{_text(name)} has {size:,} bytes; at most {largest:,} are read.")


def _stamp(status: os.stat_result) -> str:
    # The time of the last change of its status too: nobody can set it, so a copy that keeps times is seen.
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def _identity(root: Path) -> str:
    status = root.stat()
    return f"{status.st_dev}:{status.st_ino}"


def _matches(path: str, pattern: str) -> bool:
    pattern = pattern.removeprefix("./").removesuffix("/")
    # **/ also stands for no folder at all.
    return any(
        fnmatchcase(path, form) or fnmatchcase(path, f"{form}/*") for form in {pattern, pattern.replace("**/", "")}
    )


def _text(path: str) -> str:
    """Return a path as text that can be written anywhere: bytes that are no UTF-8 as %XX."""
    return "".join(f"%{ord(letter) - 0xDC00:02X}" if "\udc80" <= letter <= "\udcff" else letter for letter in path)


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
