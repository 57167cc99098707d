"""Vector stores and their files between OpenAI's form and the gateway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polyport.errors import BadRequestError
from polyport.types.knowledge import KnowledgeDocument
from polyport.types.vector_stores import (
    ExpiresAfter,
    ExpiringVectorStore,
    FileBatchRequest,
    FileCounts,
    LastError,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileRequest,
    VectorStoreRequest,
)
from polyport_gateway.storage.vector_stores import StoreBatch, StoreFile
from polyport_gateway.vector_stores.chunking import plain_chunking, shown_chunking
from polyport_gateway.vector_stores.members import FILE_PREFIX, Addition
from polyport_gateway.vector_stores.searching import labels
from polyport_gateway.vector_stores.stores import StoreStatus

__all__ = [
    "batch_body",
    "counts_body",
    "ends_of",
    "file_id_of",
    "read_addition",
    "read_additions",
    "read_batch",
    "store_body",
    "store_file_body",
]


def read_additions(given: VectorStoreRequest) -> list[Addition]:
    """Return the files that a new store is to have.

    Raises:
        BadRequestError: The chunking strategy can't be used.
    """
    chunking = plain_chunking(given.chunking_strategy)
    return [Addition(id_, {}, chunking) for id_ in given.file_ids or ()]


def read_addition(given: VectorStoreFileRequest, where: str = "") -> Addition:
    """Return a file to add.

    Args:
        given: The request, or the part of one.
        where: What stands before its members' names, such as ``files.0.``.

    Raises:
        BadRequestError: The chunking strategy can't be used.
    """
    chunking = plain_chunking(given.chunking_strategy, f"{where}chunking_strategy")
    return Addition(given.file_id, given.attributes or {}, chunking)


def read_batch(given: FileBatchRequest) -> list[Addition]:
    """Return files to add together.

    Raises:
        BadRequestError: They are given twice, or not at all, or a chunking strategy can't be used.
    """
    if (given.file_ids is None) == (given.files is None):
        raise BadRequestError("Give one of file_ids and files.", param="files" if given.files else "file_ids")
    if given.files is not None:
        # OpenAI ignores what is said for all where each file is given; here it would be lost in silence.
        for name in ("attributes", "chunking_strategy"):
            if getattr(given, name) is not None:
                raise BadRequestError(f"{name} goes with file_ids; with files, give it to each of them.", param=name)
        return [read_addition(file, f"files.{place}.") for place, file in enumerate(given.files)]
    chunking = plain_chunking(given.chunking_strategy)
    return [Addition(id_, given.attributes or {}, chunking) for id_ in given.file_ids or ()]


def store_body(status: StoreStatus) -> VectorStore:
    """Return a store as it is shown."""
    store = status.store
    record = store.record
    counts = counts_body(status.counts)
    state = "expired" if store.expired else "in_progress" if counts.in_progress else "completed"
    if record is None:
        return _base_body(status, counts, state)
    members: dict[str, Any] = {
        "id": store.id,
        "created_at": record.created_at // 1000,
        "name": record.label,
        "usage_bytes": status.usage_bytes,
        "file_counts": counts,
        "status": state,
        "last_active_at": record.last_active_at // 1000,
        "metadata": dict(record.metadata),
    }
    if record.expires_days is None or store.expires_at is None:
        return VectorStore(**members)
    after = ExpiresAfter(days=record.expires_days)
    return ExpiringVectorStore(**members, expires_after=after, expires_at=store.expires_at // 1000)


def _base_body(status: StoreStatus, counts: FileCounts, state: str) -> VectorStore:
    """Return a knowledge base that was not made as a vector store."""
    base = status.store.base
    busy = base is not None and base.state not in ("ready", "failed")
    return VectorStore(
        id=status.store.id,
        created_at=status.store.created_at // 1000,
        name=status.store.id,
        usage_bytes=status.usage_bytes,
        file_counts=counts,
        status="in_progress" if busy or state == "in_progress" else "completed",
        last_active_at=None if base is None else base.updated_at,
    )


def counts_body(counts: Mapping[str, int]) -> FileCounts:
    """Return how many files there are, by status and together."""
    known = {status: counts.get(status, 0) for status in ("in_progress", "completed", "failed", "cancelled")}
    return FileCounts(**known, total=sum(known.values()))


def file_id_of(file: StoreFile | KnowledgeDocument) -> str:
    """Return a file's id; a document that a knowledge base has of itself has its own."""
    if isinstance(file, StoreFile):
        return file.file
    return file.source if file.source.startswith(FILE_PREFIX) else file.id


def store_file_body(store: str, file: StoreFile | KnowledgeDocument) -> VectorStoreFile:
    """Return a file of a store as it is shown."""
    if isinstance(file, StoreFile):
        return VectorStoreFile(
            id=file.file,
            created_at=file.created_at // 1000,
            vector_store_id=store,
            usage_bytes=file.usage_bytes,
            status=file.status,
            last_error=None if file.last_error is None else LastError.model_validate(dict(file.last_error)),
            attributes=dict(file.attributes),
            chunking_strategy=shown_chunking(file.chunking),
        )
    failed = file.status == "failed"
    return VectorStoreFile(
        id=file_id_of(file),
        created_at=file.added_at,
        vector_store_id=store,
        usage_bytes=file.bytes,
        status="failed" if failed else "completed",
        last_error=LastError(code="invalid_file", message=file.error or "It could not be read.") if failed else None,
        attributes=labels(file.metadata),
    )


def batch_body(store: str, batch: StoreBatch, counts: Mapping[str, int]) -> VectorStoreFileBatch:
    """Return a batch as it is shown."""
    shown = counts_body(counts)
    status = "completed"
    if shown.in_progress:
        status = "in_progress"
    elif batch.status == "cancelled":
        status = "cancelled"
    elif shown.total and shown.failed == shown.total:
        status = "failed"
    return VectorStoreFileBatch(
        id=batch.id,
        created_at=batch.created_at // 1000,
        vector_store_id=store,
        status=status,
        file_counts=shown,
    )


def ends_of(ids: Sequence[str]) -> dict[str, str]:
    """Return the members of a list that say where it begins and ends."""
    return {"first_id": ids[0] if ids else "", "last_id": ids[-1] if ids else ""}
