"""What is done with what was found: fewer of the same, larger or smaller parts, and how good it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.chunkers import ParentChild, Sentences, SentenceWindow
from polyport_gateway.knowledge.documents import Document, DocumentBuilder, Paragraph, Span, source_of
from polyport_gateway.knowledge.retrieval.bm25 import BM25
from polyport_gateway.knowledge.retrieval.compression import compress, sentences
from polyport_gateway.knowledge.retrieval.diversity import maximal_marginal_relevance, near_duplicates
from polyport_gateway.knowledge.retrieval.expansion import around, expanded
from polyport_gateway.knowledge.retrieval.metrics import all_gold, evaluate, ndcg, recall, reciprocal_rank
from polyport_gateway.knowledge.retrieval.terms import Analyzer

BM = BM25(Analyzer())
LONG = " ".join(f"Sentence number {n} tells of matter {n}." for n in range(60))


def document(text: str = LONG) -> Document:
    builder = DocumentBuilder(source_of(text.encode(), "a.txt", "text/plain"))
    builder.add(Paragraph(text=text))
    return builder.build()


def test_near_duplicates_are_those_that_differ_little() -> None:
    changed = LONG.replace("matter 30", "topic 30")
    assert near_duplicates([LONG, "Something else.", changed, LONG.upper() + "!", ""]) == {2: 0, 3: 0}
    assert near_duplicates(["中国的首都是北京。", "中国的首都是北京", "日本的首都是东京。"]) == {1: 0}
    assert near_duplicates([]) == {}


def test_the_next_is_relevant_and_unlike() -> None:
    vectors = [[1, 0], [1, 0.01], [0, 1]]
    assert maximal_marginal_relevance([3, 2.9, 2], vectors, 2, relevance=0.5).tolist() == [0, 2]
    assert maximal_marginal_relevance([3, 2.9, 2], vectors, 3, relevance=1).tolist() == [0, 1, 2]
    assert maximal_marginal_relevance([], [], 3).tolist() == []
    with pytest.raises(ValueError, match="2 vectors for 1 scores"):
        maximal_marginal_relevance([1], [[1], [2]], 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        maximal_marginal_relevance([1], [[1]], 1, relevance=2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-10, 10), max_size=8), st.floats(0, 1))
def test_none_is_taken_twice(scores: list[float], relevance: float) -> None:
    vectors = np.eye(max(1, len(scores)))[: len(scores)]
    taken = maximal_marginal_relevance(scores, vectors, 5, relevance=relevance).tolist()
    assert len(set(taken)) == len(taken) == min(5, len(scores))


def test_a_child_is_shown_as_its_parent_once() -> None:
    chunks = ParentChild(child=Sentences(max_tokens=32)).chunk(document())
    by_id = {chunk.id: chunk for chunk in chunks}
    children = [chunk for chunk in chunks if chunk.parent_id]
    shown = expanded([children[2], children[0]], by_id.get)
    assert len(shown) == 1
    assert shown[0].text == by_id[children[0].parent_id or ""].text
    assert shown[0].found == (children[2], children[0])
    orphan = expanded([children[0]], lambda _: None)
    assert orphan[0].text == children[0].text


def test_a_sentence_is_shown_with_its_window() -> None:
    text = document().text
    chunk = SentenceWindow(around=1).chunk(document())[5]
    (shown,) = expanded([chunk], lambda _: None)
    assert shown.span is not None
    assert shown.text == text[shown.span.start : shown.span.end] == chunk.metadata["window"]


def test_neighbours_are_joined_as_the_document_has_them() -> None:
    text = document().text
    chunks = Sentences(max_tokens=32, overlap=10).chunk(document())
    shown = around(chunks[2], chunks, text, before=1, after=2)
    assert shown.span is not None
    assert (shown.span.start, shown.span.end) == (chunks[1].span.start, chunks[4].span.end)  # type: ignore[union-attr]
    assert shown.text == text[shown.span.start : shown.span.end]
    assert around(chunks[0], [], text).text == chunks[0].text


def words(text: str) -> int:
    return len(text.split())


def test_an_excerpt_answers_both_halves_of_a_question() -> None:
    texts = [
        "The bridge was built in 1900. The bridge is long. The bridge is old. The bridge is red.",
        "Nobody swims here. The river is 80 km long.",
    ]
    kept = compress("When was the bridge built, and how long is the river?", texts, 13, bm25=BM, count=words)
    assert [part.text for part in kept.sentences] == ["The bridge was built in 1900.", "The river is 80 km long."]
    assert kept.tokens == 12
    assert kept.left_out == 4
    for part in kept.sentences:
        assert texts[part.passage][part.span.start : part.span.end] == part.text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="ab .!?。中文\n", max_size=60), max_size=4), st.integers(1, 40))
def test_an_excerpt_keeps_its_budget_and_its_places(texts: list[str], budget: int) -> None:
    kept = compress("a 中文", texts, budget, bm25=BM, count=len)
    assert kept.tokens == sum(len(part.text) for part in kept.sentences) <= budget
    assert all(texts[part.passage][slice(*part.span)] == part.text for part in kept.sentences)
    assert len(kept.sentences) + kept.left_out == len(sentences(texts))
    places = [(part.passage, part.span.start) for part in kept.sentences]
    assert places == sorted(places)


def test_sentences_stand_where_they_say() -> None:
    assert [(part.text, part.span) for part in sentences(["  One.  Two!\n"])] == [
        ("One.", Span(2, 6)),
        ("Two!", Span(8, 12)),
    ]
    with pytest.raises(ValueError, match="keeps nothing"):
        compress("a", ["a"], 0, bm25=BM, count=len)


def test_metrics_are_those_of_the_textbook() -> None:
    found, gold = [4, 1, 9, 2], {1, 2, 7}
    assert recall(found, gold, 2) == pytest.approx(1 / 3)
    assert recall(found, gold, 4) == pytest.approx(2 / 3)
    assert all_gold(found, {1, 2}, 4) == 1
    assert all_gold(found, {1, 2}, 3) == 0
    assert reciprocal_rank(found, gold) == 0.5
    assert reciprocal_rank(found, {7}) == 0
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(found, gold, 4) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert ndcg([1, 1, 2], {1, 2}, 3) < 1
    quality = evaluate([(found, gold), ([7], [7])], ks=(1, 4))
    assert quality.questions == 2
    assert quality.recall == {1: 0.5, 4: pytest.approx(5 / 6)}
    assert quality.mrr == 0.75
    assert quality.all_gold == {1: 0.5, 4: 0.5}
    for wrong in ([], [([1], [])]):
        with pytest.raises(ValueError, match="nothing to evaluate"):
            evaluate(wrong)
