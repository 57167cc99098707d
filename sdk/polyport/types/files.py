"""OpenAI's files: what a caller keeps at the gateway, for knowledge, batches and training; and uploads in parts."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import ConfigDict, Field

from polyport.types.base import RequestModel, WireModel

__all__ = [
    "CompleteUploadRequest",
    "File",
    "FileDeleted",
    "FileExpiry",
    "FileList",
    "FilePurpose",
    "FileRequest",
    "Upload",
    "UploadPart",
    "UploadRequest",
]

FilePurpose: TypeAlias = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""What a file may be uploaded for."""

MadePurpose: TypeAlias = Literal[
    "assistants", "assistants_output", "batch", "batch_output", "fine-tune", "fine-tune-results", "vision", "user_data"
]


# What is asked.


class FileExpiry(RequestModel):
    """When a file is to expire: so many seconds after it was made, from an hour to 30 days."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


class FileRequest(RequestModel):
    """The members of ``POST /v1/files`` besides the file itself; a form."""

    purpose: FilePurpose
    expires_after: FileExpiry | None = None


class UploadRequest(RequestModel):
    """The body of ``POST /v1/uploads``."""

    filename: str
    purpose: FilePurpose
    bytes: int = Field(ge=0)
    mime_type: str
    expires_after: FileExpiry | None = None


class CompleteUploadRequest(RequestModel):
    """The body of ``POST /v1/uploads/{id}/complete``: the parts in their order."""

    part_ids: list[str] = Field(min_length=1)
    md5: str | None = None


# What is answered. The schemas are made when one is first used: most gateways are never asked for a file.


class Answer(WireModel):
    """What is answered of files."""

    model_config = ConfigDict(defer_build=True)


class File(Answer):
    """A file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: MadePurpose | Literal["evals"]
    status: Literal["uploaded", "processed", "error"] = "processed"


class ExpiringFile(File):
    """A file that expires."""

    expires_at: int


class FileList(Answer):
    """The answer of ``GET /v1/files``."""

    object: Literal["list"] = "list"
    data: list[ExpiringFile | File]
    first_id: str
    last_id: str
    has_more: bool = False


class FileDeleted(Answer):
    """The answer of ``DELETE /v1/files/{id}``."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class Upload(Answer):
    """A file that is sent in parts; ``file`` once it is complete."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: FilePurpose
    status: Literal["pending", "completed", "cancelled", "expired"] = "pending"
    file: ExpiringFile | File | None = None


class UploadPart(Answer):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
