"""When an index is put in order: by how much has changed in it, whoever changed it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyport_gateway.knowledge.bases import Shelf
from polyport_gateway.knowledge.indexes import Entry, Schema, Stats
from polyport_gateway.knowledge.retrieval import BM25, Analyzer


class Index:
    """As many chunks as it is said to have."""

    def __init__(self, chunks: int, unordered: int | None = 0) -> None:
        self.chunks = chunks
        self.details = {} if unordered is None else {"unordered": unordered}

    def count(self, where: Any = None) -> int:
        return self.chunks

    def stats(self) -> Stats:
        return Stats("made", self.chunks, 0, self.details)


def due(shelf: Shelf, changed: int) -> bool:
    shelf.note_changed(changed)
    return shelf.is_due()


@pytest.mark.parametrize(
    ("chunks", "changed", "wanted"),
    [
        (1_000, [1_000, 0, 0], [False, False, False]),
        (30_000, [0, 20_000, 1], [False, False, True]),
        (300_000, [0, 70_000, 30_000, 1, 90_000], [False, False, False, True, False]),
    ],
)
def test_by_the_chunks_that_have_changed(chunks: int, changed: list[int], wanted: list[bool]) -> None:
    shelf = Shelf("made", Index(chunks))  # type: ignore[arg-type]
    assert [due(shelf, number) for number in changed] == wanted


@pytest.mark.parametrize(
    ("unordered", "changed", "wanted"),
    [
        (100_000, 1, True),
        (9_000, 1, False),
        (None, 1, False),
        (None, 100_000, True),  # an index that can't tell: what has changed now counts, the first time too
    ],
)
def test_what_an_earlier_process_left_counts(unordered: int | None, changed: int, wanted: bool) -> None:
    assert due(Shelf("made", Index(200_000, unordered)), changed) is wanted  # type: ignore[arg-type]


def test_an_edge_index_says_what_is_in_no_graph(tmp_path: Path) -> None:
    edge = pytest.importorskip("polyport_gateway.knowledge.indexes.qdrant_edge")
    pytest.importorskip("qdrant_edge")
    index = edge.QdrantEdgeIndex(Schema({"m": 384}, {"part": "integer"}), tmp_path / "index")
    rows = np.random.default_rng(0).normal(size=(9000, 384)).astype(np.float32)
    tea = BM25(Analyzer()).document("tea")
    index.upsert([Entry(number, f"d{number}", {"m": row}, tea, {"part": 1}) for number, row in enumerate(rows)])
    assert index.stats().details["unordered"] == 9000
    index.optimize()
    assert index.stats().details["unordered"] == 0
    index.close()
