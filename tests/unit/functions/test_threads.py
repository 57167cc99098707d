from __future__ import annotations

import asyncio
import threading

import pytest

from polyport.errors import ServiceUnavailableError
from polyport_gateway.functions.threads import ThreadBudget

pytestmark = pytest.mark.anyio


async def test_runs_in_another_thread_and_gives_results_and_errors():
    budget = ThreadBudget("f", 2)
    assert await budget.run(threading.get_ident) != threading.get_ident()
    assert await budget.run(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        await budget.run(lambda: 1 / 0)
    with pytest.raises(RuntimeError):
        await budget.run(next, iter(()))


async def test_no_more_than_the_limit_at_a_time():
    budget = ThreadBudget("f", 3)
    running = 0
    most = 0
    lock = threading.Lock()
    gate = threading.Event()

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(0.05)
        with lock:
            running -= 1

    await asyncio.gather(*(budget.run(work) for _ in range(12)))
    assert most == 3


async def test_hung_calls_starve_only_their_own_function():
    hung, fine = ThreadBudget("hung", 2), ThreadBudget("fine", 2)
    release = threading.Event()
    tasks = [asyncio.ensure_future(hung.run(release.wait, 30)) for _ in range(2)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(ServiceUnavailableError, match="never ended"):
        await hung.run(int)
    assert await fine.run(int) == 0
    release.set()
    for _ in range(100):
        await asyncio.sleep(0.01)
        try:
            assert await hung.run(int) == 0
            break
        except ServiceUnavailableError:
            continue
    else:
        pytest.fail("the budget was not given back")


async def test_a_cancelled_call_returns_at_once_and_a_waiter_gets_its_turn():
    budget = ThreadBudget("f", 1)
    release = threading.Event()
    first = asyncio.ensure_future(budget.run(release.wait, 30))
    await asyncio.sleep(0.02)
    second = asyncio.ensure_future(budget.run(lambda: "second"))
    third = asyncio.ensure_future(budget.run(lambda: "third"))
    await asyncio.sleep(0.02)
    second.cancel()
    release.set()
    assert await first is True
    assert await third == "third"
    with pytest.raises(asyncio.CancelledError):
        await second


async def test_a_thread_that_cannot_be_had_costs_nothing_of_the_budget(monkeypatch):
    budget = ThreadBudget("f", 1)
    monkeypatch.setattr("polyport_gateway.functions.threads._workers", _NoWorkers())
    with pytest.raises(ServiceUnavailableError, match="another thread"):
        await budget.run(int)
    monkeypatch.undo()
    assert await asyncio.wait_for(budget.run(int), 5) == 0


class _NoWorkers:
    def submit(self, job):
        raise RuntimeError("can't start new thread")


async def test_what_ends_a_call_needs_no_room_in_the_budget():
    budget = ThreadBudget("f", 1)
    release = threading.Event()
    running = asyncio.ensure_future(budget.run(release.wait, 30))
    await asyncio.sleep(0.02)
    assert await asyncio.wait_for(budget.finish(lambda: "ended"), 5) == "ended"
    release.set()
    assert await running is True
    assert await budget.run(int) == 0
