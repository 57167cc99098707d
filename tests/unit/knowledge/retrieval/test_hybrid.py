"""Fusion, and the weight that is learned from the documents."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.bm25 import BM25Index
from polyport_gateway.knowledge.retrieval.calibration import learn_weights, make_probes
from polyport_gateway.knowledge.retrieval.dense import DenseIndex
from polyport_gateway.knowledge.retrieval.fusion import reciprocal_ranks, standardized, with_reserves
from polyport_gateway.knowledge.retrieval.hybrid import HybridRetriever, Weights
from polyport_gateway.knowledge.retrieval.ranking import Ranking

# Each passage tells of one subject, and calls it otherwise in each sentence: no word leads from one to the next.
SUBJECTS = [(f"alpha{n}", f"beta{n}", f"gamma{n}") for n in range(60)]
TEXTS = [f"First there were many {a}. Nobody foresaw what {b} did. Finally came {c}." for a, b, c in SUBJECTS]
PLAIN = [f"First there were many {a}. Nobody foresaw what {a} did. Finally came {a}." for a, _, _ in SUBJECTS]


def blind(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors that say nothing."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=16) for text in texts]
    return np.array(rows, dtype=np.float32)


def seeing(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors that know the subject, and nothing else."""
    rows = np.zeros((len(texts), len(SUBJECTS)), np.float32)
    for row, text in enumerate(texts):
        words = set(text.replace(".", " ").split())
        for place, subject in enumerate(SUBJECTS):
            rows[row, place] = bool(words & set(subject))
    return rows


def test_standardized_scores_have_mean_0_and_deviation_1() -> None:
    found = standardized(np.array([[1, 2, 3], [5, 5, 5], [0, 0, 0]], np.float32))
    assert found[0].tolist() == pytest.approx([-1.2247, 0, 1.2247], rel=1e-3)
    assert not found[1:].any()


def test_reciprocal_ranks_are_those_of_the_paper() -> None:
    one = Ranking(np.array([3, 1]), np.array([9, 8], np.float32))
    two = Ranking(np.array([1, 2]), np.array([0.5, 0.4], np.float32))
    found = reciprocal_ranks([one, two], 5, size=5)
    assert found.documents.tolist() == [1, 3, 2]
    assert found.scores.tolist() == pytest.approx([1 / 61 + 1 / 62, 1 / 61, 1 / 62])


def falling(chunks: NDArray[np.int64]) -> Ranking:
    return Ranking(chunks, np.linspace(9, 1, len(chunks)).astype(np.float32))


def test_of_equals_the_fused_order_decides_who_has_a_place() -> None:
    fused = falling(np.array([0, 1, 2, 3, 4, 5]))
    alike = Ranking(np.array([5, 4, 3]), np.array([7, 7.00001, 7], np.float32))
    found = with_reserves(fused, falling(np.array([0])), alike, 0.5, 4)
    assert found.documents.tolist() == [0, 3, 1, 4]


@pytest.mark.parametrize(
    ("weight", "order"),
    [
        (0.8, [0, 20, 1, 21, 22, 10]),  # of two places one, of four two, of five three by vectors; then one by BM25
        (0.5, [0, 10, 1, 11, 12, 20]),
        (0.1, [0, 10, 1, 11, 12, 2]),  # vectors with little say have no places
    ],
)
def test_places_are_kept_for_what_each_retriever_puts_first(weight: float, order: list[int]) -> None:
    chunks = np.array([*range(10), *range(10, 16), *range(20, 26)])
    fused = Ranking(chunks, np.linspace(9, 1, len(chunks)).astype(np.float32))
    found = with_reserves(fused, falling(np.arange(20, 40)), falling(np.arange(10, 30)), weight, 6)
    assert found.documents.tolist() == order
    assert found.scores.tolist() == fused.scores[:6].tolist()  # the scores stay with the places


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.sampled_from([0.1, 0.5, 0.9]), st.randoms(use_true_random=False))
def test_places_are_kept_without_losing_or_doubling_any(
    size: int, limit: int, weight: float, chance: random.Random
) -> None:
    fused = Ranking(np.array(chance.sample(range(size), size), np.int64), np.arange(size, 0, -1).astype(np.float32))
    dense, bm25 = (np.array(chance.sample(range(20), 10), np.int64) for _ in range(2))
    found = with_reserves(fused, falling(dense), falling(bm25), weight, limit).documents.tolist()
    assert len(found) == len(set(found)) == min(size, limit)
    assert set(found) <= set(range(size))
    strong = dense if weight > 0.5 + 1 / 6 else bm25
    for k in range(1, len(found) + 1):
        kept = [one for one in strong.tolist() if one < size][: int(0.6 * k + 1e-9)]
        assert set(kept) <= set(found[:k])


