"""What has become of files that were on their way: their jobs and documents know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from polyport.errors import NotFoundError
from polyport.types.knowledge import KnowledgeDocument, KnowledgeJob
from polyport_gateway.call import Caller
from polyport_gateway.storage.vector_stores import StoreBatch, StoreFile, VectorStoreRecords
from polyport_gateway.vector_stores.access import OpenStore
from polyport_gateway.vector_stores.knowledge import Knowledge

__all__ = ["Settling"]

_OVER = ("completed", "failed", "cancelled")
_UNSUPPORTED = "unsupported_format"


class Settling:
    """Settles files.

    Args:
        knowledge: Has their jobs and documents.
        records: Keeps what has become of them.
    """

    def __init__(self, knowledge: Knowledge, records: VectorStoreRecords) -> None:
        self._knowledge = knowledge
        self._records = records

    async def settle(self, stores: Sequence[OpenStore], caller: Caller) -> None:
        """Note what has become of the files of some stores that were still on their way when last looked at."""
        waiting = await self._records.unsettled([store.number for store in stores])
        for store in stores:
            mine = [file for file in waiting if file.base == store.number]
            if mine:
                await self._settle(store, mine, caller)

    async def _settle(self, store: OpenStore, files: Sequence[StoreFile], caller: Caller) -> None:
        batches = await self._records.batches(store.number, {file.batch for file in files})
        jobs = {id_: await self._job(batch, caller) for id_, batch in batches.items()}
        # After the jobs: a job that has ended has its documents in place.
        documents = await self._knowledge.find_documents(store.id, [file.file for file in files], caller=caller)
        settled = [
            now
            for file in files
            if (now := _settled(file, batches.get(file.batch), jobs.get(file.batch), documents.get(file.file)))
        ]
        await self._records.settle(settled)

    async def _job(self, batch: StoreBatch, caller: Caller) -> KnowledgeJob | None:
        if batch.job is None:
            return None
        try:
            return await self._knowledge.job(batch.job, caller=caller)
        except NotFoundError:
            return None


def _settled(
    file: StoreFile, batch: StoreBatch | None, job: KnowledgeJob | None, document: KnowledgeDocument | None
) -> StoreFile | None:
    """Return a file as it is now; None while it is on its way."""
    over = job is None or job.status in _OVER
    # Before its job is over, a document that is older than this was another time's.
    fresh = document is not None and (over or document.updated_at * 1000 > file.created_at)
    if document is not None and fresh:
        if document.status == "ready":
            return replace(file, status="completed", document=document.id, usage_bytes=document.bytes)
        return _failed(file, document.error or "It could not be read.", _code(job, file.file))
    if not over:
        return None
    if job is None:
        return _failed(file, "What was to take it in is gone.", "server_error")
    if job.status == "cancelled" or (batch is not None and batch.status == "cancelled"):
        return replace(file, status="cancelled")
    said = next((error for error in job.errors if error.source == file.file), None)
    if said is not None:
        return _failed(file, said.message, _code(job, file.file))
    return _failed(file, job.error or "It was not taken in.", "server_error")


def _failed(file: StoreFile, message: str, code: str) -> StoreFile:
    error: Mapping[str, str] = {"code": code, "message": message}
    return replace(file, status="failed", last_error=error)


def _code(job: KnowledgeJob | None, source: str) -> str:
    """Return the nearest of OpenAI's three codes."""
    errors = job.errors if job is not None else ()
    code = next((error.code for error in errors if error.source == source), None)
    return "unsupported_file" if code == _UNSUPPORTED else "invalid_file"
