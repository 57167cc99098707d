"""What the endpoints of knowledge bases ask of those who keep them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

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
from polyport_gateway.knowledge.uploads import Upload

__all__ = ["Knowledge"]


class Knowledge(Protocol):
    """Keeps knowledge bases; everything raises `CallError` where it can't be done, and for this caller."""

    async def create(self, request: KnowledgeCreateRequest, *, caller: Caller) -> KnowledgeBase:
        """Make a base, and begin to take in its sources."""
        ...

    async def base(self, name: str, caller: Caller) -> KnowledgeBase:
        """Return a base, and how it is."""
        ...

    async def bases(self, caller: Caller) -> list[KnowledgeBase]:
        """Return those that this caller may use."""
        ...

    async def configure(self, name: str, changes: Mapping[str, Any], caller: Caller) -> KnowledgeBase:
        """Change what changes at once."""
        ...

    async def delete(self, name: str, caller: Caller) -> None:
        """Remove a base with all in it."""
        ...

    async def add(
        self,
        name: str,
        uploads: Sequence[Upload],
        caller: Caller,
        *,
        urls: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        chunker: str | None = None,
    ) -> KnowledgeJob:
        """Keep what was sent, and begin to take it in.

        Args:
            name: The base.
            uploads: What was sent, with its own metadata, tags and chunker.
            caller: Who asks.
            urls: What is to be fetched.
            metadata: Of what is fetched.
            tags: As well.
            chunker: As well.
        """
        ...

    async def refresh(self, name: str, caller: Caller) -> KnowledgeJob:
        """Look at the sources again."""
        ...

    async def reindex(self, name: str, changes: Mapping[str, Any], caller: Caller) -> KnowledgeJob:
        """Build everything anew."""
        ...

    async def rekey(
        self,
        name: str,
        caller: Caller,
        *,
        changes: Mapping[str, Any],
    ) -> KnowledgeRekeyed:
        """Make keywords by another ``function`` or ``version``, now (``batch``) or as documents change."""
        ...

    async def jobs(self, caller: Caller, name: str | None = None) -> list[KnowledgeJob]:
        """Return jobs, the newest first."""
        ...

    async def job(self, job_id: str, caller: Caller) -> KnowledgeJob:
        """Return a job, as it is now."""
        ...

    def follow(self, job_id: str, caller: Caller) -> AsyncIterator[KnowledgeJob]:
        """Give a job as it is now, and each time that it has changed, until it has come to its end."""
        ...

    async def cancel_job(self, job_id: str, caller: Caller) -> KnowledgeJob:
        """Cancel a job."""
        ...

    async def documents(
        self, name: str, caller: Caller, *, after: str | None = None, limit: int = 100, query: str | None = None
    ) -> KnowledgeDocumentList:
        """Return a page of documents."""
        ...

    async def document(self, name: str, uid: str, caller: Caller) -> KnowledgeDocument:
        """Return a document, by its id or its key."""
        ...

    async def update_document(
        self, name: str, uid: str, changes: Mapping[str, Any], caller: Caller
    ) -> KnowledgeDocument:
        """Change what is said of a document."""
        ...

    async def remove_documents(self, name: str, uids: Sequence[str], caller: Caller) -> list[str]:
        """Remove documents; return the ids of those that were there."""
        ...

    async def text(self, name: str, uid: str, caller: Caller) -> str:
        """Return a document's text."""
        ...

    async def changes(
        self, name: str, caller: Caller, *, before: int | None = None, limit: int = 100
    ) -> KnowledgeChangeList:
        """Return a page of the update log, the newest first."""
        ...
