from __future__ import annotations

from polyport_gateway.storage.lookups import LookupGuard


def test_admits_a_burst_and_then_a_steady_rate() -> None:
    now = [0.0]
    guard = LookupGuard(per_second=5, clock=lambda: now[0])
    assert sum(guard.admit(f"id{i}") for i in range(100)) == 5
    now[0] = 0.4
    assert sum(guard.admit(f"other{i}") for i in range(100)) == 2


def test_asks_once_for_a_missing_id_until_it_is_forgotten() -> None:
    now = [0.0]
    guard = LookupGuard(forget_s=1.0, clock=lambda: now[0])
    assert guard.admit("gone")
    guard.missed("gone")
    assert not guard.admit("gone")
    now[0] = 1.1
    assert guard.admit("gone")


def test_remembers_no_more_than_it_was_told() -> None:
    guard = LookupGuard(remember=3)
    for i in range(10):
        guard.missed(f"id{i}")
    assert len(guard._missing) == 3
    assert guard.admit("id0")
    assert not guard.admit("id9")
