"""`UploadService`: files that are sent in parts, and put together when all are there."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from secrets import token_hex
from typing import IO, BinaryIO, cast

from polyport.errors import BadRequestError, ConflictError, NotFoundError, PayloadTooLargeError, ServiceUnavailableError
from polyport_gateway.call import Caller
from polyport_gateway.files.service import FileService
from polyport_gateway.storage.blobs import BlobStore
from polyport_gateway.storage.files import StoredFile
from polyport_gateway.storage.schema import now_ms
from polyport_gateway.storage.uploads import StoredPart, StoredUpload, UploadStore

__all__ = ["LARGEST_PART", "UploadService"]

LARGEST_PART = 64 << 20
"""Bytes that a part may have, as at OpenAI."""

_MOST_PARTS = 1000
_MOST_PENDING = 100
_TIME_MS = 3_600_000
_REMEMBERED_MS = 86_400_000
_TRIES = 8
_SWEEP_BATCH = 100
_LONGEST_SHOWN = 80
_MD5 = re.compile("[0-9a-f]{32}")


class UploadService:
    """Takes files in parts. An upload belongs to the caller that began it; to all others it does not exist.

    Args:
        store: The records.
        files: Where the parts are kept, and the files in the end.
    """

    def __init__(self, store: UploadStore, files: FileService) -> None:
        self._store = store
        self._files = files
        files.on_sweep(self.sweep)

    async def create(
        self, caller: Caller, name: str, purpose: str, size: int, *, expires_s: int | None
    ) -> StoredUpload:
        """Begin.

        Args:
            caller: Whose file it will be.
            name: Of the file.
            purpose: Of the file.
            size: Bytes that the whole file will have.
            expires_s: Seconds after which the file will be gone.

        Raises:
            BadRequestError: It can't become a file.
            PayloadTooLargeError: It would be too large, or the caller has too many.
        """
        self._files.check(caller)
        self._files.check_file(name, purpose, size)
        count, waiting = await self._store.pending(caller.id)
        if count >= _MOST_PENDING:
            raise ConflictError(f"You have {count} uploads under way, the most there may be; complete or cancel some.")
        await self._files.check_room(caller, waiting + size)
        now = now_ms()
        upload = StoredUpload(f"upload_{token_hex(12)}", caller.id, name, size, purpose, expires_s, now, now + _TIME_MS)
        await self._store.create(upload)
        return upload

    async def find(self, id: str, caller: Caller) -> StoredUpload:  # noqa: A002
        """Return an upload.

        Raises:
            NotFoundError: There is none, or it is another's.
        """
        found = await self._store.get(id, caller.id)
        if found is None:
            raise NotFoundError(f"No upload found with id {id[:_LONGEST_SHOWN]!r}.", param="upload_id")
        return found

    async def find_pending(self, id: str, caller: Caller) -> StoredUpload:  # noqa: A002
        """Return an upload that takes parts.

        Raises:
            NotFoundError: There is none, or it is another's.
            BadRequestError: It has ended.
        """
        found = await self.find(id, caller)
        if found.status != "pending" or found.expired:
            raise _ended(found)
        return found

    async def add(self, upload: StoredUpload, data: IO[bytes], size: int) -> StoredPart:
        """Add a part; any number may be sent side by side.

        Raises:
            BadRequestError: It is empty, there are too many, or the upload has ended.
            PayloadTooLargeError: There are more bytes than the file was to have.
        """
        if size == 0:
            raise BadRequestError("The part is empty.", param="data")
        blobs = await self._files.blobs()
        for _ in range(_TRIES):
            data.seek(0)
            blob = await asyncio.to_thread(blobs.put, data)
            part = StoredPart(f"part_{token_hex(12)}", upload.id, blob.size, blob.key, now_ms())
            try:
                if await self._add(part, upload, blobs):
                    return part
            except LookupError:
                await self._files.release(blob.key)
                raise _ended(upload) from None
            except OverflowError as error:
                await self._files.release(blob.key)
                raise PayloadTooLargeError(
                    f"The parts have {error.args[0]} bytes already: with this one, of {size}, they would be more than "
                    f"the {upload.bytes} that the file was to have, or more than {_MOST_PARTS} parts.",
                    param="data",
                ) from None
        raise ServiceUnavailableError("The part could not be kept just now; send it again.", retry_after=1)

    async def _add(self, part: StoredPart, upload: StoredUpload, blobs: BlobStore) -> bool:
        return await self._store.add_part(
            part, limit=upload.bytes, most=_MOST_PARTS, kept=lambda: blobs.size(part.sha256) is not None
        )

    async def complete(
        self, upload: StoredUpload, part_ids: Sequence[str], md5: str | None, caller: Caller
    ) -> tuple[StoredUpload, StoredFile]:
        """Put the parts together in the order of `part_ids`.

        Raises:
            BadRequestError: A part is unknown or named twice, the bytes are not as many as announced, their MD5 is
                another, or the upload has ended.
        """
        known = await self._store.parts(upload.id)
        for id_ in part_ids:
            if id_ not in known:
                raise BadRequestError(f"{id_[:_LONGEST_SHOWN]!r} is no part of this upload.", param="part_ids")
        if len(set(part_ids)) < len(part_ids):
            raise BadRequestError("A part is named twice in part_ids.", param="part_ids")
        size = sum(known[id_].bytes for id_ in part_ids)
        if size != upload.bytes:
            raise BadRequestError(
                f"The parts have {size} bytes together, and the file was to have {upload.bytes}.", param="part_ids"
            )
        blobs = await self._files.blobs()
        whole = _Whole(blobs, [known[id_].sha256 for id_ in part_ids])
        if md5 is not None:
            await asyncio.to_thread(_check_md5, whole, md5)
        file = await self._files.keep(
            caller,
            upload.filename,
            upload.purpose,
            cast("IO[bytes]", whole),
            size,
            expires_s=upload.file_expires_s,
        )
        if not await self._store.end(upload.id, "completed", file=file.id, remove=blobs.delete):
            await self._files.delete(file.id, caller)
            raise _ended(await self.find(upload.id, caller))
        return await self.find(upload.id, caller), file

    async def cancel(self, upload: StoredUpload, caller: Caller) -> StoredUpload:
        """Give an upload up; its parts go.

        Raises:
            BadRequestError: It has ended.
        """
        blobs = await self._files.blobs()
        if not await self._store.end(upload.id, "cancelled", remove=blobs.delete):
            raise _ended(await self.find(upload.id, caller))
        return await self.find(upload.id, caller)

    async def sweep(self) -> None:
        """Remove the parts of uploads that were not completed in time, and the records of those that ended long ago."""
        while expired := await self._store.expired(_SWEEP_BATCH):
            blobs = await self._files.blobs()
            for upload in expired:
                await self._store.end(upload.id, "cancelled", remove=blobs.delete)
        await self._store.forget(now_ms() - _REMEMBERED_MS)


class _Whole:
    """Parts one after the other, as one file that can be read again."""

    def __init__(self, blobs: BlobStore, keys: Sequence[str]) -> None:
        self._blobs = blobs
        self._keys = keys
        self._next = 0
        self._opened: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of a part; none at the end."""
        while True:
            if self._opened is None:
                if self._next == len(self._keys):
                    return b""
                self._opened = self._blobs.open(self._keys[self._next])
                self._next += 1
            if data := self._opened.read(size):
                return data
            self._opened.close()
            self._opened = None

    def seek(self, place: int) -> int:
        """Begin again; there is no other place to go to."""
        if self._opened is not None:
            self._opened.close()
        self._opened, self._next = None, 0
        return place


def _check_md5(whole: _Whole, md5: str) -> None:
    wanted = md5.strip().lower()
    if not _MD5.fullmatch(wanted):
        raise BadRequestError("md5 must be 32 hexadecimal digits.", param="md5")
    # Not for secrecy: it is what OpenAI's protocol has to notice what went wrong on the way.
    digest = hashlib.md5(usedforsecurity=False)
    while piece := whole.read(1 << 20):
        digest.update(piece)
    if digest.hexdigest() != wanted:
        raise BadRequestError(
            f"The bytes have the MD5 {digest.hexdigest()}, not {wanted}: something was lost on the way.", param="md5"
        )


def _ended(upload: StoredUpload) -> BadRequestError:
    how = "expired" if upload.expired else upload.status
    return BadRequestError(f"Upload {upload.id!r} is {how}, and takes nothing more.", param="upload_id")
