"""What a text is made of: its language, its parts, and what it states."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.answers.facts import facts_of
from polyport_gateway.knowledge.answers.kinds import AnswerKind, asked_for, has_kind
from polyport_gateway.knowledge.answers.language import is_chinese, language_name, language_of
from polyport_gateway.knowledge.answers.numbers import numbers_of
from polyport_gateway.knowledge.answers.units import units_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What county shares a border with it?", "en"),
        ("Who wrote Les Misérables?", "en"),
        ("hotel Berlin", "en"),
        ("谁是苹果公司的创始人？", "zh"),
        ("OpenAI API 怎么用？", "zh"),
        ("Who is 王小明?", "en"),
        ("東京の人口はいくつですか", "ja"),
        ("한국의 수도는?", "ko"),
        ("Кто написал этот роман?", "ru"),
        ("Хто написав цей роман і коли її видали?", "uk"),
        ("ما هي عاصمة مصر؟", "ar"),
        ("Wer hat den Vertrag unterschrieben?", "de"),
        ("Qui a écrit ce livre ?", "fr"),
        ("¿Quién escribió Don Quijote?", "es"),
        ("Quem escreveu o livro?", "pt"),
        ("", "en"),
        ("12345 ?!", "en"),
    ],
)
def test_language_of_a_question(text: str, language: str) -> None:
    assert language_of(text) == language


def test_languages_have_names() -> None:
    assert language_name("zh-Hant") == "Chinese"
    assert language_name("tlh") == "tlh"
    assert is_chinese("zh-CN")
    assert not is_chinese("en")


DOCUMENT = """\
Bees

They fly. 它们采蜜。真的！

The kit contains:

- a bolt
- a nut

Prices

| item | price |
| --- | --- |
| tea | 3 |
| coffee | 4 |

