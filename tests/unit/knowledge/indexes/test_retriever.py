"""Searching an index too large to score every chunk, on the scale of one that can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from polyport_gateway.knowledge.indexes import Entry, IndexRetriever, MemoryIndex, Samples, Schema
from polyport_gateway.knowledge.indexes.qdrant_edge import QdrantEdgeIndex
from polyport_gateway.knowledge.links import LinkIndex, Passage
from polyport_gateway.knowledge.retrieval import BM25Index, DenseIndex, HybridRetriever, MultiHop, Weights

COUNT = 6000


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors by the words of a text, so that those of like texts are alike."""
    words = [
        [np.random.default_rng(len(word) * 1000 + ord(word[-1])).normal(size=16) for word in t.split()] for t in texts
    ]
    return np.array([np.sum(rows, axis=0) for rows in words], dtype=np.float32)


@pytest.fixture(scope="module")
def both() -> tuple[HybridRetriever, IndexRetriever]:
    chance = np.random.default_rng(3)
    words = np.array([f"{letter}{'x' * length}" for letter in "abcdefghij" for length in range(20)])
    share = 1 / np.arange(1, len(words) + 1)
    texts = [" ".join(chance.choice(words, 8, p=share / share.sum())) for _ in range(COUNT)]
    sparse, bm25 = BM25Index.of(texts)
    vectors = embed(texts)
    index = MemoryIndex(Schema({"words": 16}))
    index.upsert(
        [
            Entry(number, "document", {"words": vectors[number]}, bm25.document(text))
            for number, text in enumerate(texts)
        ]
    )
    core = HybridRetriever(sparse, bm25, dense=DenseIndex(vectors), embed=embed, weights=Weights(0.5, 0.5))
    return core, IndexRetriever(index, bm25, name="words", embed=embed, weights=Weights(0.5, 0.5))


QUERIES = ["a ax axx", "b cxxxx dxx", "jxxxx", "a axxxxxxxxx hxxx exx"]


@pytest.mark.parametrize("query", QUERIES)
def test_scores_are_those_of_scoring_all(both: tuple[HybridRetriever, IndexRetriever], query: str) -> None:
    core, ours = both
    wanted, found = core.search(query, 10), ours.search(query, 10)
    # The mean and deviation are those of a sample of a third.
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0.06)
    assert len(set(found.documents.tolist()) & set(wanted.documents.tolist())) >= 9


def test_rates_on_the_same_scale(both: tuple[HybridRetriever, IndexRetriever]) -> None:
    core, ours = both
    among = [np.random.default_rng(number).choice(COUNT, 200, replace=False) for number in range(len(QUERIES))]
    for found, wanted in zip(ours.rate(QUERIES, among), core.rate(QUERIES, among), strict=True):
        assert float(np.abs(found - wanted).max()) < 0.15
        assert np.corrcoef(found, wanted)[0, 1] > 0.999


def test_hops_go_over_an_index() -> None:
    titles = ["Jump for Glory", "Raoul Walsh", "Miriam Cooper", "Copper"]
    texts = [
        "Jump for Glory is a film directed by Raoul Walsh.",
        "Raoul Walsh was married to Miriam Cooper.",
        "Miriam Cooper was born in Baltimore.",
        "Copper is a metal.",
    ]
    sparse, bm25 = BM25Index.of(texts, titles)
    index = MemoryIndex(Schema())
    index.upsert(
        [
            Entry(n, "d", {}, bm25.document(text, title))
            for n, (text, title) in enumerate(zip(texts, titles, strict=True))
        ]
    )
    links = LinkIndex([Passage(text, title) for text, title in zip(texts, titles, strict=True)])
    question = "Who was the director of Jump for Glory married to?"
    found = MultiHop(IndexRetriever(index, bm25), links).search(question, 3)
    wanted = MultiHop(HybridRetriever(sparse, bm25), links).search(question, 3)
    assert [result.passage for result in found] == [result.passage for result in wanted]
    assert found[1].chain
    assert found[1].score == pytest.approx(wanted[1].score, rel=1e-3)


def test_an_index_that_is_empty_finds_nothing(tmp_path: Path) -> None:
    bm25 = BM25Index.of(["tea"])[1]
    for schema in (Schema(), Schema({"words": 16})):
        for index in (MemoryIndex(schema), QdrantEdgeIndex(schema, folder=tmp_path / str(len(schema.vectors)))):
            found = [IndexRetriever(index, bm25).search("tea", 5)]
            if schema.vectors:
                found.append(IndexRetriever(index, bm25, name="words", embed=embed).search("tea", 5))
            assert not any(len(one.documents) for one in found)
            index.close()


def test_an_embedder_has_a_name() -> None:
    with pytest.raises(ValueError, match="give both or none"):
        IndexRetriever(MemoryIndex(Schema()), BM25Index.of(["a"])[1], embed=embed)


def test_bases_that_share_an_index_are_each_seen_for_themselves() -> None:
    chance = np.random.default_rng(5)
    words = np.array([f"{letter}{'x' * length}" for letter in "abcdefghij" for length in range(20)])
    texts = [" ".join(chance.choice(words, 8)) for _ in range(600)]
    bm25 = BM25Index.of(texts)[1]
    vectors = embed(texts)
    alone, shared = MemoryIndex(Schema({"words": 16})), MemoryIndex(Schema({"words": 16}))
    entries = [Entry(n, "d", {"words": vectors[n]}, bm25.document(text), {"part": 1}) for n, text in enumerate(texts)]
    alone.upsert(entries)
    shared.upsert(entries)
    # Others, whose vectors all point one way, and whose terms are others.
    other = bm25.document("zz zzz zzzz")
    shared.upsert([Entry(10_000 + n, "e", {"words": np.ones(16)}, other, {"part": 2}) for n in range(3000)])
    ours = {"part": {"in": [1]}}
    samples = Samples(shared)
    found = IndexRetriever(
        shared, bm25, name="words", embed=embed, weights=Weights(0.5, 0.5), where=ours, among=ours, samples=samples
    ).search("a axx bxxx", 10)
    wanted = IndexRetriever(alone, bm25, name="words", embed=embed, weights=Weights(0.5, 0.5)).search("a axx bxxx", 10)
    # But for the rarity of terms, which is the index's.
    assert len(set(found.documents.tolist()) & set(wanted.documents.tolist())) >= 8
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0.03)
    assert len(samples.of("words", ours).ids) == 600
    lost = IndexRetriever(shared, bm25, name="words", embed=embed, weights=Weights(0.5, 0.5), where=ours)
    assert abs(float(lost.search("a axx bxxx", 10).scores[0]) / float(wanted.scores[0]) - 1) > 0.1


def test_a_sample_is_kept_until_the_chunks_are_others() -> None:
    index = MemoryIndex(Schema({"words": 2}))
    samples = Samples(index, kept=2)
    assert len(samples.of("words", None).ids) == 0
    index.upsert([Entry(n, "d", {"words": np.array([1.0, n])}, None, {"part": n % 2}) for n in range(100)])
    first = samples.of("words", {"part": 0})
    assert (first.chunks, len(first.ids)) == (50, 50)
    index.delete(list(range(0, 8, 2)))
    again = samples.of("words", {"part": 0})
    assert again.chunks == 46  # counted anew, but not taken anew
    assert len(again.ids) == 50
    index.delete(list(range(40)))
    assert len(samples.of("words", {"part": 0}).ids) == 30
    assert samples.of(None, {"part": 1}).mean.size == 0
