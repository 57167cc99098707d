"""Making, changing and dropping knowledge bases, and their documents as callers see them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from polyport.declarations import KnowledgeDeclaration
from polyport.errors import (
    BadRequestError,
    ConflictError,
    DeclarationError,
    NotFoundError,
    PermissionDeniedError,
)
from polyport.knowledge import check_base_name
from polyport.types.knowledge import (
    KnowledgeBase,
    KnowledgeChangeList,
    KnowledgeCreateRequest,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
)
from polyport.types.knowledge_requests import KnowledgeRekeyed
from polyport_gateway.call import Caller
from polyport_gateway.knowledge.bases import BaseConfig
from polyport_gateway.knowledge.catalogue import Catalogue, DocumentRow
from polyport_gateway.knowledge.catalogue.rows import DocumentStatus
from polyport_gateway.knowledge.chunkers import parse_steps
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.ingestion.parsed import ParsedDocuments
from polyport_gateway.knowledge.ingestion.sources import Upload
from polyport_gateway.knowledge.uploads import Upload as Given
from polyport_gateway.storage.blobs import BlobStore

from .forms import base_form, change_form, document_form
from .jobs import KnowledgeJobs, Page
from .names import Names
from .plan import KnowledgePlan
from .recipes import Recipes
from .registry import OpenBase, Registry

__all__ = ["Upkeep"]
_MOST_LISTED = 1000


class Upkeep:
    """What is done to bases and documents.

    Args:
        plan: Limits.
        registry: The bases.
        catalogue: Their documents.
        blobs: Where what is handed in is kept.
        parsed: Documents as they were read.
        jobs: Take documents in.
        recipes: How bases are to be built.
        names: Told of bases that come and go.
    """

    def __init__(
        self,
        plan: KnowledgePlan,
        registry: Registry,
        catalogue: Catalogue,
        blobs: BlobStore,
        parsed: ParsedDocuments,
        jobs: KnowledgeJobs,
        recipes: Recipes,
        names: Names | None,
    ) -> None:
        self._plan, self._registry, self._catalogue = plan, registry, catalogue
        self._blobs, self._parsed = blobs, parsed
        self._jobs, self._recipes, self._names = jobs, recipes, names

    async def declare(self, declaration: KnowledgeDeclaration) -> OpenBase:
        """Have a base as the app declares it: made, or changed; its sources are looked at again.

        Raises:
            ConfigurationError: A model that it names is not there.
        """
        config = _declared(declaration)
        await self._recipes.check(config)
        base = self._registry.find(config.name)
        if base is None:
            # An embedder may take its time, or be down: the base is there without it until it has answered.
            generation = await self._recipes.generation(replace(config, embedders=()))
            base = await asyncio.to_thread(self._registry.create, config, generation, declared=True, by=None)
        elif base.config != config or not base.row.declared:
            base = await asyncio.to_thread(self._registry.configure, base, config, declared=True)
        if self._recipes.asks(config, base.generation):
            self._jobs.bring_up(base)
        else:
            await self._jobs.up(base)
        return base

    async def create(self, request: KnowledgeCreateRequest, *, caller: Caller, private: bool = False) -> KnowledgeBase:
        """Make a base; a private one is its maker's alone, and no name that can be called.

        Raises:
            ConflictError: The name is taken.
            PermissionDeniedError: Callers may not, or may not name such sources.
            BadRequestError: A model, chunker or index is not there.
        """
        if not self._plan.create:
            raise PermissionDeniedError("Knowledge bases can't be made here (POLYPORT_KNOWLEDGE_CREATE=false).")
        if not private and not caller.may(request.name):
            raise PermissionDeniedError(f"Your key does not allow the name {request.name!r}.", param="name")
        _check_name(request.name)
        config = replace(BaseConfig.from_request(request), owner=caller.id if private else None)
        self._check_sources(config.sources)
        if self._registry.find(config.name) is not None:
            raise ConflictError(f"There is a knowledge base named {config.name!r} already.", param="name")
        if not private and self._names is not None and not self._names.free(config.name):
            raise ConflictError(f"The name {config.name!r}, or {config.name}_search, is taken.", param="name")
        generation = await self._recipes.generation(config)
        base = await asyncio.to_thread(self._registry.create, config, generation, declared=False, by=caller.id)
        if self._names is not None and not private:
            self._names.added(base.name, config.description)
        if config.sources:
            await self._jobs.refresh(base, by=caller.id)
        return await self._form(base)

    async def configure(self, name: str, changes: Mapping[str, Any], *, caller: Caller) -> KnowledgeBase:
        """Change what a base is to be; what needs building anew is built in the background.

        Raises:
            NotFoundError: There is none, for this caller.
            BadRequestError: A value can't be used.
        """
        base = self._registry.get(name, caller)
        config = base.config.changed(_embedders(changes))
        if "sources" in changes:
            self._check_sources(config.sources)
        await self._recipes.check(config)
        base = await asyncio.to_thread(self._registry.configure, base, config, by=caller.id)
        await self._jobs.follow_config(base, by=caller.id)
        return await self._form(base)

    async def delete(self, name: str, *, caller: Caller) -> None:
        """Drop a base with all its documents.

        Raises:
            NotFoundError: There is none, for this caller.
            ConflictError: The app declares it.
        """
        base = self._registry.get(name, caller)
        if base.row.declared and self._jobs.is_declared(name):
            raise ConflictError(f"{name!r} is declared by the app, and would be there again at its next start.")
        await self._jobs.stop(base)
        await asyncio.to_thread(self._registry.drop, base, by=caller.id)
        if self._names is not None:
            self._names.removed(name)
        self._jobs.clear()

    async def base(self, name: str, *, caller: Caller) -> KnowledgeBase:
        """Return a base, and how it is."""
        return await self._form(self._registry.get(name, caller))

    async def bases(self, *, caller: Caller) -> list[KnowledgeBase]:
        """Return the bases that a caller may use."""
        found = self._registry.visible(caller)
        counts = await asyncio.to_thread(self._catalogue.counts, [base.id for base in found])
        return [base_form(base, counts[base.id], *self._jobs.status(base)) for base in found if base.id in counts]

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

        def keep() -> list[Upload]:
            return [
                Upload(
                    one.filename,
                    self._blobs.put(one.data, limit=self._plan.max_bytes).key,
                    one.key,
                    one.metadata,
                    one.tags,
                    one.chunker,
                )
                for one in uploads
            ]

        pages = [Page(address, dict(metadata), tuple(tags), chunker) for address in dict.fromkeys(urls)]
        return await self._jobs.add(base, await asyncio.to_thread(keep), pages, by=caller.id)

    async def reindex(self, name: str, changes: Mapping[str, Any], *, caller: Caller) -> KnowledgeJob:
        """Build a base anew beside what is searched, changed where something is to be another.

        Raises:
            NotFoundError: There is none, for this caller.
            BadRequestError: A value can't be used.
        """
        base = self._registry.get(name, caller)
        if changes:
            config = base.config.changed(_embedders(changes))
            await self._recipes.check(config)
            base = await asyncio.to_thread(self._registry.configure, base, config, by=caller.id)
        return await self._jobs.reindex_now(base, by=caller.id)

    async def rekey(self, name: str, changes: Mapping[str, Any], *, caller: Caller) -> KnowledgeRekeyed:
        """Make keywords by another ``function`` or ``version``, now (``batch``) or as documents change.

        Raises:
            NotFoundError: There is no such base, for this caller.
            BadRequestError: There is no such function.
        """
        base = self._registry.get(name, caller)
        batch = changes.get("batch")
        if batch is None:
            batch = base.config.on_keywords_change == "batch"
        config = base.config.changed(
            {
                "keywords": changes.get("function", base.config.keywords),
                "keywords_version": changes.get("version") or base.config.keywords_version + 1,
                "on_keywords_change": "batch" if batch else "deferred",
            }
        )
        await self._recipes.check(config)
        base = await asyncio.to_thread(self._registry.configure, base, config, by=caller.id)
        job = await self._jobs.rekey(base, by=caller.id) if batch else None
        return KnowledgeRekeyed(keywords=(await self._form(base)).keywords, job=job)

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

    async def changes(
        self, name: str, *, caller: Caller, before: int | None = None, limit: int = 100
    ) -> KnowledgeChangeList:
        """Return the newest lines of a base's update log."""
        base = self._registry.get(name, caller)
        rows = await asyncio.to_thread(self._catalogue.changes, base.id, before=before, limit=limit + 1)
        return KnowledgeChangeList(data=[change_form(row) for row in rows[:limit]], has_more=len(rows) > limit)

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

    async def _form(self, base: OpenBase) -> KnowledgeBase:
        counts = await asyncio.to_thread(self._catalogue.counts, [base.id])
        if base.id not in counts:
            raise NotFoundError(f"The knowledge base {base.name!r} was deleted.", code="knowledge_not_found")
        return base_form(base, counts[base.id], *self._jobs.status(base))

    def _check_sources(self, sources: Sequence[str]) -> None:
        """Let callers name addresses, and what lies in the folders that the operator opened for them."""
        for source in sources:
            if "://" in source:
                address = urlsplit(source)
                if address.scheme.lower() not in ("http", "https") or not address.netloc:
                    raise BadRequestError(f"{source!r} is no address of the kinds http and https.", param="sources")
                continue
            path = Path(source).expanduser().resolve()
            if not any(path.is_relative_to(folder) for folder in self._plan.folders):
                raise PermissionDeniedError(
                    f"{source!r} is in none of the folders that callers may name (POLYPORT_KNOWLEDGE_FOLDERS); "
                    "send the files instead.",
                    param="sources",
                )


