"""Documents without IO: what is asked, with a file as a form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import httpx

from polyport.client.exchange import Request
from polyport.errors import BadRequestError
from polyport.types.documents import (
    ChunkerDescription,
    ChunkerList,
    DocumentChunks,
    DocumentFormat,
    DocumentFormatList,
    DocumentResult,
)

__all__ = ["ChunkersFound", "File", "FormatsFound", "chunk", "file_of", "list_chunkers", "list_formats", "read"]

File: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A file: its path on this machine, its bytes, or an open one."""
FormatsFound: TypeAlias = list[DocumentFormat]
ChunkersFound: TypeAlias = list[ChunkerDescription]


def file_of(file: File, name: str | None) -> tuple[str, bytes]:
    """Return a file's name and bytes.

    Raises:
        BadRequestError: It can't be read, or bytes have no name.
    """
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        try:
            return name or path.name, path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadRequestError(f"{path} can't be read: {reason}", param="file") from error
    if isinstance(file, bytes | bytearray | memoryview):
        data = bytes(file)
    elif callable(getattr(file, "read", None)):
        data = file.read()
        known = getattr(file, "name", None)
        name = name or (Path(known).name if isinstance(known, str) else None)
    else:
        raise BadRequestError(f"file is {type(file).__name__}; give a path, bytes or an open file", param="file")
    if not isinstance(data, bytes):
        raise BadRequestError("the file is open as text; open it in binary mode", param="file")
    if not name:
        raise BadRequestError('bytes have no name: say what the file is called (name="report.docx")', param="name")
    return name, data


def read(file: File, name: str | None, options: Mapping[str, Any]) -> Request[DocumentResult]:
    """Have a file read."""
    body, headers = _form(file, name, options)
    return Request("POST", "/v1/documents/read", DocumentResult.model_validate_json, body=body, headers=headers)


def chunk(file: File, name: str | None, options: Mapping[str, Any]) -> Request[DocumentChunks]:
    """Have a file read and cut."""
    body, headers = _form(file, name, options)
    return Request("POST", "/v1/documents/chunk", DocumentChunks.model_validate_json, body=body, headers=headers)


def list_formats() -> Request[FormatsFound]:
    """Ask what can be read."""
    return Request("GET", "/v1/documents/formats", lambda body: DocumentFormatList.model_validate_json(body).data)


def list_chunkers() -> Request[ChunkersFound]:
    """Ask what cuts documents."""
    return Request("GET", "/v1/documents/chunkers", lambda body: ChunkerList.model_validate_json(body).data)


def _form(file: File, name: str | None, options: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    named, data = file_of(file, name)
    fields = {key: _text(value) for key, value in options.items() if value is not None}
    # The name as a field of its own: in the file's own header not every name comes through unchanged.
    form = httpx.Request("POST", "http://form", data={**fields, "name": named}, files={"file": ("file", data)})
    return form.read(), {"content-type": form.headers["content-type"]}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
