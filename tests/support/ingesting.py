"""A base to take files into, of real parts: a database, an index, blobs, readers; its embedder counts letters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from polyport.errors import NotFoundError
from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue, ChunkRow, Garbage
from polyport_gateway.knowledge.chunkers import Chunker, parse_steps
from polyport_gateway.knowledge.documents import Parsed
from polyport_gateway.knowledge.embedding import Embedder, EmbeddingCache
from polyport_gateway.knowledge.indexes import Schema, VectorIndex, open_index
from polyport_gateway.knowledge.ingestion.build import Target
from polyport_gateway.knowledge.ingestion.keywords import BuiltInKeywords, KeywordMaker
from polyport_gateway.knowledge.ingestion.parsed import ParsedDocuments
from polyport_gateway.knowledge.ingestion.work import Work
from polyport_gateway.knowledge.readers import read
from polyport_gateway.knowledge.retrieval import BM25, Analyzer
from polyport_gateway.storage.blobs import FolderBlobs
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import knowledge_builds, knowledge_chunks

__all__ = ["FIELDS", "Bench", "LetterModel", "parse"]

SIZE = 32
FIELDS: Mapping[str, Any] = {"part": "integer", "source": "keyword", "tags": "keyword", "keywords": "keyword"}


def parse(data: bytes, name: str) -> Parsed:
    """Read a file in this process."""
    return read(data, name)


class LetterModel:
    """Counts letters; quick, and the same everywhere. Knows what it was asked, may be slow or fail."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.asked: list[str] = []
        self.delay_s = 0.0
        self.failure: Callable[[str], Exception | None] = lambda text: None

    def __call__(self, texts: Sequence[str], role: str) -> NDArray[np.float32]:
        time.sleep(self.delay_s)
        for text in texts:
            failure = self.failure(text)
            if failure is not None:
                raise failure
        self.asked += texts
        rows = np.zeros((len(texts), self.size), np.float32)
        for row, text in zip(rows, texts, strict=True):
            np.add.at(row, np.frombuffer(text.encode("utf-16-le"), np.uint16) % self.size, 1)
        return rows + np.float32(0.01)


