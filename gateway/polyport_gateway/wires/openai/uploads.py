"""A file for a container in a request's body: as ``multipart/form-data``, or as the id of a file of ``/v1/files``."""

from __future__ import annotations

from pydantic import ValidationError

from polyport.errors import BadRequestError
from polyport.types.containers import ContainerFileRequest
from polyport_gateway.errors import invalid_request
from polyport_gateway.settings import Settings
from polyport_gateway.wires.forms import content_type_of, open_form, plain_name
from polyport_gateway.wires.http import Receive, Scope, read_json, refuse_encoded

__all__ = ["read_upload"]

_MOST_MEMBERS = 8


async def read_upload(scope: Scope, receive: Receive, settings: Settings) -> tuple[str, bytes] | str:
    """Return the name and the content of a body's member ``file``, or the id of a file.

    Raises:
        BadRequestError: There is neither, or both, or the name is no file's name.
        PayloadTooLargeError: The body has too many bytes.
        ClientGoneError: The client went away before it was whole.
    """
    refuse_encoded(scope)
    kind = content_type_of(scope)
    if kind == "application/json":
        return await _read_id(scope, receive, settings)
    if kind != "multipart/form-data":
        raise BadRequestError(
            f"The content type is {kind or 'not given'}; send the file as multipart/form-data, member file, or the "
            "file_id of one of /v1/files as JSON.",
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
        ids = [value for name, value in form.fields if name == "file_id"]
        if ids and form.files:
            raise BadRequestError("Give one of file and file_id.", param="file_id")
        if len(ids) == 1:
            return ids[0]
        file = form.file()
        return plain_name(file.name), await file.read()


async def _read_id(scope: Scope, receive: Receive, settings: Settings) -> str:
    body = await read_json(scope, receive, settings=settings)
    try:
        asked = ContainerFileRequest.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error) from error
    if asked.file_id is None:
        raise BadRequestError("file_id is missing: the id of a file of /v1/files.", param="file_id")
    return asked.file_id
