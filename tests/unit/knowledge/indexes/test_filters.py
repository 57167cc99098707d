from __future__ import annotations

from typing import Any

import pytest

from polyport.errors import BadRequestError
from polyport_gateway.knowledge.indexes.filters import All, Any_, Equal, Exists, Not, Range, fields_of, matches, parse

DOCUMENT: dict[str, Any] = {"year": 2025, "tags": ["red", "green"], "open": True, "when": "2025-03-01T12:00:00+08:00"}
DOCUMENT |= {"author": {"name": "Ann"}, "nothing": None, "none": [], "ratio": 0.5}


@pytest.mark.parametrize(
    "given",
    [
        {"year": 2025},
        {"year": 2025.0},
        {"year": {"eq": 2025, "lt": 2026}},
        {"year": {"in": [1, 2025]}},
        {"year": {"nin": [1, 2]}},
        {"year": {"ne": True}},
        {"tags": "red"},
        {"tags": {"contains": "red"}},
        {"tags": {"contains": ["red", "green"]}},
        {"open": True},
        {"when": {"gte": "2025-03-01T04:00:00Z", "lt": "2025-03-02"}},
        {"author.name": "Ann"},
        {"nothing": None},
        {"none": {"exists": False}},
        {"missing": {"ne": 3}},
        {"document": "d1"},
        {"or": [{"year": 1}, {"open": True}]},
        {"not": {"year": 1}},
        {},
        {
            "type": "or",
            "filters": [{"type": "eq", "key": "year", "value": 1}, {"type": "nin", "key": "tags", "value": ["x"]}],
        },
    ],
)
def test_holds(given: dict[str, Any]) -> None:
    assert matches(parse(given), "d1", DOCUMENT)
    assert not matches(parse({"not": given}), "d1", DOCUMENT)


@pytest.mark.parametrize(
    "given",
    [
        {"open": 1},
        {"year": "2025"},
        {"year": {"gt": 2025}},
        {"year": {"gte": "2020-01-01"}},
        {"tags": {"contains": ["red", "blue"]}},
        {"missing": {"lt": 3}},
        {"open": {"gte": 0}},
        {"author.name.first": "Ann"},
        {"document": "d2"},
    ],
)
def test_does_not_hold(given: dict[str, Any]) -> None:
    assert not matches(parse(given), "d1", DOCUMENT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"year": [1, 2]}, "has a list"),
        ({"year": {}}, "has no condition"),
        ({"year": {"in": []}}, "needs a list of 1"),
        ({"year": {"in": 3}}, "needs a list of 1"),
        ({"year": {"gt": "soon"}}, "needs a number or a time"),
        ({"year": {"gt": True}}, "needs a number or a time"),
        ({"year": {"like": "x"}}, "'like' of 'year' is no condition; there are: eq, ne"),
        ({"year": {"exists": 1}}, "true or false"),
        ({"year": float("nan")}, "a string, number or truth value"),
        ({"year": 2**80}, "a string, number or truth value"),
        ({"year": {"eq": {"a": 1}}}, "a string, number or truth value"),
        ({"and": {"year": 1}}, "'and' needs a list"),
        ({"or": []}, "'or' needs a list"),
        ({"and": [3]}, "an object of conditions is needed"),
        ({"type": "xor", "filters": []}, "'xor' of 'None' is no condition"),
    ],
)
def test_says_what_is_wrong(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequestError, match=message) as caught:
        parse(given)
    assert caught.value.param == "filter"


def test_depth_is_bounded() -> None:
    deep: dict[str, Any] = {"year": 1}
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(BadRequestError, match="nested more than 16 deep"):
        parse(deep)


def test_reads_a_tree() -> None:
    found = parse({"a": 1, "or": [{"b": {"gt": 2, "lte": 3}}, {"not": {"c": {"exists": True}}}]})
    bounds = All((Range("b", (("gt", 2.0),)), Range("b", (("lte", 3.0),))))
    assert found == All((Equal("a", (1,)), Any_((bounds, Not(Exists("c"))))))
    assert fields_of(found) == {"a", "b", "c"}


def test_unknown_fields() -> None:
    parse({"year": 1, "document": "x"}, {"year"})
    with pytest.raises(BadRequestError, match=r"field 'yaer'; known are: tags, year\. Did you mean 'year'"):
        parse({"or": [{"yaer": 1}, {"year": 2}]}, {"year", "tags"})