def _embedders(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes as a configuration has them: a caller may name one embedder."""
    found = dict(changes)
    if "embedder" in found:
        named = found.pop("embedder")
        found["embedders"] = () if named is None else (named,) if isinstance(named, str) else tuple(named)
    return found


def _check_name(name: str) -> None:
    try:
        check_base_name(name)
    except DeclarationError as error:
        raise BadRequestError(f"{error}.", param="name") from error


def _declared(declaration: KnowledgeDeclaration) -> BaseConfig:
    return BaseConfig(
        name=declaration.name,
        description=declaration.description,
        sources=declaration.sources,
        embedders=declaration.embedders,
        reranker=declaration.reranker,
        model=declaration.model,
        chunker=declaration.chunker,
        index=declaration.index,
        index_options=dict(declaration.index_options),
        fields=None if declaration.fields is None else dict(declaration.fields),
        keywords=declaration.keywords_name,
        keywords_version=declaration.keywords_version,
        on_keywords_change=declaration.on_keywords_change,
        hops=declaration.hops,
        expand=declaration.expand,
        threshold=declaration.threshold,
        prompts=dict(declaration.prompts),
        timeout=declaration.timeout,
        watch=declaration.watch,
        metadata=dict(declaration.metadata),
        tags=declaration.tags,
    )
