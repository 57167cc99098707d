"""The documents of knowledge bases, as callers see and change them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from polyport.errors import BadRequestError, NotFoundError
from polyport.types.knowledge import KnowledgeDocument, KnowledgeDocumentList, KnowledgeJob
from polyport_gateway.call import Caller
from polyport_gateway.knowledge.catalogue import Catalogue, DocumentRow
from polyport_gateway.knowledge.catalogue.rows import DocumentStatus
from polyport_gateway.knowledge.chunkers import parse_steps
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.ingestion.ingest import SAID
from polyport_gateway.knowledge.ingestion.parsed import ParsedDocuments
from polyport_gateway.knowledge.ingestion.sources import Upload
from polyport_gateway.knowledge.uploads import Upload as Given
from polyport_gateway.storage.blobs import BlobStore

from .forms import document_form
from .jobs import KnowledgeJobs, Page
from .plan import KnowledgePlan
from .registry import OpenBase, Registry

__all__ = ["Documents"]

_KEPT_AT_ONCE = 8
_MOST_LISTED = 1000


class Documents:
    """What is done to documents.

    Args:
        plan: Limits.
        registry: The bases.
        catalogue: Their documents.
        blobs: Where what is handed in is kept.
        parsed: Documents as they were read.
        jobs: Take documents in.
    """

    def __init__(
        self,
        plan: KnowledgePlan,
        registry: Registry,
        catalogue: Catalogue,
        blobs: BlobStore,
        parsed: ParsedDocuments,
        jobs: KnowledgeJobs,
    ) -> None:
        self._plan, self._registry, self._catalogue = plan, registry, catalogue
        self._blobs, self._parsed, self._jobs = blobs, parsed, jobs

    async def documents(
        self,
        name: str,
        *,
        caller: Caller,
        after: str | None = None,
        limit: int = 100,
        query: str | None = None,
        status: DocumentStatus | None = None,
        tag: str | None = None,
    ) -> KnowledgeDocumentList:
        """Return some documents of a base, in the order of their keys."""
        base = self._registry.get(name, caller)
        if not 1 <= limit <= _MOST_LISTED:
            raise BadRequestError(f"limit is {limit}; it must be from 1 to {_MOST_LISTED}.", param="limit")

        def work() -> KnowledgeDocumentList:
            page = self._catalogue.documents(
                base.id,
                after=after,
                limit=limit,
                text=query,
                status=status,
                tag=tag,
            )
            chunks = self._catalogue.chunk_counts(base.id, [row.id for row in page.rows])
            return KnowledgeDocumentList(
                data=[document_form(row, name, chunks.get(row.id, 0)) for row in page.rows],
                total=page.total,
                has_more=page.next is not None,
                next=page.next,
            )

        return await asyncio.to_thread(work)

    async def document(self, name: str, uid: str, *, caller: Caller) -> KnowledgeDocument:
        """Return a document.

        Raises:
            NotFoundError: There is none.
        """
        base = self._registry.get(name, caller)

        def work() -> KnowledgeDocument:
            row = self._row(base, uid)
            return document_form(row, name, self._catalogue.chunk_counts(base.id, [row.id]).get(row.id, 0))

        return await asyncio.to_thread(work)

    async def find_documents(self, name: str, keys: Collection[str], *, caller: Caller) -> dict[str, KnowledgeDocument]:
        """Return those of some documents that a base has, by their keys."""
        base = self._registry.get(name, caller)

        def work() -> dict[str, KnowledgeDocument]:
            rows = self._catalogue.find(base.id, list(keys))
            chunks = self._catalogue.chunk_counts(base.id, [row.id for row in rows.values()])
            return {key: document_form(row, name, chunks.get(row.id, 0)) for key, row in rows.items()}

        return await asyncio.to_thread(work)

    async def add(
        self,
        name: str,
        uploads: Sequence[Given],
        urls: Sequence[str],
        *,
        caller: Caller,
        metadata: Mapping[str, Any],
        tags: Sequence[str],
        chunker: str | None,
    ) -> KnowledgeJob:
        """Keep what was sent, and begin to take it in; what is handed in is on the disk when this returns.

        Raises:
            NotFoundError: There is no such base, for this caller.
            BadRequestError: Nothing was sent, or a chunker can't be read.
            PayloadTooLargeError: A file is too large.
        """
        base = self._registry.get(name, caller)
        if not uploads and not urls:
            raise BadRequestError("There is nothing to add: send files, texts or urls.", param="documents")
        for spec in {chunker, *(one.chunker for one in uploads)} - {None}:
            parse_steps(spec or "")

        def keep_one(one: Given) -> Upload:
            blob = self._blobs.put(one.data, limit=self._plan.max_bytes)
            return Upload(one.filename, blob.key, one.key, one.metadata, one.tags, one.chunker)

        def keep() -> list[Upload]:
            # Each waits for the disk to have it: side by side they wait together.
            with ThreadPoolExecutor(_KEPT_AT_ONCE) as pool:
                return list(pool.map(keep_one, uploads))

        pages = [Page(address, dict(metadata), tuple(tags), chunker) for address in dict.fromkeys(urls)]
        return await self._jobs.add(base, await asyncio.to_thread(keep), pages, by=caller.id)

    async def update_document(
        self, name: str, uid: str, changes: Mapping[str, Any], *, caller: Caller
    ) -> KnowledgeDocument:
        """Change what is said of a document; it is built anew at once, from what was read of it.

        Args:
            name: The base.
            uid: The document's id or key.
            changes: Its ``title``, ``metadata`` or ``tags``; what is left out stays.
            caller: Who asks.

        Raises:
            NotFoundError: There is none.
            ConflictError: It was changed by others meanwhile.
        """
        base = self._registry.get(name, caller)
        row = await asyncio.to_thread(self._row, base, uid)
        metadata, tags, title = changes.get("metadata"), changes.get("tags"), changes.get("title")
        changed = replace(
            row,
            version=row.version + 1,
            metadata=row.metadata if metadata is None else dict(metadata),
            tags=row.tags if tags is None else tuple(tags),
            title=title or row.title,
            receipt={**(row.receipt or {}), SAID: {**((row.receipt or {}).get(SAID) or {}), **_given(changes)}},
        )
        if (changed.metadata, changed.tags, changed.title) != (row.metadata, row.tags, row.title):
            await self._jobs.rebuild(base, changed, by=caller.id)
        return await self.document(name, row.uid, caller=caller)

    async def remove_documents(self, name: str, uids: Sequence[str], *, caller: Caller) -> list[str]:
        """Remove documents, named by their ids or keys; return the ids of those that were there."""
        base = self._registry.get(name, caller)

        def work() -> list[str]:
            rows = [row for uid in dict.fromkeys(uids) if (row := self._find(base, uid)) is not None]
            self._catalogue.remove(base.id, [row.id for row in rows], by=caller.id)
            return [row.uid for row in rows]

        removed = await asyncio.to_thread(work)
        self._jobs.clear()
        return removed

    async def parsed(self, name: str, uid: str, *, caller: Caller) -> Document:
        """Return what was read of a document.

        Raises:
            NotFoundError: There is none, or nothing of it could be read.
        """
        base = self._registry.get(name, caller)

        def work() -> Document:
            row = self._row(base, uid)
            if row.parsed is None:
                raise NotFoundError(f"Nothing of {row.key!r} could be read: {row.error}", param="document")
            return self._parsed.get(row.parsed)

        return await asyncio.to_thread(work)

    async def uids(self, name: str, typed: str, *, limit: int) -> list[str]:
        """Return ids of documents whose key or title has what was typed."""
        base = self._registry.find(name)
        if base is None:
            return []
        page = await asyncio.to_thread(
            self._catalogue.documents, base.id, limit=limit, text=typed or None, status="ready", count=False
        )
        return [row.uid for row in page.rows]

    def _find(self, base: OpenBase, uid: str) -> DocumentRow | None:
        found = self._catalogue.document(base.id, uid)
        return self._catalogue.find(base.id, [uid]).get(uid) if found is None else found

    def _row(self, base: OpenBase, uid: str) -> DocumentRow:
        row = self._find(base, uid)
        if row is None:
            raise NotFoundError(
                f"{base.name!r} has no document {uid[:200]!r}.", param="document", code="document_not_found"
            )
        return row


def _given(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: changes[name] for name in ("title", "metadata", "tags") if changes.get(name) is not None}
