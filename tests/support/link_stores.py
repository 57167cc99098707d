"""What a link store must do on any database: the clues that an index in memory has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st
from sqlalchemy import ColumnElement

from polyport_gateway.knowledge.links import Clue, LinkIndex, LinkLimits, Passage
from polyport_gateway.knowledge.links.rows import rows_of
from polyport_gateway.knowledge.links.settling import Settled, settle
from polyport_gateway.knowledge.links.store import LinkStore, Part, StoredLinks
from polyport_gateway.storage.database import Database

__all__ = ["BATCHES", "Kept", "check_against_memory", "everything", "shape"]

_TITLES = ["Ann Lee", "New York", "New York City", "Brand", "always", "Zoë Café", "red lake (novel)", "2.1 Sales"]
_TITLES += ["红楼梦", "红楼", "曹雪芹", "第一章 总则", "北京大学", "Lake, Ohio", ""]
_PIECES = [
    *_TITLES[:-1],
    "brand",
    "Always",
    "red lake",
    "《红楼》",
    "在北京大学读书",
    "see Table 3",
    "表3",
    "第一章",
    "[2]",
]
_PIECES += [
    "\nTable 3: Sales",
    "\n[2] Knuth",
    "https://e.com/a",
    "[there](docs/b.md)",
    "Raoul Walsh",
    "he",
    ". ",
    "，",
    "\0",
]

PASSAGES = st.builds(
    Passage,
    st.lists(st.sampled_from(_PIECES), max_size=6).flatmap(
        lambda parts: st.sampled_from([" ".join(parts), "".join(parts)])
    ),
    st.sampled_from(_TITLES),
    st.sampled_from(["", "d1", "d2"]),
    st.sampled_from([(), ("Sales",), ("x", "曹雪芹")]),
    st.sampled_from(["", "https://e.com/a/", "docs/b.md"]),
)
BATCHES = st.lists(
    st.tuples(st.lists(PASSAGES, max_size=5), st.sets(st.integers(0, 11), max_size=3), st.booleans()), max_size=4
)
"""Steps: passages to add, which of all to remove then (by their place), and whether to settle then."""


class Kept:
    """A part's chunks in memory, as the catalogue would have them, and their links in a store."""

    def __init__(self, store: LinkStore, part: Part, first: int = 1 << 40) -> None:
        self.store, self.part = store, part
        self.passages: dict[int, Passage] = {}
        self._next = first

    def add(self, passages: Sequence[Passage]) -> list[int]:
        new = dict(zip(range(self._next, self._next + 7 * len(passages), 7), passages, strict=True))
        self._next += 7 * len(passages)
        self.store.database.run_sync(lambda connection: self.store.add(connection, self.part, rows_of(new.items())))
        self.passages.update(new)
        return list(new)

    def remove(self, chunks: Sequence[int]) -> None:
        self.store.database.run_sync(lambda connection: self.store.remove(connection, chunks))
        for chunk in chunks:
            del self.passages[chunk]

    def settle(self) -> Settled:
        return settle(self.store, self.part, self)

    def after(self, chunk: int, limit: int) -> Sequence[tuple[int, str]]:
        found = sorted((number, passage.text) for number, passage in self.passages.items() if number > chunk)
        return found[: min(limit, 3)]  # more than one page, of few

    def of(self, chunks: Sequence[int]) -> Sequence[tuple[int, str]]:
        return [(chunk, self.passages[chunk].text) for chunk in chunks if chunk in self.passages]

    def links(self) -> StoredLinks:
        return self.store.over([self.part], len(self.passages))


def everything(chunk: ColumnElement[int]) -> ColumnElement[bool]:
    """Take every chunk that has rows for live."""
    return chunk > 0


Shape = tuple[str, tuple[int, ...], tuple[int, ...]]


def shape(clues: Sequence[Clue]) -> list[Shape]:
    return [(clue.text, tuple(clue.borne.tolist()), tuple(clue.held.tolist())) for clue in clues]


def _numbered(clues: Sequence[Clue], chunks: Mapping[int, int]) -> list[Shape]:
    return [
        (text.replace("\0", " "), tuple(chunks[n] for n in borne), tuple(chunks[n] for n in held))
        for text, borne, held in shape(clues)
    ]


def check_against_memory(
    database: Database, part: Part, batches: Sequence[tuple[Sequence[Passage], set[int], bool]], limits: LinkLimits
) -> None:
    """Add, remove and settle in steps; in the end the clues are those of all that is left, made as a whole."""
    kept = Kept(LinkStore(database, live=everything, limits=limits), part)
    for passages, places, settled in batches:
        kept.add(passages)
        kept.remove([chunk for place, chunk in enumerate(list(kept.passages)) if place in places])
        if settled:
            kept.settle()
    kept.settle()
    again = kept.settle()
    assert again == Settled(0, 0, 0)
    chunks = dict(enumerate(sorted(kept.passages)))
    whole = LinkIndex([kept.passages[chunk] for chunk in chunks.values()], limits)
    stored = kept.links()
    around = stored.around(list(chunks.values()), 100)
    for number in chunks:
        assert shape(around[number].clues) == _numbered(whole.clues(number), chunks)
        assert around[number].names == [name.replace("\0", " ") for name in whole.names_of(number)]
    kept.remove(list(kept.passages))
    kept.settle()
    database.run_sync(lambda connection: kept.store.drop(connection, part))
