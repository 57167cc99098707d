"""What links are made of: passages, and the clues that lead from one to another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clue", "Direction", "LinkLimits", "Links", "Passage", "Surroundings", "clue_of", "in_order"]

Direction = Literal["forward", "backward", "sideways"]


@dataclass(frozen=True, slots=True)
class Passage:
    """What the index wants to know of a chunk.

    Args:
        text: Its text.
        title: Of its document.
        document_id: Of its document; labels such as "Table 3" are known within one.
        heading_path: The headings that it stands under; the last is a name of the passage too.
        address: Where its document is from: a path or URL.
    """

    text: str
    title: str = ""
    document_id: str = ""
    heading_path: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What is too common to be a clue.

    Args:
        share: Of the passages that may hold a clue at most; but three always may.
        holders: How many passages at most, however many there are.
    """

    share: float = 0.05
    holders: int = 500

    def most(self, size: int) -> int:
        """Return how many of so many passages may hold a clue."""
        return min(self.holders, max(3, int(self.share * size)))


@dataclass(frozen=True, slots=True)
class Clue:
    """What leads from one passage to others.

    Args:
        text: As it is written somewhere.
        borne: The passages whose title, label or address it is.
        held: The passages that mention it, those that bear it left out.
    """

    text: str
    borne: NDArray[np.int64]
    held: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many passages have it."""
        return len(self.borne) + len(self.held)

    def direction(self, source: int, target: int) -> Direction:
        """Return how it leads from one passage to another."""
        if target in self.borne and source not in self.borne:
            return "forward"
        return "backward" if source in self.borne else "sideways"


class Surroundings(NamedTuple):
    """Where one can go from a passage.

    Args:
        names: What the passage is called by, the longest first.
        clues: What leads from it to others, the most telling first.
    """

    names: list[str]
    clues: list[Clue]


class Links(Protocol):
    """What `retrieval.hops` follows: an index in memory, or a store."""

    def around(self, passages: Sequence[int], limit: int) -> list[Surroundings]:
        """Return the surroundings of each passage, with so many clues at most."""
        ...


def clue_of(
    text: str,
    most: int,
    *,
    borne: Collection[int],
    named: Collection[int],
    titled: Collection[int],
    small: Collection[int],
    mark: bool,
) -> Clue | None:
    """Return a clue, or None for one that leads nowhere or says too little.

    A title that more passages write small than others write it as a name is an ordinary word ("Brand", "Always"): where
    it is found only as a title, it is not counted (the idea of Mihalcea and Csomai's keyphraseness, "Wikify!", CIKM
    2007).

    Args:
        text: As it is written somewhere.
        most: How many passages may bear it, or hold it.
        borne: The passages that bear it.
        named: Those that mention it, by its form: a name, a label, an address.
        titled: Those that mention it as the title of another, written as a name.
        small: Those that have it as an ordinary word only, those that bear it included.
        mark: It is a label or an address, which says nothing where none refers to it.
    """
    own = set(borne)
    others = set(named) - own
    if own:
        with_titled = others | (set(titled) - own)
        if len(set(small) - with_titled) <= len(with_titled):
            others = with_titled
    if len(own) + len(others) < 2 or (mark and not others) or max(len(own), len(others)) > most:
        return None
    return Clue(text, np.array(sorted(own), np.int64), np.array(sorted(others), np.int64))


def in_order(clues: Collection[Clue], passage: int) -> list[Clue]:
    """Return a passage's clues: first those that others bear, the rarest of each kind first."""

    def place(clue: Clue) -> tuple[bool, int, str, list[int], list[int]]:
        theirs = len(clue.borne) > 0 and passage not in clue.borne
        return not theirs, clue.size, clue.text, clue.borne.tolist(), clue.held.tolist()

    return sorted(clues, key=place)
