"""Fills a knowledge base until it is killed; a line on standard output for each step that was acknowledged.

The index beside it is a table of numbers in a file of SQLite, which is as safe as a real one has to be.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from polyport.errors import ConflictError
from polyport_gateway.knowledge.catalogue import Catalogue, NewChunk, NewDocument, Staged
from polyport_gateway.storage.database import Database

KEYS = [f"docs/文件{number}.md" for number in range(12)]


def texts(key: str, content: int, generation: int) -> list[str]:
    """The chunks of a document, by what its file says and the generation that it is built for."""
    return [f"{key} {content} {generation} {place}" for place in range(1 + content % 4)]


class Index:
    """Numbers that were put in and not taken out."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=60)
        self._connection.execute("CREATE TABLE IF NOT EXISTS chunks (id INTEGER PRIMARY KEY)")

    def upsert(self, chunks: Sequence[int]) -> None:
        for chunk in chunks:  # one by one: killed in the midst, only some are there
            self._connection.execute("INSERT OR REPLACE INTO chunks VALUES (?)", (chunk,))

    def delete(self, chunks: Sequence[int]) -> None:
        for chunk in chunks:
            self._connection.execute("DELETE FROM chunks WHERE id = ?", (chunk,))

    def all(self) -> set[int]:
        return {row[0] for row in self._connection.execute("SELECT id FROM chunks")}

    def close(self) -> None:
        self._connection.close()


class Writer:
    """The loops of ingestion and reindexing, in small."""

    def __init__(self, catalogue: Catalogue, index: Index, chance: random.Random, *, alone: bool = True) -> None:
        self.catalogue, self.index, self.chance, self._alone = catalogue, index, chance, alone
        self.base = catalogue.base("base") or catalogue.create("base", {}, shelf="main")

    def ingest(self) -> None:
        """Files change: take them in."""
        base = self.base
        keys = self.chance.sample(KEYS, 3)
        contents = {key: self.chance.randrange(1_000_000) for key in keys}
        print("?", *(f"{key}={contents[key]}" for key in keys), flush=True)
        staged = self.catalogue.stage(
            base.id,
            base.generation,
            [
                (
                    NewDocument(key=key, title=key, sha256=str(contents[key])),
                    [NewChunk(text) for text in texts(key, contents[key], base.generation)],
                )
                for key in keys
            ],
        )
        self._publish(base.generation, staged)
        print("+", *(f"{key}={contents[key]}" for key in keys), flush=True)

    def _publish(self, generation: int, staged: list[Staged]) -> None:
        self.index.upsert([chunk for one in staged for chunk in one.chunks])
        late = self.catalogue.publish(self.base.id, generation, staged)
        assert late == [] or not self._alone

    def step(self) -> None:
        """Do something; alone, nothing may go wrong."""
        step = self.chance.choices((self.ingest, self.remove, self.clear, self.reindex), (6, 1, 3, 1))[0]
        try:
            step()
        except ConflictError:
            if self._alone:
                raise
            self.base = self.catalogue.base_by_id(self.base.id) or self.base

    def remove(self) -> None:
        """A file is gone."""
        key = self.chance.choice(KEYS)
        found = self.catalogue.find(self.base.id, [key])
        print("?", f"{key}=", flush=True)
        self.catalogue.remove(self.base.id, [row.id for row in found.values()])
        print("+", f"{key}=", flush=True)

    def clear(self) -> None:
        for garbage in self.catalogue.garbage(self.chance.choice((2, 100))):
            self.index.delete(garbage.chunks)
            self.catalogue.forget(garbage.chunks)

    def reindex(self) -> None:
        base = self.base
        following = self.catalogue.prepare_generation(base.id, "main", {"of": base.generation})
        while rows := self.catalogue.stale(base.id, following.generation, 4):
            staged = self.catalogue.stage(
                base.id,
                following.generation,
                [
                    (row, [NewChunk(text) for text in texts(row.key, int(row.sha256), following.generation)])
                    for row in rows
                ],
            )
            self._publish(following.generation, staged)
        self.base = self.catalogue.switch(base.id, following.generation)
        self.drop_former()

    def drop_former(self) -> None:
        for generation in self.catalogue.generations(self.base.id):
            if generation.generation < self.base.generation:
                self.catalogue.drop_generation(self.base.id, generation.generation)


def main() -> None:
    """Go on until killed, or for some seconds beside another."""
    database = Database(sys.argv[1])
    asyncio.run(database.open())
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else None
    chance = random.Random(int(sys.argv[3]))
    writer = Writer(Catalogue(database), Index(Path(sys.argv[2])), chance, alone=seconds is None)
    if seconds is None:
        writer.drop_former()
    print("open", flush=True)
    ends_at = time.monotonic() + (seconds or float("inf"))
    while time.monotonic() < ends_at:
        writer.step()
    asyncio.run(database.close())


if __name__ == "__main__":
    main()
