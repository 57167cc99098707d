"""Forms with files that are read while they are sent, as often as a request is tried."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from polyport.errors import BadRequestError

__all__ = ["AsyncForm", "Form", "FormFile"]

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form.

    Attributes:
        label: What it is called where something is said of it.
        content: Its bytes, its place, or an open file that can be rewound.
        size: Bytes that it has.
        start: Where an open file begins.
    """

    label: str
    content: bytes | Path | BinaryIO = field(repr=False)
    size: int
    start: int = 0

    def pieces(self) -> Iterator[bytes]:
        """Give its bytes.

        Raises:
            BadRequestError: It can't be read, or is not as long as it was.
        """
        if isinstance(self.content, bytes):
            yield self.content
            return
        try:
            if isinstance(self.content, Path):
                with self.content.open("rb") as file:
                    yield from self._read(file)
            else:
                self.content.seek(self.start)
                yield from self._read(self.content)
        except OSError as error:
            raise BadRequestError(f"{self.label} can't be read: {error.strerror or error}", param="file") from error

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        left = self.size
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                break
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise BadRequestError(f"{self.label} changed while it was sent; send it again", param="file")


class Form:
    """A body of ``multipart/form-data`` (RFC 7578), made anew each time that it is iterated.

    Args:
        fields: Plain members.
        files: The members ``file``; their names stand elsewhere, for not every name comes through a header unchanged.
    """

    def __init__(self, fields: Iterable[tuple[str, str]], files: Iterable[FormFile]) -> None:
        boundary = secrets.token_hex(16)
        self._files = list(files)
        self._fields = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields
        ).encode("utf-8", "surrogatepass")
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._end = f"--{boundary}--\r\n".encode()
        length = len(self._fields) + len(self._end)
        length += sum(len(self._head) + file.size + 2 for file in self._files)
        self.headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(length),
        }

    def __iter__(self) -> Iterator[bytes]:
        yield self._fields
        for file in self._files:
            yield self._head
            yield from file.pieces()
            yield b"\r\n"
        yield self._end


class AsyncForm:
    """The same for an event loop: files are read in threads.

    Args:
        form: The form.
    """

    def __init__(self, form: Form) -> None:
        self._form = form

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with closing(iter(self._form)) as pieces:  # type: ignore[type-var]  # it is a generator
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece


def open_size(file: BinaryIO) -> tuple[int, int] | None:
    """Return where an open file stands and how many bytes follow; None where it can't be rewound."""
    try:
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
    except (AttributeError, OSError):
        return None
    return start, end - start
