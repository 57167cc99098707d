"""From what a base is to be to how it is built: models are asked for the size of their vectors."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable

from polyport.errors import BadRequestError, ConfigurationError
from polyport_gateway.call import Caller, Operation
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.knowledge.answers.prompts import Prompts
from polyport_gateway.knowledge.bases import BaseConfig, EmbedderInfo, Generation
from polyport_gateway.knowledge.chunkers import parse_steps
from polyport_gateway.knowledge.embedding import Embedder
from polyport_gateway.knowledge.indexes import names as index_names
from polyport_gateway.knowledge.ingestion.cutting import NARROW

__all__ = ["Recipes", "fingerprint_of"]


class Recipes:
    """Says how bases are to be built.

    Args:
        catalog: Has the models.
        embedder: Gives an embedder by its name.
        window: Says how many tokens of a text an embedder reads, where that is fewer than asked; asks it.
    """

    def __init__(
        self, catalog: Catalog, embedder: Callable[[str], Embedder], window: Callable[[str, int], int | None]
    ) -> None:
        self._catalog, self._embedder, self._window = catalog, embedder, window
        self._windows: dict[str, int | None] = {}

    def allows(self, name: str, caller: Caller) -> bool:
        """Whether there is a model or function of a name, and this caller may use it."""
        return self._catalog.allows(name, caller)

    async def check(self, config: BaseConfig) -> None:
        """Refuse what can't be built.

        Raises:
            BadRequestError: A model, function, chunker or index is not there, or a template can't be filled.
        """
        for name in config.embedders:
            self._model(config, "embedder", name, Operation.EMBEDDING)
        if config.reranker is not None:
            self._model(config, "reranker", config.reranker, Operation.RERANK)
        if config.model is not None:
            self._model(config, "model", config.model, Operation.CHAT)
        # A callable that the app declares goes by where it is defined.
        if config.keywords is not None and ":" not in config.keywords:
            self._model(config, "keywords", config.keywords, Operation.TOOL)
        if config.chunker is not None:
            await asyncio.to_thread(parse_steps, config.chunker)
        if config.index not in index_names():
            raise BadRequestError(
                f"knowledge base {config.name!r}: there is no index {config.index!r}; there are: "
                f"{', '.join(index_names())}",
                param="index",
            )
        try:
            Prompts(config.prompts)
        except ConfigurationError as error:
            raise BadRequestError(f"knowledge base {config.name!r}: {error}", param="prompts") from error

    async def generation(self, config: BaseConfig, known: Generation | None = None) -> Generation:
        """Return how a base is to be built now.

        Args:
            config: What it is to be.
            known: How it is built; embedders that are the same still are not asked again.

        Raises:
            BadRequestError: Something that it names is not there.
            CallError: An embedder does not answer.
        """
        await self.check(config)
        embedders = {name: await self._info(name, known) for name in config.embedders}
        number = 1 if known is None else known.number
        return Generation(number, config.chunker, embedders, config.index, config.index_options)

    def asks(self, config: BaseConfig, known: Generation | None) -> bool:
        """Whether an embedder has to be asked to say how a base is built."""
        return any(not self._same(name, known) for name in config.embedders)

    def _same(self, name: str, known: Generation | None) -> bool:
        info = None if known is None else known.embedders.get(name)
        return info is not None and info.fingerprint == fingerprint_of(self._catalog, name)

    async def _info(self, name: str, known: Generation | None) -> EmbedderInfo:
        info = None if known is None else known.embedders.get(name)
        if info is not None and info.fingerprint == fingerprint_of(self._catalog, name):
            return info
        embedder = self._embedder(name)
        size = await asyncio.to_thread(embedder.probe)
        fingerprint = fingerprint_of(self._catalog, name)
        if fingerprint not in self._windows:
            self._windows[fingerprint] = await asyncio.to_thread(self._window, name, NARROW)
        return EmbedderInfo(size, fingerprint, window=self._windows[fingerprint])

    def _model(self, config: BaseConfig, option: str, name: str, operation: Operation) -> Capability:
        found = self._catalog.find(name)
        if found is None or operation not in found.operations:
            able = [one.name for one in self._catalog if operation in one.operations]
            raise BadRequestError(
                f"knowledge base {config.name!r}: {option}={name!r} is nothing that can do that ({operation.value}); "
                + (f"there are: {', '.join(able)}" if able else "register one first"),
                param=option,
            )
        return found


def fingerprint_of(catalog: Catalog, name: str) -> str:
    """Return what changes when the model behind a name does, as far as it is declared."""
    found = catalog.find(name)
    declared = getattr(found, "declaration", None)
    told = [name, getattr(declared, "engine", None), getattr(declared, "model", None)]
    return hashlib.sha256(json.dumps(told, default=lambda value: type(value).__name__).encode()).hexdigest()[:16]
