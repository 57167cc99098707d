"""BM25 against its formula, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.retrieval.bm25 import BM25, BM25Index
from polyport_gateway.knowledge.retrieval.dense import DenseIndex, normalized
from polyport_gateway.knowledge.retrieval.ranking import best
from polyport_gateway.knowledge.retrieval.terms import Analyzer

ANALYZER = Analyzer()
WORDS = ["cat", "dog", "fox", "山水", "水火"]


def expected(query: list[str], document: list[str], all_documents: list[list[str]]) -> float:
    mean = sum(map(len, all_documents)) / len(all_documents)
    total = 0.0
    for term in query:
        holders = sum(term in other for other in all_documents)
        rarity = math.log(1 + (len(all_documents) - holders + 0.5) / (holders + 0.5))
        times = document.count(term)
        total += rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(document) / mean))
    return total


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), min_size=1, max_size=8),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
)
def test_scores_are_those_of_the_formula(documents: list[list[str]], query: list[str]) -> None:
    index, bm25 = BM25Index.of([" ".join(words) for words in documents])
    asked = bm25.query(" ".join(query))
    scores = index.scores(asked)
    for number, words in enumerate(documents):
        assert scores[number] == pytest.approx(expected(query, words, documents), rel=1e-4, abs=1e-5)
        assert index.score(asked, bm25.document(" ".join(words))) == pytest.approx(float(scores[number]), rel=1e-4)
    found = index.search(asked, 3)
    assert found.scores.tolist() == sorted((float(s) for s in scores if s > 0), reverse=True)[:3]


def test_a_sparse_vector_and_the_index_weight_make_the_same_score() -> None:
    # As Qdrant does it: the values as stored, the inverse document frequency at search.
    texts = ["the cat", "a dog and a cat", "the fox"]
    index, bm25 = BM25Index.of(texts)
    query = bm25.query("cat fox")
    rarity = dict(zip(index.terms.tolist(), index.rarity.tolist(), strict=True))
    for number, text in enumerate(texts):
        vector = bm25.document(text)
        stored = dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))
        by_hand = sum(stored.get(term, 0) * rarity.get(term, 0) for term in query.indices.tolist())
        assert index.scores(query)[number] == pytest.approx(by_hand, rel=1e-5)


def test_a_title_counts_more_than_the_text() -> None:
    index, bm25 = BM25Index.of(["about dogs", "about cats"], ["Cats", "Dogs"])
    assert index.search(bm25.query("cat"), 2).documents.tolist() == [0, 1]
    plain = BM25(ANALYZER, title_weight=0)
    assert plain.document("x", "Cats").indices.tolist() == plain.document("x").indices.tolist()


def test_nothing_is_found_by_nothing_or_among_nothing() -> None:
    index, bm25 = BM25Index.of([])
    assert len(index.search(bm25.query("cat"), 5).documents) == 0
    index, bm25 = BM25Index.of(["cat", ""])
    assert len(index.search(bm25.query(""), 5).documents) == 0
    assert len(index.search(bm25.query("dog"), 5).documents) == 0
    assert index.search(bm25.query("cat"), 5).documents.tolist() == [0]


def test_equal_scores_come_in_order_and_the_limit_holds() -> None:
    scores = np.array([1, 3, 3, 2, 3], np.float32)
    assert best(scores, 2).documents.tolist() == [1, 2]
    assert best(scores, 9).documents.tolist() == [1, 2, 4, 3, 0]
    assert best(scores, 9, above=2).documents.tolist() == [1, 2, 4]
    assert best(scores, 0).documents.tolist() == []


def test_dense_search_is_by_cosine() -> None:
    index = DenseIndex([[1, 0], [0, 5], [3, 3], [0, 0]])
    assert index.search([0, 2], 2).documents.tolist() == [1, 2]
    assert index.scores([[0, 2]])[0].tolist() == pytest.approx([0, 1, math.sqrt(0.5), 0])
    assert DenseIndex([]).search([1, 2], 3).documents.tolist() == []
    with pytest.raises(ValueError, match="3 dimensions; the index holds 2"):
        index.search([1, 2, 3], 1)
    with pytest.raises(ValueError, match="not a finite number"):
        normalized([[1, math.nan]])
