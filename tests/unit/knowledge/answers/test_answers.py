"""Answers without a model, and telling what the documents do not say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.types.knowledge import KnowledgeAnswer, KnowledgeHit, KnowledgeHop
from polyport_gateway.knowledge.answers.citations import citation_of
from polyport_gateway.knowledge.answers.extraction import ExtractWeights, extract
from polyport_gateway.knowledge.answers.facts import facts_of
from polyport_gateway.knowledge.answers.found import THRESHOLD, coverage, not_found_text
from polyport_gateway.knowledge.answers.judges import cosine_scale, embedding_likeness, model_judge
from polyport_gateway.knowledge.answers.kinds import AnswerKind
from polyport_gateway.knowledge.answers.precision import citation_quality, misplaced
from polyport_gateway.knowledge.answers.support import Support
from polyport_gateway.knowledge.documents.values import Span


def hit(number: int, title: str, text: str, **more: object) -> KnowledgeHit:
    return KnowledgeHit.model_validate(
        {
            "knowledge": "k",
            "document": f"d{number}",
            "chunk": number,
            "title": title,
            "text": text,
            "score": 1.0,
            **more,
        }
    )


HANDBOOK = hit(
    1,
    "Handbook",
    "Holidays\n\nEmployees get 30 days of paid holiday each year. They ask their manager for them by mail. "
    "The office is closed on Sundays.\n\nThe travel kit contains:\n\n- a laptop\n- a charger\n\n"
    "| city | daily rate |\n| --- | --- |\n| Bern | 90 |\n| Oslo | 120 |\n",
    heading_path=["Holidays"],
)
HISTORY = hit(2, "History", "The company was founded in 1998 in Bern by Jane Doe. Its first product was a kettle.")
CHINESE = hit(
    3, "员工手册", "员工每年享有三十天带薪年假。年假须提前两周申请。办公室周日不开放。公司于1998年在北京成立。"
)


def texts(question: str, *hits: KnowledgeHit, **more: object) -> list[str]:
    return [one.unit.shown for one in extract(question, hits, **more).sentences]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("How many days of holiday do employees get?", "Employees get 30 days of paid holiday each year."),
        ("When was the company founded?", "The company was founded in 1998 in Bern by Jane Doe."),
        ("Who founded the company?", "The company was founded in 1998 in Bern by Jane Doe."),
        ("What does the travel kit contain?", "The travel kit contains: a laptop; a charger"),
        ("What is the daily rate in Oslo?", "city: Oslo; daily rate: 120"),
        ("员工每年有多少天年假？", "员工每年享有三十天带薪年假。"),
        ("公司是什么时候成立的？", "公司于1998年在北京成立。"),
        ("年假要提前多久申请？", "年假须提前两周申请。"),
    ],
)
def test_the_sentence_that_answers_is_taken(question: str, first: str) -> None:
    found = extract(question, [HANDBOOK, HISTORY, CHINESE], most=1)
    assert [one.unit.shown for one in found.sentences] == [first]
    assert all(
        (HANDBOOK, HISTORY, CHINESE)[one.hit].text[slice(*one.unit.span)] == one.unit.text for one in found.sentences
    )


def test_headings_and_what_says_nothing_are_not_taken() -> None:
    assert "Holidays" not in texts("What about holidays?", HANDBOOK, HISTORY)
    assert texts("Zebras?", HANDBOOK) == []
    assert texts("Zebras?") == []
    assert texts("", HANDBOOK) == []


def test_one_sentence_is_taken_once() -> None:
    again = hit(9, "Copy", "Employees get 30 days of paid holiday each year! Nothing else.")
    found = texts("How many days of holiday do employees get?", HANDBOOK, again)
    assert sum("30 days" in text for text in found) == 1


def test_sentences_read_as_they_are_written() -> None:
    found = extract("How do employees ask for days of holiday, and when is the office closed?", [HANDBOOK], most=3)
    starts = [one.unit.span.start for one in found.sentences]
    assert starts == sorted(starts)
    assert len(starts) >= 2


def test_a_time_is_preferred_where_one_is_asked_for() -> None:
    text = hit(1, "Bridge", "The old bridge opened with a feast for the town. The old bridge opened in 1887.")
    assert texts("When did the old bridge open?", text, most=1) == ["The old bridge opened in 1887."]
    indifferent = extract("When did the old bridge open?", [text], most=1, weights=ExtractWeights(kind=0))
    assert indifferent.kind is AnswerKind.TIME


def test_a_chain_brings_the_sentence_that_led_on() -> None:
    film = hit(1, "Jump for Glory", "Jump for Glory is a British film. It was directed by Raoul Walsh. It has a dog.")
    hop = KnowledgeHop(
        source=1,
        target=2,
        clue="Raoul Walsh",
        direction="forward",
        query="Who is the spouse of the director of Raoul Walsh?",
        score=1.0,
    )
    man = hit(2, "Raoul Walsh", "He was born in 1887. His spouse was the actress Miriam Cooper.", chain=[hop])
    found = extract("Who is the spouse of the director of Jump for Glory?", [man, film], most=3)
    shown = [one.unit.shown for one in found.sentences]
    assert "It was directed by Raoul Walsh." in shown
    assert shown.index("It was directed by Raoul Walsh.") < shown.index("His spouse was the actress Miriam Cooper.")


def test_likeness_finds_what_words_do_not() -> None:
    text = hit(1, "Rules", "Dogs may not enter. Staff can bring their pets on Fridays.")

    def likeness(question: str, sentences: list[str]) -> list[float]:
        return [1.0 if "pets" in sentence else 0.0 for sentence in sentences]

    assert texts("Are animals allowed?", text, most=1) == []
    assert texts("Are animals allowed?", text, most=1, likeness=likeness) == ["Staff can bring their pets on Fridays."]


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet="年假ab cd?？", max_size=20),
    st.lists(st.text(alphabet="年假ab cd.。\n|-:", max_size=60), max_size=4),
    st.integers(1, 5),
)
def test_any_passages_give_exact_sentences(question: str, passages: list[str], most: int) -> None:
    hits = [hit(place + 1, "ab", text) for place, text in enumerate(passages)]
    found = extract(question, hits, most=most).sentences
    assert len(found) <= most
    assert len({(one.hit, one.unit.span) for one in found}) == len(found)
    for one in found:
        assert hits[one.hit].text[slice(*one.unit.span)] == one.unit.text


def test_a_book_as_a_passage_takes_no_minute() -> None:
    book = hit(1, "Book", " ".join(f"Chapter {n} tells of bees and of their honey in year {n}." for n in range(20_000)))
    assert extract("What does chapter 17 tell of bees?", [book]).sentences


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("How many days of paid holiday do employees get?", True),
        ("When was the company founded?", True),
        ("Who founded the company in Bern?", True),
        ("员工每年有多少天带薪年假？", True),
        ("How do I reset my password?", False),
        ("What is the capital of Mongolia?", False),
        ("Who is Zorblax Quendel?", False),
        ("When did Zorblax found the company?", False),
        ("如何重置密码？", False),
        ("蒙古的首都是哪里？", False),
    ],
)
def test_what_the_documents_say_and_what_not(question: str, found: bool) -> None:
    covered = coverage(question, [HANDBOOK, HISTORY, CHINESE])
    assert (covered.score >= THRESHOLD) is found, covered
    assert 0 <= covered.score <= 1


@pytest.mark.parametrize("question", ["出差住宿每晚最多多少元？", "住宿标准每晚多少元？"])
def test_where_a_word_that_asks_stood_nothing_is_asked(question: str) -> None:
    passage = hit(1, "差旅制度", "住宿标准为每晚不超过六百元，上海和北京不超过八百元。")
    assert facts_of("每晚多少元", question=True).runs == ("每晚", "元")
    assert facts_of("高铁可以坐几等座？", question=True).runs == ("高铁", "坐", "等座")
    assert facts_of("住宿超标怎么办，需要多少钱？", question=True).runs == ("住宿超标",)
    assert coverage(question, [passage]).score >= THRESHOLD


def test_a_name_counts_whole_where_it_stands_whole() -> None:
    together = hit(1, "x", "The film Fist Power is old.")
    apart = hit(2, "x", "The power of a fist is old in film.")
    question = "How old is the film Fist Power?"
    assert coverage(question, [together]).score > coverage(question, [apart]).score


def test_what_is_missing_and_what_is_nearest_is_told() -> None:
    covered = coverage("Who was Zorblax in 1777?", [HISTORY, CHINESE])
    assert covered.missing == ("Zorblax", "1777")
    assert covered.nearest == ("History", "员工手册")
    assert not_found_text("en", covered) == (
        "The documents do not say anything on this. The nearest are “History”, “员工手册”."
    )
    assert not_found_text("zh", covered) == "文档中没有与此相关的内容。最接近的文档是《History》、《员工手册》。"
    assert not_found_text("zh-Hant", coverage("x", [])) == "文档中没有与此相关的内容。"
    assert not_found_text("fi", coverage("x", [])) == "The documents do not say anything on this."


def test_a_question_that_names_a_document_is_nearer_to_it() -> None:
    fish = "也称细点齿鲷，是辐鳍鱼纲鲈形目天竺鲷科的其中一种。"
    question = "班卡雀鲷还可以叫什么？"
    named = coverage(question, [hit(1, "班卡雀鲷 (鱼)", f"班卡雀鲷，{fish}")])
    assert named.score >= THRESHOLD
    assert named.score > coverage(question, [hit(1, "", f"班卡雀鲷，{fish}")]).score
    assert coverage(question, [hit(1, "鱼", fish)]).score < THRESHOLD
    assert coverage("x", [hit(1, "", "y")]).nearest == ()  # an id says nothing to a reader


def test_cosines_are_mixed_in_and_decide_across_languages() -> None:
    question = "How do I bring my animal?"
    assert coverage(question, [HISTORY], [0.9]).score > coverage(question, [HISTORY]).score
    across = "How many days of holiday are there?"
    assert coverage(across, [CHINESE]).score < THRESHOLD
    assert coverage(across, [CHINESE], [0.8]).score == 1.0
    assert coverage(across, [CHINESE], [0.1]).score == 0.0


def test_a_question_of_small_words_is_still_one() -> None:
    band = hit(1, "The Who", "The Who are a band.")
    assert coverage("The Who?", [band]).score == 1.0
    assert coverage("?", [band]).score == 0.0


def answer(text: str, *cited: tuple[str, str], dropped: int = 0) -> KnowledgeAnswer:
    citations = []
    for claim, quote in cited:
        start, place = text.index(claim), HISTORY.text.index(quote)
        support = Support(1.0, Span(place, place + len(quote)), quote)
        citations.append(citation_of(HISTORY, support, start=start, end=start + len(claim), number=1))
    return KnowledgeAnswer(text=text, found=True, citations=citations, hits=[HISTORY], dropped=dropped)


GOOD = answer(
    "The company was founded in 1998 [1].",
    ("The company was founded in 1998", "The company was founded in 1998 in Bern by Jane Doe."),
)
BAD = answer(
    "The company was founded in 1887 [1].", ("The company was founded in 1887", "Its first product was a kettle.")
)


def test_citation_quality_is_precision_and_recall() -> None:
    quality = citation_quality([GOOD, BAD], gold=[[("k", "d2")], [("k", "d1")]])
    assert (quality.precision, quality.recall, quality.gold) == (0.5, 0.5, 0.5)
    assert (quality.answers, quality.citations, quality.misplaced) == (2, 2, 0)
    assert citation_quality([GOOD, BAD], judge=lambda sentence, quote: 1.0).precision == 1.0
    assert citation_quality([GOOD.model_copy(update={"found": False})]).answers == 0
    assert citation_quality([]).precision == 1.0
    text = "The company was founded in 1998 [1]. The kettle was blue."
    half = answer(text, ("The company was founded in 1998", "The company was founded in 1998 in Bern by Jane Doe."))
    assert citation_quality([half]).recall == 0.5


def test_wrong_spans_are_told() -> None:
    moved = GOOD.citations[0].model_copy(update={"quote": "The company was dissolved."})
    assert misplaced(GOOD) == []
    assert misplaced(GOOD.model_copy(update={"citations": [moved]})) == [moved]
    outside = GOOD.citations[0].model_copy(update={"end": 10_000})
    assert misplaced(GOOD.model_copy(update={"citations": [outside]})) == [outside]
    stray = GOOD.citations[0].model_copy(update={"chunk": 77})
    assert citation_quality([GOOD.model_copy(update={"citations": [stray]})]).precision == 0.0


def test_likeness_of_vectors_makes_each_once() -> None:
    made: list[str] = []

    def embed(some: list[str]) -> list[list[float]]:
        made.extend(some)
        return [[1.0, 0.0] if "bee" in text else [0.6, 0.8] for text in some]

    likeness = embedding_likeness(embed, unlike=0.2, like=1.0)  # type: ignore[arg-type]
    assert likeness("a bee", ["two bees", "a cat"]) == pytest.approx([1.0, 0.5])
    likeness("a bee", ["two bees"])
    assert made == ["a bee", "two bees", "a cat"]
    assert likeness("a bee", []) == []
    with pytest.raises(ValueError, match="above"):
        embedding_likeness(embed, unlike=1, like=1)  # type: ignore[arg-type]


def test_the_scale_of_cosines_is_an_embedders_own() -> None:
    chance = np.random.default_rng(1)
    spread = chance.normal(size=(200, 384))
    unlike, like = cosine_scale(spread)
    assert unlike == pytest.approx(0.1, abs=0.03)
    assert like == pytest.approx(unlike + 0.6 * (1 - unlike))
    narrow, _ = cosine_scale(spread + 2)  # all point one way
    assert narrow > 0.75
    with pytest.raises(ValueError, match="two vectors"):
        cosine_scale([[1.0]])


@pytest.mark.parametrize(
    ("said", "score"), [("0.8", 0.8), ("Score: 1", 1.0), ("0", 0.0), ("no idea", 1.0), ("17", 1.0)]
)
def test_a_model_judges_by_a_number(said: str, score: float) -> None:
    asked: list[str] = []

    def write(prompt: str) -> str:
        asked.append(prompt)
        return said

    assert model_judge(write)("A </quote> sentence.", "A quote.") == score
    assert "<quote>\nA quote.\n</quote>" in asked[0]
    assert asked[0].count("</quote>") == 1
