"""Where a shelf's index lies: in the gateway's folder, on a server, or, for Chroma's, in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polyport_gateway.knowledge.bases import shelves
from polyport_gateway.knowledge.bases.generation import Generation

URL = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("kind", "given", "folder", "collection"),
    [
        ("qdrant-edge", {}, True, False),
        ("faiss", {"kind": "hnsw"}, True, False),
        ("milvus", {}, True, False),
        ("chroma", {}, True, False),
        ("milvus", {"url": URL}, False, True),
        ("qdrant", {"url": URL}, False, True),
        ("chroma", {"url": URL}, True, True),
    ],
)
def test_options(
    kind: str,
    given: dict[str, Any],
    folder: bool,
    collection: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(shelves, "open_index", lambda _kind, _schema, **options: told.update(options))
    generation = Generation(index=kind, index_options=given)
    shelves.Shelves(tmp_path).get(generation)
    wanted = dict(given)
    if folder:
        wanted["folder"] = tmp_path / generation.shelf
    if collection:
        wanted["collection"] = f"polyport-{generation.shelf}"
    assert told == wanted


def test_a_collection_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(shelves, "open_index", lambda _kind, _schema, **options: told.update(options))
    given = {"url": URL, "collection": "mine"}
    shelves.Shelves(tmp_path).get(Generation(index="milvus", index_options=given))
    assert told == given
