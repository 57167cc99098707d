"""Forms with files (``multipart/form-data``, RFC 7578), taken as they come: a large file never lies in memory whole.

A file's bytes go into a file without a name once they are more than a few, so whatever ends a request early (a client
that goes away, a limit, a crash) leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote_to_bytes

from polyport.errors import BadRequestError, MissingDependencyError
from polyport_gateway.wires.http import Receive, Scope, body_parts, refuse_encoded

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks, MultipartParser

__all__ = ["Form", "FormFile", "content_type_of", "open_form", "plain_name"]

_IN_MEMORY = 1 << 20
_LONGEST_NAME = 255
_LONGEST_FIELD = 1 << 20
_LONGEST_HEADER = 16 * 1024
_MOST_HEADERS = 16
_LONGEST_SHOWN = 80
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
_ESCAPED = re.compile("%(22|0D|0A)", re.IGNORECASE)


@dataclass(slots=True)
class FormFile:
    """A file of a form.

    Attributes:
        member: The form's member.
        name: As the client wrote it, folders included.
        file: Its bytes, from the start.
        size: How many there are.
    """

    member: str
    name: str
    file: SpooledTemporaryFile[bytes]
    size: int = 0

    async def read(self) -> bytes:
        """Return all bytes."""
        return await asyncio.to_thread(self.file.read)

    async def write(self, data: bytes) -> None:
        """Add bytes; in a thread where they go to the disk."""
        self.size += len(data)
        if self.size <= _IN_MEMORY:
            self.file.write(data)
        else:
            await asyncio.to_thread(self.file.write, data)


@dataclass(slots=True)
class Form:
    """What a form holds.

    Attributes:
        fields: Each plain member and its text, in the form's order.
        files: Its files.
    """

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[FormFile] = field(default_factory=list)

    def file(self, member: str = "file") -> FormFile:
        """Return the one file of a member.

        Raises:
            BadRequestError: There is none, or several, or it is no file.
        """
        files = [file for file in self.files if file.member == member]
        count = len(files) + sum(name == member for name, _ in self.fields)
        if count != 1 or not files:
            found = "none" if not count else f"{count}" if count > 1 else "one that is no file"
            raise BadRequestError(
                f"The form must have one member {member}, with a file name; it has {found}.", param=member
            )
        return files[0]


def content_type_of(scope: Scope) -> str:
    """Return a request's content type, without its parameters, in lower case."""
    return _content_type(scope).partition(b";")[0].strip().lower().decode("latin-1")


def _content_type(scope: Scope) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == b"content-type"), b"")


@asynccontextmanager
async def open_form(
    scope: Scope,
    receive: Receive,
    *,
    limit: int,
    setting: str,
    timeout_s: float,
    most_fields: int = 32,
    most_files: int = 1,
    folder: Path | None = None,
) -> AsyncIterator[Form]:
    """Read a form; its files are gone when the block ends.

    Args:
        scope: The request's scope.
        receive: Gives its body.
        limit: Bytes that the body may have.
        setting: Which setting that is.
        timeout_s: Seconds for which the client may send nothing of it.
        most_fields: Plain members that it may have.
        most_files: Files that it may have.
        folder: Where files are held meanwhile; the system's own place when None.

    Raises:
        BadRequestError: It is no form, it ends before its end, or has too many members; or nothing came for too long.
        PayloadTooLargeError: It has too many bytes.
        ClientGoneError: The client went away before it was whole.
        MissingDependencyError: The parser isn't installed.
    """
    refuse_encoded(scope)
    reader = _Reader(_content_type(scope), most_fields, most_files, folder)
    try:
        parts = body_parts(scope, receive, limit, timeout_s, setting=setting)
        try:
            async for part in parts:
                await reader.take(part)
        finally:
            await parts.aclose()
        yield reader.end()
    finally:
        for file in reader.form.files:
            file.file.close()


