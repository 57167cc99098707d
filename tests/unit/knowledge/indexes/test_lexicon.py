"""Inverted lists that change score as ones that are made anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.indexes.lexicon import Lexicon
from polyport_gateway.knowledge.retrieval import BM25Index, SparseVector


def vector(terms: list[int]) -> SparseVector:
    found = np.unique(np.array(terms, np.uint32))
    return SparseVector(found, np.linspace(0.5, 2, len(found), dtype=np.float32))


term_lists = st.lists(st.integers(0, 6) | st.just(2**32 - 1), max_size=5)
steps = st.lists(st.tuples(st.sampled_from(["put", "drop", "ask", "merge"]), term_lists), max_size=30)


@settings(max_examples=150, deadline=None)
@given(steps, term_lists)
def test_scores_are_those_of_lists_made_anew(changes: list[tuple[str, list[int]]], query: list[int]) -> None:
    lexicon, kept = Lexicon(), dict[int, SparseVector]()
    alive = np.empty(0, np.bool_)
    for change, terms in changes:
        if change == "put":
            kept[len(alive)] = vector(terms)
            lexicon.put({len(alive): vector(terms)})
            alive = np.append(alive, True)
        elif change == "drop" and kept:
            slot = sorted(kept)[len(terms) % len(kept)]
            del kept[slot]
            lexicon.drop(slot)
            alive[slot] = False
        elif change == "merge":
            lexicon.merge(alive)
        else:
            lexicon.scores(vector(terms), alive)
    slots = sorted(kept)
    wanted = BM25Index(kept[slot] for slot in slots).scores(vector(query))
    np.testing.assert_allclose(lexicon.scores(vector(query), alive)[slots], wanted, rtol=1e-5, atol=1e-6)
