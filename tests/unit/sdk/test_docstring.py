from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.docstring import parse_docstring

GOOGLE = """Add two numbers.

    More about it.

    Args:
        a (int): The first
            number.
        b: The second: with a colon.
        *rest: What is left.

    Returns:
        The sum.
    """
NUMPY = """Add two numbers.

    More about it.

    Parameters
    ----------
    a : int
        The first
        number.
    b : int, optional
        The second: with a colon.
    *rest
        What is left.

    Returns
    -------
    int
        The sum.
    """
REST = """Add two numbers.

    More about it.

    :param int a: The first
        number.
    :param b: The second: with a colon.
    :type b: int
    :param rest: What is left.
    :returns: The sum.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST])
def test_every_style_says_the_same(text: str) -> None:
    found = parse_docstring(text)
    assert found.parameters == {
        "a": "The first number.",
        "b": "The second: with a colon.",
        "rest": "What is left.",
    }
    assert found.summary == "Add two numbers."
    assert "More about it." in found.description
    assert "The sum." in found.description
    assert "number." not in found.description.replace("numbers.", "")


def test_chinese() -> None:
    found = parse_docstring("""查询天气。

        参数：
            城市：城市的名称。
            单位 (str): 摄氏或华氏。
        """)
    assert found.description == "查询天气。"
    assert found.parameters == {"城市": "城市的名称。", "单位": "摄氏或华氏。"}


def test_numpy_names_that_share_a_description() -> None:
    found = parse_docstring("F.\n\nParameters\n----------\nx, y : float\n    Where.\n")
    assert found.parameters == {"x": "Where.", "y": "Where."}


def test_a_word_that_looks_like_a_section_stays_text() -> None:
    found = parse_docstring("F.\n\nArguments:\n\nNothing of the kind.")
    assert found.parameters == {}
    assert "Arguments:" in found.description


def test_nothing() -> None:
    assert parse_docstring(None).description == ""
    assert parse_docstring("").parameters == {}


_lines = st.lists(
    st.sampled_from(
        ["Args:", "Parameters", "----", ":param x:", ":param:", ":type x: int", "    x: y", "  x (", "", "x : int", "*"]
    )
    | st.text(max_size=12)
)


@given(_lines)
def test_nothing_makes_it_raise(lines: list[str]) -> None:
    found = parse_docstring("\n".join(lines))
    assert all(name and text for name, text in found.parameters.items())
