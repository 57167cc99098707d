"""Reading sets of questions, one's own and public ones, and saying where they are wrong."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.errors import BadRequestError
from polyport_gateway.knowledge.evaluation import Gold, Question, read_questions, read_questions_text


def one(item: dict[str, Any]) -> Question:
    """Read a set of one question."""
    (found,) = read_questions_text(json.dumps(item))
    return found


def test_reads_ones_own() -> None:
    found = one(
        {
            "id": 7,
            "question": " 茶多少钱？ ",
            "gold": ["docs/prices.md", {"document": "menu", "text": "绿茶 12 元"}, {"title": "Tea", "span": [3, 9]}],
            "answer": "12 元",
            "answers": ["twelve", "12 元"],
            "knowledge": "shop",
        }
    )
    gold = (Gold(("docs/prices.md",)), Gold(("menu",), "绿茶 12 元"), Gold(("Tea",), None, (3, 9)))
    assert found == Question("7", "茶多少钱？", gold, ("12 元", "twelve"), "shop")


def test_a_question_may_have_no_answer() -> None:
    assert not one({"question": "?", "answerable": False}).answerable


@pytest.mark.parametrize(
    "text",
    [
        '[{"question": "a"}, {"question": "b"}]',
        '{"questions": [{"question": "a"}, {"question": "b"}]}',
        '{"question": "a"}\n\n{"question": "b"}\n',
        '[\n {"question": "a"},\n {"question": "b"},\n]',
    ],
)
def test_json_in_its_forms(text: str) -> None:
    assert [(found.id, found.text) for found in read_questions_text(text)] == [("q1", "a"), ("q2", "b")]


def test_csv() -> None:
    text = 'question,document,text,answer\n"a, b",x.md,"two\nlines",yes\nc,y.md,,\n'
    found = read_questions_text(text, kind=".csv")
    assert found == [
        Question("q1", "a, b", (Gold(("x.md",), "two\nlines"),), ("yes",)),
        Question("q2", "c", (Gold(("y.md",)),)),
    ]
    with_json = 'question\tgold\ta\nq\t"[""x"", {""document"": ""y"", ""span"": [1, 2]}]"\n'
    assert read_questions_text(with_json, kind=".tsv")[0].gold == (Gold(("x",)), Gold(("y",), None, (1, 2)))


def test_hotpotqa() -> None:
    item = {"_id": "5a", "question": "q", "answer": "yes", "supporting_facts": [["A", 0], ["B", 1], ["A", 3]]}
    assert one({**item, "context": [["A", ["…"]]]}) == Question("5a", "q", (Gold(("A",)), Gold(("B",))), ("yes",))


def test_musique() -> None:
    rows = [
        {"idx": 0, "title": "A", "paragraph_text": "first", "is_supporting": False},
        {"idx": 1, "title": "B", "paragraph_text": "second", "is_supporting": True},
    ]
    item = {"id": "2hop", "question": "q", "paragraphs": rows, "answer": "G. Hall", "answer_aliases": ["Hall"]}
    assert one(item) == Question("2hop", "q", (Gold(("B",), "second"),), ("G. Hall", "Hall"))


def test_chunking_evaluation() -> None:
    references = json.dumps([{"content": "cut fees", "start_index": 10, "end_index": 18}]).replace('"', '""')
    text = f'question,references,corpus_id\nWhat?,"{references}",state_of_the_union\n'
    (found,) = read_questions_text(text, kind=".csv")
    assert found.gold == (Gold(("state_of_the_union",), "cut fees", (10, 18)),)


def test_passages_beside(tmp_path: Path) -> None:
    (tmp_path / "passages.json").write_text(json.dumps([{"id": "DEV_0", "title": "锣鼓经", "text": "锣鼓经是"}]))
    path = tmp_path / "questions.json"
    path.write_text(json.dumps([{"question": "a", "passage_id": "DEV_0"}, {"question": "b", "passage_id": "DEV_1"}]))
    first, second = read_questions(path)
    assert first.gold == (Gold(("DEV_0", "锣鼓经"), "锣鼓经是"),)
    assert second.gold == (Gold(("DEV_1",)),)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", "", "holds no question"),
        ("[]", "", "holds no question"),
        ('{"question": "a"}\n{"question": }', "", "line 2: this is no JSON"),
        ('[\n{"question": "a"}\n{"question": "b"}]', "", "line 3: a comma or the array's end is missing"),
        ('\n{"question": ""}', "", "line 2: 'question' must be a text, not ''"),
        ("[3]", "", "line 1: an object is needed, not 3"),
        ('{"question": "a", "gold": [{"page": 3}]}', "", "line 1: 'gold' has .* give 'document', 'text', or both"),
        ('{"question": "a", "gold": [{"document": "x", "span": [5, 5]}]}', "", "the span 5 to 5 holds nothing"),
        ('{"question": "a", "gold": [{"document": "x", "span": 5}]}', "", "a span is .*, not 5"),
        ('{"question": "a", "gold": 5}', "", "'gold' has 5"),
        ('{"question": "a", "answer": {"x": 1}}', "", "'answer' must be a text"),
        ('{"question": "a", "id": "x"}\n{"question": "b", "id": "x"}', "", "line 2: the id 'x' is that of line 1"),
        ('{"question": "a", "supporting_facts": [3]}', "", "'supporting_facts' must be"),
        ('{"question": "a", "paragraphs": [{"is_supporting": true}]}', "", "'paragraphs' must be"),
        ("id,text\n1,a\n", ".csv", "line 1: a column 'question' is needed; there are: 'id', 'text'"),
        ('question,gold\n"two\nlines",x\na,b,c\n', ".csv", "line 4: has 1 cells more"),
        ("question,references\na,[3\n", ".csv", "line 2: 'references' is no JSON"),
        ('{"question": ' + "[" * 100_000, "", "line 1: this is nested too deep"),
    ],
)
def test_says_what_is_wrong(text: str, kind: str, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read_questions_text(text, kind=kind)


def test_tells_the_first_of_many_errors() -> None:
    with pytest.raises(BadRequestError, match=r"line 5: .*\n  and 4 more"):
        read_questions_text("\n".join(['{"question": 3}'] * 9))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="can't be read: No such file"):
        read_questions(tmp_path / "none.json")
    (tmp_path / "gbk.csv").write_bytes(b"question\n" + "茶".encode("gbk"))
    with pytest.raises(BadRequestError, match="line 2: this is not UTF-8"):
        read_questions(tmp_path / "gbk.csv")
    (tmp_path / "marked.csv").write_text("question\na\n", encoding="utf-8-sig")
    assert read_questions(tmp_path / "marked.csv")[0].text == "a"


@given(st.text(max_size=60), st.sampled_from(["", ".csv", ".tsv"]))
def test_anything_is_read_or_refused(text: str, kind: str) -> None:
    with contextlib.suppress(BadRequestError):
        assert read_questions_text(text, kind=kind)
