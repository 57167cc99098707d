"""All that works on knowledge bases, once there is one: opened together, closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from polyport.declarations import KnowledgeDeclaration
from polyport.errors import CallError, ConflictError
from polyport_gateway.call import LOCAL, Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.jobs.durable import JobRunner
from polyport_gateway.knowledge.bases import Shelves
from polyport_gateway.knowledge.catalogue import Catalogue
from polyport_gateway.knowledge.embedding import EmbeddingCache, GatewayModels
from polyport_gateway.knowledge.ingestion.parsed import ParsedDocuments
from polyport_gateway.knowledge.ingestion.sources import Web
from polyport_gateway.knowledge.links.store import LinkStore
from polyport_gateway.storage.blobs import FolderBlobs
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.jobs import JobStore

from .asking import Asking
from .building import Building, Parser
from .documents import Documents
from .jobs import KnowledgeJobs
from .learning import Learning
from .names import Names
from .plan import KnowledgePlan
from .recipes import Recipes
from .registry import Registry
from .searching import Searching
from .upkeep import Upkeep

__all__ = ["House"]


_LOOK_EVERY_S = 3.0


class House:
    """Puts together what `KnowledgeService` hands its work to.

    Args:
        plan: Limits and folders.
        database: Of the records.
        dispatch: The way to models and functions.
        catalog: Has them.
        names: Told of bases that come and go.
        declared: Bases that the app declares.

    Attributes:
        blobs: Files that were handed in, and documents as they were read.
        registry: The bases.
        searching: Finds.
        asking: Answers.
        upkeep: Makes and changes bases.
        documents: Adds and changes documents.
        jobs: What takes longer.
    """

    def __init__(
        self,
        plan: KnowledgePlan,
        database: Database,
        dispatch: Dispatch,
        catalog: Catalog,
        names: Names | None,
        declared: Sequence[KnowledgeDeclaration],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._declared, self._names = declared, names
        self._shared = database.dialect == "postgresql"
        self._following: asyncio.Task[None] | None = None
        self.blobs = FolderBlobs(plan.blobs)
        parsed = ParsedDocuments(self.blobs)
        catalogue = Catalogue(database)
        links = LinkStore(database)
        self._shelves = Shelves(plan.folder / "shelves")
        self._models = GatewayModels(loop, dispatch, LOCAL, features=lambda name: _features(catalog, name))
        self._cache = EmbeddingCache(plan.folder / "embeddings.sqlite3")
        self._web = Web(plan.allow_hosts, largest=plan.max_bytes)
        self._parser = Parser(plan, loop)
        self.registry = Registry(catalogue)
        building = Building(
            plan, self.registry, catalogue, self._shelves, parsed, self._models, self._cache, catalog, self._parser,
            declared,
        )  # fmt: skip
        recipes = Recipes(catalog, building.embedder, self._models.window)
        self.searching = Searching(plan, self.registry, self._shelves, catalogue, self._models, links)
        self.asking = Asking(self.searching, self._models, catalog)
        self.jobs = KnowledgeJobs(
            JobRunner(JobStore(database)),
            self.registry,
            building,
            Learning(self.registry, catalogue, links),
            recipes,
            self.blobs,
            self._web,
            [one.name for one in declared],
        )
        self.searching.doing = self.jobs.doing
        self.jobs.rebuilt = self.searching.vectors.forget
        self.upkeep = Upkeep(plan, self.registry, catalogue, self._shelves, self.jobs, recipes, names)
        self.documents = Documents(plan, self.registry, catalogue, self.blobs, parsed, self.jobs)

    async def open(self) -> None:
        """Read what there is, make what the app declares, and go on with what is unfinished.

        Raises:
            ConfigurationError: A base can't be as it is declared.
        """
        await asyncio.to_thread(self.registry.load)
        if self._names is not None:
            for base in self.registry.all():
                if base.config.owner is None:
                    self._names.added(base.name, base.config.description, base.config.timeout)
        await self.jobs.start()
        if self._shared:
            self._following = asyncio.ensure_future(self._follow_others())
        for declaration in self._declared:
            await self.upkeep.declare(declaration)

    async def _follow_others(self) -> None:
        """Take note of bases that other gateways on the same records make, change and drop."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                before = {base.name for base in self.registry.all()}
                now = {base.name: base for base in await asyncio.to_thread(self.registry.load)}
            except CallError:
                continue  # the records have said in the log what is wrong
            if self._names is None:
                continue
            for name in before - set(now):
                self._names.removed(name)
            for name, base in now.items():
                if name not in before and base.config.owner is None:
                    with suppress(ConflictError):  # a name that this gateway's app has for something else
                        self._names.added(name, base.config.description, base.config.timeout)

    async def close(self) -> None:
        """Stop what runs, and close indexes and files."""
        if self._following is not None:
            self._following.cancel()
        stopping = asyncio.ensure_future(self.jobs.close())
        await asyncio.sleep(
            0
        )  # jobs are told to stop before what they ask of models ends: they go on at the next start
        self._models.close()
        await stopping
        await self._parser.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._shelves.close()
        self._cache.close()
        self._web.close()


def _features(catalog: Catalog, name: str) -> frozenset[str]:
    found = catalog.find(name)
    return frozenset() if found is None else found.features
