"""Making, changing and dropping knowledge bases, and their documents as callers see them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
    KnowledgeJob,
)
from polyport.types.knowledge_requests import KnowledgeRekeyed
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.knowledge.bases import BaseConfig, Shelves
from polyport_gateway.knowledge.catalogue import Catalogue

from .forms import base_form, change_form
from .jobs import KnowledgeJobs
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
        shelves: Their indexes.
        jobs: Take documents in.
        recipes: How bases are to be built.
        names: Told of bases that come and go.
    """

    def __init__(
        self,
        plan: KnowledgePlan,
        registry: Registry,
        catalogue: Catalogue,
        shelves: Shelves,
        jobs: KnowledgeJobs,
        recipes: Recipes,
        names: Names | None,
    ) -> None:
        self._plan, self._registry, self._catalogue = plan, registry, catalogue
        self._shelves = shelves
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
        if not private:
            self._check_rights(config, caller)
        if self._registry.find(config.name) is not None:
            raise ConflictError(f"There is a knowledge base named {config.name!r} already.", param="name")
        if not private and self._names is not None and not self._names.free(config.name):
            raise ConflictError(f"The name {config.name!r}, or {config.name}_search, is taken.", param="name")
        generation = await self._recipes.generation(config)
        # An index that can't be opened as it is asked for is better said now than by the first job.
        await asyncio.to_thread(self._shelves.get, generation)
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
        self._check_rights(config, caller, base.config)
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

    async def reindex(self, name: str, changes: Mapping[str, Any], *, caller: Caller) -> KnowledgeJob:
        """Build a base anew beside what is searched, changed where something is to be another.

        Raises:
            NotFoundError: There is none, for this caller.
            BadRequestError: A value can't be used.
        """
        base = self._registry.get(name, caller)
        if changes:
            config = base.config.changed(_embedders(changes))
            self._check_rights(config, caller, base.config)
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
        if changes.get("version") is not None and changes["version"] < base.config.keywords_version:
            raise BadRequestError(
                f"version is {changes['version']}, and {base.config.keywords_version} has been used already; raise it.",
                param="version",
            )
        config = base.config.changed(
            {
                "keywords": changes.get("function", base.config.keywords),
                "keywords_version": changes.get("version") or base.config.keywords_version + 1,
                "on_keywords_change": "batch" if batch else "deferred",
            }
        )
        self._check_rights(config, caller, base.config)
        await self._recipes.check(config)
        base = await asyncio.to_thread(self._registry.configure, base, config, by=caller.id)
        job = await self._jobs.rekey(base, by=caller.id) if batch else None
        return KnowledgeRekeyed(keywords=(await self._form(base)).keywords, job=job)

    async def changes(
        self, name: str, *, caller: Caller, before: int | None = None, limit: int = 100
    ) -> KnowledgeChangeList:
        """Return the newest lines of a base's update log."""
        base = self._registry.get(name, caller)
        rows = await asyncio.to_thread(self._catalogue.changes, base.id, before=before, limit=limit + 1)
        return KnowledgeChangeList(data=[change_form(row) for row in rows[:limit]], has_more=len(rows) > limit)

    async def _form(self, base: OpenBase) -> KnowledgeBase:
        counts = await asyncio.to_thread(self._catalogue.counts, [base.id])
        if base.id not in counts:
            raise NotFoundError(f"The knowledge base {base.name!r} was deleted.", code="knowledge_not_found")
        return base_form(base, counts[base.id], *self._jobs.status(base))

    def _check_rights(self, config: BaseConfig, caller: Caller, before: BaseConfig | None = None) -> None:
        """Let callers name what they may use themselves: a base asks models and functions with its own rights.

        Raises:
            BadRequestError: A model or function is not there for this caller.
            PermissionDeniedError: It says where an index lies, which is the operator's to say.
        """
        options = None if before is None else before.index_options
        if config.index_options and config.index_options != options and caller != LOCAL:
            raise PermissionDeniedError(
                "Where an index lies is for the app to say: index_options is not taken from callers.",
                param="index_options",
            )
        new = {*config.embedders, config.reranker, config.model, config.keywords} - {None}
        if before is not None:
            new -= {*before.embedders, before.reranker, before.model, before.keywords}
        for name in sorted(filter(None, new)):
            if caller.allow is not None and not self._recipes.allows(name, caller):
                raise BadRequestError(f"There is no model or function {name!r}, or you do not have access to it.")

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
