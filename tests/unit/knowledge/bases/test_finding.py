"""A question to a shelf: one base or several, from SQL and a real index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from polyport.errors import BadRequestError
from polyport_gateway.knowledge.catalogue import Catalogue
from tests.support.records import opened
from tests.support.shelves import Desk, open_desk

LEAVE = "Every employee has 25 days of leave a year. Five days may be carried over."
TRAIN = "Travel by train is booked through the front desk."
HOTEL = "A hotel may cost 120 euros a night."
CHINESE = "住宿标准为每晚不超过六百元，上海和北京不超过八百元。"


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with opened(f"sqlite:///{tmp_path}/records.sqlite3") as database:
        yield Catalogue(database)


@pytest.fixture(params=[False, True], ids=["bm25", "hybrid"])
def desk(request: pytest.FixtureRequest, catalogue: Catalogue, tmp_path: Path) -> Iterator[Desk]:
    found = open_desk(catalogue, tmp_path / "shelves", dense=request.param)
    found.base("handbook")
    found.base("travel")
    found.put("handbook", "leave.md", [LEAVE], metadata={"year": 2025}, tags=("people",))
    found.put("travel", "travel.md", [TRAIN, HOTEL], metadata={"year": 2024})
    found.put("travel", "差旅.md", [CHINESE])
    yield found
    found.shelf.index.close()


def test_one_base_is_not_answered_by_another(desk: Desk) -> None:
    assert [hit.source for hit in desk.hits("days of leave", "handbook")] == ["leave.md"]
    assert "leave.md" not in [hit.source for hit in desk.hits("days of leave", "travel")]


def test_several_bases_are_one_search(desk: Desk) -> None:
    best = {question: desk.hits(question)[0] for question in ("How many days of leave?", "上海的住宿标准")}
    assert [(hit.knowledge, hit.source) for hit in best.values()] == [("handbook", "leave.md"), ("travel", "差旅.md")]


def test_a_hit_says_where_it_stands_and_why(desk: Desk) -> None:
    hit = desk.hits("Which train desk?", "travel")[0]
    assert hit.text == TRAIN
    assert hit.span == (0, len(TRAIN))
    assert (hit.page, hit.title, hit.metadata) == (1, "travel.md", {"year": 2024})
    assert "has “train”, “desk”" in hit.why
    assert "1st by its words" in hit.why
    assert set(hit.scores) == ({"bm25", "dense", "fused"} if desk.generation.embedders else {"bm25", "fused"})
    chinese = desk.hits("上海住宿标准是多少？", "travel")[0]
    assert "“住宿标准”" in chinese.why


@pytest.mark.parametrize("where", [{"year": 2025}, {"type": "eq", "key": "year", "value": 2025}])
def test_a_filter_holds_in_every_base(desk: Desk, where: object) -> None:
    assert {hit.source for hit in desk.hits("days train hotel leave", where=where)} == {"leave.md"}


def test_a_document_that_was_removed_is_not_seen_though_the_index_has_it(desk: Desk) -> None:
    row = desk.catalogue.document(desk.parts["handbook"].base, desk.hits("leave", "handbook")[0].document)
    assert row is not None
    desk.catalogue.remove(desk.parts["handbook"].base, [row.id])
    assert desk.shelf.index.count() == 4
    assert desk.hits("leave", "handbook") == []


def test_what_says_the_same_is_shown_once(desk: Desk) -> None:
    uid = desk.put("travel", "copy.md", [LEAVE])
    near = desk.put("travel", "near.md", [LEAVE.replace(". ", "!! ")])
    (hit,) = [hit for hit in desk.hits("days of leave") if "leave" in hit.text]
    others = {f"handbook/{hit.document}", f"travel/{hit.document}", f"travel/{uid}", f"travel/{near}"}
    assert len(hit.duplicates) == 2
    assert set(hit.duplicates) < others | {
        f"handbook/{desk.catalogue.find(desk.parts['handbook'].base, ['leave.md'])['leave.md'].uid}"
    }


def test_diversity_puts_another_subject_before_more_of_the_same(desk: Desk) -> None:
    other = "The desk of the hotel speaks French, Dutch and Polish, and keeps luggage, umbrellas and dogs."
    same = [
        "The train desk sells train tickets.",
        "A train desk: train tickets are sold.",
        "Train desk, train tickets.",
    ]
    desk.put("travel", "more.md", [*same, other])
    plain = [hit.text for hit in desk.hits("train desk tickets", "travel", wanted=3)]
    varied = [hit.text for hit in desk.hits("train desk tickets", "travel", wanted=3, diversity=0.8)]
    assert set(plain) == set(same)
    assert len(set(varied) & set(same)) < 3
    assert varied[0] in same


def test_a_window_is_shown_around_a_hit(desk: Desk) -> None:
    desk.put("handbook", "long.md", ["Cats sleep.", "Dogs bark at the postman.", "Birds sing."])
    hit = desk.hits("postman", "handbook", expand="window", mode="bm25")[0]
    assert hit.text.split() == ["Cats", "sleep.", "Dogs", "bark", "at", "the", "postman.", "Birds", "sing."]


def test_a_budget_keeps_the_sentences_that_matter_and_their_places(desk: Desk) -> None:
    text = "Cats sleep all day. The postman comes at nine. Dogs are loud."
    desk.put("handbook", "pets.md", [text])
    (hit,) = desk.hits("When does the postman come?", "handbook", max_tokens=6, count=lambda part: len(part.split()))
    assert hit.text == "The postman comes at nine."
    assert hit.span is not None
    assert text[hit.span[0] : hit.span[1]] == hit.text


def test_a_reranker_has_the_last_word(catalogue: Catalogue, tmp_path: Path) -> None:
    desk = open_desk(catalogue, tmp_path / "shelves")
    desk.base("handbook", reranker="short")
    desk.put("handbook", "a.md", ["The train, the train, the train and again the train that goes on and on."])
    desk.put("handbook", "b.md", ["A train."])
    assert next(hit.source for hit in desk.hits("train", rerank=False)) in ("a.md", "b.md")
    hits = desk.hits("train")
    assert [hit.source for hit in hits] == ["b.md", "a.md"]
    assert hits[0].scores["rerank"] == hits[0].score
    assert "1st by the reranker" in hits[0].why
    desk.shelf.index.close()


def test_what_is_not_there_is_refused(desk: Desk) -> None:
    with pytest.raises(BadRequestError, match="no reranker"):
        desk.hits("train", rerank=True)
    with pytest.raises(BadRequestError, match=r"vectors of 'other'|no embedder"):
        desk.hits("train", embedder="other")
    if not desk.generation.embedders:
        with pytest.raises(BadRequestError, match="no embedder is configured"):
            desk.hits("train", mode="dense")


def test_the_mode_is_told_and_kept_to(catalogue: Catalogue, tmp_path: Path) -> None:
    desk = open_desk(catalogue, tmp_path / "shelves", dense=True)
    desk.base("handbook")
    desk.put("handbook", "a.md", ["A train."])
    assert [desk.find("train", mode=mode).mode for mode in ("auto", "hybrid", "dense", "bm25")] == [
        "hybrid", "hybrid", "dense", "bm25",
    ]  # fmt: skip
    asked = len(desk.models.asked)
    desk.find("cat", mode="bm25")
    assert len(desk.models.asked) == asked
    desk.shelf.index.close()


def test_a_question_of_nothing_finds_nothing(desk: Desk) -> None:
    assert desk.find("???", mode="bm25").candidates == []
    assert desk.find("zyxw", mode="bm25").candidates == []


@pytest.mark.parametrize("index", ["memory", "qdrant-edge"])
def test_a_base_with_nothing_in_it_is_searched_all_the_same(catalogue: Catalogue, tmp_path: Path, index: str) -> None:
    for dense in (False, True):
        desk = open_desk(catalogue, tmp_path / f"shelves-{dense}", dense=dense, index=index)
        desk.base(f"empty-{dense}")
        assert desk.hits("train", f"empty-{dense}") == []
        desk.shelf.index.close()
