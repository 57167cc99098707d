"""A filter over columns of metadata holds for just those chunks for which it holds one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.indexes.facts import Facts
from polyport_gateway.knowledge.indexes.filters import All, Any_, Equal, Exists, Filter, Not, Range, matches, moment_of

NAMES = ("a", "b", "c.d", "document")
SCALARS: list[Any] = [0, 1, 1.0, -2.5, True, False, "1", "茶", "", 2**53, 2**53 + 1, float(2**53), 10**400]
SCALARS += ["2025-01-01", "2025-01-01T08:00:00+08:00", "0001-01-01T00:00:00+14:00", float("inf")]
scalar = st.sampled_from(SCALARS)
value = scalar | st.none() | st.lists(scalar | st.none(), max_size=3) | st.just(float("nan"))
metadata = st.fixed_dictionaries(
    {},
    optional={
        "a": value,
        "b": value | st.fixed_dictionaries({}, optional={"x": scalar}),
        "c": value | st.fixed_dictionaries({}, optional={"d": value}),
        "c.d": value,
        "document": value,
    },
)
wanted = [one for one in SCALARS if isinstance(one, str) or one not in (10**400, float("inf"))]
bounds: list[Any] = [0.0, 1.0, -2.5, float(2**53), moment_of("2025-01-01"), moment_of("2024-06-01")]


def ranges(name: str) -> st.SearchStrategy[Filter]:
    one = st.tuples(st.sampled_from(("gt", "gte", "lt", "lte")), st.sampled_from(bounds))
    return st.lists(one, min_size=1, max_size=2).map(lambda found: Range(name, tuple(found)))


name = st.sampled_from(NAMES)
leaf: st.SearchStrategy[Filter] = (
    st.builds(Equal, name, st.lists(st.sampled_from([*wanted, "d1"]), min_size=1, max_size=3).map(tuple))
    | st.builds(Exists, name)
    | name.flatmap(ranges)
)
filters = st.recursive(
    leaf,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Any_, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(metadata, max_size=8), filters, st.booleans(), st.integers(0, 7))
def test_holds_for_the_same_chunks(rows: list[Mapping[str, Any]], where: Filter, declared: bool, dropped: int) -> None:
    facts = Facts(("a", "b", "c.d") if declared else None)
    half = len(rows) // 2
    for part in (range(half), range(half, len(rows))):
        facts.put((100 + number, f"d{number % 3}", rows[number]) for number in part)
    facts.drop(100 + dropped)
    found = set(facts.ids[facts.meeting(where)].tolist())
    assert found == {
        100 + number for number, row in enumerate(rows) if number != dropped and matches(where, f"d{number % 3}", row)
    }


def test_a_replaced_chunk_has_another_slot() -> None:
    facts = Facts(None)
    assert facts.put([(7, "d", {"year": 1})]) == [0]
    assert facts.drop(7) == 0
    assert facts.drop(7) is None
    assert facts.put([(7, "d", {"year": 2})]) == [1]
    assert facts.ids[facts.meeting(Equal("year", (1,)))].tolist() == []
    assert facts.ids[facts.meeting(Equal("year", (2,)))].tolist() == [7]
    assert not facts.crowded
    for number in range(5000):
        facts.drop(7)
        facts.put([(7, "d", {"year": number})])
    assert facts.crowded
