"""A file in a request's body, as ``multipart/form-data``."""

from __future__ import annotations

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport_gateway.settings import Settings
from polyport_gateway.wires.forms import content_type_of, open_form, plain_name
from polyport_gateway.wires.http import Receive, Scope, read_body, refuse_encoded
from polyport_gateway.wires.openai.container_forms import NO_FILES

__all__ = ["read_upload"]

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
    kind = content_type_of(scope)
    if kind == "application/json":
        await read_body(scope, receive, settings.max_body_bytes, settings.request_timeout_s)
        raise UnsupportedParameterError(f"file_id can't be used: {NO_FILES}.", param="file_id")
    if kind != "multipart/form-data":
        raise BadRequestError(
            f"The content type is {kind or 'not given'}; send the file as multipart/form-data, member file.",
            param="file",
        )
    async with open_form(
        scope,
        receive,
        limit=settings.max_body_bytes,
        setting="max_body_bytes",
        timeout_s=settings.request_timeout_s,
        most_fields=_MOST_MEMBERS,
        most_files=_MOST_MEMBERS,
    ) as form:
        if any(name == "file_id" for name, _ in form.fields):
            raise UnsupportedParameterError(f"file_id can't be used: {NO_FILES}.", param="file_id")
        file = form.file()
        return plain_name(file.name), await file.read()
