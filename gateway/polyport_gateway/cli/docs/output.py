"""Where documents go: files whose names never collide and that replace nothing unasked."""

from __future__ import annotations

import os
import uuid
from pathlib import Path, PurePosixPath

from polyport.errors import ConfigurationError
from polyport_gateway.knowledge.documents import Document, Picture

__all__ = ["OutputExistsError", "OutputFolder"]

_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/svg+xml": ".svg",
    "image/emf": ".emf",
    "image/x-emf": ".emf",
    "image/wmf": ".wmf",
    "image/x-wmf": ".wmf",
}

_LONGEST_NAME = 255  # bytes, on the file systems in use


class OutputExistsError(Exception):
    """There is a file of that name, and it is not to be replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists; --force replaces it.")


class OutputFolder:
    """A folder that files are written into.

    Args:
        folder: It is made where it isn't there.
        force: Whether files that were there before are replaced.

    Raises:
        ConfigurationError: It can't be made.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the folder {folder} can't be made: {error.strerror or error}") from error
        self._folder = folder
        self._force = force
        self._taken: set[str] = set()

    def claim(self, place: PurePosixPath, suffix: str) -> Path:
        """Return the path for a file, another one each time, and refuse one that is there.

        Raises:
            OutputExistsError: It is there from before.
        """
        number = 1
        while True:
            mark = "" if number == 1 else f"-{number}"
            name = _fitting(place.name, _LONGEST_NAME - len(mark + suffix))
            path = self._folder / place.parent / f"{name}{mark}{suffix}"
            # Where case does not count, two names that differ in it alone are one file.
            key = str(path).casefold()
            if key not in self._taken:
                break
            number += 1
        self._taken.add(key)
        if not self._force and path.exists():
            raise OutputExistsError(path)
        return path

    def write(self, path: Path, data: bytes) -> None:
        """Write a claimed file: all of it or nothing.

        Raises:
            OutputExistsError: Somebody made it in the meantime.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that write the same file must not write into one another's.
        target = path.with_name(f".{uuid.uuid4().hex}.part") if self._force else path
        try:
            file = target.open("wb" if self._force else "xb")
        except FileExistsError:
            raise OutputExistsError(path) from None
        try:
            with file:
                file.write(data)
            if self._force:
                target.replace(path)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def write_pictures(self, place: PurePosixPath, document: Document) -> dict[str, Path]:
        """Write a document's pictures, each once, and return where, by their SHA-256.

        Raises:
            OutputExistsError: One is there from before.
        """
        written: dict[str, Path] = {}
        for block in document.blocks:
            if not isinstance(block, Picture) or block.sha256 in written or block.sha256 not in document.assets:
                continue
            ending = _ENDINGS.get(block.mime, ".bin")
            path = self.claim(place.with_name(f"{place.name}-{len(written) + 1}"), ending)
            self.write(path, document.assets[block.sha256])
            written[block.sha256] = path
        return written


def _fitting(name: str, room: int) -> str:
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return name
