"""One index for many owners: a chunk says by `part` whose it is, and nothing that happens to one touches another."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyport_gateway.knowledge.indexes import Entry, MemoryIndex, Schema, VectorIndex, open_index
from polyport_gateway.knowledge.retrieval import SparseVector

PACKAGES = {"chroma": "chromadb", "faiss": "faiss", "milvus": "milvus_lite", "qdrant-edge": "qdrant_edge"}
SCHEMA = Schema({"small": 16}, {"part": "integer", "tags": "keyword"}, strict=False)
PARTS = [(base << 16) + generation for base, generation in ((1, 1), (1, 2), (2, 1), (70_000, 3), (2**31, 65_535))]
"""As a catalogue makes them: a base's number and that of its generation."""
FIRST = 2**53 - 20
"""Numbers of chunks go beyond those that a float holds exactly."""
EACH = 12


@pytest.fixture(
    params=[
        "memory",
        "faiss",
        "qdrant-edge",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("chroma", "milvus", "qdrant")),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    package = PACKAGES.get(request.param, "qdrant_client" if request.param == "qdrant" else None)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return request.param


def opened(kind: str, folder: Path, schema: Schema | None = SCHEMA) -> VectorIndex:
    more: dict[str, Any] = {} if kind == "memory" else {"folder": folder}
    return open_index(kind, schema, **({"url": str(folder), "collection": "chunks"} if kind == "qdrant" else more))


def chunks(part: int, first: int, **metadata: Any) -> list[Entry]:
    """Chunks of a part."""
    chance = np.random.default_rng(part % 1000)
    return [
        Entry(
            first + number,
            f"{part}:document-{number // 3}",
            {"small": chance.normal(size=16).astype(np.float32)},
            SparseVector(np.array([1, 2 + number], np.uint32), np.ones(2, np.float32)),
            {"part": part, "tags": [f"tag {number % 2}"], **metadata},
        )
        for number in range(EACH)
    ]


def of_part(number: int) -> list[Entry]:
    return chunks(PARTS[number], FIRST + number * EACH)


@pytest.fixture
def index(kind: str, tmp_path: Path) -> Iterator[VectorIndex]:
    found = opened(kind, tmp_path / "shared")
    for number in range(len(PARTS)):
        found.upsert(of_part(number))
    yield found
    found.close()


def within(*numbers: int, **more: Any) -> dict[str, Any]:
    return {"part": {"in": [PARTS[number] for number in numbers]}, **more}


def ids(index: VectorIndex, *numbers: int) -> list[int]:
    return [record.id for record in index.scroll(where=within(*numbers))]


def test_each_has_its_own(index: VectorIndex) -> None:
    exact = MemoryIndex(SCHEMA)
    for number in range(len(PARTS)):
        exact.upsert(of_part(number))
    query = np.linspace(-1, 1, 16, dtype=np.float32)
    terms = SparseVector(np.array([1, 5, 6], np.uint32), np.ones(3, np.float32))
    for where in (within(0), within(1, 3), within(0, 1, 2, 3, 4), within(4, tags="tag 1"), {"part": PARTS[2]}):
        found, wanted = (
            index.search_dense("small", query, 20, where)[0],
            exact.search_dense("small", query, 20, where)[0],
        )
        assert found.documents.tolist() == wanted.documents.tolist()
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)
        found, wanted = index.search_sparse([terms], 60, where)[0], exact.search_sparse([terms], 60, where)[0]
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4)  # of all parts' chunks, so that they compare
        assert sorted(found.documents.tolist()) == sorted(wanted.documents.tolist())
        assert index.count(where) == exact.count(where)
    assert index.count({"part": {"in": [7, 8]}}) == 0
    assert index.count({"not": within(0)}) == 4 * EACH


def test_changes_of_one_touch_no_other(index: VectorIndex) -> None:
    others = {number: index.fetch(ids(index, number)) for number in (0, 2, 3, 4)}
    changed = [replace(entry, metadata={**entry.metadata, "tags": ["new"]}) for entry in of_part(1)[:6]]
    index.upsert(changed)
    index.delete([entry.id for entry in of_part(1)[6:9]])
    index.delete_documents([of_part(1)[11].document])
    index.delete_documents(["document-0", f"{PARTS[1]}:document"])  # nobody's
    assert ids(index, 1) == [entry.id for entry in of_part(1)[:6]]
    assert index.count(within(1, tags="new")) == 6
    index.optimize()
    for number, records in others.items():
        assert index.fetch(ids(index, number)) == records
        assert len(records) == EACH
        assert all(record.metadata["part"] == PARTS[number] for record in records)


def test_a_part_goes_as_a_whole(kind: str, index: VectorIndex, tmp_path: Path) -> None:
    index.delete(ids(index, 3))
    assert index.count() == 4 * EACH
    assert index.count(within(3)) == 0
    if kind == "memory":
        return
    index.close()
    again = opened(kind, tmp_path / "shared")
    assert again.count() == 4 * EACH
    assert ids(again, 4) == [entry.id for entry in of_part(4)]
    again.close()


def test_fields_of_one_base_do_not_trouble_another(index: VectorIndex) -> None:
    """The same name with other types, and names that the schema does not know."""
    index.upsert(chunks(11, 10_000, year=2024, tags=[1, 2.5, True], note="x"))
    index.upsert(chunks(12, 20_000, year="2024", tags={"a": "b"}, note=["x", None]))
    index.upsert(chunks(13, 30_000, year="2024-05-01", tags=None, note=[]))
    for where, wanted in (
        ({"year": 2024}, EACH),
        ({"year": "2024"}, EACH),
        ({"year": {"gte": 2023}}, EACH),
        ({"year": {"gte": "2024-01-01", "lt": "2025-01-01"}}, EACH),
        ({"note": "x"}, 2 * EACH),
        ({"tags": 1}, EACH),
        ({"tags": True}, EACH),
        ({"tags": "tag 1"}, 5 * EACH // 2),
        ({"tags.a": "b"}, EACH),
        ({"tags": {"exists": False}, "part": {"in": [11, 12, 13]}}, EACH),
    ):
        assert index.count(where) == wanted, where


def test_fields_are_added_by_another_base(kind: str, index: VectorIndex, tmp_path: Path) -> None:
    if kind in ("memory", "qdrant"):
        pytest.skip("keeps no fields")
    index.upsert(chunks(11, 10_000, year=2024))
    index.close()
    wanted = Schema({"small": 16}, {"part": "integer", "year": "integer", "tags": "integer"}, strict=False)
    again = opened(kind, tmp_path / "shared", wanted)
    assert again.schema.fields == {"part": "integer", "tags": "keyword", "year": "integer"}  # the first type stays
    assert again.count({"year": 2024}) == EACH
    again.upsert(chunks(12, 20_000, year="soon", tags=[7]))
    assert again.count({"tags": 7}) == again.count({"year": "soon"}) == EACH
    assert again.count({"tags": "tag 0", "part": 11}) == EACH // 2
    again.close()
