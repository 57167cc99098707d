"""`Catalog`: every name, as each caller sees it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from polyport.errors import DeclarationError, NotFoundError
from polyport_gateway.call import Caller
from polyport_gateway.catalog.capability import Capability, SeenByCaller
from polyport_gateway.catalog.changes import Changes
from polyport_gateway.catalog.documents import Prompt, Resource

__all__ = ["Catalog"]

_LONGEST_SHOWN = 200


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_SHOWN else name[:_LONGEST_SHOWN] + "…"


class Catalog:
    """Every capability, resource and prompt of one app.

    Args:
        name: The app's name.
        version: The app's version.
        instructions: Told to MCP clients.
    """

    def __init__(self, name: str, *, version: str = "0.1.0", instructions: str | None = None) -> None:
        self.name = name
        self.version = version
        self.instructions = instructions
        self.created = int(time.time())
        self.changes = Changes()
        self._capabilities: dict[str, Capability] = {}
        self._unlisted: set[str] = set()
        self._needs: dict[str, str] = {}
        self._follows: dict[str, str] = {}
        self.resources: dict[str, Resource] = {}
        self.prompts: dict[str, Prompt] = {}

    def __iter__(self) -> Iterator[Capability]:
        return iter(self._capabilities.values())

    def __len__(self) -> int:
        return len(self._capabilities)

    def __contains__(self, name: str) -> bool:
        return name in self._capabilities

    def add(
        self, capability: Capability, *, listed: bool = True, needs: str | None = None, follows: str | None = None
    ) -> None:
        """Register a capability.

        Args:
            capability: What can be called by its name from now on.
            listed: Whether callers see it; without, only what knows it already calls it.
            needs: Another name that a caller must be allowed to use as well.
            follows: Another name; whoever may use that may use this one too.

        Raises:
            DeclarationError: Its name is taken.
        """
        if capability.name in self._capabilities:
            raise DeclarationError(f"the name {capability.name!r} is registered already")
        self._capabilities[capability.name] = capability
        if not listed:
            self._unlisted.add(capability.name)
        if needs is not None:
            self._needs[capability.name] = needs
        if follows is not None:
            self._follows[capability.name] = follows

    def show(self, name: str, *, listed: bool) -> None:
        """Let callers see a name, or only those call it who know it already."""
        if listed:
            self._unlisted.discard(name)
        elif name in self._capabilities:
            self._unlisted.add(name)

    def remove(self, name: str) -> None:
        """Take a capability out, if it is there."""
        self._capabilities.pop(name, None)
        self._unlisted.discard(name)
        self._needs.pop(name, None)
        self._follows.pop(name, None)

    def visible(self, caller: Caller) -> list[Capability]:
        """Everything this caller may see, as this caller sees it, in the order of registration."""
        return [
            capability.seen_by(caller) if isinstance(capability, SeenByCaller) else capability
            for capability in self.listed(caller)
        ]

    def listed(self, caller: Caller) -> list[Capability]:
        """The same, as it is."""
        return [
            capability
            for name, capability in self._capabilities.items()
            if name not in self._unlisted and self.allows(name, caller)
        ]

    def allows(self, name: str, caller: Caller) -> bool:
        """Whether there is such a name and this caller may use it, and what it needs."""
        if name not in self._capabilities:
            return False
        followed = self._follows.get(name)
        if followed is not None and caller.may(followed):
            return True
        return caller.may(name) and caller.may(self._needs.get(name, name))

    def find(self, name: str) -> Capability | None:
        """Return the capability of that name, whoever asks."""
        return self._capabilities.get(name)

    def resolve(self, name: str, caller: Caller, *, granted: frozenset[str] = frozenset()) -> Capability:
        """Return the capability of that name as this caller sees it.

        Args:
            name: What to look up.
            caller: Who asks.
            granted: Names that a declaration (an agent's tools) has opened.

        Raises:
            NotFoundError: There is none, or none that this caller may see; the two can't be told apart.
        """
        capability = self._capabilities.get(name)
        if capability is None or not (self.allows(name, caller) or name in granted):
            raise NotFoundError(
                f"The model or function {_short(name)!r} does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
            )
        return capability

    def visible_resources(self, caller: Caller) -> Iterable[Resource]:
        """The resources this caller may read."""
        return (resource for resource in self.resources.values() if caller.may(resource.name))

    def visible_prompts(self, caller: Caller) -> Iterable[Prompt]:
        """The prompts this caller may get."""
        return (prompt for prompt in self.prompts.values() if caller.may(prompt.name))
