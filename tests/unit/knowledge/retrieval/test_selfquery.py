"""Conditions that a question states, and those that it only seems to."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.indexes.filters import parse
from polyport_gateway.knowledge.retrieval.selfquery import KnownField, read_conditions

TODAY = date(2026, 11, 27)
YEAR = KnownField("year", "integer", [2019, 2020, 2021, 2023, 2024, 2025])
DATE = KnownField("published", "datetime")
UPDATED = KnownField("updated_at", "datetime")
AUTHOR = KnownField("author", "keyword", ["Ann Lee", "Bob Ray", "李明", "Ann"])
TAGS = KnownField("tags", "keyword", ["legal", "hr", "法务", "travel"])
FORMAT = KnownField("format", "keyword", ["pdf", "docx", "xlsx"])
LANGUAGE = KnownField("language", "keyword", ["en", "zh"])
TITLE = KnownField("title", "keyword", ["Employee Handbook", "员工手册"])
DEPARTMENT = KnownField("department", "keyword", ["Sales", "Human Resources", "财务"])
PAGES = KnownField("pages", "integer")
PRICE = KnownField("unit_price", "float")
ALL = [YEAR, AUTHOR, TAGS, FORMAT, LANGUAGE, TITLE, DEPARTMENT, PAGES, PRICE]


def read(question: str, *fields: KnownField) -> tuple[Any, str]:
    found = read_conditions(question, fields or ALL, today=TODAY)
    if found.where is not None:
        parse(found.where)  # is a filter
    return found.where, found.question


@pytest.mark.parametrize(
    ("question", "where", "rest"),
    [
        ("What were the leave rules in 2023?", {"year": 2023}, "What were the leave rules?"),
        ("revenue in the 2024 report", {"year": 2024}, "revenue report"),
        ("travel costs after 2021", {"year": {"gte": 2022}}, "travel costs"),
        ("travel costs since 2021", {"year": {"gte": 2021}}, "travel costs"),
        ("travel costs before 2021", {"year": {"lte": 2020}}, "travel costs"),
        ("costs between 2019 and 2021", {"year": {"gte": 2019, "lte": 2021}}, "costs"),
        ("costs from 2019 to 2021", {"year": {"gte": 2019, "lte": 2021}}, "costs"),
        ("What changed last year?", {"year": 2025}, "What changed?"),
        ("2023年的年假规定", {"year": 2023}, "年假规定"),
        ("2023年年假有几天？", {"year": 2023}, "年假有几天？"),
        ("2021年之后的差旅标准", {"year": {"gte": 2022}}, "差旅标准"),
        ("自2021年以来的差旅标准", {"year": {"gte": 2021}}, "差旅标准"),
        ("2019年到2021年的收入", {"year": {"gte": 2019, "lte": 2021}}, "收入"),
        ("去年的收入", {"year": 2025}, "收入"),
        ("leave rules by Ann Lee", {"author": "Ann Lee"}, "leave rules"),
        ("what did ann lee's report say of leave", {"author": "Ann Lee"}, "what did report say of leave"),
        ("reports written by Bob Ray on tax", {"author": "Bob Ray"}, "reports on tax"),
        ("leave rules not by Ann Lee", {"author": {"ne": "Ann Lee"}}, "leave rules"),
        ("李明写的报销制度", {"author": "李明"}, "报销制度"),
        ("作者是李明的报告", {"author": "李明"}, "的报告"),
        ("contracts tagged legal", {"tags": "legal"}, "contracts"),
        ("contracts with the tag legal on rent", {"tags": "legal"}, "contracts on rent"),
        ("标签为法务的合同", {"tags": "法务"}, "的合同"),
        ("How is leave counted in the PDF?", {"format": "pdf"}, "How is leave counted?"),
        ("totals in the spreadsheets", {"format": "xlsx"}, "totals"),
        ("Word里的报销流程", {"format": "docx"}, "报销流程"),
        ("PDF文件中的签名", {"format": "pdf"}, "签名"),
        ("leave rules in English", {"language": "en"}, "leave rules"),
        ("中文文档里的休假规定", {"language": "zh"}, "休假规定"),
        ("How long is leave in the Employee Handbook?", {"title": "Employee Handbook"}, "How long is leave?"),
        ("《员工手册》里年假有几天", {"title": "员工手册"}, "年假有几天"),
        ("根据《员工手册》，年假有几天", {"title": "员工手册"}, "年假有几天"),
        ("goals of the Sales department", {"department": "Sales"}, "goals"),
        ("财务部门的预算", {"department": "财务"}, "预算"),
        ("contracts over 20 pages", {"pages": {"gt": 20}}, "contracts"),
        ("parts with a unit price below 1,000", {"unit_price": {"lt": 1000}}, "parts with a"),
        ("tagged hr by Ann Lee in 2023", {"and": [{"tags": "hr"}, {"author": "Ann Lee"}, {"year": 2023}]}, None),
    ],
)
def test_what_is_said_becomes_a_filter(question: str, where: Any, rest: str | None) -> None:
    assert read(question) == (where, question if rest is None else rest)


@pytest.mark.parametrize(
    ("question", "where"),
    [
        ("news after March 2024", {"published": {"gte": "2024-04-01"}}),
        ("news since 5 March 2024", {"published": {"gte": "2024-03-05"}}),
        ("news before March 5, 2024", {"published": {"lt": "2024-03-05"}}),
        ("news in Q2 2024", {"published": {"gte": "2024-04-01", "lt": "2024-07-01"}}),
        ("news on 2024-03-05", {"published": {"gte": "2024-03-05", "lt": "2024-03-06"}}),
        ("news from the 1990s", {"published": {"gte": "1990-01-01", "lt": "2000-01-01"}}),
        ("news until Dec 2023", {"published": {"lt": "2024-01-01"}}),
        ("news of last month", {"published": {"gte": "2026-10-01", "lt": "2026-11-01"}}),
        ("what was updated after March 2024", {"updated_at": {"gte": "2024-04-01"}}),
        ("2024年3月5日之前的新闻", {"published": {"lt": "2024-03-05"}}),
        ("2024年第二季度的收入", {"published": {"gte": "2024-04-01", "lt": "2024-07-01"}}),
        ("2024年3月以后更新的文件", {"updated_at": {"gte": "2024-04-01"}}),
        ("截至2024年3月的收入", {"published": {"lt": "2024-04-01"}}),
        ("上个月的收入", {"published": {"gte": "2026-10-01", "lt": "2026-11-01"}}),
    ],
)
def test_times_become_moments(question: str, where: Any) -> None:
    assert read(question, UPDATED, DATE)[0] == where


@pytest.mark.parametrize(
    "question",
    [
        "",
        "Who is Ann Lee?",  # about her, not by her
        "Is the Sales team large?",
        "legal advice",
        "the annual leave of by-laws",
        "What does 'year' mean?",
        "price of article 2023-A",
        "in 1066",  # no document is of that year
        "on 2024-13-45",
        "What cost $2023 in total",
        'the phrase "in 2023"',
        "what happens in 2023.5",
        "by Anna",  # not Ann
        "a PDFX",
        "谁是李明？",
        "人民法务的历史",
    ],
)
def test_what_only_looks_like_it_is_left(question: str) -> None:
    assert read(question) == (None, question)


def test_nothing_is_read_where_nothing_is_known() -> None:
    question = "rules in 2023 by Ann Lee tagged legal in the PDF"
    assert read_conditions(question, []).where is None
    assert read(question, KnownField("colour", "keyword", ["red"]))[0] is None
    assert read("in 2023", UPDATED, KnownField("seen", "datetime"))[0] is None  # which of them is not said
    assert read("in 2023", UPDATED)[0] is not None


def test_each_condition_says_why() -> None:
    found = read_conditions("reports published in 2023 by Ann Lee", [DATE, AUTHOR], today=TODAY)
    assert [condition.text for condition in found.conditions] == ["published in 2023", "by Ann Lee"]
    assert found.sure
    assert "published in 2023" in found.why[0]
    election = read_conditions("Who won the election in 2023?", [YEAR])
    assert election.where == {"year": 2023}
    assert not election.sure


def test_a_question_of_conditions_alone_stays_what_is_searched_for() -> None:
    assert read("in 2023") == ({"year": 2023}, "in 2023")


def test_nested_and_strange_names_of_fields() -> None:
    assert read("reports by Ann Lee", KnownField("author.name", "keyword", ["Ann Lee"]))[0] == {
        "author.name": "Ann Lee"
    }
    assert read("cost centre A-1 (x)", KnownField("cost_centre", "keyword", ["A-1 (x)"]))[0] == {
        "cost_centre": "A-1 (x)"
    }
    assert read("x", KnownField("a.*(", "keyword", ["(", "["]))[0] is None


_WORDS = ["in", "2023", "by", "Ann", "Lee", "年", "的", "tagged", "legal", ",", "2024-01-01", "-", "到"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.lists(st.sampled_from(_WORDS)).map(" ".join))
def test_any_text_is_read(question: str) -> None:
    where, rest = read(question, *ALL, DATE, UPDATED)
    assert where is not None or rest == question


@pytest.mark.parametrize("question", ["in " * 600, "2023" * 400, "by Ann " * 250, "年" * 1900, " " * 1900, "a" * 10**6])
def test_hostile_questions_take_no_time(question: str) -> None:
    began = time.process_time()
    read(question, *ALL, DATE, KnownField("many", "keyword", [f"value {n}" for n in range(2000)]))
    assert time.process_time() - began < 2
