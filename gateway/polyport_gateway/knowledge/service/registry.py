"""The knowledge bases that there are, in memory as the catalogue has them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyport.errors import NotFoundError
from polyport_gateway.call import Caller
from polyport_gateway.knowledge.bases import BaseConfig, Generation, Part
from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue, GenerationRow

__all__ = ["OpenBase", "Registry"]

_log = logging.getLogger("polyport.knowledge")

_LEARNED = "learned"


@dataclass(frozen=True, slots=True)
class OpenBase:
    """A knowledge base as it is now.

    Args:
        row: As the catalogue has it.
        config: What it is to be.
        generation: The build that is searched.
    """

    row: BaseRow
    config: BaseConfig
    generation: Generation

    @property
    def id(self) -> int:
        """Its number."""
        return self.row.id

    @property
    def name(self) -> str:
        """Its name."""
        return self.row.name

    def seen_by(self, caller: Caller) -> bool:
        """Whether a caller may use it."""
        owner = self.config.owner
        return caller.may(self.name) if owner is None else caller.id == owner

    @property
    def part(self) -> Part:
        """What is searched of it."""
        return Part(self.id, self.config, self.generation)

    def state(self, name: str) -> Any:
        """Return a member of what it has learned; None where it is not there."""
        return self.row.state.get(name)


class Registry:
    """Bases by name; blocks where it writes.

    Args:
        catalogue: Where they are kept.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._bases: dict[str, OpenBase] = {}
        self._lock = threading.Lock()

    def load(self) -> list[OpenBase]:
        """Read them all anew."""
        found = {row.name: self._opened(row) for row in self._catalogue.bases()}
        with self._lock:
            self._bases = found
        return list(found.values())

    def all(self) -> list[OpenBase]:
        """Return them all, in the order in which they were made."""
        return list(self._bases.values())

    def find(self, name: str) -> OpenBase | None:
        """Return one."""
        return self._bases.get(name)

    def by_id(self, number: int) -> OpenBase | None:
        """Return one."""
        return next((base for base in self._bases.values() if base.id == number), None)

    def get(self, name: str, caller: Caller) -> OpenBase:
        """Return one that a caller may use.

        Raises:
            NotFoundError: There is none, or none for this caller; the two can't be told apart.
        """
        base = self._bases.get(name)
        if base is None or not base.seen_by(caller):
            raise NotFoundError(
                f"The knowledge base {name[:200]!r} does not exist or you do not have access to it.",
                param="knowledge",
                code="knowledge_not_found",
            )
        return base

    def visible(self, caller: Caller) -> list[OpenBase]:
        """Return those that a caller may use."""
        return [base for base in self._bases.values() if base.config.owner is None and caller.may(base.name)]

    def create(self, config: BaseConfig, generation: Generation, *, declared: bool, by: str | None) -> OpenBase:
        """Make one.

        Raises:
            ConflictError: The name is taken.
        """
        row = self._catalogue.create(
            config.name,
            config.to_json(),
            shelf=generation.shelf,
            recipe=generation.recipe,
            declared=declared,
            by=by,
        )
        return self._keep(row)

    def configure(
        self, base: OpenBase, config: BaseConfig, *, declared: bool | None = None, by: str | None = None
    ) -> OpenBase:
        """Keep what it is to be."""
        return self._keep(self._catalogue.configure(base.id, config.to_json(), declared=declared, by=by))

    def keep_learned(self, base: OpenBase, generation: Generation) -> OpenBase:
        """Keep what was learned of one of its builds."""
        learned = {**(base.state(_LEARNED) or {}), str(generation.number): generation.learned}
        return self._keep(self._catalogue.keep_state(base.id, **{_LEARNED: learned}))

    def keep_state(self, base: OpenBase, values: Mapping[str, Any]) -> OpenBase:
        """Keep something else that was learned of it."""
        return self._keep(self._catalogue.keep_state(base.id, **values))

    def prepare(self, base: OpenBase, wanted: Generation) -> Generation:
        """Begin another build beside the one that is searched, or go on with the one begun before."""
        return self.generation(base, self._catalogue.prepare_generation(base.id, wanted.shelf, wanted.recipe))

    def generation(self, base: OpenBase, row: GenerationRow) -> Generation:
        """Return the settings of one of its builds."""
        learned = (base.state(_LEARNED) or {}).get(str(row.generation))
        return Generation.of(row.generation, row.recipe, learned)

    def drop(self, base: OpenBase, *, by: str | None) -> None:
        """Remove one: nothing of it is seen any more."""
        with self._lock:
            self._bases = {name: other for name, other in self._bases.items() if other.id != base.id}
        self._catalogue.drop(base.id, by=by)

    def refresh(self, number: int) -> OpenBase | None:
        """Read one anew."""
        row = self._catalogue.base_by_id(number)
        return None if row is None else self._keep(row)

    def _keep(self, row: BaseRow) -> OpenBase:
        base = self._opened(row)
        with self._lock:
            self._bases = {**self._bases, row.name: base}
        return base

    def _opened(self, row: BaseRow) -> OpenBase:
        known = self._bases.get(row.name)
        learned = (row.state.get(_LEARNED) or {}).get(str(row.generation))
        if known is not None and known.id == row.id and known.generation.number == row.generation:
            recipe: Mapping[str, Any] = known.generation.recipe
        else:
            found = [one for one in self._catalogue.generations(row.id) if one.generation == row.generation]
            recipe = found[0].recipe if found else {}
        return OpenBase(row, BaseConfig.from_json(row.config), Generation.of(row.generation, recipe, learned))


def parts_of(bases: Sequence[OpenBase]) -> dict[str, list[OpenBase]]:
    """Return bases by the shelf that they stand on."""
    shelves: dict[str, list[OpenBase]] = {}
    for base in bases:
        shelves.setdefault(base.generation.shelf, []).append(base)
    return shelves