def plain_name(name: str, *, param: str = "file", folders: bool = False) -> str:
    """Return a file's name.

    Args:
        name: As it was given.
        param: The parameter it is of.
        folders: Whether folders before it are let pass, as some clients send them; they are dropped.

    Raises:
        BadRequestError: It is no name of a file.
    """
    plain = name.replace("\\", "/").rpartition("/")[2] if folders else name
    problem = None
    if not plain:
        problem = "names no file"
    elif len(plain.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        problem = f"is longer than {_LONGEST_NAME} bytes"
    elif "/" in plain or "\\" in plain or plain in (".", ".."):
        problem = "names no file" if folders else "is a path; give a name alone"
    elif not plain.isprintable():
        problem = "has characters that can't be printed"
    if problem is not None:
        raise BadRequestError(f"The file's name {name[:_LONGEST_SHOWN]!r} {problem}.", param=param)
    return plain


class _Reader:
    """Feeds a parser, whose callbacks note what to write; the writing is awaited between pieces of the body."""

    def __init__(self, content_type: bytes, most_fields: int, most_files: int, folder: Path | None) -> None:
        self.form = Form()
        self._most = {"fields": most_fields, "files": most_files}
        self._folder = None if folder is None else str(folder)
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._field: tuple[str, bytearray] | None = None
        self._file: FormFile | None = None
        self._writes: list[tuple[FormFile, bytes]] = []
        self._ended = False
        self._parser = self._make_parser(content_type)

    def _make_parser(self, content_type: bytes) -> MultipartParser:
        try:
            from python_multipart.multipart import MultipartParser, parse_options_header
        except ImportError as error:
            raise MissingDependencyError("Uploading a file", extra="gateway") from error
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise BadRequestError("The content type multipart/form-data needs a boundary.")
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._headers.clear,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_end": self._on_end,
        }
        return MultipartParser(boundary, callbacks)

    async def take(self, data: bytes) -> None:
        """Take a piece of the body."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequestError(f"The request body is no multipart/form-data: {error}.") from error
        # A part that is full of what looks like a boundary comes in crumbs: each file is written once per piece.
        for file in self.form.files:
            pieces = [piece for of, piece in self._writes if of is file]
            if pieces:
                await file.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        self._writes.clear()

    def end(self) -> Form:
        """Return the form, once all of it was taken."""
        if not self._ended:
            raise BadRequestError("The request body is no whole multipart/form-data: its last boundary is missing.")
        for file in self.form.files:
            file.file.seek(0)
        return self.form

    def _add_header(self, which: int, data: bytes) -> None:
        text = self._header[which]
        text += data
        if len(text) > _LONGEST_HEADER or len(self._headers) > _MOST_HEADERS:
            _refuse("A part has headers that are too long or too many")

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers(self) -> None:
        from python_multipart.multipart import parse_options_header

        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        name = options.get(b"name")
        if name is None:
            _refuse("A part has no name")
        member, file_name = _text(name), _file_name(options.get(b"filename"), disposition)
        if file_name is not None:
            self._count("files", len(self.form.files))
            spool = SpooledTemporaryFile(max_size=_IN_MEMORY, dir=self._folder)  # noqa: SIM115 - closed with the form
            self._file = FormFile(member, file_name, spool)
            self.form.files.append(self._file)
        else:
            self._count("fields", len(self.form.fields))
            self._field = (member, bytearray())

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._writes.append((self._file, data[start:end]))
        elif self._field is not None:
            text = self._field[1]
            text += data[start:end]
            if len(text) > _LONGEST_FIELD:
                _refuse(f"Its member {self._field[0][:_LONGEST_SHOWN]!r} has more than {_LONGEST_FIELD} bytes")

    def _on_part_end(self) -> None:
        if self._field is not None:
            self.form.fields.append((self._field[0], _text(bytes(self._field[1]))))
        self._field = self._file = None

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, what: str, count: int) -> None:
        if count >= self._most[what]:
            _refuse(f"Too many {what}: it may have {self._most[what]}")


def _file_name(given: bytes | None, disposition: bytes) -> str | None:
    """Return a part's file name: plain, or encoded (RFC 5987), which some clients do though RFC 7578 says not to."""
    if match := _EXTENDED.search(disposition):
        return unquote_to_bytes(match[1]).decode("utf-8", "replace")
    # Browsers and httpx write these three so (HTML, "multipart/form-data encoding algorithm").
    return None if given is None else _ESCAPED.sub(lambda match: chr(int(match[1], 16)), _text(given))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _refuse(why: str) -> NoReturn:
    raise BadRequestError(f"The form can't be used. {why}.")
