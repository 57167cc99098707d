from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.client.retry import RetryPolicy, parse_retry_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 0.5 ", 0.5),
        ("-4", 0.0),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=lambda: NOW) == seconds


def test_delays_double_up_to_the_cap() -> None:
    policy = RetryPolicy(max_retries=9, base=1, cap=10, uniform=lambda low, high: high)
    assert [policy.delay(n, retry_after=None, remaining=None) for n in (1, 2, 3, 4, 5, 6)] == [1, 2, 4, 8, 10, 10]


def test_the_server_is_obeyed_unless_it_asks_too_much() -> None:
    policy = RetryPolicy(max_retries=1, cap=10)
    assert policy.delay(1, retry_after=7, remaining=None) == 7
    assert policy.delay(1, retry_after=11, remaining=None) is None
    assert policy.delay(1, retry_after=7, remaining=5) is None
    assert policy.delay(2, retry_after=7, remaining=None) is None


@given(st.integers(1, 60), st.floats(0, 1e6), st.integers(0, 60))
def test_a_delay_never_passes_the_cap_or_the_time_left(attempt: int, remaining: float, retries: int) -> None:
    delay = RetryPolicy(max_retries=retries).delay(attempt, retry_after=None, remaining=remaining)
    assert delay is None or 0 <= delay <= min(60, remaining)


@given(st.text())
def test_any_header_is_read_or_ignored(value: str) -> None:
    seconds = parse_retry_after(value)
    assert seconds is None or seconds >= 0
