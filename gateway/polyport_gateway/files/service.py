"""`FileService`: files and their bytes together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, BinaryIO

from polyport.errors import (
    BadRequestError,
    CallError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    ServiceUnavailableError,
)
from polyport_gateway.call import Caller
from polyport_gateway.storage.blobs import BlobStore, FolderBlobs
from polyport_gateway.storage.files import FileStore, StoredFile
from polyport_gateway.storage.schema import now_ms

__all__ = ["FILES", "FileService", "new_file_id"]

FILES = "files"
"""The name that a key with a list of names needs among them to keep files, and to make vector stores of them."""

_log = logging.getLogger("polyport.files")

_BATCH_EXPIRY_S = 30 * 86_400
_LINES = ("batch", "fine-tune")
_TRIES = 8
_SWEEP_EVERY_S = 600.0
_SWEEP_BATCH = 200

OnDelete = Callable[[StoredFile], Awaitable[None]]


def new_file_id() -> str:
    """Return a fresh ``file-…``."""
    return f"file-{token_hex(12)}"


class FileService:
    """Keeps files. A file belongs to the caller that made it; to all others it does not exist.

    Args:
        store: Their records.
        folder: Where their bytes are; made when the first comes.
        max_bytes: The largest file.
        quota: Bytes that all files of one caller may have; None for any number.
    """

    def __init__(self, store: FileStore, folder: Path, *, max_bytes: int, quota: int | None) -> None:
        self._store = store
        self._folder = folder
        self.max_bytes = max_bytes
        self._quota = quota
        self._made: FolderBlobs | None = None
        self._deleting: list[OnDelete] = []
        self._sweeping: list[Callable[[], Awaitable[None]]] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to remove what expires."""
        self._sweeper = asyncio.create_task(self._sweep_again_and_again())

    async def close(self) -> None:
        """Stop."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper

    def on_delete(self, do: OnDelete) -> None:
        """Have something done before a file is deleted."""
        self._deleting.append(do)

    def on_sweep(self, do: Callable[[], Awaitable[None]]) -> None:
        """Have something done whenever what has expired is removed."""
        self._sweeping.append(do)

    def check(self, caller: Caller) -> None:
        """Refuse whoever may not keep files.

        Raises:
            PermissionDeniedError: The caller's key has a list of names without ``files``.
        """
        if not caller.may(FILES):
            raise PermissionDeniedError(
                f"This key may not keep files: the names that it may use don't include {FILES!r}. Make one with "
                f"polyport keys create NAME --allow {FILES},…"
            )

    def check_file(self, name: str, purpose: str, size: int) -> None:
        """Refuse what can't be a file here.

        Raises:
            BadRequestError: It is empty, or of no kind that its purpose needs.
            PayloadTooLargeError: It is too large.
        """
        if purpose in _LINES and not name.lower().endswith(".jsonl"):
            raise BadRequestError(f"A file for {purpose} must be a .jsonl file; this is {name!r}.", param="file")
        if size == 0:
            raise BadRequestError("The file is empty.", param="file")
        if size > self.max_bytes:
            raise PayloadTooLargeError(
                f"The file has {size} bytes; the largest that is kept has {self.max_bytes} (files_max_bytes)."
            )

    async def check_room(self, caller: Caller, size: int) -> None:
        """Refuse a file before it is sent.

        Args:
            caller: Whose it will be.
            size: Its bytes, or about as many.

        Raises:
            PayloadTooLargeError: It is too large, or the caller has too many files.
        """
        if self._quota is not None and (have := await self._store.total(caller.id)) + size > self._quota:
            raise self._no_room(have)

    async def spool(self) -> Path:
        """Return the folder in which a file may be gathered, on the disk on which it will be kept."""
        await self.blobs()
        return self._folder

    async def blobs(self) -> BlobStore:
        """Return where bytes are kept."""
        return await asyncio.to_thread(self._blobs)

    async def keep(
        self, caller: Caller, name: str, purpose: str, data: IO[bytes], size: int, *, expires_s: int | None = None
    ) -> StoredFile:
        """Keep a file.

        Args:
            caller: Whose it is.
            name: Of the file.
            purpose: One of OpenAI's.
            data: Its bytes, in a file that can be read again.
            size: How many there are.
            expires_s: Seconds after which it is gone; for ever without, a file for a batch for 30 days.

        Raises:
            BadRequestError: It is empty, or of no kind that its purpose needs.
            PayloadTooLargeError: It is too large, or the caller has too many.
            ServiceUnavailableError: There is no room left on the disk.
        """
        self.check(caller)
        self.check_file(name, purpose, size)
        if expires_s is None and purpose == "batch":
            expires_s = _BATCH_EXPIRY_S
        await self.check_room(caller, size)
        for _ in range(_TRIES):
            file = await self._kept(caller, name, purpose, data, expires_s)
            if file is not None:
                return file
        raise ServiceUnavailableError("The file could not be kept just now; send it again.", retry_after=1)

    async def _kept(
        self, caller: Caller, name: str, purpose: str, data: IO[bytes], expires_s: int | None
    ) -> StoredFile | None:
        """Keep a file; None where the same bytes were another file's, which was deleted at this moment."""
        blobs = await self.blobs()
        data.seek(0)
        blob = await asyncio.to_thread(blobs.put, data)
        now = now_ms()
        file = StoredFile(
            id=new_file_id(),
            owner=caller.id,
            filename=name,
            bytes=blob.size,
            purpose=purpose,
            sha256=blob.key,
            created_at=now,
            expires_at=None if expires_s is None else now + expires_s * 1000,
        )
        try:
            added = await self._store.add(file, kept=lambda: blobs.size(blob.key) is not None, quota=self._quota)
        except OverflowError as error:
            await self.release(blob.key)
            raise self._no_room(int(error.args[0])) from None
        return file if added else None

    async def release(self, key: str) -> None:
        """Remove bytes that were kept for what was refused."""
        blobs = await self.blobs()
        await self._store.release(key, remove=blobs.delete)

    async def find(self, id: str, caller: Caller, *, param: str = "file_id") -> StoredFile:  # noqa: A002
        """Return a file.

        Raises:
            NotFoundError: There is none, or it is another's.
        """
        found = await self._store.get(id, caller.id)
        if found is None:
            raise NotFoundError(f"No such File object: {id[:80]}", param=param)
        return found

    async def find_all(self, ids: Collection[str], caller: Caller, *, param: str = "file_ids") -> dict[str, StoredFile]:
        """Return several files.

        Raises:
            NotFoundError: One of them is not there, or another's.
        """
        found = await self._store.get_all(ids, caller.id)
        for id_ in ids:
            if id_ not in found:
                raise NotFoundError(f"No such File object: {id_[:80]}", param=param)
        return {id_: found[id_] for id_ in ids}  # in the order asked for

    async def find_some(self, ids: Collection[str], caller: Caller) -> dict[str, StoredFile]:
        """Return those of some files that are there and the caller's, by id."""
        return await self._store.get_all(ids, caller.id)

    async def names(self, ids: Collection[str]) -> dict[str, str]:
        """Return the names of some files by id, for whoever may see what was made of them."""
        return await self._store.names(ids)

    async def page(
        self, caller: Caller, *, purpose: str | None, after: str | None, limit: int, newest_first: bool
    ) -> tuple[list[StoredFile], bool]:
        """Return a page of the caller's files, and whether there are more.

        Raises:
            BadRequestError: There is no file to begin after.
        """
        last = None if after is None else await self._store.get(after, caller.id)
        if after is not None and last is None:
            raise BadRequestError(f"after is {after[:80]!r}, which is not a file of yours.", param="after")
        return await self._store.page(caller.id, purpose=purpose, after=last, limit=limit, newest_first=newest_first)

    async def delete(self, id: str, caller: Caller) -> None:  # noqa: A002
        """Delete a file, and what was made of it in vector stores.

        Raises:
            NotFoundError: There is none, or it is another's.
        """
        await self._remove(await self.find(id, caller))

    def open(self, file: StoredFile) -> BinaryIO:
        """Open a file's bytes; in the thread that asks, which closes it.

        Raises:
            NotFoundError: They are gone.
        """
        return self._blobs().open(file.sha256)

    async def read(self, file: StoredFile) -> bytes:
        """Return a file's bytes; for what must have them whole, and has looked at their number.

        Raises:
            NotFoundError: They are gone.
        """

        def whole() -> bytes:
            with self.open(file) as opened:
                return opened.read()

        return await asyncio.to_thread(whole)

    async def _remove(self, file: StoredFile) -> None:
        for do in self._deleting:
            await do(file)
        blobs = await self.blobs()
        await self._store.delete(file.id, file.owner, remove=blobs.delete)

    def _blobs(self) -> FolderBlobs:
        if self._made is None:
            self._made = FolderBlobs(self._folder)
        return self._made

    def _no_room(self, have: int) -> PayloadTooLargeError:
        return PayloadTooLargeError(
            f"Your files have {have} bytes, and may have {self._quota} (files_quota_bytes): delete some.",
            code="quota_exceeded",
        )

    async def _sweep_again_and_again(self) -> None:
        while True:
            try:
                await self.sweep()
            except CallError as error:
                _log.warning("expired files could not be removed, and stay for now: %s", error.message)
            except Exception:  # noqa: BLE001 - the edge of a task: nobody else would hear of it
                _log.exception("expired files could not be removed, and stay for now")
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> int:
        """Remove files that have expired, and bytes that no file has; return how many files there were."""
        removed = 0
        while expired := await self._store.expired(_SWEEP_BATCH):
            gone = sum([await self._removed(file) for file in expired])
            removed += gone
            if not gone:
                break
        for do in self._sweeping:
            await do()
        if await asyncio.to_thread(self._folder.is_dir):
            await asyncio.to_thread(lambda: self._blobs().sweep(self._store.named))
        return removed

    async def _removed(self, file: StoredFile) -> bool:
        try:
            await self._remove(file)
        except CallError as error:
            # Such as one that is being taken into a vector store: it must not keep the others.
            _log.info("the expired file %s stays for now: %s", file.id, error.message)
            return False
        return True