def test_vectors_get_their_say_where_words_do_not_suffice() -> None:
    _, bm25 = BM25Index.of(TEXTS)
    start = Weights(0.5, 0.25)
    weights = learn_weights(make_probes(TEXTS, 40), bm25=bm25, embed=seeing, start=start)
    assert weights.spaced > 0.5
    assert weights.unspaced == 0.25  # nothing was asked in Chinese


def test_where_each_finds_what_the_other_misses_both_have_a_say() -> None:
    texts = TEXTS[:30] + PLAIN[30:]

    def half(queries: Sequence[str]) -> NDArray[np.float32]:
        rows = seeing(queries)
        rows[:, 30:] = 0  # knows nothing of what words suffice for
        return np.hstack([rows, 0.1 * blind(queries)])

    _, bm25 = BM25Index.of(texts)
    weights = learn_weights(make_probes(texts, 60), bm25=bm25, embed=half)
    assert 0 < weights.spaced < 1


def test_a_blind_model_has_no_say_where_words_suffice() -> None:
    _, bm25 = BM25Index.of(PLAIN)
    probes = make_probes(PLAIN, 40)
    weights = learn_weights(probes, bm25=bm25, embed=blind)
    assert weights.spaced == 0


def test_a_model_that_sees_only_how_long_a_text_is_has_no_say() -> None:
    def measuring(texts: Sequence[str]) -> NDArray[np.float32]:
        lengths = np.array([len(text) for text in texts], np.float32)
        return np.stack([lengths, np.full(len(lengths), 100, np.float32)], axis=1)

    _, bm25 = BM25Index.of(PLAIN)
    weights = learn_weights(make_probes(PLAIN, 40), bm25=bm25, embed=measuring)
    assert weights.spaced == 0


def test_too_few_probes_change_nothing() -> None:
    _, bm25 = BM25Index.of(PLAIN)
    start = Weights(0.4, 0.2)
    few = make_probes(PLAIN, 5)
    assert learn_weights(few, bm25=bm25, embed=blind, start=start) == start


def test_probes_take_a_sentence_out_and_leave_the_rest() -> None:
    probes = make_probes(TEXTS, 10)
    assert len({probe.document for probe in probes}) == 10
    assert probes == make_probes(TEXTS, 10)
    for probe in probes:
        assert probe.query in TEXTS[probe.document]
        assert probe.query not in probe.rest
        assert len(probe.query) + len(probe.rest) <= len(TEXTS[probe.document])
    assert make_probes(["Too short."], 5) == []
    chinese = "这是关于北京的第一句话，很长很长。这是关于北京的第二句话，也很长很长。这是第三句，说的是上海的天气。"
    assert len(make_probes([chinese], 5)) == 1


def test_hybrid_goes_by_the_script_of_the_query() -> None:
    texts = ["cats sleep", "猫在睡觉", "dogs run"]
    index, bm25 = BM25Index.of(texts)
    dense = DenseIndex([[0, 0, 1], [1, 0, 0], [0, 1, 0]])

    def embed(queries: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[0, 1, 0]] * len(queries), np.float32)  # always the dogs

    retriever = HybridRetriever(index, bm25, dense=dense, embed=embed, weights=Weights(spaced=1, unspaced=0))
    assert retriever.search("cats", 1).documents.tolist() == [2]
    assert retriever.search("猫", 1).documents.tolist() == [1]
    rated = retriever.rate(["cats", "猫"], [np.array([2, 0]), np.array([1])])
    assert rated[0][0] > rated[0][1]
    assert len(rated[1]) == 1


def test_without_vectors_it_is_bm25() -> None:
    index, bm25 = BM25Index.of(["a cat", "a dog"])
    retriever = HybridRetriever(index, bm25)
    assert retriever.search("cat", 5).documents.tolist() == [0]
    assert retriever.search("fox", 5).documents.tolist() == []
    assert retriever.scores([]).shape == (0, 2)


def test_what_does_not_fit_is_refused() -> None:
    index, bm25 = BM25Index.of(["a cat", "a dog"])
    with pytest.raises(ValueError, match="give both or none"):
        HybridRetriever(index, bm25, dense=DenseIndex([[1, 0], [0, 1]]))
    with pytest.raises(ValueError, match="1 vectors for 2 documents"):
        HybridRetriever(index, bm25, dense=DenseIndex([[1, 0]]), embed=blind)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Weights(spaced=1.5)
