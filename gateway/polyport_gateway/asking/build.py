"""Which capabilities and resources knowledge bases add to a catalog, from the start and while it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polyport.declarations import KnowledgeDeclaration
from polyport.errors import ConflictError, DeclarationError
from polyport_gateway.asking.tools import ASK_KNOWLEDGE, SEARCH_KNOWLEDGE, AskTool, SearchTool
from polyport_gateway.call import Arguments, Call
from polyport_gateway.catalog import Catalog
from polyport_gateway.catalog.changes import Change
from polyport_gateway.catalog.documents import Events, Resource
from polyport_gateway.knowledge.service import KnowledgeService

__all__ = ["KnowledgeNames"]

_LONGEST_LIST = 20


class KnowledgeNames:
    """Keeps a catalog's names in step with the knowledge bases that there are.

    Args:
        catalog: Where they are called.
        service: The knowledge bases.
    """

    def __init__(self, catalog: Catalog, service: KnowledgeService) -> None:
        self._catalog, self._service = catalog, service
        self._names: list[str] = []

    def declare(self, declaration: KnowledgeDeclaration) -> None:
        """Add a base that the app declares.

        Raises:
            DeclarationError: One of its names is taken.
        """
        self._add(declaration.name, declaration.description, timeout=declaration.timeout)

    def everything(self) -> None:
        """Add the tools over all bases; they are shown where there are several.

        Raises:
            DeclarationError: The app has registered one of their names.
        """
        about = "Asks the knowledge bases of this server that the question concerns."
        self._catalog.add(AskTool(self._service, ASK_KNOWLEDGE, about=about))
        self._catalog.add(SearchTool(self._service, SEARCH_KNOWLEDGE, about=about))
        self._show()

    def added(self, name: str, description: str | None, timeout: float | None = None) -> None:
        """Add a base that was made while the gateway serves.

        Raises:
            ConflictError: One of its names is taken.
        """
        if name in self._names:
            return
        try:
            self._add(name, description, timeout=timeout)
        except DeclarationError as error:
            raise ConflictError(f"{name!r} can't be a knowledge base: {error}", param="name") from error
        self._tell()

    def removed(self, name: str) -> None:
        """Take a base out."""
        if name not in self._names:
            return
        self._names.remove(name)
        for taken in (name, f"{name}_search"):
            self._catalog.remove(taken)
        self._catalog.resources.pop(_uri(name), None)
        self._tell()

    def free(self, name: str) -> bool:
        """Whether a new base can have a name."""
        return name not in self._catalog and f"{name}_search" not in self._catalog

    def _add(self, name: str, description: str | None, *, timeout: float | None) -> None:
        for taken in (name, f"{name}_search"):
            if taken in self._catalog:
                raise DeclarationError(f"the name {taken!r} is registered already")
        about = description or f"The knowledge base {name}."
        listed = self._service.plan is not None and self._service.plan.tools
        self._catalog.add(AskTool(self._service, name, base=name, about=about, timeout=timeout))
        self._catalog.add(
            SearchTool(self._service, f"{name}_search", base=name, about=about), listed=listed, follows=name
        )
        self._catalog.resources[_uri(name)] = self._resource(name, about)
        self._names.append(name)

    def _resource(self, name: str, about: str) -> Resource:
        async def read(call: Call, events: Events) -> str:
            assert isinstance(call.input, Arguments)  # noqa: S101 - what resources are read with
            return await self._service.text(name, str(call.input.values["document"]), call.caller)

        async def complete(typed: str, others: Mapping[str, str]) -> Sequence[str]:
            return await self._service.uids(name, typed, limit=_LONGEST_LIST)

        return Resource(
            uri=_uri(name),
            name=name,
            read=read,
            title=f"Documents of {name}",
            description=f"The text of a document of the knowledge base. {about}",
            parameters=("document",),
            complete={"document": complete},
        )

    def _show(self) -> None:
        listed = len(self._names) > 1 and self._service.plan is not None and self._service.plan.tools
        for name in (ASK_KNOWLEDGE, SEARCH_KNOWLEDGE):
            self._catalog.show(name, listed=listed)

    def _tell(self) -> None:
        self._show()
        self._catalog.changes.tell(Change("tools"))
        self._catalog.changes.tell(Change("resources"))


def _uri(name: str) -> str:
    return f"knowledge://{name}/{{document}}"
