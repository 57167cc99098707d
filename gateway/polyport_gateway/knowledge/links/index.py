"""The link index: which passages a clue leads to, both ways.

A clue is a name, a label or an address. It is *borne* by the passages that it is the title, the label or the address
of, and *held* by those that mention it. So one table gives all three directions: forward, from a mention to what
bears it; backward, from what bears it to its mentions; sideways, between two that mention it. A clue that only one
passage has leads nowhere and is dropped; one that too many have says too little (a bound on its share, as stop words
have in term weighting).

This one is made as a whole and held in memory, as two arrays each way (compressed rows): for what is evaluated, and the
measure of `store`, which keeps the same clues row by row in a database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .clues import Clue, LinkLimits, Passage, Surroundings, clue_of, in_order
from .rows import evidence_of
from .titles import MentionFinder, title_mentions

__all__ = ["LinkIndex"]


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
        limits = limits or LinkLimits()
        self._names: list[list[str]] = []
        written: dict[str, str] = {}
        mentioned: dict[str, str] = {}
        borne: dict[str, list[int]] = defaultdict(list)
        named: dict[str, list[int]] = defaultdict(list)
        titles: set[str] = set()
        for number, passage in enumerate(passages):
            evidence = evidence_of(passage)
            self._names.append(sorted(evidence.names.values(), key=_longest_first))
            titles.update(evidence.names)
            for key, text in (*evidence.names.items(), *evidence.marks.items()):
                written.setdefault(key, text)
                borne[key].append(number)
            for key, text in evidence.held.items():
                mentioned.setdefault(key, text)
                named[key].append(number)
        titled, small = _mentions(passages, titles)
        most = limits.most(self.size)
        nowhere: list[int] = []
        found = (
            clue_of(
                text,
                most,
                borne=borne.get(key, nowhere),
                named=named.get(key, nowhere),
                titled=titled.get(key, nowhere),
                small=small.get(key, nowhere),
                mark="\0" in key,
            )
            for key, text in {**mentioned, **written}.items()
        )
        self._keep([clue for clue in found if clue is not None])

    def _keep(self, clues: Sequence[Clue]) -> None:
        self._texts = [clue.text for clue in clues]
        rows = [np.concatenate([clue.borne, clue.held]).astype(np.int32) for clue in clues]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._splits = np.array([len(clue.borne) for clue in clues], dtype=np.int32)
        self._holders = np.concatenate(rows) if rows else np.empty(0, np.int32)
        numbers = np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
        order = np.argsort(self._holders, kind="stable")
        self._of = numbers[order]
        counts = np.bincount(self._holders, minlength=self.size)
        self._of_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        """Return how many clues there are."""
        return len(self._texts)

    def around(self, passages: Sequence[int], limit: int) -> list[Surroundings]:
        """Return the surroundings of each passage, with so many clues at most."""
        return [Surroundings(self.names_of(passage), self.clues(passage)[:limit]) for passage in passages]

    def clues(self, passage: int) -> list[Clue]:
        """Return the clues of a passage: first those that others bear, the rarest of each kind first."""
        found = [self._clue(number) for number in self._of[self._of_starts[passage] : self._of_starts[passage + 1]]]
        return in_order(found, passage)

    def _clue(self, number: int) -> Clue:
        start, end = self._starts[number], self._starts[number + 1]
        split = start + self._splits[number]
        return Clue(self._texts[number], _wide(self._holders[start:split]), _wide(self._holders[split:end]))

    def names_of(self, passage: int) -> list[str]:
        """Return what a passage is called by, the longest first."""
        return self._names[passage]


def _wide(numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    return numbers.astype(np.int64)


def _longest_first(name: str) -> tuple[int, str]:
    return -len(name), name


def _mentions(passages: Sequence[Passage], titles: Iterable[str]) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Return which passages mention each title, as a name and small only."""
    finder = MentionFinder(titles)
    titled: dict[str, list[int]] = defaultdict(list)
    small: dict[str, list[int]] = defaultdict(list)
    for number, passage in enumerate(passages):
        for key, as_name in title_mentions(finder, passage.text).items():
            (titled if as_name else small)[key].append(number)
    return titled, small
