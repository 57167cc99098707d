"""From the catalogue's rows to what callers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from polyport.types.knowledge import (
    KnowledgeBase,
    KnowledgeChange,
    KnowledgeDocument,
    KnowledgeKeywords,
)
from polyport_gateway.knowledge.catalogue import BaseCounts, ChangeRow, DocumentRow

from .registry import OpenBase

__all__ = ["BaseStatus", "base_form", "change_form", "document_form"]

BaseStatus = Literal["ready", "ingesting", "rekeying", "reindexing", "failed"]


def base_form(base: OpenBase, counts: BaseCounts, status: BaseStatus, error: str | None = None) -> KnowledgeBase:
    """Return a base as callers see it."""
    config, generation = base.config, base.generation
    return KnowledgeBase(
        name=base.name,
        description=config.description,
        state=status,
        error=error,
        mode="hybrid" if generation.embedders else "bm25",
        documents=counts.documents,
        failed=counts.failed,
        chunks=counts.chunks,
        sources=list(config.sources),
        embedders=list(generation.embedders),
        reranker=config.reranker,
        model=config.model,
        chunker=generation.chunker,
        index=generation.index,
        fields=None if config.fields is None else dict(config.fields),
        keywords=KnowledgeKeywords(
            function=config.keywords,
            version=config.keywords_version,
            behind=counts.behind(config.keywords_version),
        ),
        generation=generation.number,
        watch=config.watch,
        declared=base.row.declared,
        created_at=base.row.created_at // 1000,
        updated_at=base.row.updated_at // 1000,
    )


def document_form(row: DocumentRow, knowledge: str, chunks: int = 0) -> KnowledgeDocument:
    """Return a document as callers see it."""
    return KnowledgeDocument(
        id=row.uid,
        knowledge=knowledge,
        title=row.title,
        source=row.key,
        status=row.status,
        error=row.error,
        bytes=row.bytes,
        sha256=row.sha256,
        format=row.format,
        language=row.language,
        pages=row.pages,
        chunks=chunks,
        version=row.version,
        metadata=dict(row.metadata),
        tags=list(row.tags),
        keywords=list(row.keywords),
        keywords_version=row.keywords_version,
        receipt=_plain(row.receipt),
        added_at=row.added_at // 1000,
        updated_at=row.updated_at // 1000,
    )


def change_form(row: ChangeRow) -> KnowledgeChange:
    """Return a line of the update log as callers see it."""
    return KnowledgeChange(
        at=row.at,
        action=row.action,
        document=row.document,
        source=row.source,
        job=row.job,
        by=row.by,
        details=dict(row.details),
    )


def _plain(receipt: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if receipt is None else dict(receipt)
