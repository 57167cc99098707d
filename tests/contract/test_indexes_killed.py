"""A process that is killed while it writes to an index loses nothing that it was told is kept."""

from __future__ import annotations

import functools
import importlib.util
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from polyport.errors import ConflictError, ServiceUnavailableError
from polyport_gateway.knowledge.indexes import Generations, Record, Schema, VectorIndex, open_index
from tests.support.index_writer import BATCH, batch
from tests.support.machine import ROOT

PACKAGES = {"chroma": "chromadb", "faiss": "faiss", "milvus": "milvus_lite", "qdrant-edge": "qdrant_edge"}


@pytest.fixture(
    params=["faiss", "qdrant-edge", *(pytest.param(name, marks=pytest.mark.slow) for name in ("chroma", "milvus"))]
)
def kind(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return request.param


def started(kind: str, folder: Path, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.index_writer", kind, str(folder), str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def killed(process: subprocess.Popen[str], after: float) -> list[str]:
    """Kill the writer some time after its first batch; return what it had acknowledged."""
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert lines[0] == "open\n"
    timer = threading.Timer(after, process.kill)
    timer.start()
    lines += process.stdout.readlines()  # to the end: what it wrote before it died
    assert process.wait() == -9
    process.stdout.close()
    timer.join()
    return [line.strip() for line in lines[1:]]


def check(kind: str, folder: Path, said: list[str]) -> int:
    """Everything acknowledged is there, whole and once; of the rest, at most the change that was under way."""
    removed = {int(line[1:]) for line in said if line[0] == "-"}
    replaced = {int(line[1:]) for line in said if line[0] == "*"}
    added = [int(line[1:]) for line in said if line[0] == "+"]
    last = added[-1]
    under_way = {last + 1, last if last not in removed | replaced else -1}
    index = open_index(kind, None, folder=folder)
    records = index.scroll(limit=1_000_000)
    assert len({record.id for record in records}) == len(records) == index.count()
    for number in added:
        there = index.count({"batch": number})
        if number not in under_way:
            assert there == (0 if number in removed else BATCH), (number, last)
            versions = {record.metadata["version"] for record in records if record.metadata["batch"] == number}
            assert versions <= {int(number in replaced)}, (number, last)
    assert {record.metadata["batch"] for record in records} <= {*added, *under_way}
    assert [record.id for record in records if not whole(index, record)] == []
    sure = [number for number in added if number not in removed | under_way]
    for entry in (batch(number, int(number in replaced))[place] for number in sure[-1:] for place in (0, -1)):
        assert index.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
    index.close()
    return last


def whole(index: VectorIndex, record: Record) -> bool:
    """Whether a chunk's vector and terms are those of its metadata."""
    number, version = record.metadata["batch"], record.metadata["version"]
    entry = kept_batch(number, version)[record.id - number * BATCH]
    assert entry.sparse is not None
    ids = [np.array([record.id])]
    near = index.rate_dense("small", entry.vectors["small"], ids)[0][0]
    return bool(near > 0.999 and index.rate_sparse([entry.sparse], ids)[0][0] > 0)


kept_batch = functools.lru_cache(maxsize=10_000)(batch)


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost(kind: str, tmp_path: Path) -> None:
    for number, after in enumerate((0.02, 0.3, 0.8)):
        said = killed(started(kind, tmp_path / str(number), 0), after)
        check(kind, tmp_path / str(number), said)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_however_often(kind: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    for number in range(50):  # each on what the former left, which holds batches that were not acknowledged
        folder = tmp_path / "index"
        said = killed(started(kind, folder, number * 10_000), chance.uniform(0.05, 1.5))
        index = open_index(kind, None, folder=folder)
        index.delete([record.id for record in index.scroll(limit=1_000_000, where={"batch": {"lt": number * 10_000}})])
        index.close()
        check(kind, folder, said)


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would end the process: the shard's files are mapped into memory."""
    pytest.importorskip("qdrant_edge")
    index = open_index("qdrant-edge", Schema({"small": 32}, {"batch": "integer"}), folder=tmp_path / "index")
    index.upsert(batch(1))
    usage = shutil.disk_usage(tmp_path)._replace(free=100 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for change in (lambda: index.upsert(batch(2)), index.optimize):
        with pytest.raises(ServiceUnavailableError, match="has 100 MiB left"):
            change()
    assert index.count() == BATCH
    index.delete([BATCH])
    index.close()
    with pytest.raises(ServiceUnavailableError, match="has 100 MiB left"):
        open_index("qdrant-edge", Schema(), folder=tmp_path / "another")


def test_a_second_process_is_refused(kind: str, tmp_path: Path) -> None:
    process = started(kind, tmp_path / "index", 0)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    with pytest.raises(ConflictError, match=f"open already, in the process {process.pid}"):
        open_index(kind, None, folder=tmp_path / "index")
    process.kill()
    process.communicate()
    open_index(kind, None, folder=tmp_path / "index").close()


def test_another_is_built_beside_and_switched_to(kind: str, tmp_path: Path) -> None:
    generations = Generations(tmp_path)
    assert generations.current() is None
    former = generations.new()
    index = open_index(kind, Schema({"small": 32}), folder=former)
    index.upsert(batch(1))
    generations.switch(former)
    beside = generations.new()
    larger = open_index(kind, Schema({"large": 48}), folder=beside)
    assert generations.clean() == []  # both are open
    assert generations.current() == former
    generations.switch(beside)
    assert generations.current() == beside
    assert index.count() == BATCH  # who still has the former one can finish
    index.close()
    larger.close()
    left = generations.new()
    left.mkdir()
    assert sorted(generations.clean()) == sorted([former, left])
    again = open_index(kind, None, folder=beside)
    assert again.schema.vectors == {"large": 48}
    again.close()
