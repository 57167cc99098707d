"""Which bases a question is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.errors import NotFoundError
from polyport_gateway.knowledge.federation import Profile, Router, shares
from polyport_gateway.knowledge.retrieval import BM25, Analyzer

TEXTS = {
    "gardening": [
        "Roses need pruning in March.",
        "Water the tomatoes each morning.",
        "Compost feeds the soil of roses.",
    ],
    "radio": ["An antenna of half a wavelength.", "The transceiver sends on twenty metres.", "Antenna tuners match."],
    "handbook": ["Leave is asked for in writing.", "Expenses are paid each month.", "Every month has a payday."],
    "合同": ["租赁合同由双方签字后生效。", "合同到期前三十天通知对方。", "违约金按月计算。"],
}
ANALYZER = Analyzer()
EMBEDDER = np.eye(4, dtype=np.float32)


def profile(texts: list[str], vector: int | None = None, keywords: tuple[str, ...] = ()) -> Profile:
    bm25 = BM25(ANALYZER)
    vectors = {} if vector is None else {"m": np.repeat(EMBEDDER[vector : vector + 1], len(texts), axis=0)}
    return Profile().add([bm25.document(text) for text in texts], vectors=vectors, keywords=keywords)


@pytest.fixture(scope="module")
def router() -> Router:
    return Router({name: profile(texts, place) for place, (name, texts) in enumerate(TEXTS.items())}, ANALYZER)


@pytest.mark.parametrize(
    ("question", "base"),
    [
        ("When should I prune my roses?", "gardening"),
        ("How long is an antenna?", "radio"),
        ("When are expenses paid?", "handbook"),
        ("合同什么时候生效？", "合同"),
        ("What does the handbook say on roses and expenses?", "handbook"),
    ],
)
def test_words_lead_to_the_base(router: Router, question: str, base: str) -> None:
    found = router.route(question)
    assert found.routes[0].knowledge == base
    assert found.chosen[0] == base
    assert found.routes[0].why.startswith("“")


def test_the_question_vector_leads_to_the_base(router: Router) -> None:
    found = router.route("zzz", vectors={"m": EMBEDDER[1], "unknown": EMBEDDER[0]})
    assert found.routes[0].knowledge == "radio"
    assert "lies near" in found.routes[0].why


def test_what_is_found_outweighs_words(router: Router) -> None:
    found = router.route("roses", found=shares(["radio"] * 9 + ["gardening"], [9.0] * 9 + [2.0]))
    assert found.routes[0].knowledge == "radio"
    assert found.routes[0].why.startswith("100% of the best passages")


def test_where_nothing_is_known_all_are_searched(router: Router) -> None:
    found = router.route("xyzzy plugh")
    assert sorted(found.chosen) == sorted(TEXTS)
    assert found.sure == pytest.approx(0.25)


def test_where_it_is_plain_one_is_searched(router: Router) -> None:
    found = router.route("prune roses", found={"gardening": 1.0})
    assert found.chosen == ("gardening",)
    assert found.sure > 0.95


@pytest.mark.parametrize("question", ["", "?", "the", "\x00", "a" * 100_000, "词" * 50_000, "𝔘𝔫𝔦 \ud800"])
def test_odd_questions_have_routes(router: Router, question: str) -> None:
    assert len(router.route(question).routes) == len(TEXTS)


def test_a_list_passes_through(router: Router) -> None:
    found = router.route("roses", among=["radio", "合同", "radio"])
    assert found.chosen == ("radio", "合同")
    assert {route.why for route in found.routes} == {"It was asked for."}
    with pytest.raises(NotFoundError, match="'contracts'"):
        router.route("roses", among=["contracts"])


def test_keywords_count_as_words() -> None:
    texts = ["Nothing of interest."] * 20
    router = Router({"a": profile(texts), "b": profile(texts, keywords=("Works Council", "劳动法"))}, ANALYZER)
    assert router.route("Who elects the works council?").routes[0].knowledge == "b"
    assert router.route("劳动法有哪些规定？").routes[0].knowledge == "b"


def test_an_empty_base_is_not_searched_and_a_new_one_always() -> None:
    router = Router({"new": None, "empty": Profile(), "radio": profile(TEXTS["radio"])}, ANALYZER)
    found = router.route("antenna")
    assert found.chosen == ("radio", "new")
    assert {route.knowledge: route.why for route in found.routes}["empty"] == "It is empty."
    assert Router({"empty": Profile()}, ANALYZER).route("antenna").chosen == ()
    assert Router({}, ANALYZER).route("antenna").routes == ()


def test_bases_alike_are_not_told_apart_by_chance() -> None:
    one, other = profile(TEXTS["radio"], 1), profile([*TEXTS["radio"][:2], "Antenna tuners fit."], 1)
    found = Router({"one": one, "other": other}, ANALYZER).route("antenna", vectors={"m": EMBEDDER[1]})
    assert len(found.chosen) == 2
    assert found.sure < 0.8


def test_an_embedder_that_changed_in_some_bases_is_left_out() -> None:
    other = Profile().add([BM25(ANALYZER).document("tea")], vectors={"m": np.ones((1, 6), np.float32)})
    router = Router({"a": profile(TEXTS["radio"], 1), "b": other}, ANALYZER)
    assert router.route("antenna", vectors={"m": EMBEDDER[1]}).routes[0].knowledge == "a"
    assert router.route("antenna", vectors={"m": np.ones(6, np.float32)}).routes[0].knowledge == "a"


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60),
    st.dictionaries(st.sampled_from([*TEXTS, "gone"]), st.floats(0, 1), max_size=4),
    st.floats(0.05, 0.999),
)
def test_routes_are_probabilities(router: Router, question: str, found: dict[str, float], coverage: float) -> None:
    routing = router.route(question, found=found, coverage=coverage)
    scores = [route.score for route in routing.routes]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert [route.knowledge for route in routing.routes[: len(routing.chosen)]] == list(routing.chosen)
    assert sum(scores[: len(routing.chosen)]) >= coverage - 1e-9
    assert routing == router.route(question, found=found, coverage=coverage)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-5, 20)), max_size=80))
def test_shares_are_of_one_and_the_order_changes_nothing(hits: list[tuple[str, float]]) -> None:
    found = shares([base for base, _ in hits], [score for _, score in hits])
    assert sum(found.values()) == pytest.approx(1 if hits else 0)
    if len(hits) <= 50:
        again = shares([base for base, _ in reversed(hits)], [score for _, score in reversed(hits)])
        assert again == pytest.approx(found)
