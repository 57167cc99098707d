"""Files that callers may name by their paths: those in folders that the operator chose, and no others."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from polyport.errors import BadRequestError, NotFoundError, PayloadTooLargeError

__all__ = ["Folders"]

_LONGEST_SHOWN = 200


class Folders:
    """Opens files below a few folders.

    A path is followed to what it really is first, links and ``..`` among it; the file is then opened step by step from
    its folder, through no link, so that nothing that is put in its place meanwhile leads out.

    Args:
        roots: The folders, resolved.
        most: Bytes that a file may have.
    """

    def __init__(self, roots: Sequence[Path], most: int) -> None:
        self._roots = tuple(roots)
        self._most = most

    def __bool__(self) -> bool:
        return bool(self._roots)

    def describe(self) -> str:
        """Say which folders there are, by their names."""
        return ", ".join(root.name or str(root) for root in self._roots)

    def read(self, path: str) -> tuple[str, bytes]:
        """Return the name and the bytes of a file.

        Args:
            path: Absolute, or relative to one of the folders, with or without that folder's name before it.

        Raises:
            BadRequestError: There are no folders, or it is no path of a file.
            NotFoundError: No such file is in the folders; one outside of them looks the same.
            PayloadTooLargeError: It has too many bytes.
        """
        if not self._roots:
            raise BadRequestError(
                "This gateway reads no files by path; send the file as text or base64. Its operator can name folders "
                "in the setting documents_folders.",
                param="path",
            )
        if not path.strip() or "\0" in path:
            raise BadRequestError("path is empty, or no path.", param="path")
        for root, inside in self._candidates(path):
            found = self._open(root, inside)
            if found is not None:
                return found
        shown = path if len(path) <= _LONGEST_SHOWN else path[:_LONGEST_SHOWN] + "…"
        raise NotFoundError(
            f"There is no file {shown!r} in the folders that this gateway reads from ({self.describe()}).",
            param="path",
            code="document_not_found",
        )

    def files(self, pattern: str = "*") -> list[tuple[str, os.stat_result]]:
        """Return the files in the folders, in their order, by the paths that `read` takes; hidden ones are left out.

        Args:
            pattern: Which: ``*.pdf``, ``reports/*``; letters' case does not count.
        """
        found: list[tuple[str, os.stat_result]] = []
        for root in self._roots:
            prefix = f"{root.name}/" if len(self._roots) > 1 else ""
            for parent, folders, files in os.walk(root):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    path = Path(parent, name)
                    shown = prefix + path.relative_to(root).as_posix()
                    if name.startswith(".") or not _is_text(shown):
                        continue  # what is no text can't be asked for in JSON
                    if not fnmatchcase(shown.casefold(), pattern.casefold()):
                        continue
                    try:
                        status = path.lstat()
                    except OSError:
                        continue  # it went meanwhile
                    if stat.S_ISREG(status.st_mode):
                        found.append((shown, status))
        return found

    def _candidates(self, path: str) -> list[tuple[Path, Path]]:
        given = Path(path)
        if given.is_absolute():
            wanted = [given]
        else:
            named = [root.parent / given for root in self._roots if given.parts and given.parts[0] == root.name]
            wanted = [*(root / given for root in self._roots), *named]
        found: list[tuple[Path, Path]] = []
        for candidate in wanted:
            try:
                real = Path(os.path.realpath(candidate, strict=True))
            except (OSError, ValueError):
                continue
            found += [(root, real.relative_to(root)) for root in self._roots if real.is_relative_to(root)]
        return found

    def _open(self, root: Path, inside: Path) -> tuple[str, bytes] | None:
        *folders, name = inside.parts or ("",)
        if not name:
            return None  # the folder itself
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                os.close(here)
                here = below
            # Without waiting for who might write: it may be a pipe.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
        except OSError:
            return None
        finally:
            os.close(here)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            return None
        with os.fdopen(file, "rb") as opened:
            if status.st_size > self._most:
                raise PayloadTooLargeError(
                    f"{name}: it has {status.st_size:,} bytes; at most {self._most:,} are read (documents_max_bytes).",
                    param="path",
                )
            data = opened.read(self._most + 1)
        if len(data) > self._most:
            raise PayloadTooLargeError(
                f"{name}: it has more than {self._most:,} bytes (documents_max_bytes).", param="path"
            )
        return name, data


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
