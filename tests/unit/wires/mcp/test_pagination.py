from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError

from polyport_gateway.wires.mcp.pagination import paginate


def _all(names: list[str], size: int) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        page, cursor = paginate(names, cursor, key=str, size=size)
        pages.append(list(page))
        if cursor is None:
            return pages


@given(st.lists(st.text(min_size=1), unique=True, max_size=50), st.integers(1, 10))
def test_pages_hold_everything_once_and_in_order(names: list[str], size: int) -> None:
    pages = _all(names, size)
    assert [name for page in pages for name in page] == names
    assert all(len(page) == size for page in pages[:-1])


def test_a_cursor_stays_right_when_entries_come_and_go() -> None:
    _, cursor = paginate(["b", "c", "d"], None, key=str, size=1)
    assert paginate(["a", "b", "c", "d"], cursor, key=str, size=1)[0] == ["c"]


@pytest.mark.parametrize("cursor", ["", "nonsense", "é", "YWZ0ZXI6eA", "=", "MTA"])
def test_a_cursor_that_was_never_handed_out_is_refused(cursor: str) -> None:
    with pytest.raises(MCPError) as caught:
        paginate(["a", "b"], cursor, key=str)
    assert caught.value.code == -32602
