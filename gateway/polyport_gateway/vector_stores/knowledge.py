"""What vector stores need of knowledge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from polyport.types.knowledge import (
    KnowledgeBase,
    KnowledgeCreateRequest,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
)
from polyport_gateway.call import Caller
from polyport_gateway.knowledge.uploads import Upload

__all__ = ["Knowledge"]


class Knowledge(Protocol):
    """Knowledge bases, as `KnowledgeService` has them; what a caller may not use does not exist for it."""

    async def create(self, request: KnowledgeCreateRequest, *, caller: Caller, private: bool = False) -> KnowledgeBase:
        """Make a base; a private one is its maker's alone, and no name that can be called."""
        ...

    async def base(self, name: str, *, caller: Caller) -> KnowledgeBase:
        """Return a base."""
        ...

    async def bases(self, *, caller: Caller) -> list[KnowledgeBase]:
        """Return all bases."""
        ...

    async def delete(self, name: str, *, caller: Caller) -> None:
        """Drop a base with all its documents."""
        ...

    async def add(self, name: str, uploads: Sequence[Upload], *, caller: Caller) -> KnowledgeJob:
        """Keep what was sent, and begin to take it in."""
        ...

    async def job(self, job_id: str, *, caller: Caller) -> KnowledgeJob:
        """Return a job."""
        ...

    async def cancel_job(self, job_id: str, *, caller: Caller) -> KnowledgeJob:
        """Cancel a job."""
        ...

    async def documents(
        self,
        name: str,
        *,
        caller: Caller,
        after: str | None = None,
        limit: int = 100,
        status: Literal["ready", "failed"] | None = None,
    ) -> KnowledgeDocumentList:
        """Return some documents of a base, in the order of their sources, after one of these."""
        ...

    async def find_documents(
        self, name: str, sources: Collection[str], *, caller: Caller
    ) -> dict[str, KnowledgeDocument]:
        """Return those of some documents that a base has, by their source."""
        ...

    async def document(self, name: str, uid: str, *, caller: Caller) -> KnowledgeDocument:
        """Return a document."""
        ...

    async def update_document(
        self, name: str, uid: str, changes: Mapping[str, Any], *, caller: Caller
    ) -> KnowledgeDocument:
        """Change what is said of a document: its ``metadata``."""
        ...

    async def remove_documents(self, name: str, uids: Sequence[str], *, caller: Caller) -> list[str]:
        """Remove documents."""
        ...

    async def text(self, name: str, uid: str, *, caller: Caller) -> str:
        """Return the text of a document."""
        ...
