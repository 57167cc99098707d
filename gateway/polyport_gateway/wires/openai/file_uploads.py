"""``/v1/uploads``: files that are sent in parts, as OpenAI describes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from polyport.types.files import CompleteUploadRequest, File, Upload, UploadPart, UploadRequest
from polyport_gateway.errors import invalid_request
from polyport_gateway.files.service import FileService
from polyport_gateway.files.uploads import LARGEST_PART, UploadService
from polyport_gateway.settings import Settings
from polyport_gateway.storage.uploads import StoredUpload
from polyport_gateway.wires.forms import open_form, plain_name
from polyport_gateway.wires.http import Receive, Scope, Send, info_of, read_json, send_json
from polyport_gateway.wires.openai.file_paths import UPLOAD_PATHS
from polyport_gateway.wires.openai.files import file_body
from polyport_gateway.wires.router import Route

__all__ = ["UploadsWire"]

_AROUND = 64 * 1024

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
Asked = TypeVar("Asked", bound=BaseModel)


class UploadsWire:
    """Everything under ``/v1/uploads``.

    Args:
        uploads: Where they are.
        files: Where files are.
        settings: Limits.

    Attributes:
        routes: Each path, method and endpoint.
    """

    def __init__(self, uploads: UploadService, files: FileService, settings: Settings) -> None:
        self._uploads = uploads
        self._files = files
        self._settings = settings
        endpoints: list[Endpoint] = [self.create, self.add_part, self.complete, self.cancel]
        self.routes = [Route(*place, endpoint) for place, endpoint in zip(UPLOAD_PATHS, endpoints, strict=True)]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/uploads``."""
        asked = await self._read(scope, receive, UploadRequest)
        expiry = asked.expires_after
        upload = await self._uploads.create(
            info_of(scope).caller,
            plain_name(asked.filename, param="filename", folders=True),
            asked.purpose,
            asked.bytes,
            expires_s=None if expiry is None else expiry.seconds,
        )
        await send_json(send, _body(upload))

    async def add_part(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/uploads/{upload_id}/parts``."""
        upload = await self._uploads.find_pending(_id(scope), info_of(scope).caller)
        async with open_form(
            scope,
            receive,
            limit=LARGEST_PART + _AROUND,
            setting="64 MiB a part",
            timeout_s=self._settings.request_timeout_s,
            folder=await self._files.spool(),
        ) as form:
            data = form.file("data")
            part = await self._uploads.add(upload, data.file, data.size)
        await send_json(send, UploadPart(id=part.id, created_at=part.created_at // 1000, upload_id=upload.id))

    async def complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/uploads/{upload_id}/complete``."""
        asked = await self._read(scope, receive, CompleteUploadRequest)
        caller = info_of(scope).caller
        upload = await self._uploads.find_pending(_id(scope), caller)
        done, file = await self._uploads.complete(upload, asked.part_ids, asked.md5, caller)
        await send_json(send, _body(done, file_body(file)))

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/uploads/{upload_id}/cancel``."""
        caller = info_of(scope).caller
        upload = await self._uploads.find_pending(_id(scope), caller)
        await send_json(send, _body(await self._uploads.cancel(upload, caller)))

    async def _read(self, scope: Scope, receive: Receive, kind: type[Asked]) -> Asked:
        body = await read_json(scope, receive, settings=self._settings)
        try:
            return kind.model_validate(body)
        except ValidationError as error:
            raise invalid_request(error) from error


def _body(upload: StoredUpload, file: File | None = None) -> Upload:
    return Upload(
        id=upload.id,
        bytes=upload.bytes,
        created_at=upload.created_at // 1000,
        expires_at=upload.expires_at // 1000,
        filename=upload.filename,
        purpose=upload.purpose,
        status="expired" if upload.expired else upload.status,
        file=file,
    )


def _id(scope: Scope) -> str:
    found: str = scope["path_params"]["upload_id"]
    return found
