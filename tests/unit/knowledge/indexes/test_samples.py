"""Samples of a part of an index, taken from a sample of all of it where that has enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from polyport_gateway.knowledge.indexes import Entry, MemoryIndex, Samples, Schema, VectorIndex
from polyport_gateway.knowledge.indexes.qdrant_edge import QdrantEdgeIndex

PARTS, EACH = 20, 300
SCHEMA = Schema({"m": 8}, {"part": "integer"})


@pytest.fixture(scope="module", params=["memory", "qdrant-edge"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    folder: Path = tmp_path_factory.mktemp("index")
    made: VectorIndex = MemoryIndex(SCHEMA) if request.param == "memory" else QdrantEdgeIndex(SCHEMA, folder)
    chance = np.random.default_rng(0)
    middles = 2 * chance.normal(size=(PARTS, 8))
    for part in range(PARTS):
        rows = (middles[part] + chance.normal(size=(EACH, 8))).astype(np.float32)
        made.upsert(
            [Entry(part * EACH + n, f"d{part}", {"m": row}, None, {"part": part}) for n, row in enumerate(rows)]
        )
    yield made
    made.close()


def exact(index: VectorIndex, parts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    _, vectors = index.sample("m", PARTS * EACH, {"part": {"in": parts}})
    return vectors.mean(axis=0), np.cov(vectors.T, bias=True)


@pytest.mark.parametrize("parts", [list(range(12)), list(range(8, 20)), [0, 3, 5, 7, 9, 11, 13, 15, 17]])
def test_many_parts_share_the_sample_of_all(
    index: VectorIndex, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = Samples(index)
    where = {"part": {"in": parts}}
    found = samples.of("m", where)
    assert found.chunks == EACH * len(parts)
    assert {chunk // EACH for chunk in found.ids.tolist()} == set(parts)
    mean, covariance = exact(index, parts)
    deviation = float(np.sqrt(np.diag(covariance)).max())
    assert float(np.abs(found.mean - mean).max()) < 0.2 * deviation
    assert float(np.abs(found.covariance - covariance).max()) < 0.2 * deviation**2
    taken: list[object] = []
    own = index.sample
    monkeypatch.setattr(index, "sample", lambda *args: taken.append(args) or own(*args))
    assert samples.of("m", {"part": {"in": parts[1:]}}).chunks == EACH * (len(parts) - 1)
    assert taken == []  # no vector is read again


def test_a_small_part_has_a_sample_of_its_own(index: VectorIndex) -> None:
    found = Samples(index).of("m", {"part": 4})
    assert sorted(found.ids.tolist()) == list(range(4 * EACH, 5 * EACH))
    mean, covariance = exact(index, [4])
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-5)


def test_nothing_has_an_empty_sample(index: VectorIndex) -> None:
    found = Samples(index).of("m", {"part": 999})
    assert (found.chunks, len(found.ids)) == (0, 0)
