"""Chroma and Milvus by URL: Chroma's own server, and Milvus Lite's, which speaks Milvus's protocol."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyport.errors import ConfigurationError, ConflictError, ServiceUnavailableError, UnsupportedOperationError
from polyport_gateway.knowledge.indexes import MemoryIndex, Schema, VectorIndex, open_index
from tests.support.index_writer import BATCH, batch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    # Chroma's client leaves a connection open where its server has died.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SCHEMA = Schema({"small": 32}, {"batch": "integer"})
PACKAGES = {"chroma": "chromadb", "milvus": "milvus_lite"}


@pytest.fixture(params=list(PACKAGES))
def kind(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return request.param


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(kind: str, data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    programs = Path(sys.executable).parent
    command = {
        "chroma": [str(programs / "chroma"), "run", "--path", str(data), "--host", "127.0.0.1", "--port", str(port)],
        "milvus": [str(programs / "milvus-lite"), "server", "--data-dir", str(data), "--port", str(port)],
    }[kind]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=data.parent)
    try:
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None
            assert time.monotonic() < end
            with closing(socket.socket()) as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def opened(kind: str, tmp_path: Path) -> Iterator[tuple[int, Callable[..., VectorIndex]]]:
    port = free_port()
    made: list[VectorIndex] = []

    def make(schema: Schema | None = SCHEMA, folder: str = "index", **more: Any) -> VectorIndex:
        told = {"folder": tmp_path / folder} if kind == "chroma" else {}
        made.append(open_index(kind, schema, url=f"http://127.0.0.1:{port}", timeout=3.0, **told, **more))
        return made[-1]

    yield port, make
    for index in made:
        index.close()


def test_it_is_an_index(kind: str, tmp_path: Path, opened: tuple[int, Callable[..., VectorIndex]]) -> None:
    port, make = opened
    with serving(kind, tmp_path / "data", port):
        index, exact = make(), MemoryIndex(SCHEMA)
        for one in (index, exact):
            for number in range(5):
                one.upsert(batch(number))
            one.delete_documents(["document-2"])
            one.delete([BATCH])
        entry = batch(3)[5]
        assert entry.sparse is not None
        assert index.count() == exact.count() == 4 * BATCH - 1
        for where in (None, {"batch": {"in": [1, 3]}}, {"batch": {"gte": 3}}):
            for found, wanted in (
                (
                    index.search_dense("small", entry.vectors["small"], 7, where),
                    exact.search_dense("small", entry.vectors["small"], 7, where),
                ),
                (index.search_sparse([entry.sparse], 40, where), exact.search_sparse([entry.sparse], 40, where)),
            ):
                np.testing.assert_allclose(found[0].scores, wanted[0].scores, rtol=1e-3, atol=1e-4)
        with pytest.raises(UnsupportedOperationError, match=rf"127\.0\.0\.1:{port}"):
            index.snapshot(tmp_path / "snapshot")
        index.close()
        again = make(None)
        assert again.count() == 4 * BATCH - 1
        assert again.schema.vectors == SCHEMA.vectors
        assert again.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
        if kind == "chroma":
            with pytest.raises(ConflictError):
                make()
        else:  # another gateway
            other = make()
            other.upsert(batch(9))
            assert again.count() == 5 * BATCH - 1
        again.close()
        with pytest.raises(ConfigurationError, match="'small' gives vectors of 16"):
            make(Schema({"small": 16}))


def test_a_server_that_dies(kind: str, tmp_path: Path, opened: tuple[int, Callable[..., VectorIndex]]) -> None:
    port, make = opened
    entry = batch(1)[3]
    with serving(kind, tmp_path / "data", port):
        index = make()
        index.upsert(batch(1))
    waited = []
    for _ in range(6):
        began = time.monotonic()
        with pytest.raises(
            ServiceUnavailableError, match=rf"server at http://127\.0\.0\.1:{port} (failed|is left alone)"
        ):
            index.search_dense("small", entry.vectors["small"], 1)
        waited.append(time.monotonic() - began)
    assert max(waited) < 8
    assert waited[-1] < 0.1
    with pytest.raises(ServiceUnavailableError):
        index.upsert(batch(2))
    with serving(kind, tmp_path / "data", port):
        end = time.monotonic() + 60
        while True:
            try:
                assert index.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
                break
            except ServiceUnavailableError:
                assert time.monotonic() < end
                time.sleep(0.5)
        index.upsert(batch(2))
        other = batch(2)[3]
        assert index.search_dense("small", other.vectors["small"], 1)[0].documents.tolist() == [other.id]


def test_what_a_killed_gateway_or_an_emptied_server_leaves(tmp_path: Path) -> None:
    """Chroma alone keeps a part of it with the gateway."""
    pytest.importorskip("chromadb")
    port = free_port()

    def make() -> VectorIndex:
        return open_index("chroma", SCHEMA, folder=tmp_path / "index", url=f"http://127.0.0.1:{port}")

    with serving("chroma", tmp_path / "data", port):
        index = make()
        index.upsert(batch(1))
        index.close()
    with (
        serving("chroma", tmp_path / "another", port),
        pytest.raises(ConfigurationError, match="no longer has 40 vectors"),
    ):
        make()


def test_a_server_that_is_down_from_the_start(kind: str, opened: tuple[int, Callable[..., VectorIndex]]) -> None:
    port, make = opened
    began = time.monotonic()
    with pytest.raises(ServiceUnavailableError, match=rf"server at http://127\.0\.0\.1:{port} failed") as caught:
        make(token="secret")
    assert time.monotonic() - began < 10
    assert "secret" not in str(caught.value)
