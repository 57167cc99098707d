"""Passages that only a chain reaches."""

from __future__ import annotations

import pytest

from polyport_gateway.knowledge.links import LinkIndex, Passage
from polyport_gateway.knowledge.retrieval.bm25 import BM25Index
from polyport_gateway.knowledge.retrieval.hops import HopLimits, MultiHop, rewritten
from polyport_gateway.knowledge.retrieval.hybrid import HybridRetriever

FILLING = [
    Passage(
        f"Film number {n} was directed by someone, whose spouse is not known. It is a director's film.", f"Film {n}"
    )
    for n in range(20)
]
PASSAGES = [
    *FILLING,
    Passage("A film of 1937, made by Raoul Walsh in Britain.", "Jump for Glory"),
    Passage("Its star, Miriam Cooper, was the wife and spouse of Raoul Walsh.", "Betrayed (1917 film)"),
    Passage("Born in Baltimore, she acted until 1924.", "Miriam Cooper"),
]
FILM, BETRAYED, COOPER = 20, 21, 22
QUESTION = "Who is the spouse of the director of Jump for Glory?"


def searcher(limits: HopLimits | None = None, passages: list[Passage] = PASSAGES) -> MultiHop:
    index, bm25 = BM25Index.of([p.text for p in passages], [p.title for p in passages])
    return MultiHop(HybridRetriever(index, bm25), LinkIndex(passages), limits)


def test_a_chain_reaches_what_the_question_does_not_name() -> None:
    plain = [result.passage for result in searcher(HopLimits(depth=0)).search(QUESTION, 3)]
    assert BETRAYED not in plain
    found = searcher().search(QUESTION, 3)
    assert [result.passage for result in found[:2]] == [FILM, BETRAYED]
    assert found[0].chain == ()
    (hop,) = found[1].chain
    assert (hop.source, hop.target, hop.clue, hop.direction) == (FILM, BETRAYED, "Raoul Walsh", "sideways")
    assert hop.query == "Who is the spouse of the director of Raoul Walsh?"
    assert hop.score == found[1].score < found[0].score


def test_a_chain_of_two_steps_says_both() -> None:
    question = "Where was the spouse of the director of Jump for Glory born?"
    found = {result.passage: result for result in searcher().search(question, 5)}
    assert [(hop.source, hop.target) for hop in found[COOPER].chain] == [(FILM, BETRAYED), (BETRAYED, COOPER)]
    assert found[COOPER].chain[-1].direction == "forward"
    shallow = {result.passage: result for result in searcher(HopLimits(depth=1)).search(question, 23)}
    assert COOPER not in shallow or len(shallow[COOPER].chain) < 2


def test_a_passage_never_outranks_the_one_that_led_to_it() -> None:
    for question in (QUESTION, "Betrayed", "Miriam Cooper film", "film"):
        results = searcher().search(question, 30)
        scores = {result.passage: result.score for result in results}
        for result in results:
            for hop in result.chain[-1:]:
                assert result.score < scores[hop.source]
        assert [result.score for result in results] == sorted(scores.values(), reverse=True)
        assert len(scores) == len(results)


def test_nothing_is_followed_from_nothing() -> None:
    assert searcher().search("zzz qqq", 5) == []
    assert searcher().search("", 5) == []
    assert searcher(passages=[]).search("film", 5) == []


def test_a_question_as_long_as_a_document_is_asked_once() -> None:
    long = QUESTION + " and so on" * 300
    assert all(result.chain == () for result in searcher().search(long, 10))
    assert searcher(HopLimits(longest=10_000)).search(long, 2)[1].chain


def test_results_do_not_change_from_one_time_to_the_next() -> None:
    assert searcher().search(QUESTION, 10) == searcher().search(QUESTION, 10)


@pytest.mark.parametrize(
    ("names", "clue", "expected"),
    [
        (["Jump for Glory"], "Raoul Walsh", "Who made Raoul Walsh?"),
        (["jump FOR glory"], "Raoul Walsh", "Who made Raoul Walsh?"),
        (["Jump"], "jump for", "Who made Jump for Glory?"),
        (["Glor"], "X", "Who made Jump for Glory? X"),
        ([], r"\1", r"Who made Jump for Glory? \1"),
        (["Glory"], r"\g<0>", r"Who made Jump for \g<0>?"),
    ],
)
def test_a_question_is_rewritten_by_substitution(names: list[str], clue: str, expected: str) -> None:
    assert rewritten("Who made Jump for Glory?", names, clue) == expected


def test_chinese_questions_are_rewritten_inside_a_run() -> None:
    assert rewritten("红楼梦的作者生于哪里", ["红楼梦"], "曹雪芹") == "曹雪芹的作者生于哪里"


@pytest.mark.parametrize("wrong", [{"depth": -1}, {"breadth": 0}, {"clues": 0}, {"decay": 0}, {"confidence": 2}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="="):
        HopLimits(**wrong)  # type: ignore[arg-type]
