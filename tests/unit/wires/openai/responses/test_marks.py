"""Marks of passages in a text that comes in pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from polyport_gateway.agents.file_search import Source
from polyport_gateway.wires.openai.responses.marks import Marks

TEA, RICE = Source("file-1", "tea.md"), Source("file-2", "米.md")


def read(text: str, cuts: list[int] | None = None) -> list[str | Source]:
    """Return what is shown and cited of a text cut at these places; texts side by side as one."""
    marks = Marks({1: TEA, 12: RICE})
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts or ())})
    given = [part for start, end in pairwise(places) for part in marks.feed(text[start:end])]
    found: list[str | Source] = []
    for part in [*given, marks.flush()]:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part:
            found.append(part)
    return found


def test_marks_become_sources_and_are_not_shown() -> None:
    assert read("Tea is green 【1】. Rice is white【12†米.md】.") == [
        "Tea is green",
        TEA,
        ". Rice is white",
        RICE,
        ".",
    ]
    assert read("两者都是植物【1、12】。") == ["两者都是植物", TEA, RICE, "。"]


def test_a_number_of_nothing_is_left_out() -> None:
    assert read("So it is 【7】.") == ["So it is."]


def test_other_brackets_stay() -> None:
    for text in ("【注意】请看", "a[1] = 【x1】", "【1", "【1】】"[:2], "5 【12345678】 6", "【1\n】", "【" * 100):
        assert read(text) == [text]


WHOLE = "Tea 【1】 and rice【12†米.md】 or 【注意】 and 【9】, 【1, 12】 end 【12"


@given(st.lists(st.integers(0, 100), max_size=40))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    assert read(WHOLE, cuts) == read(WHOLE)


@given(st.text("【】1†,2 \na", max_size=60), st.lists(st.integers(0, 100), max_size=30))
def test_nothing_else_is_lost(text: str, cuts: list[int]) -> None:
    found = read(text, cuts)
    assert found == read(text)
    shown = "".join(part for part in found if isinstance(part, str))
    assert shown.count("a") == text.count("a")
    assert shown.count("\n") == text.count("\n")
