"""All that works on knowledge bases, once there is one: opened together, closed together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from polyport.declarations import KnowledgeDeclaration
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
from .jobs import KnowledgeJobs
from .learning import Learning
from .names import Names
from .plan import KnowledgePlan
from .recipes import Recipes
from .registry import Registry
from .searching import Searching
from .upkeep import Upkeep

__all__ = ["House"]

_log = logging.getLogger("polyport.knowledge")


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
        upkeep: Makes and changes.
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
        recipes = Recipes(catalog, building.embedder)
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
        self.upkeep = Upkeep(plan, self.registry, catalogue, self.blobs, parsed, self.jobs, recipes, names)

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
        for declaration in self._declared:
            await self.upkeep.declare(declaration)

    async def close(self) -> None:
        """Stop what runs, and close indexes and files."""
        self._models.close()
        await self.jobs.close()
        await self._parser.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._shelves.close()
        self._cache.close()
        self._web.close()


def _features(catalog: Catalog, name: str) -> frozenset[str]:
    found = catalog.find(name)
    return frozenset() if found is None else found.features
