"""A file in a request's body, as ``multipart/form-data``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from polyport.errors import BadRequestError, MissingDependencyError, UnsupportedParameterError
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, read_body, refuse_encoded
from polyport_gateway.wires.openai.container_forms import NO_FILES

if TYPE_CHECKING:
    from starlette.datastructures import FormData

__all__ = ["read_upload"]

_LONGEST_NAME = 255
_MOST_MEMBERS = 8


async def read_upload(scope: Scope, receive: Receive, settings: Settings) -> tuple[str, bytes]:
    """Return the name and the content of a body's member ``file``.

    Raises:
        BadRequestError: There is none, or its name is no file's name.
        UnsupportedParameterError: A file is named by its id instead.
        PayloadTooLargeError: The body has too many bytes.
        ClientGoneError: The client went away before it was whole.
    """
    refuse_encoded(scope)
    kind = _content_type(scope)
    body = await read_body(scope, receive, settings.max_body_bytes, settings.request_timeout_s)
    if kind == "application/json":
        raise UnsupportedParameterError(f"file_id can't be used: {NO_FILES}.", param="file_id")
    if kind != "multipart/form-data":
        raise BadRequestError(
            f"The content type is {kind or 'not given'}; send the file as multipart/form-data, member file.",
            param="file",
        )
    form = await _parse(scope, body)
    try:
        return await _file_of(form)
    finally:
        await form.close()


def _content_type(scope: Scope) -> str:
    for key, value in scope["headers"]:
        if key == b"content-type":
            return str(value.decode("latin-1").partition(";")[0].strip().lower())
    return ""


async def _parse(scope: Scope, body: bytes) -> FormData:
    from starlette.datastructures import Headers
    from starlette.formparsers import MultiPartException, MultiPartParser

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    try:
        parser = MultiPartParser(Headers(scope=scope), stream(), max_files=_MOST_MEMBERS, max_fields=_MOST_MEMBERS)
    except AssertionError as error:
        raise MissingDependencyError("Uploading a file", extra="gateway") from error
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(f"The request body is no multipart/form-data: {error.message}") from error
    except KeyError as error:
        raise BadRequestError("The content type multipart/form-data needs a boundary.") from error


async def _file_of(form: FormData) -> tuple[str, bytes]:
    from starlette.datastructures import UploadFile

    if form.get("file_id") is not None:
        raise UnsupportedParameterError(f"file_id can't be used: {NO_FILES}.", param="file_id")
    files = form.getlist("file")
    if len(files) != 1 or not isinstance(files[0], UploadFile):
        found = "none" if not files else f"{len(files)}" if len(files) > 1 else "one that is no file"
        raise BadRequestError(f"The body must have one member file, with a file name; it has {found}.", param="file")
    return _checked(files[0].filename or ""), await files[0].read()


def _checked(name: str) -> str:
    problem = None
    if not name:
        problem = "is empty"
    elif len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        problem = f"is longer than {_LONGEST_NAME} bytes"
    elif "/" in name or "\\" in name or name in (".", ".."):
        problem = "is a path; give a name alone"
    elif not name.isprintable():
        problem = "has characters that can't be printed"
    if problem is not None:
        raise BadRequestError(f"The file's name {name[:80]!r} {problem}.", param="file")
    return name
