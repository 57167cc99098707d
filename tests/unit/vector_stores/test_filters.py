"""OpenAI's filters, as they may be written."""

from __future__ import annotations

from typing import Any

import pytest

from polyport.errors import BadRequestError
from polyport_gateway.knowledge.indexes.filters import matches, parse
from polyport_gateway.vector_stores.filters import check_filter

YEAR = {"type": "gte", "key": "year", "value": 2020}
TEA = {"type": "eq", "key": "topic", "value": "茶"}


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (YEAR, True),
        (TEA, True),
        ({"type": "and", "filters": [YEAR, TEA]}, True),
        (
            {
                "type": "or",
                "filters": [{"type": "lt", "key": "year", "value": 2020}, {"type": "and", "filters": [TEA]}],
            },
            True,
        ),
        ({"type": "in", "key": "year", "value": [2019, 2021]}, True),
        ({"type": "nin", "key": "topic", "value": ["茶"]}, False),
        ({"type": "ne", "key": "missing", "value": 1}, True),
        ({"type": "eq", "key": "missing", "value": 1}, False),
        ({"type": "lt", "key": "at", "value": "2026-01-01"}, True),
        ({"type": "eq", "key": "open", "value": True}, True),
    ],
)
def test_what_is_allowed_means_what_it_says(given: dict[str, Any], holds: bool) -> None:
    check_filter(given)
    metadata = {"year": 2021, "topic": "茶", "at": "2025-06-01", "open": True}
    assert matches(parse(given), "document", metadata) is holds


DEEP: dict[str, Any] = YEAR
for _ in range(12):
    DEEP = {"type": "and", "filters": [DEEP]}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "filters.type"),
        ({"year": 2020}, "filters.type"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type"),
        ({"type": "eq", "value": 1}, "filters.key"),
        ({"type": "eq", "key": "", "value": 1}, "filters.key"),
        ({"type": "eq", "key": "a" * 65, "value": 1}, "filters.key"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value"),
        ({"type": "eq", "key": "a", "value": [1]}, "filters.value"),
        ({"type": "eq", "key": "a", "value": float("nan")}, "filters.value"),
        ({"type": "gt", "key": "a", "value": True}, "filters.value"),
        ({"type": "in", "key": "a", "value": []}, "filters.value"),
        ({"type": "in", "key": "a", "value": 1}, "filters.value"),
        ({"type": "and", "filters": []}, "filters.filters"),
        ({"type": "and"}, "filters.filters"),
        ({"type": "and", "filters": [1]}, "filters.filters.0"),
        ({"type": "or", "filters": [YEAR, {"type": "eq", "key": 1, "value": 1}]}, "filters.filters.1.key"),
        ({**YEAR, "more": 1}, "filters"),
        ({"type": "and", "filters": [YEAR] * 300}, "filters"),
        (DEEP, None),
    ],
)
def test_what_is_no_filter(given: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequestError) as caught:
        check_filter(given)
    assert param is None or caught.value.param == param
