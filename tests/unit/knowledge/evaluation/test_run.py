"""Figures that were computed by hand, for search, answers and routing; and what fails while questions are asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from polyport.errors import BadRequestError, ServiceUnavailableError
from polyport.types.evaluation import EvaluationReport
from polyport.types.knowledge import (
    KnowledgeAnswer,
    KnowledgeCitation,
    KnowledgeHit,
    KnowledgeResults,
    KnowledgeRoute,
    LeftOut,
)
from polyport_gateway.knowledge.evaluation import (
    Gold,
    Question,
    changed_table,
    compared,
    comparison_table,
    details_table,
    evaluate,
    report_table,
)
from polyport_gateway.knowledge.evaluation.gold import Place, ranks
from polyport_gateway.knowledge.evaluation.judge import contains
from polyport_gateway.knowledge.evaluation.run import search_values
from polyport_gateway.knowledge.evaluation.statistics import interval, randomization_p


def hit(document: str, text: str = "", *, span: tuple[int, int] | None = None, knowledge: str = "kb") -> KnowledgeHit:
    """A passage that was found."""
    return KnowledgeHit(
        knowledge=knowledge, document=document, chunk=1, title=document, text=text, score=1.0, span=span
    )


def results(hits: Sequence[KnowledgeHit], **more: object) -> KnowledgeResults:
    """What a search gives back."""
    return KnowledgeResults.model_validate({"query": "", "data": list(hits), "mode": "bm25", **more})


def test_search_values_by_hand() -> None:
    # Three right ones: at rank 1, at rank 3, and not found.
    values = search_values([3, None, 1], (1, 2, 5))
    assert values["recall@1"] == pytest.approx(1 / 3)
    assert values["recall@2"] == pytest.approx(1 / 3)
    assert values["recall@5"] == pytest.approx(2 / 3)
    assert values["all_gold@5"] == 0.0
    assert values["mrr"] == 1.0
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert values["ndcg@5"] == pytest.approx((1 + 1 / 2) / ideal)
    assert values["ndcg@1"] == 1.0
    assert search_values([2, 2], (5,)) == {
        "recall@5": 1.0,
        "all_gold@5": 1.0,
        "ndcg@5": pytest.approx(1 / math.log2(3)),  # one chunk holds both: the best would have been rank 1
        "mrr": 0.5,
    }
    assert set(search_values([None], (1,)).values()) == {0.0}


def place(text: str, start: int, *, document: str = "finance", source: str = "") -> Place:
    return Place((document,), text, (start, start + len(text)), document, source)


def test_gold_by_document_text_and_span() -> None:
    found = [place("a" * 40, 0), place("b" * 40, 100), place("c" * 40, 40, document="other")]
    assert ranks([Gold(("other",)), Gold(("missing",))], found) == [3, None]
    # Characters 20 to 60: half of them are in the first; 70 to 130: the second has 30 of 60.
    assert ranks([Gold(("finance",), None, (20, 60)), Gold(("finance",), None, (70, 130))], found) == [1, 2]
    assert ranks([Gold(("finance",), None, (30, 60))], found) == [None]  # 10 of 30, and the rest is another document's
    assert ranks([Gold(("finance",), None, (30, 110))], found) == [None]  # 10 and 10 of 80
    assert ranks([Gold(("finance",), None, (30, 110))], [place("d" * 40, 60), *found]) == [1]
    assert ranks([Gold((), "B" * 9 + " " + "b" * 9)], [Place((), "x " + "ｂ" * 9 + "\n" + "b" * 9)]) == [1]


def test_a_passage_that_was_cut_is_found_with_its_halves() -> None:
    passage = "The quick brown fox jumps over the lazy dog, and nobody knows why it ever should have done so."
    third = len(passage) // 3
    cut = [passage[:third], "something else entirely, of no use", passage[third : 2 * third], passage[2 * third :]]
    places = [Place(("d",), text, None, "d") for text in cut]
    assert ranks([Gold(("d",), passage)], places) == [3]
    chinese = "锣鼓经是大陆传统器乐及戏曲里面常用的打击乐记谱方法，以中文字的声音模拟敲击乐的声音，"
    chinese += "纪录打击乐的各种不同的演奏方法。"
    halves = [Place((), "别的"), Place((), chinese[10:], None, "e")]
    assert ranks([Gold((), chinese)], halves) == [2]


def test_names_of_documents() -> None:
    gold = [Gold(("docs/a.md",)), Gold(("a",)), Gold(("A.MD",)), Gold(("s/a.md",)), Gold(("b",))]
    places = [Place(("doc_1", "Title"), "", None, "1", "/data/docs/a.md")]
    assert ranks(gold, places) == [1, 1, 1, None, None]
    assert ranks([Gold(("title",))], places) == [1]


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [
        ("It was G. Stanley Hall.", ["g stanley hall"], True),
        ("It is the capital.", ["capital"], True),
        ("Nottingham", ["not"], False),
        ("共有12张地图。", ["12张"], True),
        ("答案是光荣和ω-force。", ["光荣和ω-Force"], True),
        ("anything", ["…"], False),
        ("", ["a"], False),
    ],
)
def test_an_answer_holds_what_was_expected(text: str, answers: list[str], right: bool) -> None:
    assert contains(text, answers) is right


def citation(document: str, quote: str, span: tuple[int, int] | None = None) -> KnowledgeCitation:
    return KnowledgeCitation(
        start=0, end=1, number=1, knowledge="kb", document=document, chunk=1, title=document, quote=quote, span=span
    )


QUESTIONS = [
    Question("one", "first?", (Gold(("a",)), Gold(("b",))), ("yes",), "kb"),
    Question("two", "second?", (Gold(("c",), "the very words of it"),), (), "other"),
    Question("three", "third?", answerable=False),
    Question("four", "fourth?", (Gold(("d",)),), ("no",)),
]


async def search(question: str, limit: int) -> KnowledgeResults:
    assert limit == 2
    if question == "fourth?":
        raise ServiceUnavailableError("The index is down.")
    routed = [KnowledgeRoute(knowledge="kb", score=1.0), KnowledgeRoute(knowledge="other", score=0.5)]
    if question == "first?":
        return results([hit("x"), hit("a")], routed=routed, searched=["kb", "other"])
    left = [LeftOut(knowledge="slow", code="timeout", reason="It took too long.")]
    return results([hit("c", "it has the very words of it.")], routed=routed, searched=["kb"], left_out=left)


async def ask(question: str) -> KnowledgeAnswer:
    if question == "third?":
        return KnowledgeAnswer(text="The documents say nothing on it.", found=False)
    if question == "first?":
        right, wrong = citation("a", "whatever"), citation("z", "whatever")
        return KnowledgeAnswer(text="Yes, it is.", found=True, citations=[right, wrong, right], dropped=1)
    quoted = [citation("c", "very words"), citation("c", "others")]
    return KnowledgeAnswer(text="No idea.", found=True, citations=quoted)


async def report() -> EvaluationReport:
    seen: list[tuple[int, int]] = []
    found = await evaluate(
        QUESTIONS, search, ask=ask, ks=(2, 1), concurrency=3, name="plain", progress=lambda *step: seen.append(step)
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return found


async def _figures() -> None:
    found = await report()
    means = {name: (figure.mean, figure.questions) for name, figure in found.figures.items()}
    assert means == {
        "recall@1": (pytest.approx((0 + 1 + 0) / 3), 3),
        "recall@2": (pytest.approx((0.5 + 1 + 0) / 3), 3),
        "all_gold@1": (pytest.approx(1 / 3), 3),
        "all_gold@2": (pytest.approx(1 / 3), 3),
        "ndcg@1": (pytest.approx(1 / 3), 3),
        "ndcg@2": (pytest.approx((1 / math.log2(3) / (1 + 1 / math.log2(3)) + 1) / 3), 3),
        "mrr": (pytest.approx((0.5 + 1 + 0) / 3), 3),
        "routing": (0.5, 2),
        "routing_searched": (0.5, 2),
        "answered": (pytest.approx(2 / 3), 3),
        "answer_contains": (0.5, 2),
        "citation_precision": (pytest.approx((2 / 3 + 1 / 2) / 2), 2),
        "citation_recall": (pytest.approx((1 / 2 + 1) / 2), 2),
        "refused": (1.0, 1),
    }
    assert (found.questions, found.failed, found.incomplete) == (4, 1, 2)
    assert found.search is not None
    assert found.search.questions == 3
    one, two, three, four = found.details
    assert [gold.rank for gold in one.gold] == [2, None]
    assert [gold.cited for gold in one.gold] == [True, False]
    assert [hit.right for hit in one.hits] == [False, True]
    assert one.answer is not None
    assert (one.answer.citations, one.answer.right_citations, one.answer.dropped) == (3, 2, 1)
    assert two.left_out == ["slow"]
    assert three.values == {"refused": 1.0}
    assert four.error == "ServiceUnavailableError: The index is down."
    assert EvaluationReport.model_validate_json(found.model_dump_json()) == found


def test_figures_by_hand() -> None:
    asyncio.run(_figures())


def test_tables() -> None:
    found = asyncio.run(report())
    headers, rows = report_table(found)
    assert headers == ("figure", "plain", "95 % confidence", "questions")
    assert {len(row) for row in rows} == {4}
    assert rows[0][:2] == ("recall@1", "0.333")
    assert ("failed", "1", "", "4") in rows
    missed = details_table(found, k=2)
    assert [row[0] for row in missed.rows] == ["one", "four"]
    assert missed.rows[0][2:] == ("2, –", "b", "x (1.00)")
    assert missed.rows[1][4] == "ServiceUnavailableError: The index is down."


def test_two_side_by_side() -> None:
    async def better(question: str, limit: int) -> KnowledgeResults:
        return results([hit("a"), hit("b")] if question == "first?" else [hit("y")])

    async def both() -> tuple[EvaluationReport, EvaluationReport]:
        first = await evaluate(QUESTIONS[:2], search, ks=(2,), name="plain")
        return first, await evaluate(QUESTIONS[1::-1], better, ks=(2,), name="better")

    comparison = compared(*asyncio.run(both()))
    recall = comparison.differences["recall@2"]
    # The first question gains 0.5, the second loses 1.
    assert (recall.first, recall.second, recall.difference) == (0.75, 0.5, -0.25)
    assert (recall.better, recall.worse, recall.questions) == (1, 1, 2)
    assert recall.p == 1.0  # of the signs of 0.5 and 1, all four give at least 0.25
    assert (recall.low, recall.high) == (-1.0, 0.5)
    assert "routing" not in comparison.differences
    assert [(one.id, one.gained, one.lost) for one in comparison.changed] == [
        ("one", ["b"], []),
        ("two", [], ["c 'the very words of it'"]),
    ]
    assert comparison.changed[0].figure == "all_gold@2"
    headers, rows = comparison_table(comparison)
    assert headers[1:3] == ("plain", "better")
    assert {len(row) for row in rows} == {7}
    assert changed_table(comparison).rows[0][3:] == ("0.00 → 1.00", "+ b")


def test_only_the_same_questions_compare() -> None:
    async def run(questions: list[Question]) -> EvaluationReport:
        return await evaluate(questions, search, ks=(2,))

    first = asyncio.run(run(QUESTIONS[:1]))
    with pytest.raises(BadRequestError, match="they have none in common"):
        compared(first, asyncio.run(run(QUESTIONS[1:2])))
    other = Question("one", "second?", QUESTIONS[1].gold)
    with pytest.raises(BadRequestError, match="'one' is another question in each"):
        compared(first, asyncio.run(run([other])))


def test_p_values_by_hand() -> None:
    assert randomization_p([]) == 1.0
    assert randomization_p([0.0, 0.0]) == 1.0
    assert randomization_p([1.0] * 5) == 2 / 32  # only all + and all − are as far
    assert randomization_p([1.0, 1.0, 1.0, -1.0, 0.0]) == 10 / 16  # sums of ±2 and ±4
    assert randomization_p([1.0] * 40) < 0.001
    assert randomization_p([1.0, -1.0] * 20) == 1.0


def test_intervals() -> None:
    assert interval([]) == (0.0, 0.0)
    assert interval([0.4]) == (0.4, 0.4)
    low, high = interval([0.0, 1.0] * 50)
    # The deviation of the mean is 0.05, so that 95 % lie within about 0.098 of it.
    assert low == pytest.approx(0.402, abs=0.02)
    assert high == pytest.approx(0.598, abs=0.02)
    assert interval([0.0, 1.0] * 50) == (low, high)


def test_how_many_are_asked_at_a_time_and_how_long() -> None:
    at_once, most = 0, 0

    async def slow(question: str, limit: int) -> KnowledgeResults:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            await asyncio.sleep(60 if question == "0" else 0.01)
        finally:
            at_once -= 1
        return results([])

    questions = [Question(str(number), str(number), (Gold(("a",)),)) for number in range(9)]
    found = asyncio.run(evaluate(questions, slow, concurrency=3, timeout_s=0.2))
    assert most == 3
    assert found.failed == 1
    assert found.details[0].error == "There was no result within 0.2 s."
    assert found.figures["mrr"].questions == 9


def test_a_bug_is_not_a_question_that_failed() -> None:
    async def broken(question: str, limit: int) -> KnowledgeResults:
        raise KeyError(question)

    with pytest.raises(ExceptionGroup):
        asyncio.run(evaluate(QUESTIONS, broken))


def test_nothing_to_ask() -> None:
    for questions, searching, more in (([], search, {}), (QUESTIONS, None, {}), (QUESTIONS, search, {"ks": (0,)})):
        with pytest.raises(BadRequestError):
            asyncio.run(evaluate(questions, searching, **more))  # type: ignore[arg-type]
