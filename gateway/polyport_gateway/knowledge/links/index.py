"""The link index: which passages a clue leads to, both ways.

A clue is a name, a label or an address. It is *borne* by the passages that it is the title, the label or the address
of, and *held* by those that mention it. So one table gives all three directions: forward, from a mention to what
bears it; backward, from what bears it to its mentions; sideways, between two that mention it. A clue that only one
passage has leads nowhere and is dropped; one that too many have says too little (a bound on its share, as stop words
have in term weighting).

The table is two arrays each way (compressed rows), four bytes a link. A store that keeps what
each passage mentions, row by row, can rebuild it without reading the passages again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .names import names
from .references import address_key, addresses, is_label, labels, own_labels
from .titles import MentionFinder, aliases, key_of, ordinary_words, written_as_name

__all__ = ["Clue", "Direction", "LinkIndex", "LinkLimits", "Passage"]

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
    borne: NDArray[np.int32]
    held: NDArray[np.int32]

    @property
    def size(self) -> int:
        """How many passages have it."""
        return len(self.borne) + len(self.held)

    def direction(self, source: int, target: int) -> Direction:
        """Return how it leads from one passage to another."""
        if target in self.borne and source not in self.borne:
            return "forward"
        return "backward" if source in self.borne else "sideways"


class LinkIndex:
    """The clues of each passage, and the passages of each clue.

    Args:
        passages: All of them; they are numbered in this order.
        limits: What is too common.

    Example::

        links = LinkIndex([Passage("Ann Lee wrote it.", "The Book"), Passage("Born in Rome.", "Ann Lee")])
        links.clues(0)[0].borne  # the passage about Ann Lee
    """

    def __init__(self, passages: Sequence[Passage], limits: LinkLimits | None = None) -> None:
        self.size = len(passages)
        self.titles = [passage.title for passage in passages]
        limits = limits or LinkLimits()
        written: dict[str, str] = {}
        borne: dict[str, set[int]] = defaultdict(set)
        for number, passage in enumerate(passages):
            for key, text in _own(passage):
                written.setdefault(key, text)
                borne[key].add(number)
        titled = [key for key in borne if "\0" not in key]
        held = _mentions(passages, titled)
        for number, passage in enumerate(passages):
            for key, text in _mentioned(passage):
                if key not in written:
                    written[key] = text
                held[key].append(number)
        self._keep(written, borne, held, limits.most(self.size))

    def _keep(self, written: dict[str, str], borne: dict[str, set[int]], held: dict[str, list[int]], most: int) -> None:
        self._texts: list[str] = []
        rows: list[NDArray[np.int32]] = []
        splits: list[int] = []
        for key, text in written.items():
            own = borne.get(key, set())
            others = set(held.get(key, ())) - own
            if len(own) + len(others) < 2 or max(len(own), len(others)) > most:
                continue
            self._texts.append(text)
            rows.append(np.array([*sorted(own), *sorted(others)], dtype=np.int32))
            splits.append(len(own))
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._splits = np.array(splits, dtype=np.int32)
        self._holders = np.concatenate(rows) if rows else np.empty(0, np.int32)
        clues = np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
        order = np.argsort(self._holders, kind="stable")
        self._of = clues[order]
        counts = np.bincount(self._holders, minlength=self.size)
        self._of_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        """Return how many clues there are."""
        return len(self._texts)

    def clues(self, passage: int) -> list[Clue]:
        """Return the clues of a passage: first those that others bear, the rarest of each kind first."""
        found = [self._clue(number) for number in self._of[self._of_starts[passage] : self._of_starts[passage + 1]]]
        return sorted(found, key=lambda clue: (not len(clue.borne) or passage in clue.borne, clue.size, clue.text))

    def _clue(self, number: int) -> Clue:
        start, end = self._starts[number], self._starts[number + 1]
        split = start + self._splits[number]
        return Clue(self._texts[number], self._holders[start:split], self._holders[split:end])

    def names_of(self, passage: int) -> list[str]:
        """Return what a passage is called by, the longest first."""
        return sorted(aliases(self.titles[passage]).values(), key=len, reverse=True)


def _own(passage: Passage) -> Iterator[tuple[str, str]]:
    for title in {passage.title, *passage.heading_path[-1:]}:
        yield from aliases(title).items()
    if passage.document_id:
        for label in own_labels(passage.text, passage.heading_path):
            yield f"{passage.document_id}\0{label}", label.title()
    if passage.address:
        yield f"\0{address_key(passage.address)}", passage.title or passage.address


def _mentioned(passage: Passage) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name in names(passage.text):
        key = key_of(name)
        if key not in seen:
            seen.add(key)
            if not is_label(name):
                yield key, name
    if passage.document_id:
        for label, text in labels(passage.text):
            key = f"{passage.document_id}\0{label}"
            if key not in seen:
                seen.add(key)
                yield key, text
    for address in set(addresses(passage.text)):
        yield f"\0{address}", address


def _mentions(passages: Sequence[Passage], titled: Iterable[str]) -> dict[str, list[int]]:
    """Return where titles are mentioned, those left out that are ordinary words."""
    finder = MentionFinder(titled)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    held: dict[str, list[int]] = defaultdict(list)
    for number, passage in enumerate(passages):
        for mention in finder.find(passage.text):
            as_name = written_as_name(passage.text, mention)
            counts[mention.key][0] += as_name
            counts[mention.key][1] += 1
            if as_name and (not held[mention.key] or held[mention.key][-1] != number):
                held[mention.key].append(number)
    for key in ordinary_words(counts):
        held.pop(key, None)
    return held
