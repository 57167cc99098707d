"""One ranking of many answers: whatever the order of arrival, each text once."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.federation.fusion import Answer, fuse, on_one_scale

TEA = (
    "Tea is grown on the hills of Assam, and is picked by hand in the second week of {} every year. The leaves are "
    "dried, rolled and sorted by size, packed in chests of wood that are lined with foil, and sent down the river."
)
WORDS = [
    TEA.format("May"),
    TEA.format("June"),
    "Steel beams are inspected by ultrasound before the bridge is opened, says the manual of the works.",
    "茶树生长在阿萨姆的山坡上，每年五月第二周由人工采摘，然后晾干、揉捻并装箱运往港口出售给商人。",
    "茶树生长在阿萨姆的山坡上，每年五月第二周由人工采摘，然后晾干、揉捻并装箱运往港口出售给商人！",
    "Invoices are kept for ten years.",
    "",
]


def hit(base: str, document: int, chunk: int, text: str, score: float, **more: object) -> KnowledgeHit:
    return KnowledgeHit(knowledge=base, document=f"d{document}", chunk=chunk, title="", text=text, score=score, **more)


@st.composite
def found(draw: st.DrawFn) -> list[KnowledgeHit]:
    hits = []
    for chunk in range(draw(st.integers(0, 25))):
        base = draw(st.sampled_from("abc"))
        text = draw(st.sampled_from(WORDS))
        score = draw(st.sampled_from([0.1, 0.5, 0.5, 1.0, -2.0, 7.25]))
        hits.append(hit(base, draw(st.integers(0, 5)), chunk, text, score))
    return hits


@settings(max_examples=50, deadline=None)
@given(found(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(hits: list[KnowledgeHit], limit: int, chance: random.Random) -> None:
    shuffled = list(hits)
    chance.shuffle(shuffled)
    assert fuse(shuffled, limit) == fuse(hits, limit)


@settings(max_examples=50, deadline=None)
@given(found(), st.integers(1, 12))
def test_fusing_again_changes_nothing(hits: list[KnowledgeHit], limit: int) -> None:
    once = fuse(hits, limit)
    assert fuse(once, limit) == once
    assert fuse([*once, *once], limit) == once


@settings(max_examples=50, deadline=None)
@given(found(), st.integers(1, 12))
def test_what_is_shown_is_the_best_and_nothing_is_lost(hits: list[KnowledgeHit], limit: int) -> None:
    fused = fuse(hits, limit)
    assert len(fused) <= limit
    assert [one.score for one in fused] == sorted((one.score for one in fused), reverse=True)
    assert {(one.knowledge, one.chunk) for one in fused} <= {(one.knowledge, one.chunk) for one in hits}
    if hits:
        assert fused[0].score == max(one.score for one in hits)
    if len(fused) < limit:  # then every place is either shown or told of
        told = {place for one in fused for place in one.duplicates}
        told |= {f"{one.knowledge}/{one.document}" for one in fused}
        assert told == {f"{one.knowledge}/{one.document}" for one in hits}


def test_near_duplicates_are_shown_once_in_any_script() -> None:
    hits = [hit("a", n, n, text, 10 - n) for n, text in enumerate(WORDS[:5])]
    fused = fuse(hits, 10)
    assert [one.chunk for one in fused] == [0, 2, 3]
    assert fused[0].duplicates == ["a/d1"]
    assert fused[2].duplicates == ["a/d4"]


def test_a_repetition_in_the_same_document_is_no_other_place() -> None:
    fused = fuse([hit("a", 1, 1, WORDS[0], 2), hit("a", 1, 2, WORDS[0], 1), hit("b", 1, 3, WORDS[0], 1)], 5)
    assert [(one.chunk, one.duplicates) for one in fused] == [(1, ["b/d1"])]


def test_the_same_chunk_counts_once_with_its_better_score() -> None:
    fused = fuse([hit("a", 1, 1, WORDS[0], 2), hit("a", 1, 1, WORDS[0], 3)], 5)
    assert [(one.score, one.duplicates) for one in fused] == [(3, [])]


def test_scores_of_one_scale_stay() -> None:
    answers = [Answer("s", [hit("a", 1, 1, "x", 3.5)]), Answer("s", [hit("b", 1, 2, "y", -1)]), Answer("t", [])]
    assert sorted(one.score for one in on_one_scale(answers)) == [-1, 3.5]


def test_scores_of_other_scales_are_weighed_by_the_route() -> None:
    one = Answer("cosines", [hit("a", 1, 1, "x", 0.8), hit("a", 2, 2, "y", 0.2)], {"a": 0.1})
    other = Answer("bm25", [hit("b", 1, 3, "z", 25.0), hit("b", 2, 4, "w", 11.0)], {"b": 0.9})
    for order in ([one, other], [other, one]):
        merged = {found.chunk: found for found in on_one_scale(order)}
        assert merged[3].score > merged[1].score > merged[2].score == merged[4].score == 0
        assert all(0 <= found.score <= 1 for found in merged.values())
        assert merged[3].scores["found"] == 25.0


def test_a_thousand_hits_are_fused_at_once() -> None:
    chance = random.Random(0)
    words = [f"w{n}" for n in range(3000)]
    hits = [hit(f"b{n % 100}", n, n, " ".join(chance.choices(words, k=120)), chance.random()) for n in range(1000)]
    began = time.perf_counter()
    assert len(fuse(hits, 10)) == 10
    assert time.perf_counter() - began < 2  # comparing each with each would take half a minute


@pytest.mark.parametrize("text", ["\ud800", "a" * 100_000, "​", "\x00"])
def test_odd_texts_are_fused(text: str) -> None:
    one = KnowledgeHit.model_construct(knowledge="a", document="d", chunk=1, title="", text=text, score=1.0)
    assert len(fuse([one, hit("b", 1, 2, "other words", 0.5)], 5)) == 2
