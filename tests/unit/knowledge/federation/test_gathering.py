"""Shelves asked side by side: one that fails, hangs or comes late costs its own answer, and nothing else."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from polyport.errors import BadRequestError, DeadlineExceededError, ServiceUnavailableError
from polyport_gateway.knowledge.federation.gathering import Deadline, Gatherer, Part


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Lets searches that hang go on; opened in the end, so that no test leaves a thread."""
    event = threading.Event()
    yield event
    event.set()


def part(shelf: str, search: Callable[[Deadline], object]) -> Part[object]:
    return Part(shelf, (f"{shelf}-1", f"{shelf}-2"), search)


def raising(error: Exception) -> Callable[[Deadline], object]:
    def search(_: Deadline) -> object:
        raise error

    return search


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("It did not come about within five seconds.")


def test_all_answers_come_in_the_order_of_the_parts() -> None:
    def slow(_: Deadline) -> object:
        time.sleep(0.05)
        return "slow"

    values, left_out = Gatherer().gather([part("a", slow), part("b", lambda _: "fast"), part("c", lambda _: None)], 5)
    assert [(one.shelf, value) for one, value in values] == [("a", "slow"), ("b", "fast"), ("c", None)]
    assert left_out == []


def test_parts_run_at_the_same_time() -> None:
    barrier = threading.Barrier(8)
    values, _ = Gatherer().gather([part(str(n), lambda _: barrier.wait(10)) for n in range(8)], 20)
    assert len(values) == 8


def test_one_that_is_slow_is_left_out_and_named(gate: threading.Event) -> None:
    gatherer = Gatherer()
    began = time.monotonic()
    values, left_out = gatherer.gather([part("slow", lambda _: gate.wait()), part("fast", lambda _: 1)], 0.2)
    assert time.monotonic() - began < 2
    assert [value for _, value in values] == [1]
    assert [(one.knowledge, one.code) for one in left_out] == [("slow-1", "timeout"), ("slow-2", "timeout")]
    assert "0.2 s" in left_out[0].reason
    assert gatherer.late == {"slow": 1}
    gate.set()
    until(lambda: not gatherer.late)


def test_one_that_fails_is_left_out_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    parts = [
        part("down", raising(ServiceUnavailableError("The Qdrant server does not answer."))),
        part("bug", raising(ZeroDivisionError("secret/path"))),
        part("good", lambda _: 1),
    ]
    values, left_out = Gatherer().gather(parts, 5)
    assert [value for _, value in values] == [1]
    assert {one.knowledge: one.code for one in left_out} == {
        "bug-1": "failed",
        "bug-2": "failed",
        "down-1": "unavailable",
        "down-2": "unavailable",
    }
    assert "Qdrant" in left_out[2].reason
    assert "secret" not in left_out[0].reason
    assert "ZeroDivisionError" in caplog.text


def test_when_all_fail_alike_it_is_their_error() -> None:
    error = BadRequestError("The filter names the field 'yaer'.")
    with pytest.raises(BadRequestError, match="yaer"):
        Gatherer().gather([part("a", raising(error)), part("b", raising(BadRequestError("other")))], 5)


def test_when_all_fail_differently_the_error_tells_each(gate: threading.Event) -> None:
    with pytest.raises(ServiceUnavailableError, match=r"a-1: no such field.*b-1: It gave no answer"):
        Gatherer().gather([part("a", raising(BadRequestError("no such field"))), part("b", lambda _: gate.wait())], 0.2)


def test_when_all_are_slow_it_is_a_timeout(gate: threading.Event) -> None:
    with pytest.raises(DeadlineExceededError):
        Gatherer().gather([part("a", lambda _: gate.wait())], 0.05)


def test_nothing_to_ask_is_nothing_found() -> None:
    assert Gatherer().gather([], 1) == ([], [])


def test_a_server_that_hangs_collects_few_threads(gate: threading.Event) -> None:
    gatherer = Gatherer(most_late=3)
    before = threading.active_count()
    reasons = []
    for _ in range(20):
        values, left_out = gatherer.gather([part("hangs", lambda _: gate.wait()), part("good", lambda _: 1)], 0.05)
        assert len(values) == 1
        reasons.append(left_out[0].code)
    assert reasons == ["timeout"] * 3 + ["unavailable"] * 17
    assert threading.active_count() <= before + 3
    gate.set()
    until(lambda: not gatherer.late)
    assert gatherer.gather([part("hangs", lambda _: 2)], 5)[0][0][1] == 2  # and it is asked again
    until(lambda: threading.active_count() <= before)


def test_many_questions_at_once_share_the_count(gate: threading.Event) -> None:
    gatherer = Gatherer(most_late=4)
    codes: list[str] = []

    def ask() -> None:
        codes.append(gatherer.gather([part("hangs", lambda _: gate.wait()), part("good", lambda _: 1)], 0.3)[1][0].code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 12
    assert gatherer.late["hangs"] >= 4
    gate.set()
    until(lambda: not gatherer.late)


def test_a_search_knows_how_long_it_has() -> None:
    seen: list[float | None] = []

    def search(deadline: Deadline) -> None:
        seen.append(deadline.left)
        assert not deadline.passed

    Gatherer().gather([part("a", search)], 5)
    Gatherer().gather([part("a", search)])
    assert seen[0] is not None
    assert 4 < seen[0] <= 5
    assert seen[1] is None
    assert Deadline.after(0).passed


def test_searches_see_the_context_of_the_question() -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")
    trace.set("abc")
    values, _ = Gatherer().gather([part(name, lambda _: trace.get()) for name in "ab"], 5)
    assert [value for _, value in values] == ["abc", "abc"]


def test_a_search_that_hangs_does_not_keep_the_process() -> None:
    program = """
import threading
from polyport_gateway.knowledge.federation.gathering import Gatherer, Part
parts = [Part("hangs", ("a",), lambda _: threading.Event().wait()), Part("good", ("b",), lambda _: 1)]
print(Gatherer().gather(parts, 0.1)[1][0].code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "timeout"
