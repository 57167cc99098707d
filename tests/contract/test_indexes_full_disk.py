"""A disk that is full: changes are refused with a reason, searches go on, and nothing is lost once there is room."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyport.errors import ServiceUnavailableError
from polyport_gateway.knowledge.indexes import Schema, open_index
from tests.support.index_writer import BATCH, batch

PACKAGES = {"chroma": "chromadb", "faiss": "faiss", "milvus": "milvus_lite", "qdrant-edge": "qdrant_edge"}
SCHEMA = Schema({"small": 32}, {"batch": "integer"})


@pytest.fixture(
    params=["faiss", "qdrant-edge", *(pytest.param(name, marks=pytest.mark.slow) for name in ("chroma", "milvus"))]
)
def kind(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return request.param


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    found = tmp_path / "disk"
    found.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "polyport-test", str(found)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield found
    subprocess.run(["umount", "-l", str(found)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * (1 << 20))
        except OSError:
            pass
    assert shutil.disk_usage(disk).free < 1 << 20
    return filler


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Milvus Lite leaves a file open then
def test_a_full_disk(kind: str, disk: Path, tmp_path: Path) -> None:
    index = open_index(kind, SCHEMA, folder=disk / "index")
    index.upsert(batch(1))
    filler = fill(disk)
    entry = batch(1)[7]
    refused = 0
    for number in range(2, 60):  # what fits in what the engine has reserved may still go in
        try:
            index.upsert(batch(number))
        except ServiceUnavailableError:
            refused = refused or number
    assert refused
    with pytest.raises(ServiceUnavailableError, match=r"left|full"):
        index.upsert(batch(60))
    assert index.count({"batch": 1}) == BATCH
    assert index.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
    with pytest.raises(ServiceUnavailableError):
        index.snapshot(disk / "snapshot")
    assert not (disk / "snapshot").exists()
    with pytest.raises(ServiceUnavailableError):
        open_index(kind, SCHEMA, folder=disk / "another")
    index.close()
    if kind in ("chroma", "qdrant-edge"):
        with pytest.raises(ServiceUnavailableError, match="are needed to open the index"):
            open_index(kind, SCHEMA, folder=disk / "index")
        filler.unlink()
        index = open_index(kind, SCHEMA, folder=disk / "index")
    else:  # to search, they need no room
        index = open_index(kind, SCHEMA, folder=disk / "index")
        assert index.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
        filler.unlink()
    shutil.rmtree(disk / "another", ignore_errors=True)
    index.upsert(batch(100))
    index.upsert(batch(refused))
    index.close()
    again = open_index(kind, None, folder=disk / "index")
    for number in (1, refused - 1 if refused > 2 else 1, refused, 100):
        assert again.count({"batch": number}) == BATCH, number
        one = batch(number)[3]
        assert again.search_dense("small", one.vectors["small"], 1)[0].documents.tolist() == [one.id]
    again.snapshot(tmp_path / "snapshot")
    again.close()
