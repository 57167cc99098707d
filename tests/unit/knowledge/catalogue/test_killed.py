"""A process that is killed while it fills a base loses nothing that was acknowledged, and leaves nothing half."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from polyport_gateway.knowledge.catalogue import Catalogue, NewChunk, NewDocument
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import knowledge_chunks
from tests.support.catalogue_writer import Index, Writer, texts
from tests.support.machine import ROOT
from tests.support.records import opened


def killed(url: str, index: Path, seed: int, after_s: float) -> list[str]:
    """Run the writer, and kill it some time after it has begun; return what it said."""
    command = [sys.executable, "-m", "tests.support.catalogue_writer", url, str(index), str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    timer = threading.Timer(after_s, process.kill)
    timer.start()
    lines = process.stdout.readlines()
    assert process.wait() == -9
    process.stdout.close()
    timer.join()
    return lines


def contents(line: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in line[1:].split())


def seen(catalogue: Catalogue, database: Database) -> dict[str, list[str]]:
    ids = database.read_sync(lambda connection: connection.execute(select(knowledge_chunks.c.id)).scalars().all())
    found: dict[str, list[str]] = {}
    for row in sorted(catalogue.live(ids).values(), key=lambda row: row.ordinal):
        found.setdefault(row.document.key, []).append(row.text)
    return found


def check(url: str, file: Path, said: list[str], known: dict[str, str]) -> None:
    """Everything acknowledged is seen, whole and once; what was under way is seen wholly or not at all."""
    index = Index(file)
    with opened(url) as database:
        catalogue = Catalogue(database)
        base = catalogue.base("base")
        assert base is not None
        for line in said:
            if line.startswith("+"):
                known |= contents(line)
        under_way = contents(said[-1]) if said and said[-1].startswith("?") else {}
        rows = {row.key: row for row in catalogue.documents(base.id, limit=1000).rows}
        done = {key: rows[key].sha256 if key in rows else "" for key in under_way}
        if under_way and any(done[key] != known.get(key, "") for key in under_way):
            assert done == under_way, "a batch is published as a whole"
            known |= under_way
        expected = {key: content for key, content in known.items() if content}
        assert {key: row.sha256 for key, row in rows.items()} == expected
        now = seen(catalogue, database)
        assert now == {key: texts(key, int(content), base.generation) for key, content in expected.items()}
        live = {chunk for page in catalogue.scroll(base.id, base.generation) for chunk in (row.id for row in page)}
        assert index.all() >= live
        # And its successor leaves no trace of it.
        writer = Writer(catalogue, index, random.Random(0))
        writer.drop_former()
        while garbage := catalogue.garbage():
            for some in garbage:
                index.delete(some.chunks)
                catalogue.forget(some.chunks)
        others = {
            row.id
            for generation in catalogue.generations(base.id)
            for page in catalogue.scroll(base.id, generation.generation)
            for row in page
        }
        assert index.all() == others >= live
        assert seen(catalogue, database) == now
    index.close()


def test_nothing_is_lost_or_doubled(records_url: str, tmp_path: Path) -> None:
    known: dict[str, str] = {}
    for seed in range(2):
        said = killed(records_url, tmp_path / "index", seed, 0.2 + 0.3 * seed)
        check(records_url, tmp_path / "index", said, known)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_however_often(records_url: str, tmp_path: Path) -> None:
    chance = random.Random(5)
    known: dict[str, str] = {}
    for seed in range(50):
        said = killed(records_url, tmp_path / "index", seed, chance.uniform(0.01, 1.5))
        check(records_url, tmp_path / "index", said, known)


FULL = """
import asyncio, resource, signal, sys
from polyport.errors import ServiceUnavailableError
from polyport_gateway.knowledge.catalogue import Catalogue, NewChunk, NewDocument
from polyport_gateway.storage.database import Database

database = Database(sys.argv[1])
asyncio.run(database.open())
catalogue = Catalogue(database)
base = catalogue.create("base", {}, shelf="main")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    for number in range(1000):
        item = NewDocument(key=str(number), title="T", sha256="0"), [NewChunk("x" * 20_000)]
        staged = catalogue.stage(base.id, 1, [item])
        catalogue.publish(base.id, 1, staged)
        print(number, flush=True)
