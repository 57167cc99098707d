"""What a caller hands to a knowledge base: paths, folders, bytes, open files, texts by name, and addresses."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO, TypeAlias

from polyport.client.forms import FormFile, open_size
from polyport.errors import BadRequestError, PayloadTooLargeError
from polyport.types.knowledge import SourceError

__all__ = ["Found", "Source", "batches", "find_sources"]

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Mapping[str, "str | bytes"]
"""A path (a folder is taken with all in it), an address, bytes, an open file, or contents by name."""

_MOST_FILES = 256
_MOST_BYTES = 32 << 20


@dataclass(slots=True)
class Found:
    """What is to be sent.

    Attributes:
        files: By the key that each document will have.
        urls: What the gateway is to fetch itself.
        hidden: Hidden files and folders that were left out.
        special: What is no file and was left out.
        errors: What a folder holds and can't be read; it stops nothing else.
    """

    files: dict[str, FormFile] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)
    hidden: int = 0
    special: int = 0
    errors: list[SourceError] = field(default_factory=list)

    def add(self, key: str, file: FormFile) -> None:
        """Take a file.

        Raises:
            BadRequestError: Another has its key.
        """
        other = self.files.get(key)
        if other is not None and other.content != file.content:
            raise BadRequestError(
                f"{other.label} and {file.label} would both be {key!r}: add them one by one with key=, or the folder "
                "above them",
                param="key",
            )
        self.files[key] = file

    def note_too_large(self, batch: Mapping[str, FormFile], error: PayloadTooLargeError) -> None:
        """Go on without a file that the gateway does not take for its size.

        Args:
            batch: What was sent.
            error: What came back; raised again where it says nothing of one file among others.
        """
        if len(batch) != 1 or len(self.files) == 1:
            raise error
        (file,) = batch.values()
        self.errors.append(SourceError(source=file.label, message=error.message, code=error.code))


def find_sources(
    sources: Sequence[Source], *, text: str | None = None, key: str | None = None, hidden: bool = False
) -> Found:
    """Find what is to be sent; files are only looked at, not read.

    Args:
        sources: As the caller wrote them.
        text: A document's text, besides.
        key: What the one document is to be known by.
        hidden: Whether a folder's hidden files are taken.

    Raises:
        BadRequestError: There is nothing, a path leads nowhere, or something has no name or two the same.
    """
    found = Found()
    for source in sources:
        _take(found, source, key, hidden=hidden)
    if text is not None:
        _take_bytes(found, _named(key, "a text"), text.encode("utf-8", "surrogatepass"))
    if not found.files and not found.urls:
        left = f" ({found.hidden} hidden ones are left out; hidden=True takes them)" if found.hidden else ""
        named = " and ".join(map(str, sources)) or "nothing"
        raise BadRequestError(f"There is nothing to add: {named} has no files{left}", param="file")
    if key is not None and (len(found.files) > 1 or not found.files):
        raise BadRequestError(
            f"key is for one document that is sent, and there are {len(found.files)} (addresses are their own keys)",
            param="key",
        )
    return found


def batches(found: Found) -> Iterator[dict[str, FormFile]]:
    """Give files in as many parts as there should be requests; none is split."""
    batch: dict[str, FormFile] = {}
    size = 0
    for key, file in found.files.items():
        if batch and (len(batch) >= _MOST_FILES or size + file.size > _MOST_BYTES):
            yield batch
            batch, size = {}, 0
        batch[key] = file
        size += file.size
    if batch or not found.files:
        yield batch


def _take(found: Found, source: Source, key: str | None, *, hidden: bool) -> None:
    if isinstance(source, str) and source.partition("://")[0].lower() in ("http", "https"):
        found.urls.append(source)
    elif isinstance(source, str | os.PathLike):
        _take_path(found, Path(source), key, hidden=hidden)
    elif isinstance(source, bytes | bytearray | memoryview):
        _take_bytes(found, _named(key, "bytes"), bytes(source))
    elif isinstance(source, Mapping):
        for name, content in source.items():
            _take_bytes(found, name, content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    elif callable(getattr(source, "read", None)):
        _take_open(found, source, key)
    else:
        raise BadRequestError(
            f"{type(source).__name__} can't be added; give a path, an address, bytes, an open file, or a dict of "
            "contents by name",
            param="file",
        )


def _named(key: str | None, what: str) -> str:
    if not key:
        raise BadRequestError(f'{what} needs a name: say what it is to be known by (key="tea.md")', param="key")
    return key


def _take_bytes(found: Found, key: str, content: bytes) -> None:
    if not isinstance(content, bytes):
        raise BadRequestError(f"the content of {key!r} is {type(content).__name__}; give text or bytes", param="file")
    found.add(key, FormFile(repr(key), content, len(content)))


def _take_open(found: Found, file: BinaryIO, key: str | None) -> None:
    known = getattr(file, "name", None)
    name = key or (PurePath(known).name if isinstance(known, str) else None)
    place = open_size(file)
    if place is not None and isinstance(file.read(0), bytes):
        found.add(_named(name, "an open file"), FormFile(f"the open file {name}", file, place[1], place[0]))
        return
    data = file.read()
    if not isinstance(data, bytes):
        raise BadRequestError("the file is open as text; open it in binary mode", param="file")
    _take_bytes(found, _named(name, "an open file"), data)


def _take_path(found: Found, path: Path, key: str | None, *, hidden: bool) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadRequestError(f"{path} can't be read: {reason}", param="file") from error
    if stat.S_ISDIR(status.st_mode):
        _take_folder(found, path, hidden=hidden)
    elif stat.S_ISREG(status.st_mode):
        found.add(key or _place(path), FormFile(str(path), path, status.st_size))
    else:
        _take_bytes(found, key or path.name, _whole(path))  # a pipe, say: <(…)


def _whole(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadRequestError(f"{path} can't be read: {error.strerror}", param="file") from error


def _take_folder(found: Found, folder: Path, *, hidden: bool) -> None:
    root = _place(folder)

    def failed(error: OSError) -> None:
        found.errors.append(SourceError(source=str(error.filename), message=f"{error.strerror}.", code="unreadable"))

    for parent, folders, files in os.walk(folder, onerror=failed):
        if not hidden:
            found.hidden += sum(name.startswith(".") for name in (*folders, *files))
            folders[:] = [name for name in folders if not name.startswith(".")]
            files = [name for name in files if not name.startswith(".")]
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            try:
                _take_inner(found, path, root, path.relative_to(folder).as_posix())
            except OSError as error:
                failed(error)


def _take_inner(found: Found, path: Path, root: str, inner: str) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        found.special += 1
        return
    path.open("rb").close()  # one that can't be opened must not end the sending of the others
    key = f"{root}/{inner}" if root else inner
    if not key.isprintable():
        message = "Its name has characters that can't be printed, and so can't be known by it."
        found.errors.append(SourceError(source=str(path), message=message, code="bad_name"))
        return
    found.add(key, FormFile(str(path), path, status.st_size))


def _place(path: Path) -> str:
    """Return how a path is known: as written where it leads down from here, by its last name otherwise."""
    plain = Path(os.path.normpath(path))
    if plain == Path():
        return ""
    if plain.is_absolute() or plain.parts[0] == "..":
        return Path(os.path.abspath(plain)).name  # noqa: PTH100 - a link's own name, not its target's
    return plain.as_posix()
