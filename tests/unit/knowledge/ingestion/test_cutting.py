from __future__ import annotations

import pytest

from polyport_gateway.knowledge.chunkers import Auto, ParentChild, Recursive, Sentences, TableRows
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.documents.blocks import Table
from polyport_gateway.knowledge.documents.builder import DocumentBuilder
from polyport_gateway.knowledge.documents.grid import TableGrid
from polyport_gateway.knowledge.documents.values import Provenance, Source
from polyport_gateway.knowledge.ingestion.cutting import (
    NARROW,
    cut,
    default_chunker,
    embedded_text,
    extra_keywords,
    matched_title,
    title_of,
)
from polyport_gateway.knowledge.readers import read


def sheet(rows: int, cells: str = "B3:C43") -> Document:
    builder = DocumentBuilder(Source("prices.xlsx", "application/x", 1, "0" * 64))
    grid = TableGrid.from_rows([["name", "price"], *([f"thing {row}", str(row)] for row in range(rows))], header_rows=1)
    builder.add(Table(grid=grid, provenance=Provenance(sheet="Prices", cells=cells)))
    return builder.build(metadata={}, id="d")


def test_chunks_of_a_sheet_say_which_cells_they_are_from() -> None:
    chunks = cut(sheet(40), TableRows(max_tokens=64, tokenizer="estimate"), "Prices")
    cells = [str(chunk.metadata["cells"]) for chunk in chunks]
    assert len(cells) > 2
    assert cells[0].startswith("Prices!B4:C"), "the header is in all of them"
    assert cells[-1].endswith(":C43")
    ends = [int(one.rpartition("C")[2]) for one in cells]
    starts = [int(one.partition("!B")[2].partition(":")[0]) for one in cells]
    assert starts[1:] == [end + 1 for end in ends[:-1]], "each begins where the one before ends"
    whole = cut(sheet(2, "B3:C5"), Recursive(max_tokens=512, tokenizer="estimate"), "Prices")
    assert whole[0].metadata["cells"] == "Prices!B3:C5"
    odd = cut(sheet(2, "B3"), TableRows(max_tokens=512, tokenizer="estimate"), "Prices")
    assert odd[0].metadata["cells"] == "Prices!B3"


def test_parents_are_kept_and_not_searched() -> None:
    document = read(("Tea is hot. Milk is white. " * 60).encode(), "tea.txt").document
    chunks = cut(document, ParentChild(Recursive(max_tokens=128), Sentences(max_tokens=24)), "Tea")
    parents = {place for place, chunk in enumerate(chunks) if not chunk.searchable}
    assert parents
    assert {chunk.parent for chunk in chunks if chunk.searchable} == parents
    assert all(chunks[place].parent is None for place in parents)
    for chunk in chunks:
        assert chunk.span is not None
        assert document.text[chunk.span[0] : chunk.span[1]] == chunk.text


def test_headings_alone_are_kept_and_not_searched() -> None:
    document = read(b"# Tea\n\n## Green\n\nIt is mild.\n", "tea.md").document
    chunks = cut(document, Auto(max_tokens=64, tokenizer="estimate"), "Tea")
    assert [chunk.text.split() for chunk in chunks] == [["Tea"], ["Green", "It", "is", "mild."]]
    assert [chunk.searchable for chunk in chunks] == [False, True]
    alone = read(b"# Tea\n", "tea.md").document
    assert [chunk.searchable for chunk in cut(alone, Auto(max_tokens=64), "Tea")] == [True]


@pytest.mark.parametrize(
    ("data", "name", "title"),
    [
        (b"# Green tea\n\nMild.", "notes.md", "Green tea"),
        (b"## Green tea\n\nMild.", "notes on tea.md", "notes on tea"),
        ("茶很热。".encode(), "文件夹/茶.txt", "茶"),
        (b"<html><head><title> All  about tea </title></head><p>x", "a.html", "All about tea"),
        (b"tea", "archive.2025.txt", "archive.2025"),
        (b"tea", ".txt", ".txt"),
    ],
)
def test_what_a_document_is_called(data: bytes, name: str, title: str) -> None:
    assert title_of(read(data, name).document, name) == title


def test_what_is_embedded_and_matched() -> None:
    assert embedded_text("Tea", (), "It is hot.") == "Tea\nIt is hot."
    assert embedded_text("Tea", ("Tea", "Green", "Mild"), "It.") == "Tea\nGreen > Mild\nIt."
    # A heading is told once, not again where the chunk begins with it.
    assert embedded_text("Tea", ("Tea", "Green"), "Tea\n\nGreen\n\nIt is hot.\n") == "Tea\nGreen\nIt is hot."
    assert embedded_text("Tea", ("Tea", "Green"), "Green\n\nTea is hot.") == "Tea\nGreen\nTea is hot."
    assert embedded_text("Tea", ("Tea",), "Tea") == "Tea\nTea"
    assert matched_title("Tea", ("Tea", "Green"), ["茶"]) == "Tea\nGreen\n茶"


def test_extra_keywords_stand_nowhere_in_the_document() -> None:
    document = read("Tea is hot. 茶很热。 Café.".encode(), "tea.txt").document
    assert extra_keywords(document, "Drinks", ["TEA", "drinks", "茶", "cafe", "coffee", "咖啡"]) == ["coffee", "咖啡"]


def test_chunks_fit_what_an_embedder_reads() -> None:
    for window, most in ((None, 256), (8192, 256), (NARROW, 256), (256, 180), (64, 32)):
        chunker = default_chunker(window)
        assert isinstance(chunker, Auto)
        assert chunker.max_tokens <= most
        assert chunker.max_tokens >= 25
    assert default_chunker(NARROW - 1) != default_chunker(None)
