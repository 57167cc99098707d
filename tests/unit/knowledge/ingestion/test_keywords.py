from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.errors import InvalidOutputError
from polyport_gateway.knowledge.ingestion.keywords import BuiltInKeywords, FunctionKeywords, keywords_of
from polyport_gateway.knowledge.readers import read

BEES = """Bees are flying insects. Honey bees live in a hive with one queen bee. Worker bees gather nectar and make
honey from it. The queen bee lays the eggs. Pollination by honey bees matters to farmers, who rent hives in spring. A
hive of honey bees has fifty thousand worker bees in summer."""
MIFENG = """蜜蜂是一种会飞行的群居昆虫。蜜蜂群体中有蜂王、工蜂和雄蜂三种类型的蜜蜂。蜜蜂源自于亚洲与欧洲。
工蜂白天采蜜、晚上酿蜜，同时替果树完成授粉任务，授粉昆虫对农业非常重要。工蜂负责采蜜，蜂王负责产卵。"""


def test_what_a_text_is_about_comes_first() -> None:
    words = keywords_of(BEES)
    assert any("bee" in word.lower() for word in words[:3])
    assert "hive" in " ".join(words).lower()
    assert not {"the", "are", "with", "who"} & {word.lower() for word in words}


def test_chinese_words_are_put_together_again() -> None:
    words = keywords_of(MIFENG, title="蜜蜂")
    assert words[0] == "蜜蜂"
    assert {"工蜂", "采蜜", "授粉"} <= set(words)
    assert not any("的" in word or "是" in word for word in words)


def test_a_title_and_headings_weigh_more() -> None:
    text = "The engine drives the pump. The pump fills the tank. The valve is by the tank and the engine. " * 3
    plain = keywords_of(text, count=2)
    assert "valve" not in plain
    assert "valve" in [word.lower() for word in keywords_of(text, title="The valve", headings=["Valve"], count=2)]


def test_words_that_keep_together_are_one() -> None:
    text = "The Treaty of Rome was signed in Rome. Machine learning is hard. Machine learning needs data. " * 2
    assert "machine learning" in [word.lower() for word in keywords_of(text)]


@given(st.text(max_size=300), st.integers(1, 20))
def test_any_text(text: str, count: int) -> None:
    words = keywords_of(text, title=text[:20], count=count)
    assert len(words) <= count
    assert len(set(words)) == len(words)
    assert all(word.strip() for word in words)
    assert words == keywords_of(text, title=text[:20], count=count)


def test_of_a_document_with_headings() -> None:
    document = read(f"# Beekeeping\n\n{BEES}\n".encode(), "bees.md").document
    words = BuiltInKeywords(count=5)(document, "Bees")
    assert len(words) == 5
    assert "Beekeeping" in " ".join(words) or "bee" in " ".join(words).lower()


def answer(value: Any, parameters: frozenset[str] = frozenset({"text"})) -> tuple[FunctionKeywords, list[Any]]:
    asked: list[Any] = []

    def call(name: str, arguments: Any) -> Any:
        asked.append((name, dict(arguments)))
        return value

    return FunctionKeywords("terms", call, parameters), asked


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (["tea", " green  tea ", "tea", ""], ["tea", "green tea"]),
        ("tea, milk;coffee\ntea", ["tea", "milk", "coffee"]),
        ("茶，牛奶、咖啡", ["茶", "牛奶", "咖啡"]),
        ({"keywords": ["tea"]}, ["tea"]),
        ([], []),
        (["x" * 500], ["x" * 200]),
    ],
)
def test_a_function_of_ones_own(value: Any, wanted: list[str]) -> None:
    document = read(b"# Tea\n\nIt is hot.", "tea.md").document
    function, asked = answer(value)
    assert function(document, "Tea") == wanted
    assert asked == [("terms", {"text": document.text})]


def test_a_function_gets_what_it_asks_for() -> None:
    document = read(b"# Tea\n\nIt is hot.", "tea.md").document
    function, asked = answer([], frozenset({"text", "title", "headings", "language", "metadata", "other"}))
    function(document, "About tea")
    assert set(asked[0][1]) == {"text", "title", "headings", "language", "metadata"}
    assert asked[0][1]["title"] == "About tea"
    assert asked[0][1]["headings"] == ["Tea"]


@pytest.mark.parametrize("value", [None, 3, {"words": []}, [1, 2], [["tea"]]])
def test_a_function_that_gives_something_else(value: Any) -> None:
    with pytest.raises(InvalidOutputError, match="'terms' is to give"):
        answer(value)[0](read(b"tea", "tea.txt").document, "")


def test_a_function_that_gives_very_many() -> None:
    function, _ = answer([f"word {number}" for number in range(1000)])
    assert len(function(read(b"tea", "tea.txt").document, "")) == 64
