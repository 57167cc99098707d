"""The documents of a knowledge base: added, listed, shown, changed, removed."""

from __future__ import annotations

from collections.abc import Sequence

from polyport.errors import NotFoundError
from polyport.types.knowledge_requests import (
    KnowledgeDeleted,
    KnowledgeDocumentUpdate,
    KnowledgeRemoveRequest,
    KnowledgeText,
)
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import Receive, Scope, Send, info_of, run_until_disconnect, send_json
from polyport_gateway.wires.rest.knowledge_bodies import integer, open_added, query_of, read_model
from polyport_gateway.wires.rest.knowledge_service import Knowledge

__all__ = ["DocumentEndpoints", "base_of"]

_LISTED = frozenset({"after", "limit", "query"})
_MOST_LISTED = 1000


def base_of(scope: Scope) -> str:
    """Return the knowledge base that a path names."""
    name: str = scope["path_params"]["name"]
    return name


class DocumentEndpoints:
    """Answers what is asked of documents.

    Args:
        service: Keeps them.
        settings: Limits on bodies.
    """

    def __init__(self, service: Knowledge, settings: Settings) -> None:
        self._service = service
        self._settings = settings

    async def add(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add documents."""
        caller = info_of(scope).caller
        name = base_of(scope)
        await self._service.base(name, caller)  # before a body is taken that nobody will have
        async with open_added(scope, receive, self._settings) as added:
            asked = added.asked
            work = self._service.add(
                name,
                added.uploads,
                caller,
                urls=asked.urls,
                metadata=asked.metadata,
                tags=asked.tags,
                chunker=asked.chunker,
            )
            job = await run_until_disconnect(receive, work)
        await send_json(send, job)

    async def list_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List documents, a page of them."""
        del receive
        query = query_of(scope, _LISTED)
        page = await self._service.documents(
            base_of(scope),
            info_of(scope).caller,
            after=query.get("after"),
            limit=integer(query, "limit", 1, _MOST_LISTED) or 100,
            query=query.get("query") or None,
        )
        await send_json(send, page)

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a document."""
        del receive
        await self._show(scope, send, scope["path_params"]["document"])

    async def text(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a document's text."""
        del receive
        key = scope["path_params"]["document"]
        if not (scope.get("raw_path") or b"/text").rstrip(b"/").endswith(b"/text"):
            # The end of a key, which came quoted.
            await self._show(scope, send, f"{key}/text")
            return
        name, caller = base_of(scope), info_of(scope).caller
        document = await self._service.document(name, key, caller)
        text = await self._service.text(name, document.id, caller)
        await send_json(send, KnowledgeText(id=document.id, title=document.title, text=text))

    async def _show(self, scope: Scope, send: Send, uid: str) -> None:
        await send_json(send, await self._service.document(base_of(scope), uid, info_of(scope).caller))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change what is said of a document."""
        asked = await read_model(scope, receive, self._settings, KnowledgeDocumentUpdate)
        changes = asked.model_dump(exclude_unset=True)
        uid = scope["path_params"]["document"]
        await send_json(send, await self._service.update_document(base_of(scope), uid, changes, info_of(scope).caller))

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove a document."""
        del receive
        await self._remove(scope, send, [scope["path_params"]["document"]])

    async def remove_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove several."""
        asked = await read_model(scope, receive, self._settings, KnowledgeRemoveRequest)
        await self._remove(scope, send, asked.documents)

    async def _remove(self, scope: Scope, send: Send, uids: Sequence[str]) -> None:
        name = base_of(scope)
        gone = await self._service.remove_documents(name, uids, info_of(scope).caller)
        if not gone and len(uids) == 1:
            raise NotFoundError(
                f"There is no document {uids[0][:200]!r} in {name!r}.", param="document", code="document_not_found"
            )
        await send_json(send, KnowledgeDeleted(knowledge=name, documents=gone))
