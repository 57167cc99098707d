from __future__ import annotations

import asyncio

import pytest

from polyport_sandbox import SandboxBusyError
from polyport_sandbox.docker.admission import Admission

pytestmark = pytest.mark.anyio


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_take_turns_however_many_runs_each_has_waiting():
    gate, order = Admission(1, waiting=10, waiting_per_caller=9), []
    await gate.enter("first")

    async def run(caller: str, name: str) -> None:
        await gate.enter(caller)
        order.append(name)

    tasks = [asyncio.create_task(run("greedy", f"g{n}")) for n in range(4)]
    await settle()
    tasks += [asyncio.create_task(run("modest", f"m{n}")) for n in range(2)]
    await settle()
    for _ in tasks:
        gate.leave()
        await settle()
    assert order == ["g0", "m0", "g1", "m1", "g2", "g3"]
    gate.leave()
    await gate.enter("anyone")


async def test_a_full_queue_and_a_caller_s_full_part_refuse():
    gate = Admission(1, waiting=3, waiting_per_caller=2)
    await gate.enter("a")
    tasks = [asyncio.create_task(gate.enter("a")) for _ in range(2)]
    await settle()
    with pytest.raises(SandboxBusyError, match="2 of yours") as caught:
        await gate.enter("a")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "sandbox_busy", 1.0)
    tasks.append(asyncio.create_task(gate.enter("b")))
    await settle()
    with pytest.raises(SandboxBusyError, match="3 are"):
        await gate.enter("c")
    for _ in range(3):
        gate.leave()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("at_the_same_moment", [False, True])
async def test_a_place_is_never_lost_to_a_caller_that_went_away(at_the_same_moment: bool):
    gate = Admission(1, waiting=5, waiting_per_caller=5)
    await gate.enter("a")
    gone, stays = (asyncio.create_task(gate.enter(caller)) for caller in "bc")
    await settle()
    if at_the_same_moment:
        gate.leave()
        gone.cancel()
    else:
        gone.cancel()
        await settle()
        gate.leave()
    await asyncio.wait_for(stays, 1)
    assert gone.cancelled()
    gate.leave()
    await asyncio.wait_for(gate.enter("d"), 1)
