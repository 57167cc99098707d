"""What a base is about: kept up in batches, taken out again, kept as text."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.federation import Profile
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector


def sparse(*ids: int) -> SparseVector:
    numbers = np.array(sorted(set(ids)), np.uint32)
    return SparseVector(numbers, np.ones(len(numbers), np.float32))


passages = st.lists(st.sets(st.integers(0, 2**32 - 1), max_size=6), max_size=8)


def counts(profile: Profile) -> dict[int, int]:
    return dict(zip(profile.terms.tolist(), profile.frequencies.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(passages, max_size=4))
def test_batches_are_the_same_as_all_at_once(batches: list[list[set[int]]]) -> None:
    profile = Profile()
    for batch in batches:
        profile = profile.add([sparse(*ids) for ids in batch])
    every = [sparse(*ids) for batch in batches for ids in batch]
    assert profile == Profile().add(every)
    assert profile.passages == len(every)
    assert counts(profile) == {
        term: sum(term in vector.indices for vector in every) for vector in every for term in vector.indices.tolist()
    }


@settings(max_examples=60, deadline=None)
@given(passages, passages)
def test_what_is_removed_leaves_nothing(stay: list[set[int]], go: list[set[int]]) -> None:
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(len(go), 8)).astype(np.float32)
    staying = [sparse(*ids) for ids in stay]
    going = [sparse(*ids) for ids in go]
    words, tongues = ["tea"] * len(go), ["en"] * len(go)
    before = Profile().add(staying)
    after = before.add(going, vectors={"m": rows}, keywords=words, languages=tongues)
    back = after.remove(going, vectors={"m": rows}, keywords=words, languages=tongues)
    assert counts(back) == counts(before)
    assert (back.passages, back.keywords, back.languages) == (before.passages, {}, {})
    assert back.removed == len(go)
    assert not go or not len(back.centroids["m"].counts) or int(back.centroids["m"].counts.min()) >= 1


@settings(max_examples=40, deadline=None)
@given(passages, st.integers(0, 30), st.dictionaries(st.text(max_size=5), st.integers(1, 3), max_size=4))
def test_kept_as_text_it_is_the_same(given_: list[set[int]], vectors: int, keywords: dict[str, int]) -> None:
    rows = np.random.default_rng(1).normal(size=(vectors, 12)).astype(np.float32)
    profile = Profile().add(
        [sparse(*ids) for ids in given_],
        vectors={"m": rows, "名": rows[:, :5]},
        keywords=[word for word, count in keywords.items() for _ in range(count)],
        languages=["zh"],
    )
    again = Profile.loads(profile.dumps())
    assert again == profile
    assert again.keywords == keywords
    for name, known in profile.centroids.items():
        np.testing.assert_allclose(again.centroids[name].middles, known.middles, atol=2e-3)
    assert again.add([sparse(1)]).passages == profile.passages + 1


def test_a_base_of_a_thousand_passages_takes_some_kilobytes() -> None:
    chance = np.random.default_rng(2)
    share = 1 / np.arange(1, 5001)
    texts = [sparse(*chance.choice(5000, 80, p=share / share.sum()).tolist()) for _ in range(1000)]
    profile = Profile().add(texts, vectors={"m": chance.normal(size=(1000, 384)).astype(np.float32)})
    assert len(profile.dumps()) < 60_000


def test_of_very_many_terms_the_common_ones_stay() -> None:
    profile = Profile()
    for start in range(0, 60_000, 3000):
        profile = profile.add([sparse(7, *range(start + 100, start + 3100))])
    assert len(profile.terms) <= 8192
    assert counts(profile)[7] == 20


def test_centroids_find_what_there_is() -> None:
    chance = np.random.default_rng(3)
    topics = chance.normal(size=(5, 32)).astype(np.float32)
    profile = Profile()
    for _ in range(10):
        rows = topics[chance.integers(0, 5, 40)] + 0.2 * chance.normal(size=(40, 32)).astype(np.float32)
        profile = profile.add([sparse(1)] * 40, vectors={"m": rows})
    middles = profile.centroids["m"].middles
    asked = topics / np.linalg.norm(topics, axis=1, keepdims=True)
    assert float((asked @ middles.T).max(axis=1).min()) > 0.95
    assert int(profile.centroids["m"].counts.sum()) == 400


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_vectors_that_are_none_count_nothing(value: float) -> None:
    profile = Profile().add([sparse(1)] * 3, vectors={"m": np.full((3, 4), value, np.float32)})
    assert profile.centroids["m"].counts.tolist() == []
    assert Profile.loads(profile.dumps()) == profile


def test_an_embedder_whose_size_changed_begins_anew() -> None:
    profile = Profile().add([sparse(1)], vectors={"m": np.ones((1, 4), np.float32)})
    assert profile.add([sparse(1)], vectors={"m": np.ones((1, 6), np.float32)}).centroids["m"].dimensions == 6
    assert profile.remove([sparse(1)], vectors={"m": np.ones((1, 6), np.float32)}).centroids["m"].dimensions == 4


def test_after_much_was_removed_it_is_stale() -> None:
    profile = Profile().add([sparse(1)] * 300)
    assert not profile.stale
    assert profile.remove([sparse(1)] * 250).stale


def broken(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


@pytest.mark.parametrize("text", ["", "x", "é", broken("{}"), broken('{"version": 99}\n'), broken("[]\nabc")])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no profile that can be read"):
        Profile.loads(text)


def test_half_of_a_profile_is_refused() -> None:
    text = Profile().add([sparse(*range(100))], vectors={"m": np.eye(8, dtype=np.float32)}).dumps()
    with pytest.raises(ValueError, match="no profile that can be read"):
        Profile.loads(text[: len(text) // 2])