@dataclass
class Bench:
    """A base, and all that works on it.

    Args:
        folder: For blobs and the index.
        database: An open one.
        kind: Of the index.
        name: Of the base.
        chunker: Of its generations, by number; the default for others.
    """

    folder: Path
    database: Database
    kind: str = "memory"
    name: str = "handbook"
    chunkers: dict[int, str] = field(default_factory=dict)
    model: LetterModel = field(default_factory=LetterModel)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.database)
        self.blobs = FolderBlobs(self.folder / "blobs")
        self.parsed = ParsedDocuments(self.blobs)
        self.cache = EmbeddingCache(self.folder / "embeddings.sqlite3")
        self.base: BaseRow = self.catalogue.base(self.name) or self.catalogue.create(self.name, {}, shelf="first")
        self.bm25 = BM25(Analyzer())
        self.writing = threading.Lock()
        self._shelves: dict[str, VectorIndex] = {}

    def shelf(self, key: str) -> VectorIndex:
        """Return an index, opened where it is not."""
        found = self._shelves.get(key)
        if found is None:
            options = {} if self.kind == "memory" else {"folder": self.folder / "shelves" / key}
            schema = Schema({"letters": self.model.size}, dict(FIELDS), strict=False)
            found = self._shelves[key] = open_index(self.kind, schema, **options)
        return found

    def target(self, generation: int | None = None) -> Target:
        """Return what is built."""
        while True:
            base = self.catalogue.base_by_id(self.base.id)
            if base is None:
                raise NotFoundError("The base was deleted.")
            number = base.generation if generation is None else generation
            row = next((one for one in self.catalogue.generations(base.id) if one.generation == number), None)
            if row is not None:
                break
            # Another was switched to between the two questions, and this one dropped.
            assert generation is None, f"there is no generation {generation}"
        return Target(
            base=base.id,
            generation=number,
            index=self.shelf(row.shelf),
            bm25=self.bm25,
            chunker=self.chunker(number, row.recipe),
            embedders={"letters": Embedder("letters", self.model, cache=self.cache)},
            writing=self.writing,
        )

    def chunker(self, generation: int, recipe: Mapping[str, Any]) -> Chunker:
        """Return what cuts documents for a generation."""
        return parse_steps(str(recipe.get("chunker") or "Recursive(max_tokens=64, tokenizer='estimate')"))

    def index_of(self, garbage: Garbage) -> VectorIndex:
        """Return the index of garbage."""
        return self.shelf(garbage.shelf)

    def work(self, **changes: Any) -> Work:
        """Return what jobs need."""
        work = Work(
            base=self.base.id,
            catalogue=self.catalogue,
            parsed=self.parsed,
            target=self.target,
            index_of=self.index_of,
            parse=parse,
            keywords=self.keywords(),
        )
        return replace(work, **changes)

    def keywords(self) -> KeywordMaker:
        """Return what makes keywords."""
        return BuiltInKeywords(3)

    def close(self) -> None:
        """Close all but the database."""
        for index in self._shelves.values():
            index.close()
        self.cache.close()

    def seen(self) -> dict[str, list[ChunkRow]]:
        """Return what a search could show, by key: what is live of all chunks that the catalogue or an index has."""
        ids = self.database.read_sync(
            lambda connection: connection.execute(select(knowledge_chunks.c.id)).scalars().all()
        )
        found: dict[str, list[ChunkRow]] = {}
        for row in sorted(self.catalogue.live(ids).values(), key=lambda row: row.ordinal):
            found.setdefault(row.document.key, []).append(row)
        return found

    def texts(self) -> dict[str, str]:
        """Return the text that is seen of each document."""
        return {key: "".join(row.text for row in rows) for key, rows in self.seen().items()}

    def told(self, chunks: set[int]) -> list[tuple[object, ...]]:
        """Return what the catalogue says of some chunks, for whoever reads a failure."""
        columns = (knowledge_chunks.c.id, *knowledge_builds.c)
        query = select(*columns).join(knowledge_builds, knowledge_builds.c.id == knowledge_chunks.c.build, isouter=True)
        some = sorted(chunks)[:5]
        rows = self.database.read_sync(
            lambda connection: connection.execute(query.where(knowledge_chunks.c.id.in_(some))).all()
        )
        known = {row[0] for row in rows}
        return [*(tuple(row) for row in rows), *((id_, "unknown") for id_ in some if id_ not in known)]

    def check_live(self) -> None:
        """Check that all that is live is in the index, whatever else is."""
        target = self.target()
        live = [row.id for rows in self.seen().values() for row in rows if row.searchable]
        held = {record.id for record in target.index.fetch(live) if record.metadata["part"] == target.part}
        assert held == set(live)

    def check(self) -> None:
        """Check that index and catalogue agree: what is live is in the index once, and nothing else is."""
        target = self.target()
        live = {row.id for rows in self.seen().values() for row in rows if row.searchable}
        held: set[int] = set()
        after = -1
        while records := target.index.scroll(after=after, limit=500):
            held |= {record.id for record in records if record.metadata["part"] == target.part}
            after = records[-1].id
        assert held == live, f"lacks {self.told(live - held)}, has too many {self.told(held - live)}"
        assert target.index.count() == len(live), "of other generations nothing is left"
        rows = self.database.read_sync(
            lambda connection: (
                connection.execute(select(func.count()).select_from(knowledge_chunks)).scalar_one(),
                connection.execute(select(func.count()).select_from(knowledge_builds)).scalar_one(),
            )
        )
        assert rows == (sum(map(len, self.seen().values())), len(self.seen())), "no garbage is left"
