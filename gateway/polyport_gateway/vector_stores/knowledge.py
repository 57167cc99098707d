"""What vector stores need of knowledge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from polyport.types.knowledge import (
    KnowledgeBase,
    KnowledgeCreateRequest,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
    KnowledgeResults,
    SearchRequest,
)
from polyport_gateway.call import Call, Caller

__all__ = ["Knowledge"]


class Knowledge(Protocol):
    """Knowledge bases, as `KnowledgeService` has them; what a caller may not see does not exist for it."""

    async def create(self, request: KnowledgeCreateRequest, *, caller: Caller) -> KnowledgeBase:
        """Make a base."""
        ...

    async def base(self, name: str, caller: Caller) -> KnowledgeBase:
        """Return a base."""
        ...

    async def bases(self, caller: Caller) -> list[KnowledgeBase]:
        """Return all bases."""
        ...

    async def delete(self, name: str, caller: Caller) -> None:
        """Delete a base."""
        ...

    async def add(self, name: str, uploads: Sequence[Any], caller: Caller) -> KnowledgeJob:
        """Take files in."""
        ...

    async def job(self, id: str, caller: Caller) -> KnowledgeJob:  # noqa: A002
        """Return a job."""
        ...

    async def cancel_job(self, id: str, caller: Caller) -> KnowledgeJob:  # noqa: A002
        """Cancel a job."""
        ...

    async def documents(
        self, name: str, caller: Caller, *, after: str | None = None, limit: int = 100
    ) -> KnowledgeDocumentList:
        """Return a page of a base's documents."""
        ...

    async def find_documents(
        self, name: str, sources: Collection[str], caller: Caller
    ) -> dict[str, KnowledgeDocument]:
        """Return those of some documents that a base has, by their source."""
        ...

    async def document(self, name: str, uid: str, caller: Caller) -> KnowledgeDocument:
        """Return a document."""
        ...

    async def update_document(
        self, name: str, uid: str, caller: Caller, *, metadata: Mapping[str, Any] | None = None
    ) -> KnowledgeDocument:
        """Change what is known of a document."""
        ...

    async def remove_documents(self, name: str, uids: Sequence[str], caller: Caller) -> int:
        """Remove documents."""
        ...

    async def text(self, name: str, uid: str, caller: Caller) -> str:
        """Return the text of a document."""
        ...

    async def search(self, request: SearchRequest, call: Call) -> KnowledgeResults:
        """Search."""
        ...
