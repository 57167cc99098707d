"""Files of ``/v1/files`` that a message names by their ids, put into it for the model to read."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterator, Sequence
from typing import Any

from polyport.errors import PayloadTooLargeError, UnsupportedParameterError
from polyport_gateway.call import Caller
from polyport_gateway.files.service import FileService
from polyport_gateway.storage.files import StoredFile

__all__ = ["Attachments"]

_UNKNOWN = "application/octet-stream"


class Attachments:
    """Puts files into messages.

    Args:
        files: Where they are; None for a gateway that keeps none.
        max_bytes: Of all files of one conversation together; they go to the model whole.
    """

    def __init__(self, files: FileService | None = None, max_bytes: int = 0) -> None:
        self._files = files
        self._max_bytes = max_bytes

    async def attach(self, messages: Sequence[dict[str, Any]], caller: Caller) -> list[dict[str, Any]]:
        """Return messages in which the caller's own files stand themselves.

        The id of a document that is no file of the caller's is left as it is: the model's own maker may know it.

        Raises:
            UnsupportedParameterError: A picture is no file of the caller's.
            PayloadTooLargeError: They are too large together.
        """
        ids = {named["file_id"] for _, named in _named(messages)}
        if not ids:
            return list(messages)
        found = {} if self._files is None else await self._files.find_some(ids, caller)
        total = sum(found[named["file_id"]].bytes for _, named in _named(messages) if named["file_id"] in found)
        if total > self._max_bytes:
            raise PayloadTooLargeError(
                f"The files in the input have {total} bytes together, and may have {self._max_bytes} (max_body_bytes); "
                "search large ones with file_search.",
                param="input",
            )
        written = {id_: _written(file, await self._read(file)) for id_, file in found.items()}
        return [_with(message, written, found) for message in messages]

    async def _read(self, file: StoredFile) -> bytes:
        assert self._files is not None  # noqa: S101 - it was found there
        return await self._files.read(file)


def _written(file: StoredFile, data: bytes) -> str:
    kind = mimetypes.guess_type(file.filename)[0] or _UNKNOWN
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _named(messages: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each part that names a file: its kind, and what it says of the file."""
    for message in messages:
        parts = message.get("content")
        for part in parts if isinstance(parts, list) else ():
            kind = part.get("type")
            inner = part.get("file" if kind == "file" else "image_url")
            if kind in ("file", "image_url") and isinstance(inner, dict) and inner.get("file_id"):
                yield kind, inner


def _with(message: dict[str, Any], written: dict[str, str], found: dict[str, StoredFile]) -> dict[str, Any]:
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    return {**message, "content": [_part(part, written, found) for part in parts]}


def _part(part: dict[str, Any], written: dict[str, str], found: dict[str, StoredFile]) -> dict[str, Any]:
    match part:
        case {"type": "file", "file": {"file_id": str(id_)} as inner} if id_ in written:
            more = {key: value for key, value in inner.items() if key not in ("file_id", "file_data")}
            return {"type": "file", "file": {"filename": found[id_].filename, **more, "file_data": written[id_]}}
        case {"type": "image_url", "image_url": {"file_id": str(id_)} as inner}:
            if id_ not in written:
                raise UnsupportedParameterError(
                    f"input_image needs image_url (an address or a data URL), or the id of a file of yours; "
                    f"{id_[:80]!r} is none.",
                    param="input",
                )
            more = {key: value for key, value in inner.items() if key != "file_id"}
            return {"type": "image_url", "image_url": {"url": written[id_], **more}}
        case _:
            return part