This is a line that was broken by the page it stood on, for it is
long and goes on here. Then Mr. Smith came on Jan. 5 with 3.14 litres.
Alone on a line
"""


def test_units_are_sentences_lists_rows_and_headings() -> None:
    units = units_of(DOCUMENT)
    assert all(DOCUMENT[slice(*unit.span)] == unit.text for unit in units)
    assert [(unit.kind, unit.shown) for unit in units] == [
        ("heading", "Bees"),
        ("sentence", "They fly."),
        ("sentence", "它们采蜜。"),
        ("sentence", "真的！"),
        ("list", "The kit contains: a bolt; a nut"),
        ("heading", "Prices"),
        ("row", "item: tea; price: 3"),
        ("row", "item: coffee; price: 4"),
        ("sentence", "This is a line that was broken by the page it stood on, for it is long and goes on here."),
        ("sentence", "Then Mr. Smith came on Jan. 5 with 3.14 litres."),
        ("sentence", "Alone on a line"),
    ]
    assert next(unit for unit in units if unit.kind == "row").announced == "item price"


def test_a_chinese_sentence_broken_by_the_page_is_one() -> None:
    text = "本合同自双方签字盖章之日起生效，有效期为三年，到期之后如无书面\n异议则自动续期一年。甲方应按时付款。"
    first, second = units_of(text)
    assert first.shown == "本合同自双方签字盖章之日起生效，有效期为三年，到期之后如无书面异议则自动续期一年。"
    assert second.shown == "甲方应按时付款。"


def test_a_text_without_capitals_is_still_cut() -> None:
    text = " ".join(f"sentence number {n} is written without capitals here." for n in range(20))
    assert len(units_of(text)) == 20


def test_lines_of_a_poem_are_not_glued() -> None:
    assert [unit.shown for unit in units_of("- Red\n- Blue\n- Green")] == ["- Red", "- Blue", "- Green"]
    assert len(units_of("a | b\n1 | 2\n3 | 4")) == 3


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab A.。\n|-:：1#*，中文字 \t", max_size=120))
def test_units_never_overlap_and_hold_all_words(text: str) -> None:
    units = units_of(text)
    end = 0
    for unit in units:
        assert unit.span.start >= end
        assert text[slice(*unit.span)] == unit.text
        assert unit.text.strip() == unit.text != ""
        end = unit.span.end
    if "|" not in text:
        kept = "".join(unit.text for unit in units)
        assert sorted("".join(kept.split())) == sorted("".join(text.split()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,500 people", "1500 people"),
        ("2.50 million", "2500000"),
        ("$1.5 billion", "1500 million"),
        ("twenty-one", "21"),
        ("two million", "2000000"),
        ("March 5, 2024", "2024-03-05"),
        ("5 March 2024", "2024年3月5日"),
        ("二〇二四年三月五日", "2024-03-05"),
        ("三千五百人", "3,500"),
        ("一亿二千万", "120000000"),
        ("1.5亿", "150,000,000"),
        ("３００元", "300"),
        ("百分之十二", "12%"),
        ("the 19th century", "19"),
    ],
)
def test_numbers_are_the_same_however_written(one: str, other: str) -> None:
    assert numbers_of(one) == numbers_of(other) != frozenset()


@pytest.mark.parametrize("text", ["one of them", "统一的标准", "十分重要", "唯一", "一个人", "千百", ""])
def test_words_that_only_look_like_numbers(text: str) -> None:
    assert numbers_of(text) == frozenset()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_facts(text: str) -> None:
    facts = facts_of(text)
    assert facts.weight >= 0
    assert all(word for word in facts.words)


def test_facts_tell_names_and_denials() -> None:
    facts = facts_of("The company did not hire Mary Smith in 1999.")
    assert facts.names == (("mari", "smith"),)
    assert facts.numbers == {"1999"}
    assert facts.denied[0] == {"hire"}
    assert facts_of("Which city?", question=True).words.keys() == {"citi"}
    assert facts_of("产品不支持无线充电").denied[0] == {"支持"}
    assert facts_of("不仅便宜，不过很好，未来可期").denied[0] == frozenset()


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who wrote it?", AnswerKind.PERSON),
        ("When did it open?", AnswerKind.TIME),
        ("In what year was it built?", AnswerKind.TIME),
        ("Which city is it in?", AnswerKind.PLACE),
        ("How many people live there?", AnswerKind.QUANTITY),
        ("Why did it fail?", AnswerKind.REASON),
        ("What is a chunker?", AnswerKind.DEFINITION),
        ("Is it open?", AnswerKind.OTHER),
        ("谁写了它？", AnswerKind.PERSON),
        ("铁路什么时候开通？", AnswerKind.TIME),
        ("总部在哪里？", AnswerKind.PLACE),
        ("有多少人？", AnswerKind.QUANTITY),
        ("为什么失败？", AnswerKind.REASON),
        ("什么是区块链？", AnswerKind.DEFINITION),
    ],
)
def test_what_a_question_asks_for(question: str, kind: AnswerKind) -> None:
    assert asked_for(question) is kind


@pytest.mark.parametrize(
    ("kind", "question", "sentence", "has"),
    [
        (AnswerKind.TIME, "When was the 1990 plan made?", "The 1990 plan was good.", False),
        (AnswerKind.TIME, "When was the 1990 plan made?", "The plan was made in 1989.", True),
        (AnswerKind.PERSON, "Who leads Acme?", "At Acme, Jane Doe leads.", True),
        (AnswerKind.PERSON, "Who leads Acme?", "Somebody leads Acme.", False),
        (AnswerKind.QUANTITY, "How many bees?", "There are forty bees.", True),
        (AnswerKind.QUANTITY, "How many bees?", "There are bees.", False),
        (AnswerKind.PLACE, "Where is it?", "It lies in Bern.", True),
        (AnswerKind.REASON, "为什么？", "由于下雨，比赛取消。", True),
        (AnswerKind.DEFINITION, "What is a bee?", "A bee is an insect.", True),
        (AnswerKind.OTHER, "Is it?", "It is in 1999.", False),
    ],
)
def test_whether_a_sentence_has_it(kind: AnswerKind, question: str, sentence: str, has: bool) -> None:
    assert has_kind(kind, sentence, facts_of(sentence), facts_of(question, question=True)) is has
