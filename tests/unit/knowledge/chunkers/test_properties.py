"""What every chunker keeps, for any document."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import cast

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.chunkers import CHUNKERS
from polyport_gateway.knowledge.chunkers.base import Chunk, Pipeline, Step
from polyport_gateway.knowledge.chunkers.graphemes import is_safe_cut
from polyport_gateway.knowledge.documents.blocks import Heading, Table
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.documents.grid import TableGrid
from polyport_gateway.knowledge.tokenizers import get_tokenizer
from tests.unit.knowledge.chunkers.cases import COVERING, EXTRACTIVE, LIMIT, LIMITED, NAMES, OVERLAPPING, cases
from tests.unit.knowledge.chunkers.texts import DOCUMENTS, TEXTS, document

TOKENIZERS = ("cl100k_base", "estimate")
many = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def test_every_chunker_is_among_the_cases() -> None:
    used: set[str] = set()
    for step in cases("estimate").values():
        used |= {type(part).__name__ for part in (step.steps if isinstance(step, Pipeline) else (step,))}
    assert used >= set(CHUNKERS)


def check_whole_and_true(chunker: Step, chunks: list[Chunk], document: Document) -> None:
    count = chunker.counter().count
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    ids: set[str] = set()
    for chunk in chunks:
        assert chunk.text.strip()
        assert chunk.tokens == count(chunk.text)
        assert chunk.document_id == document.id
        assert chunk.parent_id is None or chunk.parent_id in ids
        ids.add(chunk.id)
        json.dumps(dict(chunk.metadata))
        if chunk.span is not None:
            assert document.text[chunk.span.start : chunk.span.end] == chunk.text
            touched = [block.index for block in document.blocks if block.span.overlaps(chunk.span)]
            assert list(chunk.blocks) == touched
        else:
            start, end = cast("tuple[int, int]", chunk.metadata["source_span"])
            assert 0 <= start <= end <= len(document.text)
    assert [chunk.id for chunk in chunker.chunk(document)] == [chunk.id for chunk in chunks]


def check_cover(chunks: list[Chunk], document: Document) -> None:
    covered = bytearray(len(document.text))
    for chunk in chunks:
        start, end = chunk.span or cast("tuple[int, int]", chunk.metadata["source_span"])
        covered[start:end] = b"\1" * (end - start)
    # Only a stretch of blanks that is a chunk by itself is left out.
    assert all(covered[index] or character.isspace() for index, character in enumerate(document.text))


def check_overlaps(chunks: list[Chunk], document: Document, count: Callable[[str], int], most: int) -> None:
    for before, after in pairwise(chunk.span for chunk in chunks):
        assert before is not None
        assert after is not None
        assert before.start < after.start
        assert before.end < after.end
        if after.start < before.end:
            assert count(document.text[after.start : before.end]) <= most


def check_all(name: str, tokenizer: str, document: Document) -> None:
    chunker = cases(tokenizer)[name]
    chunks = chunker.chunk(document)
    check_whole_and_true(chunker, chunks, document)
    if name in COVERING:
        check_cover(chunks, document)
    if name in LIMITED:
        sizes = [len(chunk.text) if name.startswith("characters") else chunk.tokens for chunk in chunks]
        assert max(sizes, default=0) <= LIMIT
    if name in OVERLAPPING:
        count = (lambda text: len(text)) if name.startswith("characters") else chunker.counter().count
        check_overlaps(chunks, document, count, OVERLAPPING[name])


@pytest.mark.parametrize("name", NAMES)
@many
@given(document=DOCUMENTS, tokenizer=st.sampled_from(TOKENIZERS))
def test_chunks_are_whole_and_true_cover_all_and_keep_limit_and_overlap(
    name: str, tokenizer: str, document: Document
) -> None:
    check_all(name, tokenizer, document)


def test_a_table_of_headers_alone_is_whole() -> None:
    check_all("rows | recursive", "estimate", document(Table(grid=TableGrid.from_rows([["", "0:𐀀𐀀"]]))))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("name", NAMES)
@settings(parent=many, max_examples=200)
@given(document=DOCUMENTS)
def test_all_holds_for_many_more_documents(name: str, tokenizer: str, document: Document) -> None:
    check_all(name, tokenizer, document)


@pytest.mark.parametrize("name", EXTRACTIVE)
def test_extractive_chunks_have_a_place(name: str) -> None:
    made = document("One is here. 二在这里。\n\n" * 9, Heading(text="Three"), "Four.")
    assert all(chunk.span is not None for chunk in cases("estimate")[name].chunk(made))


@many
@given(text=TEXTS, tokenizer=st.sampled_from((*TOKENIZERS, "o200k_base")), data=st.data())
def test_a_part_is_counted_as_if_alone(text: str, tokenizer: str, data: st.DataObject) -> None:
    found = get_tokenizer(tokenizer)
    measure = found.measure(text)
    for _ in range(12):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        assert measure.count(start, end) == found.count(text[start:end])
        if start < end:
            assert start < measure.reach(start, 8, end) <= end


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_no_safe_cut_is_inside_a_grapheme_cluster(text: str) -> None:
    bounds = {match.end() for match in regex.finditer(r"\X", text)} | {0}
    assert all(cut in bounds for cut in range(len(text)) if is_safe_cut(text, cut))


@many
@given(text=TEXTS)
def test_clusters_stay_whole_where_they_fit(text: str) -> None:
    made = document(text)
    clusters = [match.span() for match in regex.finditer(r"\X", made.text)]
    inside = {cut for start, end in clusters if end - start <= 24 for cut in range(start + 1, end)}
    for name in ("characters", "tokens", "recursive"):
        step: Step = cases("estimate")[name]
        for chunk in step.chunk(made):
            assert chunk.span is not None
            start = chunk.span.start
            if start in inside:
                # Only a cluster that is larger than the limit by itself is cut.
                cluster = next(made.text[a:b] for a, b in clusters if a < start < b)
                assert step.counter().count(cluster) > 24