except ServiceUnavailableError:
    catalogue.abandon(staged)
    assert len(catalogue.live(range(1, 1000))) == number
    print("full")
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """What was acknowledged is there, readers go on, and once there is room again, so do writers."""
    url = f"sqlite:///{tmp_path}/records.sqlite3"
    done = subprocess.run([sys.executable, "-c", FULL, url], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    *acknowledged, last = done.stdout.split()
    assert last == "full"
    assert len(acknowledged) > 2
    with opened(url) as database:
        catalogue = Catalogue(database)
        base = catalogue.base("base")
        assert base is not None
        assert set(seen(catalogue, database)) == set(acknowledged)
        while garbage := catalogue.garbage():
            for some in garbage:
                catalogue.forget(some.chunks)
        staged = catalogue.stage(base.id, 1, [(NewDocument(key="new", title="T", sha256="0"), [NewChunk("x")])])
        assert catalogue.publish(base.id, 1, staged) == []
        assert set(seen(catalogue, database)) == {*acknowledged, "new"}


def test_two_processes_write_to_one_base(records_url: str, tmp_path: Path) -> None:
    """They get in each other's way, and are told so; what is seen is whole all the same."""
    with opened(records_url) as database:
        catalogue = Catalogue(database)
        base = catalogue.create("base", {}, shelf="main")
        command = [sys.executable, "-m", "tests.support.catalogue_writer", records_url, str(tmp_path / "index")]
        writers = [
            subprocess.Popen([*command, str(seed), "1.2"], cwd=ROOT, stdout=subprocess.DEVNULL) for seed in (1, 2)
        ]
        assert [writer.wait(90) for writer in writers] == [0, 0]
        found = seen(catalogue, database)
        rows = {row.key: row for row in catalogue.documents(base.id).rows}
        assert set(found) == set(rows)
        for key, shown in found.items():
            content, generation = map(int, shown[0].split()[1:3])
            assert str(content) == rows[key].sha256
            assert shown == texts(key, content, generation)
        index = Index(tmp_path / "index")
        writer = Writer(catalogue, index, random.Random(0))
        writer.drop_former()
        while garbage := catalogue.garbage():
            for some in garbage:
                index.delete(some.chunks)
                catalogue.forget(some.chunks)
        ids = database.read_sync(lambda connection: connection.execute(select(knowledge_chunks.c.id)).scalars().all())
        assert index.all() == set(ids)
        assert seen(catalogue, database) == found
        index.close()


def test_questions_asked_meanwhile_see_one_version_of_each_document(records_url: str) -> None:
    """One thread writes, others ask for every chunk that was ever made: what they get is whole."""
    with opened(records_url) as database:
        catalogue = Catalogue(database)
        writer = Writer(catalogue, _Nowhere(), random.Random(1))
        writer.ingest()
        stop = threading.Event()
        asked: list[int] = []

        def ask() -> None:
            while not stop.is_set():
                ids = database.read_sync(lambda c: c.execute(select(knowledge_chunks.c.id)).scalars().all())
                rows = list(catalogue.live(ids).values())
                generations = {row.generation for row in rows}
                assert len(generations) <= 1
                for key in {row.document.key for row in rows}:
                    mine = [row for row in rows if row.document.key == key]
                    assert len({(row.version, row.build) for row in mine}) == 1
                    first = mine[0].text.split()
                    whole = texts(key, int(first[1]), mine[0].generation)
                    assert sorted(row.text for row in mine) == whole
                asked.append(len(rows))

        async def race() -> None:
            askers = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(2)]
            for _ in range(25):
                step = writer.chance.choice((writer.ingest, writer.remove, writer.clear, writer.reindex))
                await asyncio.to_thread(step)
                if any(asker.done() for asker in askers):
                    break
            stop.set()
            await asyncio.gather(*askers)

        asyncio.run(race())
        assert len(asked) > 5


class _Nowhere(Index):
    def __init__(self) -> None: ...

    def upsert(self, chunks: object) -> None: ...

    def delete(self, chunks: object) -> None: ...
