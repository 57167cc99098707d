"""Kill -9 at random moments of taking in, keywords anew and reindexing: nothing is lost, doubled, or seen by halves.

Run over both databases and all embedded indexes; ``slow`` runs kill fifty times each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from polyport_gateway.knowledge.ingestion.ingest import ingest
from polyport_gateway.knowledge.ingestion.reindex import reindex
from polyport_gateway.knowledge.ingestion.rekey import rekey
from polyport_gateway.knowledge.ingestion.repair import Repaired, recover, repair
from polyport_gateway.knowledge.ingestion.report import Report
from tests.integration.postgres import postgres_server
from tests.support.ingest_worker import Site, turns_of, work
from tests.support.ingesting import Bench
from tests.support.machine import ROOT
from tests.support.records import opened

NEEDS = {"chroma": "chromadb", "faiss": "faiss", "milvus": "milvus_lite", "qdrant-edge": "qdrant_edge"}


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    with postgres_server() as running:
        yield running.create_database("killed")


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    from tests.support.records import emptied

    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.sqlite3"
    return emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """The process that forks those that are killed: it has imported all, and opened nothing."""
    command = [sys.executable, "-m", "tests.support.ingest_worker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    yield process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@dataclass
class Life:
    """What a process said between its birth and its end."""

    jobs: list[str] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)


def lived(nursery: subprocess.Popen[str], arguments: list[Any], jobs: int, after: float) -> Life:
    """Start a process, kill it so many seconds after it has begun its nth job, and return what it said.

    With 0 jobs it kills itself, between two steps.
    """
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(json.dumps(arguments) + "\n")
    nursery.stdin.flush()
    life, pid, timer = Life(), 0, None
    while True:
        line = nursery.stdout.readline()
        assert line, "the nursery has ended"
        what, _, rest = line.rstrip("\n").partition(" ")
        try:
            value = json.loads(rest)
        except ValueError:
            continue  # the last line of one that was killed while it wrote
        if what == "pid":
            pid = value
        elif what == "job":
            life.jobs.append(value)
        elif what == "kept":
            life.kept |= value
            life.removed -= set(value)
        elif what == "removed":
            life.removed |= set(value)
            life.kept = {key: version for key, version in life.kept.items() if key not in value}
        elif what == "bad":
            life.bad.append(value)
        elif what == "dead":
            if timer is not None:
                timer.join()
            return life
        if pid and timer is None and 0 < jobs <= len(life.jobs):
            timer = begin(pid, after)


def begin(pid: int, after: float) -> threading.Timer:
    timer = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
    timer.start()
    return timer


class Onlooker:
    """Another process's questions, for the catalogue alone: what is live is whole and of one version, always."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._over = threading.Event()
        self.looks = 0
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Onlooker:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            while not self._over.is_set():
                turns_of(self._bench.seen())
                self.looks += 1
                time.sleep(0.01)
        except BaseException as error:
            self.failure = error


def check_after(url: str, site: Site, kind: str, life: Life, before: dict[str, int]) -> None:
    """Start again as the gateway does, and check that all is there; then finish what was begun."""
    with opened(url) as database:
        bench = Bench(site.folder / "data", database, kind)
        try:
            seen = turns_of(bench.seen())
            versions = {row.key: row.version for row in bench.catalogue.documents(bench.base.id, limit=1000).rows}
            for key, version in life.kept.items():
                assert key in seen or key not in site.turns(), f"{key} is lost"
                assert versions.get(key, version) >= version, f"{key} is older than what was acknowledged"
            assert not life.removed & set(seen) - set(life.kept) - set(site.turns()), "what was removed is there"
            for key, turn in seen.items():
                assert turn >= before.get(key, 0), f"{key} is older than before"
            recover(bench.catalogue, bench.index_of)
            repaired = repair(bench.catalogue, bench.target(), full=True)
            live = sum(len(rows) for rows in bench.seen().values())
            assert repaired == Repaired(live if kind == "memory" else 0, 0), "the index lacked what was acknowledged"
            bench.check_live()
            finish(bench, site)
            assert turns_of(bench.seen()) == site.turns()
            # An earlier check's catalogue was of this process too, which lives, and might still be writing.
            recover(bench.catalogue, bench.index_of, grace_ms=0)
            bench.check()
        finally:
            bench.close()


def finish(bench: Bench, site: Site) -> None:
    """Do the jobs that were under way once more, as the runner does."""
    ingest(work(bench, site), [site.source()], Report(), whole=True)
    rekey(work(bench, site), Report())
    version = site.number("keywords")
    assert {row.keywords_version for row in bench.catalogue.documents(bench.base.id, limit=1000).rows} <= {version}
    base = bench.catalogue.base_by_id(bench.base.id)
    assert base is not None
    for one in bench.catalogue.generations(base.id):
        if one.generation > base.generation:
            reindex(work(bench, site), one.generation, Report())


def killed_often(nursery: subprocess.Popen[str], url: str, folder: Path, kind: str, times: int, seed: int) -> None:
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind]) is None:
        pytest.skip(f"{NEEDS[kind]} is not installed")
    chance = random.Random(seed)
    site = Site(folder / "site")
    jobs: list[str] = []
    with opened(url) as database:
        onlooking = Bench(folder / "onlooker", database, "memory")
        for turn in range(times):
            before = turns_of(onlooking.seen())
            with Onlooker(onlooking) as onlooker:
                # By turns between two steps, wherever they are, and at any moment.
                steps = chance.randint(1, 60) if turn % 2 == 0 else 0
                arguments = [url, str(site.folder), kind, seed * 1000 + turn, steps]
                jobs_before = 0 if steps else chance.randint(1, 3)
                life = lived(nursery, arguments, jobs_before, chance.uniform(0, 0.6))
            assert life.bad == [], life.bad[0]
            assert onlooker.failure is None, repr(onlooker.failure)
            assert life.jobs
            jobs += life.jobs
            check_after(url, site, kind, life, before)
        onlooking.close()
    assert "ingest" in jobs
    if times > 10:
        assert set(jobs) == {"ingest", "rekey", "reindex"}


POSTGRES = pytest.param("postgresql", marks=pytest.mark.requires("postgres"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["qdrant-edge"])
def test_nothing_is_lost_doubled_or_seen_by_halves(
    nursery: subprocess.Popen[str], url: str, tmp_path: Path, kind: str
) -> None:
    killed_often(nursery, url, tmp_path, kind, 2, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("url", ["sqlite", POSTGRES], indirect=True)
@pytest.mark.parametrize("kind", ["memory", *NEEDS])
def test_nothing_is_lost_however_often(nursery: subprocess.Popen[str], url: str, tmp_path: Path, kind: str) -> None:
    killed_often(nursery, url, tmp_path, kind, int(os.environ.get("KILLS", "50")), seed=2)
