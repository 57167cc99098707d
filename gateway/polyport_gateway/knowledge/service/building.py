"""What ingestion needs of the gateway, for each base: where it writes, what embeds, reads files and makes keywords."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from polyport.declarations import KnowledgeDeclaration
from polyport.errors import CallError, ConfigurationError, ConflictError, FunctionError, NotFoundError
from polyport_gateway.catalog import Catalog
from polyport_gateway.knowledge.bases import Generation, Shelf, Shelves
from polyport_gateway.knowledge.catalogue import BaseCounts, Catalogue, Garbage
from polyport_gateway.knowledge.chunkers import parse_steps
from polyport_gateway.knowledge.documents import Parsed
from polyport_gateway.knowledge.embedding import Embedder, EmbeddingCache, GatewayModels
from polyport_gateway.knowledge.indexes import VectorIndex
from polyport_gateway.knowledge.ingestion.build import Target, WriteLinks, clear
from polyport_gateway.knowledge.ingestion.cutting import default_chunker
from polyport_gateway.knowledge.ingestion.keywords import BuiltInKeywords, FunctionKeywords, KeywordMaker
from polyport_gateway.knowledge.ingestion.parsed import ParsedDocuments
from polyport_gateway.knowledge.ingestion.repair import Repaired, recover, repair
from polyport_gateway.knowledge.ingestion.report import Report
from polyport_gateway.knowledge.ingestion.work import Work
from polyport_gateway.knowledge.links import Passage
from polyport_gateway.knowledge.links.rows import rows_of
from polyport_gateway.knowledge.links.store import LinkStore
from polyport_gateway.knowledge.links.store import Part as LinkPart
from polyport_gateway.knowledge.parsing import ParseLimits, ParserPool
from polyport_gateway.knowledge.retrieval import BM25
from polyport_gateway.storage.blobs import BlobStore

from .plan import KnowledgePlan
from .recipes import fingerprint_of
from .registry import OpenBase, Registry

__all__ = ["Building", "Parser"]

_WARMING = "polyport"

_log = logging.getLogger("polyport.knowledge")


class Parser:
    """Reads files in processes of their own, which start with the first file; from worker threads.

    Args:
        plan: Limits.
        loop: The event loop of the gateway.
    """

    def __init__(self, plan: KnowledgePlan, loop: asyncio.AbstractEventLoop) -> None:
        limits = ParseLimits(wall_s=plan.timeout_s, cpu_s=plan.timeout_s, memory_mb=plan.memory_mb)
        self._pool = ParserPool(plan.workers, limits=limits)
        self._loop = loop
        self._started: asyncio.Task[None] | None = None

    def __call__(self, data: bytes, name: str) -> Parsed:
        """Read a file; blocks.

        Raises:
            UnreadableDocumentError: It can't be read.
        """
        return asyncio.run_coroutine_threadsafe(self._parse(data, name), self._loop).result()

    async def _parse(self, data: bytes, name: str) -> Parsed:
        if self._started is None:
            self._started = asyncio.ensure_future(self._pool.start())
        await asyncio.shield(self._started)
        return await self._pool.parse(data, name)

    async def close(self) -> None:
        """End the processes."""
        if self._started is not None:
            await asyncio.wait({self._started})
            await self._pool.close()


class Building:
    """Gives ingestion what it needs; may be used from several threads.

    Args:
        plan: Limits.
        registry: The bases.
        catalogue: Their documents.
        shelves: Their indexes.
        parsed: Documents as they were read.
        models: Of the gateway.
        cache: Of vectors.
        catalog: Has models and functions.
        parser: Reads files.
        declared: What the app says of bases.
    """

    def __init__(
        self,
        plan: KnowledgePlan,
        registry: Registry,
        catalogue: Catalogue,
        shelves: Shelves,
        parsed: ParsedDocuments,
        models: GatewayModels,
        cache: EmbeddingCache,
        catalog: Catalog,
        parser: Parser,
        declared: Sequence[KnowledgeDeclaration],
    ) -> None:
        self._plan, self._registry, self._catalogue = plan, registry, catalogue
        self._shelves, self._models, self._cache, self._catalog = shelves, models, cache, catalog
        self._parser = parser
        self.parsed = parsed
        self._callables = {one.name: one.keywords for one in declared if callable(one.keywords)}
        self._embedders: dict[str, Embedder] = {}
        self._lock = threading.Lock()

    def embedder(self, name: str) -> Embedder:
        """Return the embedder of a name, one for all bases."""
        with self._lock:
            found = self._embedders.get(name)
            if found is None:
                found = self._embedders[name] = Embedder(
                    name,
                    partial(self._models.embed, name),
                    cache=self._cache,
                    fingerprint=fingerprint_of(self._catalog, name),
                )
            return found

    def work(self, base: OpenBase) -> Work:
        """Return what a job on a base works with.

        Raises:
            ConfigurationError: Its function of keywords is not there.
        """
        config = base.config
        return Work(
            base=base.id,
            catalogue=self._catalogue,
            parsed=self.parsed,
            target=partial(self.target, base.id),
            index_of=self.index_of,
            parse=self._parser,
            keywords=self._keywords(base),
            keywords_version=config.keywords_version,
            metadata=config.metadata,
            tags=config.tags,
            readers=self._plan.workers,
            writing=self._writing,
        )

    def target(self, number: int, generation: int | None = None) -> Target:
        """Return what is written to: a generation of a base, or the one that is searched.

        Raises:
            NotFoundError: The base is gone.
            CallError: Its index can't be opened.
        """
        base = self._registry.refresh(number)
        if base is None:
            raise NotFoundError(f"The knowledge base with the number {number} was deleted.")
        settings = base.generation if generation in (None, base.generation.number) else self._other(base, generation)
        shelf = self._shelves.get(settings)
        return Target(
            base=base.id,
            generation=settings.number,
            index=shelf.index,
            bm25=settings.bm25,
            chunker=default_chunker(settings.window) if settings.chunker is None else parse_steps(settings.chunker),
            embedders={name: self.embedder(name) for name in settings.embedders},
            links=_find_links,
            writing=shelf.writing,
            settle=None if settings.mean_length is not None else partial(self._settle, base.id, settings.number),
        )

    def _other(self, base: OpenBase, generation: int | None) -> Generation:
        for row in self._catalogue.generations(base.id):
            if row.generation == generation:
                return self._registry.generation(base, row)
        raise NotFoundError(f"{base.name!r} has no generation {generation}.")

    def _settle(self, number: int, generation: int, mean_length: float) -> BM25:
        """Keep the mean length of the first chunks: what is indexed after them is weighed by the same."""
        with self._lock:
            base = self._registry.refresh(number)
            if base is None:
                raise NotFoundError(f"The knowledge base with the number {number} was deleted.")
            found = base.generation if base.generation.number == generation else self._other(base, generation)
            if found.mean_length is None:
                found = replace(found, mean_length=round(mean_length, 2))
                self._registry.keep_learned(base, found)
            return found.bm25

    def index_of(self, garbage: Garbage) -> VectorIndex | None:
        """Return the index that garbage lies in; None where it can't be reached now."""
        try:
            shelf = self._shelves.find(garbage.shelf)
        except ConflictError as error:  # it is another gateway's, which clears it by itself
            _log.info("the index %s is not cleared here: %s", garbage.shelf, error)
            return None
        return None if shelf is None else shelf.index

    def _writing(self, garbage: Garbage) -> AbstractContextManager[Any]:
        shelf = self._shelves.find(garbage.shelf)
        return nullcontext() if shelf is None else shelf.writing

    def shelf(self, base: OpenBase) -> Shelf:
        """Return the index of a base."""
        return self._shelves.get(base.generation)

    def counts(self, base: OpenBase) -> BaseCounts:
        """Return how much a base holds."""
        return self._catalogue.counts([base.id]).get(base.id, BaseCounts())

    def clear(self, stopping: Callable[[], bool]) -> int:
        """Clear away what nothing needs any more, until it is to stop."""
        return clear(self._catalogue, self.index_of, writing=self._writing, stopping=stopping)

    def warm(self, stopping: Callable[[], bool]) -> None:
        """Have models loaded and indexes opened, so that the first question does not wait for it."""
        for base in self._registry.all():
            for name in base.generation.embedders:
                if stopping():
                    return
                try:
                    self.embedder(name).query(_WARMING)
                except CallError as error:
                    if stopping():
                        return
                    _log.warning("%s: the embedder %s does not answer: %s", base.name, name, error)

    def sweep(self, blobs: BlobStore, waiting: Collection[str]) -> int:
        """Remove blobs that no document is kept in and no job waits for."""
        return blobs.sweep(lambda keys: self._catalogue.parsed_of(keys) | (set(keys) & set(waiting)))

    def recover(self, stopping: Callable[[], bool]) -> int:
        """Finish what a killed process left half done, until it is to stop: the next start goes on."""
        return recover(self._catalogue, self.index_of, stopping=stopping)

    def repair(self, base: OpenBase, stopping: Callable[[], bool]) -> Repaired:
        """Make a base's index hold what the catalogue says it holds.

        Raises:
            CallCancelledError: It is to stop.
            CallError: A model, the index or the database fails.
        """
        return repair(self._catalogue, self.target(base.id), report=Report(cancelled=stopping))

    def _keywords(self, base: OpenBase) -> KeywordMaker:
        name = base.config.keywords
        if name is None:
            return BuiltInKeywords()
        own = self._callables.get(base.name)
        if own is not None:
            return FunctionKeywords(name, partial(_called, own), _parameters(own))
        capability = self._catalog.find(name)
        if capability is None:
            raise ConfigurationError(
                f"knowledge base {base.name!r}: there is no function {name!r} to make keywords with; register it, or "
                "choose another"
            )
        parameters: Mapping[str, Any] = capability.tool.input.get("properties") or {}
        return FunctionKeywords(name, self._models.call, frozenset(parameters))


def _find_links(passages: Sequence[Passage]) -> WriteLinks:
    rows = list(rows_of(enumerate(passages)))

    def write(connection: Connection, base: int, generation: int, numbers: Sequence[int]) -> None:
        LinkStore.add(connection, LinkPart(base, generation), (row._replace(chunk=numbers[row.chunk]) for row in rows))

    return write


def _called(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return function(**arguments)
    except CallError:
        raise
    except Exception as error:
        raise FunctionError(f"{name} failed: {type(error).__name__}: {error}") from error


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return frozenset({"text"})
    return frozenset(found) if "text" in found else frozenset({"text", *found})
