"""The files of vector stores, and batches of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import IO, Any, BinaryIO, Literal, cast

from polyport.errors import BadRequestError, CallError, ConflictError, NotFoundError
from polyport.types.knowledge import KnowledgeDocument
from polyport_gateway.call import Caller
from polyport_gateway.files.service import FileService
from polyport_gateway.knowledge.uploads import Upload
from polyport_gateway.storage.files import StoredFile
from polyport_gateway.storage.schema import now_ms
from polyport_gateway.storage.vector_stores import FileStatus, StoreBatch, StoreFile, VectorStoreRecords
from polyport_gateway.vector_stores.access import Access, OpenStore
from polyport_gateway.vector_stores.chunking import chunker_of
from polyport_gateway.vector_stores.knowledge import Knowledge
from polyport_gateway.vector_stores.search import Label
from polyport_gateway.vector_stores.settling import Settling

__all__ = ["FILE_PREFIX", "Addition", "Members"]

FILE_PREFIX = "file-"
"""How the ids of files begin, which are the sources of the documents made of them."""

_LONGEST_SHOWN = 80
_CANCEL_WAIT_S = 5.0
_CANCEL_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Addition:
    """A file to add.

    Attributes:
        file_id: Which.
        attributes: What it is labelled with.
        chunking: How it is cut, as OpenAI has it; None for the store's own way.
    """

    file_id: str
    attributes: Mapping[str, Label] = field(default_factory=dict)
    chunking: Mapping[str, Any] | None = None


class Members:
    """The files of vector stores.

    Args:
        knowledge: The knowledge bases.
        records: What is known of their files besides.
        files: Where files are.
        access: Notes that a store was used.
        max_bytes: The largest file that is read; a larger one fails.
    """

    def __init__(
        self, knowledge: Knowledge, records: VectorStoreRecords, files: FileService, access: Access, max_bytes: int
    ) -> None:
        self._knowledge = knowledge
        self._records = records
        self._files = files
        self._access = access
        self._max_bytes = max_bytes
        self.settling = Settling(knowledge, records)
        files.on_delete(self.forget_file)

    async def add(self, store: OpenStore, additions: Sequence[Addition], caller: Caller) -> StoreBatch:
        """Add files; they are taken in behind the request.

        Raises:
            NotFoundError: The caller has no such file.
            BadRequestError: A file is named twice, or the store has expired.
        """
        store.check_usable()
        self._files.check(caller)
        ids = [addition.file_id for addition in additions]
        if twice := next((id_ for id_ in ids if ids.count(id_) > 1), None) if len(set(ids)) < len(ids) else None:
            raise BadRequestError(f"The file {twice[:_LONGEST_SHOWN]!r} is named twice.", param="file_ids")
        found = await self._files.find_all(ids, caller, param="file_id" if len(ids) == 1 else "file_ids")
        uploads = [
            self._upload(found[addition.file_id], addition)
            for addition in additions
            if found[addition.file_id].bytes <= self._max_bytes
        ]
        job = await self._knowledge.add(store.id, uploads, caller=caller) if uploads else None
        batch = StoreBatch(f"vsfb_{token_hex(12)}", store.number, None if job is None else job.id, now_ms())
        members = [self._member(batch, addition, found[addition.file_id]) for addition in additions]
        await self._records.add(batch, members)
        await self._access.touch(store)
        return batch

    async def find(self, store: OpenStore, id: str, caller: Caller) -> StoreFile | KnowledgeDocument:  # noqa: A002
        """Return a file of a store, or the document that a knowledge base has of itself.

        Raises:
            NotFoundError: There is none.
        """
        await self.settling.settle([store], caller)
        found = (await self._records.files(store.number, [id])).get(id)
        if found is not None:
            return found
        if store.record is None:
            try:
                return await self._knowledge.document(store.id, id, caller=caller)
            except NotFoundError:
                pass
        raise NotFoundError(
            f"No file found with id {id[:_LONGEST_SHOWN]!r} in vector store {store.id!r}.", param="file_id"
        )

    async def label(
        self,
        store: OpenStore,
        id: str,  # noqa: A002
        attributes: Mapping[str, Label],
        caller: Caller,
    ) -> StoreFile | KnowledgeDocument:
        """Set a file's attributes.

        Raises:
            NotFoundError: There is none.
            ConflictError: It is still on its way.
        """
        found = await self.find(store, id, caller)
        if isinstance(found, StoreFile):
            if found.status == "in_progress":
                raise ConflictError(f"File {id!r} is still being taken in; set its attributes once it is completed.")
            if found.document is not None:
                await self._knowledge.update_document(
                    store.id, found.document, {"metadata": dict(attributes)}, caller=caller
                )
            await self._records.label(store.number, id, attributes)
            return replace(found, attributes=attributes)
        return await self._knowledge.update_document(store.id, found.id, {"metadata": dict(attributes)}, caller=caller)

    async def remove(self, store: OpenStore, id: str, caller: Caller) -> None:  # noqa: A002
        """Remove a file from a store; the file itself is kept.

        Raises:
            NotFoundError: There is none.
            ConflictError: It is being taken in together with others, and can't be taken out of that work.
        """
        found = await self.find(store, id, caller)
        if isinstance(found, KnowledgeDocument):
            await self._knowledge.remove_documents(store.id, [found.id], caller=caller)
            return
        if found.status == "in_progress":
            found = await self._stopped(store, found, caller)
        await self._take_out(store.id, found.file, caller)
        await self._records.remove(store.number, found.file)

    async def content(self, store: OpenStore, id: str, caller: Caller) -> str:  # noqa: A002
        """Return the text that was read from a file.

        Raises:
            NotFoundError: There is none, or nothing was read from it.
        """
        found = await self.find(store, id, caller)
        document = found.document if isinstance(found, StoreFile) else found.id
        if document is None:
            raise NotFoundError(f"Nothing of file {id[:_LONGEST_SHOWN]!r} could be read yet.", param="file_id")
        return await self._knowledge.text(store.id, document, caller=caller)

    async def page(
        self,
        store: OpenStore,
        caller: Caller,
        *,
        batch: str | None = None,
        status: FileStatus | None = None,
        after: str | None = None,
        before: str | None = None,
        limit: int,
        newest_first: bool,
    ) -> tuple[list[StoreFile | KnowledgeDocument], bool]:
        """Return a page of a store's files by their age, and whether there are more.

        The documents that a knowledge base has of itself come in the order of their sources instead.

        Raises:
            BadRequestError: There is no file to begin or to end at.
        """
        await self.settling.settle([store], caller)
        if store.record is None and batch is None:
            if before is not None:
                raise BadRequestError(f"before can't be used for the knowledge base {store.id!r}.", param="before")
            return await self._documents(store, caller, status=status, after=after, limit=limit)
        ends = await self._records.files(store.number, [id_ for id_ in (after, before) if id_ is not None])
        for name, id_ in (("after", after), ("before", before)):
            if id_ is not None and id_ not in ends:
                raise BadRequestError(
                    f"{name} is {id_[:_LONGEST_SHOWN]!r}, which is not a file of this vector store.", param=name
                )
        found, more = await self._records.page(
            store.number,
            batch=batch,
            status=status,
            after=ends.get(after or ""),
            before=ends.get(before or ""),
            limit=limit,
            newest_first=newest_first,
        )
        return list(found), more

    async def batch(self, store: OpenStore, id: str, caller: Caller) -> StoreBatch:  # noqa: A002
        """Return a batch of a store.

        Raises:
            NotFoundError: There is none.
        """
        found = await self._records.batch(store.number, id)
        if found is None:
            raise NotFoundError(
                f"No file batch found with id {id[:_LONGEST_SHOWN]!r} in vector store {store.id!r}.", param="batch_id"
            )
        await self.settling.settle([store], caller)
        return found

    async def counts(self, store: OpenStore, batch: StoreBatch) -> dict[str, int]:
        """Return how many files of a batch have each status."""
        counts = (await self._records.counts([store.number], batch.id)).get(store.number, {})
        return {status: count for status, (count, _) in counts.items()}

    async def cancel(self, store: OpenStore, id: str, caller: Caller) -> StoreBatch:  # noqa: A002
        """Cancel a batch: files that are not taken in yet stay out. One that has ended is left as it is."""
        batch = await self.batch(store, id, caller)
        if "in_progress" not in await self.counts(store, batch):
            return batch
        await self._cancel_job(batch, caller)
        await self._records.cancel(store.number, batch.id)
        await self.settling.settle([store], caller)
        return replace(batch, status="cancelled")

    async def forget_file(self, file: StoredFile) -> None:
        """Take a file that is deleted out of all vector stores.

        Raises:
            ConflictError: It is being taken in somewhere.
        """
        owner = Caller(id=file.owner, name="")
        for number, name in await self._records.stores_of(file.id):
            try:
                store = await self._access.open(name, owner)
                await self.remove(store, file.id, owner)
            except NotFoundError:
                await self._records.remove(number, file.id)

    async def _documents(
        self, store: OpenStore, caller: Caller, *, status: FileStatus | None, after: str | None, limit: int
    ) -> tuple[list[StoreFile | KnowledgeDocument], bool]:
        waiting: list[StoreFile] = []
        if after is None and status in (None, "in_progress", "cancelled"):
            wanted: FileStatus = "cancelled" if status == "cancelled" else "in_progress"
            waiting, _ = await self._records.page(store.number, status=wanted, limit=limit, newest_first=True)
        if status in ("in_progress", "cancelled"):
            return list(waiting), False
        source = None
        if after is not None:
            last = await self.find(store, after, caller)
            source = last.file if isinstance(last, StoreFile) else last.source
        of: Literal["ready", "failed"] | None = None
        if status is not None:
            of = "ready" if status == "completed" else "failed"
        page = await self._knowledge.documents(store.id, caller=caller, after=source, limit=limit, status=of)
        shown = {file.file for file in waiting}
        found: list[StoreFile | KnowledgeDocument] = [*waiting]
        found += (document for document in page.data if document.source not in shown)
        return found[:limit], page.has_more or len(found) > limit

    async def _take_out(self, name: str, file: str, caller: Caller) -> None:
        documents = await self._knowledge.find_documents(name, [file], caller=caller)
        if documents:
            await self._knowledge.remove_documents(name, [one.id for one in documents.values()], caller=caller)

    async def _stopped(self, store: OpenStore, file: StoreFile, caller: Caller) -> StoreFile:
        """Stop the work on a file; it goes on in nothing else, or it can't be stopped."""
        batch = await self._records.batch(store.number, file.batch)
        if batch is not None and sum((await self.counts(store, batch)).values()) == 1:
            await self._cancel_job(batch, caller)
            for _ in range(round(_CANCEL_WAIT_S / _CANCEL_LOOK_S)):
                await self.settling.settle([store], caller)
                found = (await self._records.files(store.number, [file.file])).get(file.file)
                if found is None or found.status != "in_progress":
                    return found or file
                await asyncio.sleep(_CANCEL_LOOK_S)
        raise ConflictError(
            f"File {file.file!r} is being taken into vector store {store.id!r}; cancel its batch, or wait until it is "
            "completed."
        )

    async def _cancel_job(self, batch: StoreBatch, caller: Caller) -> None:
        if batch.job is None:
            return
        try:
            await self._knowledge.cancel_job(batch.job, caller=caller)
        except CallError as error:
            if error.status not in (404, 409):
                raise

    def _member(self, batch: StoreBatch, addition: Addition, file: StoredFile) -> StoreFile:
        member = StoreFile(
            base=batch.base,
            file=file.id,
            batch=batch.id,
            created_at=batch.created_at,
            attributes=addition.attributes,
            chunking=addition.chunking,
        )
        if file.bytes <= self._max_bytes:
            return member
        message = f"It has {file.bytes} bytes; the largest file that is read has {self._max_bytes}."
        return replace(member, status="failed", last_error={"code": "invalid_file", "message": message})

    def _upload(self, file: StoredFile, addition: Addition) -> Upload:
        return Upload(
            key=file.id,
            filename=file.filename,
            data=cast("IO[bytes]", _Lazy(self._files, file)),
            metadata=dict(addition.attributes),
            chunker=chunker_of(addition.chunking),
        )


class _Lazy:
    """A file that is open only while it is read, so that two thousand can wait for their turn."""

    def __init__(self, files: FileService, file: StoredFile) -> None:
        self._files = files
        self._file = file
        self._opened: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; none at the end, where the file is closed."""
        if self._opened is None:
            self._opened = self._files.open(self._file)
        data = self._opened.read(size)
        if not data or size < 0:
            self._opened.close()
        return data
