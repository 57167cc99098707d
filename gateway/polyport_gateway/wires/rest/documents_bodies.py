"""A file in a request's body: as a form that is taken piece by piece, or in JSON as text or base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

from pydantic import ValidationError

from polyport.errors import BadRequestError
from polyport.types.documents import DocumentReadRequest
from polyport_gateway.errors import invalid_request
from polyport_gateway.settings import Settings
from polyport_gateway.wires.forms import content_type_of, open_form, plain_name
from polyport_gateway.wires.http import Receive, Scope, read_json, refuse_encoded

__all__ = ["read_request"]

Asked = TypeVar("Asked", bound=DocumentReadRequest)

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
    plain = content_type_of(scope)
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
    return asked, plain_name(asked.name, param="name", folders=True), _content(asked)


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
    timeout_s = settings.request_timeout_s
    async with open_form(scope, receive, limit=most + _AROUND, setting=_LIMIT, timeout_s=timeout_s) as form:
        file = form.file()
        fields: dict[str, str] = {}
        for name, value in form.fields:
            if name in fields or name in ("text", "base64"):
                raise BadRequestError(f"The form's member {name[:80]!r} can't be used.", param=name[:80])
            fields[name] = value
        asked = _validated(kind, fields, strict=False)
        return asked, plain_name(asked.name or file.name, param="name", folders=True), await file.read()
