"""A file in a request's body: as a form that is taken piece by piece, or in JSON as text or base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from polyport.errors import BadRequestError, MissingDependencyError
from polyport.types.documents import DocumentReadRequest
from polyport_gateway.errors import invalid_request
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, body_parts, read_json, refuse_encoded

if TYPE_CHECKING:
    from starlette.datastructures import FormData

__all__ = ["read_request"]

Asked = TypeVar("Asked", bound=DocumentReadRequest)

_LONGEST_NAME = 255
_MOST_FIELDS = 32
_AROUND = 64 * 1024
"""Bytes that a body may have besides the file."""
_LIMIT = "documents_max_bytes"


async def read_request(
    scope: Scope, receive: Receive, settings: Settings, most: int, kind: type[Asked]
) -> tuple[Asked, str, bytes]:
    """Return what is asked, the file's name and its bytes.

    Args:
        scope: The request's scope.
        receive: Gives its body.
        settings: Limits.
        most: Bytes that the file may have.
        kind: The type of what is asked.

    Raises:
        BadRequestError: The body can't be understood, or has no file.
        PayloadTooLargeError: It has too many bytes.
        ClientGoneError: The client went away before it was whole.
    """
    refuse_encoded(scope)
    content_type = next((value for key, value in scope["headers"] if key == b"content-type"), b"")
    plain = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if plain == "multipart/form-data":
        return await _of_form(scope, receive, settings, most, kind)
    if plain not in ("application/json", ""):
        raise BadRequestError(
            f"The content type is {plain[:80]}; send the file as multipart/form-data, member file, or as JSON with "
            "its text or base64."
        )
    body = await read_json(
        scope, receive, settings=settings, limit=most * 4 // 3 + _AROUND, setting=f"{_LIMIT}, in base64"
    )
    asked = _validated(kind, body)
    if (asked.text is None) == (asked.base64 is None):
        raise BadRequestError("The body must have one of text and base64: the file.", param="base64")
    if asked.name is None:
        raise BadRequestError("name is missing: what the file is called, such as report.docx.", param="name")
    return asked, _checked(asked.name), _content(asked)


def _validated(kind: type[Asked], body: dict[str, Any], *, strict: bool = True) -> Asked:
    try:
        return kind.model_validate(body, strict=strict)
    except ValidationError as error:
        raise invalid_request(error) from error


def _content(asked: DocumentReadRequest) -> bytes:
    if asked.text is not None:
        return asked.text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(asked.base64 or "", validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadRequestError(f"base64 can't be decoded: {error}", param="base64") from error


async def _of_form(
    scope: Scope, receive: Receive, settings: Settings, most: int, kind: type[Asked]
) -> tuple[Asked, str, bytes]:
    from starlette.datastructures import UploadFile

    parts = body_parts(scope, receive, most + _AROUND, settings.request_timeout_s, setting=_LIMIT)
    form = await _parsed(scope, parts)
    try:
        files = form.getlist("file")
        if len(files) != 1 or not isinstance(files[0], UploadFile):
            found = "none" if not files else f"{len(files)}" if len(files) > 1 else "one that is no file"
            raise BadRequestError(
                f"The form must have one member file, with a file name; it has {found}.", param="file"
            )
        fields: dict[str, Any] = {}
        for name, value in form.multi_items():
            if name == "file":
                continue
            if not isinstance(value, str) or name in fields or name in ("text", "base64"):
                raise BadRequestError(f"The form's member {name[:80]!r} can't be used.", param=name[:80])
            fields[name] = value
        asked = _validated(kind, fields, strict=False)
        return asked, _checked(asked.name or files[0].filename or ""), await files[0].read()
    finally:
        await form.close()


async def _parsed(scope: Scope, parts: AsyncGenerator[bytes, None]) -> FormData:
    from starlette.datastructures import Headers
    from starlette.formparsers import MultiPartException, MultiPartParser

    try:
        parser = MultiPartParser(Headers(scope=scope), parts, max_files=1, max_fields=_MOST_FIELDS)
    except AssertionError as error:
        raise MissingDependencyError("Uploading a file", extra="gateway") from error
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(f"The request body is no form: {error.message}", param="file") from error
    finally:
        await parts.aclose()


def _checked(name: str) -> str:
    """Return a file's name without folders, as some clients send them."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    problem = None
    if not plain or plain in (".", ".."):
        problem = "names no file"
    elif len(plain.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        problem = f"is longer than {_LONGEST_NAME} bytes"
    elif not plain.isprintable():
        problem = "has characters that can't be printed"
    if problem is not None:
        raise BadRequestError(f"The file's name {name[:80]!r} {problem}.", param="name")
    return plain
