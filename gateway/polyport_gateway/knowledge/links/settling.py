"""Finding mentions of titles in the texts of a knowledge base, when its titles are known: the end of an ingestion.

A proper name is a clue by its form (`rows`). A title in Chinese, or of common words, is found only by
looking for it, so new chunks are searched for all titles, and all chunks for new ones. Which titles, and up to which
chunk, has been searched is kept beside the links. So each run does what is new; one that was killed is done
again from the last page on, and comes to the same.

Of titles that overlap, the one that begins first and is longest is mentioned. A new title can therefore take a mention
from another, and one that is gone can give it back; such chunks are searched for all titles again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import knowledge_builds, knowledge_chunks, knowledge_links
from polyport_gateway.storage.schema.knowledge import LIVE, in_state

from .rows import Role, Row, digest
from .store import LinkStore, Part, chunk_batches
from .titles import MentionFinder, key_of, title_mentions

__all__ = ["ChunkTexts", "Settled", "Texts", "settle"]

links = knowledge_links.c
_PAGE = 500
_MARK = "settled"
_TITLE_ROLES = (int(Role.TITLED), int(Role.SMALL))


class Texts(Protocol):
    """The texts of one part's chunks, as the catalogue has them."""

    def after(self, chunk: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the next chunks by number, with their texts."""
        ...

    def of(self, chunks: Sequence[int]) -> Sequence[tuple[int, str]]:
        """Return the texts of some chunks, without those that are gone."""
        ...


class ChunkTexts:
    """The texts of a part's live chunks that are searched, as the records have them when this is made.

    Args:
        database: Of the records.
        part: Whose.
    """

    def __init__(self, database: Database, part: Part) -> None:
        self._database = database
        builds, chunks = knowledge_builds.c, knowledge_chunks.c
        asked = (
            select(chunks.id)
            .join(knowledge_builds, builds.id == chunks.build)
            .where(builds.base == part.base, builds.generation == part.generation, in_state(LIVE))
            .where(chunks.searchable)
        )
        self._ids = sorted(database.read_sync(lambda connection: connection.execute(asked).scalars().all()))

    def after(self, chunk: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the next chunks by number, with their texts."""
        start = bisect_right(self._ids, chunk)
        while wanted := self._ids[start : start + limit]:
            if found := self.of(wanted):
                return found
            start += limit  # all of them are gone since
        return []

    def of(self, chunks: Sequence[int]) -> Sequence[tuple[int, str]]:
        """Return the texts of some chunks."""
        column = knowledge_chunks.c
        asked = select(column.id, column.text).where(column.id.in_(list(chunks))).order_by(column.id)
        return self._database.read_sync(
            lambda connection: [(id_, text) for id_, text in connection.execute(asked).all()]
        )


class Settled(NamedTuple):
    """What was done.

    Args:
        chunks: That were searched for all titles.
        titles: That are new.
        gone: Titles that no chunk bears any more.
    """

    chunks: int
    titles: int
    gone: int


def settle(
    store: LinkStore, part: Part, texts: Texts | None = None, *, on_page: Callable[[int], None] | None = None
) -> Settled:
    """Bring a part's mentions of titles up to date.

    One at a time for a part, and when what was staged is published: of texts that are new, those with greater numbers
    than any that was searched are seen.

    Args:
        store: That has the rows of its chunks.
        part: Whose.
        texts: Of its chunks; None takes those of the records.
        on_page: Told how many chunks have been looked at after each page; what it raises ends the run.
    """
    return _Settling(store, part, texts or ChunkTexts(store.database, part), on_page or (lambda _: None)).run()


class _Settling:
    def __init__(self, store: LinkStore, part: Part, texts: Texts, on_page: Callable[[int], None]) -> None:
        self._store, self._part, self._texts, self._on_page = store, part, texts, on_page
        self._seen = self._done = 0
        self._finder = MentionFinder(())

    def run(self) -> Settled:
        until, known, gone, new = self._store.database.read_sync(self._read)
        titles = {key: name for key, name in known.items() if key not in gone} | new
        self._finder = MentionFinder({key_of(name) for name in titles.values()})
        if until and new:
            self._search_old(until, MentionFinder({key_of(name) for name in new.values()}))
        if gone:
            self._search_again(self._store.database.read_sync(lambda connection: self._holding(connection, gone)))
        last = until
        while page := self._texts.after(last, _PAGE):
            self._write(page)
            last = page[-1][0]
            self._count(page)
        self._store.database.run_sync(lambda connection: self._keep_books(connection, new, gone, last))
        return Settled(self._done, len(new), len(gone))

    def _read(self, connection: Connection) -> tuple[int, dict[str, str], set[str], dict[str, str]]:
        """Return the last chunk searched, the titles known, those of them that none bears, and the new ones."""
        kept = connection.execute(
            select(links.key, links.role, links.written).where(links.chunk == self._part.keeper)
        ).all()
        until = max((int(written) for _, role, written in kept if role == Role.SETTLED), default=0)
        known = {key: written for key, role, written in kept if role == Role.KNOWN}
        bearing = knowledge_links.alias()
        borne = exists().where(
            bearing.c.key == links.key,
            bearing.c.base == self._part.base,
            bearing.c.generation == self._part.generation,
            bearing.c.role == Role.BORNE,
        )
        gone = set(
            connection.execute(
                select(links.key).where(links.chunk == self._part.keeper, links.role == Role.KNOWN, ~borne)
            ).scalars()
        )
        fresh = connection.execute(
            select(links.key, links.written)
            .where(self._here(), links.chunk > until, links.role == Role.BORNE)
            .distinct()
        )
        new = {key: written for key, written in fresh if key not in known}
        return until, known, gone, new

    def _here(self) -> ColumnElement[bool]:
        return and_(links.base == self._part.base, links.generation == self._part.generation)

    def _holding(self, connection: Connection, keys: set[str]) -> list[int]:
        found: set[int] = set()
        for batch in _batches(sorted(keys)):
            asked = select(links.chunk).where(links.key.in_(batch), self._here(), links.role.in_(_TITLE_ROLES))
            found.update(connection.execute(asked).scalars())
        return sorted(found)

    def _search_old(self, until: int, fresh: MentionFinder) -> None:
        """Search the chunks that were searched before for new titles; those that have one, for all."""
        last = 0
        while page := [pair for pair in self._texts.after(last, _PAGE) if pair[0] <= until]:
            concerned = [(chunk, text) for chunk, text in page if fresh.find(text)]
            if concerned:
                self._write(concerned)
            last = page[-1][0]
            self._count(page)

    def _search_again(self, chunks: Iterable[int]) -> None:
        for batch in chunk_batches(chunks):
            page = self._texts.of(batch)
            self._write(page)
            self._count(page)

    def _count(self, page: Sequence[tuple[int, str]]) -> None:
        self._seen += len(page)
        self._on_page(self._seen)

    def _write(self, page: Sequence[tuple[int, str]]) -> None:
        """Put the mentions of chunks in the place of those that are kept."""
        found = [
            Row(digest(key), chunk, int(Role.TITLED if as_name else Role.SMALL), "")
            for chunk, text in page
            for key, as_name in title_mentions(self._finder, text).items()
        ]
        self._done += len(page)

        def write(connection: Connection) -> None:
            chunks = [chunk for chunk, _ in page]
            connection.execute(delete(knowledge_links).where(links.chunk.in_(chunks), links.role.in_(_TITLE_ROLES)))
            asked = select(links.chunk, links.key, links.role).where(links.chunk.in_(chunks))
            had = {(chunk, key): role for chunk, key, role in connection.execute(asked)}
            self._store.add(connection, self._part, (row for row in found if _says_more(row, had)))

        self._store.database.run_sync(write)

    def _keep_books(self, connection: Connection, new: dict[str, str], gone: set[str], last: int) -> None:
        keeper = self._part.keeper
        for batch in _batches(sorted(gone)):
            connection.execute(delete(knowledge_links).where(links.chunk == keeper, links.key.in_(batch)))
        rows = [Row(key, keeper, int(Role.KNOWN), written) for key, written in new.items()]
        self._store.add(connection, self._part, rows)
        mark = and_(links.chunk == keeper, links.role == Role.SETTLED)
        connection.execute(delete(knowledge_links).where(mark))
        self._store.add(connection, self._part, [Row(_MARK, keeper, int(Role.SETTLED), str(last))])


def _says_more(row: Row, had: Mapping[tuple[int, str], int]) -> bool:
    """Tell whether a mention says more than the row its clue has: that one that bears it writes it small does."""
    role = had.get((row.chunk, row.key))
    return role is None or (row.role == Role.SMALL and role != Role.HELD)


def _batches(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + _PAGE] for start in range(0, len(keys), _PAGE))
