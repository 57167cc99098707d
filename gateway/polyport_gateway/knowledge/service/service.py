"""`KnowledgeService`: all knowledge bases of a gateway, opened when first needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from polyport.app import App
from polyport.declarations import KnowledgeDeclaration
from polyport.errors import MissingDependencyError, ServiceUnavailableError, UnsupportedOperationError
from polyport.events import Event
from polyport.types.knowledge import (
    AskRequest,
    KnowledgeAnswer,
    KnowledgeBase,
    KnowledgeChangeList,
    KnowledgeCreateRequest,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
    KnowledgeResults,
    SearchRequest,
)
from polyport.types.knowledge_requests import KnowledgeRekeyed
from polyport_gateway.call import Call, Caller, Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.storage.database import Database

from .names import Names
from .plan import KnowledgePlan

if TYPE_CHECKING:
    from polyport_gateway.knowledge.catalogue.rows import DocumentStatus
    from polyport_gateway.knowledge.uploads import Upload

    from .house import House

__all__ = ["KnowledgeService"]

_log = logging.getLogger("polyport.knowledge")


class KnowledgeService:
    """What wires and capabilities call.

    Nothing is opened, and none of the packages that search are loaded, until an app declares a base, the catalogue has
    one, or a caller makes one.

    Args:
        plan: From `make_plan`; None where the operator wants no knowledge bases.
        app: Declares some of the bases.
        database: Of the records.

    Attributes:
        names: Told of bases that come and go.
    """

    def __init__(self, plan: KnowledgePlan | None, app: App, database: Database) -> None:
        self.plan = plan
        self.names: Names | None = None
        self._declared = [one for one in app.declarations if isinstance(one, KnowledgeDeclaration)]
        self._database = database
        self._dispatch: Dispatch | None = None
        self._catalog: Catalog | None = None
        self._house: House | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._started = False

    @property
    def enabled(self) -> bool:
        """Whether there are knowledge bases at all."""
        return self.plan is not None

    @property
    def state(self) -> str:
        """Say how they are: ``disabled``, ``idle`` (nothing is open) or ``ready``."""
        return "disabled" if self.plan is None else "idle" if self._house is None else "ready"

    def connect(self, dispatch: Dispatch, catalog: Catalog) -> None:
        """Say how models and functions are called; once, before `start`."""
        self._dispatch, self._catalog = dispatch, catalog

    async def start(self) -> None:
        """Open the bases that there are, and go on with what an earlier process left unfinished.

        Raises:
            ConfigurationError: A base can't be as it is declared.
            MissingDependencyError: A package is missing.
        """
        self._closed = False
        if self.plan is None:
            return
        there: bool = await self._database.read(_any_base)
        if self._declared or there:
            await self.house()
        self._started = True

    async def close(self) -> None:
        """Stop working on them, and close their indexes; what is unfinished goes on when they are opened again."""
        self._closed = True
        async with self._opening:
            house, self._house = self._house, None
            if house is not None:
                await house.close()

    async def house(self) -> House:
        """Return what does the work, opened where it is not.

        Raises:
            UnsupportedOperationError: Knowledge bases are switched off.
            ServiceUnavailableError: The gateway is stopping.
            MissingDependencyError: A package is missing.
        """
        if self._house is not None:
            return self._house
        if self.plan is None:
            raise UnsupportedOperationError(
                "This gateway has no knowledge bases: they are switched off (POLYPORT_KNOWLEDGE=none).",
                code="knowledge_disabled",
            )
        async with self._opening:
            if self._house is None:
                if self._closed or self._dispatch is None or self._catalog is None:
                    raise ServiceUnavailableError("The gateway is shutting down; try again in a moment.", retry_after=1)
                try:
                    from .house import House
                except (ModuleNotFoundError, MissingDependencyError) as error:
                    missing = MissingDependencyError("a knowledge base", extra="knowledge")
                    # At the start it is the operator who reads it, later a caller.
                    raise (
                        UnsupportedOperationError(str(missing), code="missing_dependency") if self._started else missing
                    ) from error
                house = House(self.plan, self._database, self._dispatch, self._catalog, self.names, self._declared)
                try:
                    await house.open()
                except BaseException:
                    await house.close()
                    raise
                self._house = house
        return self._house

    async def search(self, request: SearchRequest, call: Call) -> KnowledgeResults:
        """Find passages, within a call; see `Searching.search`."""
        return await (await self.house()).searching.search(request, call)

    async def ask(self, request: AskRequest, call: Call) -> AsyncGenerator[Event | KnowledgeAnswer, None]:
        """Answer a question, within a call: text and citations as they come, the whole answer at the end."""
        house = await self.house()
        async for piece in house.asking.ask(request, call):
            yield piece

    async def create(self, request: KnowledgeCreateRequest, *, caller: Caller, private: bool = False) -> KnowledgeBase:
        """Make a base; see `Upkeep.create`."""
        return await (await self.house()).upkeep.create(request, caller=caller, private=private)

    async def base(self, name: str, caller: Caller) -> KnowledgeBase:
        """Return a base, and how it is."""
        return await (await self.house()).upkeep.base(name, caller=caller)

    async def bases(self, caller: Caller) -> list[KnowledgeBase]:
        """Return the bases that a caller may use."""
        return await (await self.house()).upkeep.bases(caller=caller)

    async def configure(self, name: str, changes: Mapping[str, Any], caller: Caller) -> KnowledgeBase:
        """Change what a base is to be."""
        return await (await self.house()).upkeep.configure(name, changes, caller=caller)

    async def delete(self, name: str, caller: Caller) -> None:
        """Drop a base with all its documents."""
        await (await self.house()).upkeep.delete(name, caller=caller)

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
        """Keep what was sent, and begin to take it in; see `Upkeep.add`."""
        return await (await self.house()).documents.add(
            name, uploads, urls, caller=caller, metadata=metadata or {}, tags=tags, chunker=chunker
        )

    async def refresh(self, name: str, caller: Caller) -> KnowledgeJob:
        """Look at a base's sources again."""
        house = await self.house()
        return await house.jobs.refresh(house.registry.get(name, caller), by=caller.id)

    async def reindex(self, name: str, changes: Mapping[str, Any], caller: Caller) -> KnowledgeJob:
        """Build a base anew beside what is searched, changed where something is to be another."""
        return await (await self.house()).upkeep.reindex(name, changes, caller=caller)

    async def rekey(self, name: str, caller: Caller, *, changes: Mapping[str, Any]) -> KnowledgeRekeyed:
        """Make keywords by another function or version."""
        return await (await self.house()).upkeep.rekey(name, changes, caller=caller)

    async def jobs(self, caller: Caller, name: str | None = None) -> list[KnowledgeJob]:
        """Return jobs, the newest first."""
        house = await self.house()
        return await house.jobs.jobs(caller=caller, base=None if name is None else house.registry.get(name, caller))

    async def job(self, job_id: str, caller: Caller) -> KnowledgeJob:
        """Return a job as it is now."""
        return await (await self.house()).jobs.job(job_id, caller=caller)

    async def follow(self, job_id: str, caller: Caller) -> AsyncGenerator[KnowledgeJob, None]:
        """Give a job as it is, and again whenever that has changed, until it has ended."""
        async for job in (await self.house()).jobs.follow(job_id, caller=caller):
            yield job

    async def cancel_job(self, job_id: str, caller: Caller) -> KnowledgeJob:
        """Cancel a job; what it has done is kept."""
        return await (await self.house()).jobs.cancel(job_id, caller=caller)

    async def documents(
        self,
        name: str,
        caller: Caller,
        *,
        after: str | None = None,
        limit: int = 100,
        query: str | None = None,
        status: DocumentStatus | None = None,
        tag: str | None = None,
    ) -> KnowledgeDocumentList:
        """Return some documents of a base, in the order of their keys."""
        return await (await self.house()).documents.documents(
            name, caller=caller, after=after, limit=limit, query=query, status=status, tag=tag
        )

    async def find_documents(self, name: str, sources: Collection[str], caller: Caller) -> dict[str, KnowledgeDocument]:
        """Return those of some documents that a base has, by their keys."""
        return await (await self.house()).documents.find_documents(name, sources, caller=caller)

    async def document(self, name: str, uid: str, caller: Caller) -> KnowledgeDocument:
        """Return a document, by its id or its key."""
        return await (await self.house()).documents.document(name, uid, caller=caller)

    async def update_document(
        self, name: str, uid: str, changes: Mapping[str, Any], caller: Caller
    ) -> KnowledgeDocument:
        """Change what is said of a document: its ``title``, ``metadata`` or ``tags``."""
        return await (await self.house()).documents.update_document(name, uid, changes, caller=caller)

    async def remove_documents(self, name: str, uids: Sequence[str], caller: Caller) -> list[str]:
        """Remove documents; return the ids of those that were there."""
        return await (await self.house()).documents.remove_documents(name, uids, caller=caller)

    async def text(self, name: str, uid: str, caller: Caller) -> str:
        """Return the text of a document, in which spans count."""
        return (await (await self.house()).documents.parsed(name, uid, caller=caller)).text

    async def changes(
        self, name: str, caller: Caller, *, before: int | None = None, limit: int = 100
    ) -> KnowledgeChangeList:
        """Return the newest lines of a base's update log."""
        return await (await self.house()).upkeep.changes(name, caller=caller, before=before, limit=limit)

    async def uids(self, name: str, typed: str, *, limit: int) -> Sequence[str]:
        """Return ids of documents whose key or title has what was typed."""
        return await (await self.house()).documents.uids(name, typed, limit=limit)


def _any_base(connection: Connection) -> bool:
    from polyport_gateway.storage.schema import knowledge_bases

    return connection.execute(select(knowledge_bases.c.id).limit(1)).first() is not None
