"""What searches and chunking strategies ask for, and how scores are shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polyport.errors import BadRequestError
from polyport.types.knowledge import KnowledgeHit
from polyport.types.response_tools import FileSearchTool
from polyport.types.vector_stores import VectorStoreFileRequest, VectorStoreSearchRequest
from polyport_gateway.knowledge.chunkers.spec import parse_steps
from polyport_gateway.vector_stores.chunking import chunker_of, plain_chunking, shown_chunking
from polyport_gateway.vector_stores.search import read_search, read_tool
from polyport_gateway.vector_stores.searching import file_name, labels, score_of


def static(size: int, overlap: int) -> dict[str, Any]:
    return {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}}


def asked(**members: Any) -> Any:
    return read_search("s", VectorStoreSearchRequest.model_validate({"query": "q", **members}))


@given(st.integers(100, 4096), st.integers(0, 2048))
def test_static_chunks_are_chunks_of_the_gateway(size: int, overlap: int) -> None:
    request = VectorStoreFileRequest.model_validate({"file_id": "f", "chunking_strategy": static(size, overlap)})
    if 2 * overlap > size:
        with pytest.raises(BadRequestError, match="half"):
            plain_chunking(request.chunking_strategy)
        return
    kept = plain_chunking(request.chunking_strategy)
    assert kept == static(size, overlap) == shown_chunking(kept)
    chunker = chunker_of(kept)
    assert chunker is not None
    assert parse_steps(chunker)


@pytest.mark.parametrize(("size", "overlap"), [(99, 0), (4097, 0), (800, -1), (800.5, 0), ("800", 0)])
def test_sizes_out_of_range(size: Any, overlap: Any) -> None:
    with pytest.raises(ValidationError):
        VectorStoreFileRequest.model_validate({"file_id": "f", "chunking_strategy": static(size, overlap)})


def test_the_gateways_own_way_is_other() -> None:
    auto = VectorStoreFileRequest.model_validate({"file_id": "f", "chunking_strategy": {"type": "auto"}})
    assert plain_chunking(auto.chunking_strategy) is None
    assert (chunker_of(None), shown_chunking(None)) == (None, {"type": "other"})


@pytest.mark.parametrize(
    ("ranking", "mode", "rerank"),
    [
        (None, "auto", None),
        ({"ranker": "none"}, "auto", False),
        ({"ranker": "auto"}, "auto", None),
        ({"hybrid_search": {"embedding_weight": 1, "text_weight": 0}}, "dense", None),
        ({"hybrid_search": {"embedding_weight": 0, "text_weight": 0.5}}, "bm25", None),
        ({"hybrid_search": {"embedding_weight": 1, "text_weight": 0.5}}, "hybrid", None),
    ],
)
def test_ranking_options(ranking: Any, mode: str, rerank: bool | None) -> None:
    search, queries = asked(ranking_options=ranking)
    assert (search.mode, search.rerank, search.limit, search.threshold) == (mode, rerank, 10, 0.0)
    assert queries == ["q"]
    tool = FileSearchTool.model_validate(
        {"type": "file_search", "vector_store_ids": ["a", "b", "a"], "ranking_options": ranking, "max_num_results": 3}
    )
    search = read_tool(tool)
    assert (search.stores, search.mode, search.rerank, search.limit) == (("a", "b"), mode, rerank, 3)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": " \n"}, "query"),
        ({"query": []}, "query"),
        ({"query": ["a", ""]}, "query.1"),
        ({"query": ["a"] * 17}, "query"),
        ({"filters": {"type": "eq"}}, "filters.key"),
        (
            {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "ranking_options.hybrid_search",
        ),
    ],
)
def test_searches_that_ask_for_nothing(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        asked(**members)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "members",
    [
        {"query": 1},
        {"max_num_results": 0},
        {"max_num_results": 51},
        {"filters": "x"},
        {"ranking_options": {"score_threshold": 2}},
        {"ranking_options": {"ranker": "best"}},
        {"ranking_options": {"hybrid_search": {"embedding_weight": -1, "text_weight": 1}}},
        {"rewrite_query": "yes"},
        {"more": 1},
    ],
)
def test_searches_of_no_known_form(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked(**members)


def hit(score: float, **scores: float) -> KnowledgeHit:
    return KnowledgeHit(knowledge="k", document="d", chunk=1, title="t", text="x", score=score, scores=scores)


@given(st.lists(st.floats(-100, 1000), min_size=2), st.booleans())
def test_scores_are_shares_in_the_same_order(scores: list[float], reranked: bool) -> None:
    given = sorted(scores)
    shown = [score_of(hit(score, **({"rerank": score} if reranked else {"fused": score}))) for score in given]
    assert all(0 <= share <= 1 for share in shown)
    if not reranked or all(0 <= score <= 1 for score in given) or not any(0 <= score <= 1 for score in given):
        assert shown == sorted(shown)


def test_a_probability_stays_what_it_is() -> None:
    assert score_of(hit(0.25, rerank=0.25)) == 0.25
    assert [score_of(hit(score)) for score in (-1.0, 0.0, 1.0, 3.0, 9.0)] == [0.25, 0.5, 0.75, 0.875, 0.95]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("docs/手册.md", "手册.md"),
        ("C:\\docs\\a.md", "a.md"),
        ("https://example.org/a/%E8%8C%B6.html?x=1", "茶.html"),
        ("https://example.org", "https://example.org"),
        (None, ""),
    ],
)
def test_names_of_sources(source: str | None, name: str) -> None:
    assert file_name(source) == name


def test_only_plain_values_are_attributes() -> None:
    metadata = {"a": 1, "b": "x", "c": [1], "d": None, "e": True, "f": {"g": 1}}
    assert labels(metadata) == {"a": 1, "b": "x", "e": True}
    assert len(labels({str(n): n for n in range(40)})) == 16
