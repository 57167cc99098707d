from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polyport_sandbox import (
    EndEvent,
    InvalidRunError,
    Limits,
    OutputEvent,
    Sandbox,
    SandboxBusyError,
    SandboxError,
    SandboxFileNotFoundError,
    SandboxUnavailableError,
    SessionClosedError,
    SessionNotFoundError,
)
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
async def box(provider: ScriptedProvider) -> AsyncIterator[Sandbox]:
    async with Sandbox(provider, max_sessions=5, max_sessions_per_caller=3) as box:
        yield box


async def until(condition: Any, *, within_s: float = 3.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_session_keeps_variables_and_files(box: Sandbox):
    async with box.session(files={"in.csv": b"a,b"}) as session:
        assert re.fullmatch(r"cntr_[0-9a-f]{32}", session.id)
        assert (await session.run("set x 1")).status == "ok"
        result = await session.run("get x\ncat in.csv\nresult 2")
        assert result.stdout == b"1\na,b\n"
        assert result.displays[0].text == "2"
        assert (await session.run("get x", language="bash")).stdout == b"1\n"
        await session.upload({"d/new": b"content"})
        assert [info.name for info in await session.list()] == ["d/new", "in.csv"]
        assert [info.name for info in await session.list("d")] == ["d/new"]
        assert await session.download("d/new") == b"content"
        await session.delete("d/new")
        with pytest.raises(SandboxFileNotFoundError):
            await session.download("d/new")
        with pytest.raises(InvalidRunError, match="larger than 2 bytes"):
            await session.download("in.csv", max_bytes=2)
        await session.run("set y 1", context="other")
        await session.restart("other")
        assert (await session.run("get x")).stdout == b"1\n"
        await session.restart()
        with pytest.raises(KeyError):
            await session.run("get x")
    assert session.closed
    with pytest.raises(SessionClosedError, match="it was closed"):
        await session.run("say hi")
    with pytest.raises(SessionNotFoundError):
        box.get_session(session.id)


async def test_events_come_as_they_happen(box: Sandbox):
    async with box.session() as session:
        seen: list[tuple[str, float]] = []
        began = time.monotonic()
        async for event in session.stream("say one\nsleep 0.2\nerr two\nshow three\nfail ValueError no"):
            seen.append((event.type, time.monotonic() - began))
    assert [kind for kind, _ in seen] == ["stdout", "stderr", "display", "error", "end"]
    assert seen[0][1] < 0.15 < seen[1][1]


async def test_one_cell_at_a_time_in_order_and_the_wait_is_told(box: Sandbox, provider: ScriptedProvider):
    async with box.session() as session:
        cells = [asyncio.create_task(session.run(f"say {n}\nsleep 0.05")) for n in range(4)]
        await asyncio.sleep(0)
        cells.append(asyncio.create_task(session.upload({"f": b""})))  # type: ignore[arg-type]
        results = await asyncio.gather(*cells)
        place = provider.sessions[0].place
        assert place.most_busy == 1
        assert [line for line in place.log if line.startswith("say")] == [f"say {n}" for n in range(4)]
        assert results[0].usage.queued_s < 0.04
        assert results[3].usage.queued_s >= 0.14


async def test_a_cancelled_waiter_leaves_the_rest_in_order(box: Sandbox, provider: ScriptedProvider):
    async with box.session() as session:
        first = asyncio.create_task(session.run("sleep 0.1"))
        second = asyncio.create_task(session.run("say second"))
        third = asyncio.create_task(session.run("say third"))
        await asyncio.sleep(0.02)
        second.cancel()
        assert (await third).stdout == b"third\n"
        assert (await first).status == "ok"
        with pytest.raises(asyncio.CancelledError):
            await second
        assert "say second" not in provider.sessions[0].place.log
        assert session.last_active_at <= time.time()


@pytest.mark.parametrize("twice", [False, True])
async def test_the_turn_lasts_until_a_cancelled_cell_has_ended(box: Sandbox, provider: ScriptedProvider, twice: bool):
    async with box.session() as session:
        cell = asyncio.create_task(session.run("stubborn 0.15"))
        await until(lambda: provider.sessions[0].place.busy)
        cell.cancel()
        await asyncio.sleep(0.02)
        if twice:
            cell.cancel()
        following = asyncio.create_task(session.run("say after"))
        assert (await following).stdout == b"after\n"
        assert provider.sessions[0].place.most_busy == 1
        with pytest.raises(asyncio.CancelledError):
            await cell


async def test_closing_the_generator_ends_the_cell(box: Sandbox, provider: ScriptedProvider):
    async with box.session() as session:
        async with contextlib.aclosing(session.stream("say one\nhang")) as events:
            assert await anext(events) == OutputEvent("stdout", b"one\n")
        assert provider.sessions[0].place.busy == 0
        assert (await session.run("say two")).stdout == b"two\n"
    async with contextlib.aclosing(box.stream("say one\nhang")) as events:
        await anext(events)
    assert provider.runs[0].busy == 0


async def test_interrupt_ends_the_cell_with_what_it_had_told(box: Sandbox):
    async with box.session() as session:
        assert await session.interrupt() is False
        await session.run("set x 1")
        cell = asyncio.create_task(session.run("say before\nshow it\nhang\nsay never"))
        waiting = asyncio.create_task(session.run("get x"))
        await asyncio.sleep(0.03)
        assert await session.interrupt() is True
        result = await cell
        assert (result.status, result.detail, result.stdout) == ("killed", "interrupted", b"before\n")
        assert result.displays[0].text == "it"
        assert result.usage.wall_s > 0.02
        assert (await waiting).stdout == b"1\n"


async def test_an_interruption_hits_one_cell_only(box: Sandbox, provider: ScriptedProvider):
    async with box.session() as session:
        cells = [asyncio.create_task(session.run("hang")) for _ in range(3)]
        for number, cell in enumerate(cells):
            await until(lambda: provider.sessions[0].place.busy)
            assert await session.interrupt()
            assert (await cell).detail == "interrupted"
            assert sum(task.done() for task in cells) == number + 1


async def test_a_provider_that_can_asks_the_cell_to_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("polyport_sandbox.session.GIVE_WAY_S", 0.1)
    async with Sandbox(ScriptedProvider(interruptible=True)) as box, box.session() as session:
        for code, status, detail in (("hang", "error", None), ("stubborn 0", "killed", "interrupted")):
            cell = asyncio.create_task(session.run(f"say before\n{code}"))
            await asyncio.sleep(0.03)
            assert await session.interrupt() is True
            result = await asyncio.wait_for(cell, 2)
            assert (result.status, result.detail) == (status, detail)
        assert (await session.run("say after")).stdout == b"after\n"
        events = session.stream("say 1\nhang")  # and who reads may interrupt what it reads
        await anext(events)
        assert await session.interrupt()
        assert [event.type async for event in events] == ["error", "end"]


async def test_a_restart_ends_what_runs(box: Sandbox):
    async with box.session() as session:
        cell = asyncio.create_task(session.run("set x 1\nhang"))
        await asyncio.sleep(0.03)
        await session.restart()
        assert (await cell).detail == "interrupted"
        with pytest.raises(KeyError):
            await session.run("get x")


async def test_idle_sessions_expire_and_used_ones_do_not(box: Sandbox, provider: ScriptedProvider):
    idle = await box.open_session(idle_s=0.15)
    used = await box.open_session(idle_s=0.15)
    running = await box.open_session(idle_s=0.15)
    cell = asyncio.create_task(running.run("sleep 0.5\nsay done"))
    for _ in range(8):
        await asyncio.sleep(0.06)
        await used.list()
        assert used.expires_at > time.time()
    assert idle.closed
    assert provider.sessions[0].closed == 1
    with pytest.raises(SessionNotFoundError):
        box.get_session(idle.id)
    with pytest.raises(SessionClosedError, match=r"not used for 0.15 s"):
        await idle.list()
    assert (await cell).stdout == b"done\n"
    assert box.get_session(used.id) is used
    await until(lambda: used.closed and running.closed)
    assert not box.sessions()


async def test_the_end_of_the_lifetime_ends_a_cell_clearly(box: Sandbox, provider: ScriptedProvider):
    session = await box.open_session(lifetime_s=0.2)
    cell = asyncio.create_task(session.run("say before\nhang"))
    waiting = asyncio.create_task(session.run("say after"))
    result = await asyncio.wait_for(cell, 2)
    assert (result.status, result.stdout) == ("killed", b"before\n")
    assert result.detail == "the session ended: its lifetime of 0.2 s was over"
    with pytest.raises(SessionClosedError, match=r"its lifetime of 0.2 s was over"):
        await waiting
    await until(lambda: provider.sessions[0].closed)


async def test_times_are_told(box: Sandbox):
    async with box.session(idle_s=60, lifetime_s=100, name="mine", caller="ann") as session:
        assert (session.name, session.caller, session.idle_s, session.limits) == ("mine", "ann", 60, Limits())
        assert abs(session.created_at - time.time()) < 1
        assert session.expires_at - session.last_active_at == pytest.approx(60)
        before = session.last_active_at
        cell = asyncio.create_task(session.run("sleep 0.1"))
        await asyncio.sleep(0.05)
        assert session.last_active_at > before
        assert session.expires_at - session.created_at == pytest.approx(100)
        await cell


async def test_another_caller_s_session_looks_as_if_it_did_not_exist(box: Sandbox):
    async with box.session(caller="ann") as session:
        assert box.get_session(session.id, caller="ann") is session
        messages = set()
        for identity, caller in ((session.id, "bob"), (session.id, ""), ("cntr_" + "0" * 32, "ann"), ("", "ann")):
            with pytest.raises(SessionNotFoundError) as caught:
                box.get_session(identity, caller=caller)
            messages.add(str(caught.value).replace(repr(identity), "ID"))
            assert type(caught.value) is SessionNotFoundError
        assert len(messages) == 1
        assert box.sessions(caller="bob") == []
        assert box.sessions(caller="ann") == [session]


async def test_the_caps_say_which_and_what_to_do(box: Sandbox):
    mine = [await box.open_session(caller="ann") for _ in range(3)]
    with pytest.raises(SandboxBusyError, match=r"You have 3 .*max_sessions_per_caller=3.*Close one") as caught:
        await box.open_session(caller="ann")
    assert caught.value.retry_after
    for _ in range(2):
        await box.open_session(caller="bob")
    with pytest.raises(SandboxBusyError, match=r"There are 5 .*max_sessions=5"):
        await box.open_session(caller="cid")
    await mine[0].aclose()
    await box.open_session(caller="cid")
    assert box.metrics().refused == {"sandbox_busy": 2}
    assert box.metrics().sessions_open == 5


async def test_the_caps_hold_while_sessions_open():
    provider = ScriptedProvider(open_s=0.05)
    async with Sandbox(provider, max_sessions_per_caller=2) as box:
        opened = await asyncio.gather(*(box.open_session() for _ in range(6)), return_exceptions=True)
        assert sum(isinstance(one, SandboxBusyError) for one in opened) == 4
        opening = asyncio.create_task(box.open_session(caller="b"))
        await asyncio.sleep(0.01)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert len([await box.open_session(caller="b") for _ in range(2)]) == 2  # the place was given back


async def test_a_lost_session_is_dropped(box: Sandbox, provider: ScriptedProvider):
    session = await box.open_session()
    with pytest.raises(SessionClosedError, match="the place is gone"):
        await session.run("say one\ndie")
    assert session.closed
    assert not box.sessions()
    with pytest.raises(SessionClosedError, match="it was lost: the place is gone"):
        await session.run("say two")
    await until(lambda: provider.sessions[0].closed == 1)
    other = await box.open_session()
    provider.sessions[1].place.lost = True
    with pytest.raises(SessionClosedError):
        await other.download("x")
    assert other.closed
    assert not box.sessions()


async def test_a_stream_without_an_end_is_no_success(box: Sandbox):
    with pytest.raises(SandboxError, match="without an end"):
        await box.run("say one\nvanish")
    async with box.session() as session:
        with pytest.raises(SandboxError, match="without an end"):
            await session.run("say one\nvanish")
        assert (await session.run("say two")).stdout == b"two\n"


async def test_leaving_the_sandbox_closes_all_sessions_at_once():
    provider = ScriptedProvider(close_s=0.2)
    async with Sandbox(provider) as box:
        sessions = [await box.open_session(caller=str(n)) for n in range(10)]
        cell = asyncio.create_task(sessions[0].run("say x\nhang"))
        await asyncio.sleep(0.02)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert all(session.closed for session in sessions)
    assert [session.closed for session in provider.sessions] == [1] * 10
    assert provider.closed == 1
    assert (await cell).detail == "the session ended: the sandbox was closed"
    with pytest.raises(SandboxUnavailableError, match="closed"):
        await box.open_session()


async def test_a_session_that_opens_while_the_sandbox_closes_is_closed_too():
    provider = ScriptedProvider(open_s=0.1)
    async with Sandbox(provider) as box:
        opening = asyncio.create_task(box.open_session())
        await asyncio.sleep(0.02)
    with pytest.raises(SandboxUnavailableError, match="closed meanwhile"):
        await opening
    assert provider.sessions[0].closed == 1
    assert not box.sessions()


async def test_closing_twice_or_by_a_cancelled_task_closes_once(provider: ScriptedProvider):
    provider.close_s = 0.1
    async with Sandbox(provider) as box:
        session = await box.open_session()
        closing = asyncio.create_task(session.aclose())
        await asyncio.sleep(0.02)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await session.aclose()
        assert provider.sessions[0].closed == 1
        assert provider.sessions[0].place.lost


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"idle_s": 0}, "idle_s"),
        ({"idle_s": float("nan")}, "idle_s"),
        ({"idle_s": True}, "idle_s"),
        ({"lifetime_s": "3600"}, "lifetime_s"),
        ({"lifetime_s": 1e9}, "lifetime_s"),
        ({"name": ""}, "name"),
        ({"name": "x\n"}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"files": {"../x": b""}}, "files"),
        ({"files": {"a": b"", "a/b": b""}}, "files"),
        ({"allow_hosts": ["http://example.org/"]}, "allow_hosts"),
    ],
)
async def test_bad_input_opens_no_session(
    box: Sandbox, provider: ScriptedProvider, arguments: dict[str, Any], param: str
):
    with pytest.raises(InvalidRunError) as caught:
        await box.open_session(**arguments)
    assert caught.value.param == param
    assert not provider.sessions


async def test_bad_input_starts_nothing_in_a_session(box: Sandbox, provider: ScriptedProvider):
    async with box.session(limits=Limits(input_files=2, input_bytes=100)) as session:
        for bad in (
            session.run("say x", language="cobol"),
            session.run("say \ud800"),
            session.run("x" * 101),
            session.run("x", stdin=bytes(100)),
            session.run("x", stdin="text"),  # type: ignore[arg-type]
            session.run(None),  # type: ignore[arg-type]
            session.run("say x", context="a b"),
            session.run("say x", context=""),
            session.upload({"/etc/passwd": b""}),
            session.upload({"x": bytes(101)}),
            session.upload({"a": b"", "b": b"", "c": b""}),
            session.upload({"x": "text"}),  # type: ignore[dict-item]
            session.download("../x"),
            session.download("x", max_bytes=-1),
            session.list("/"),
            session.delete("a/.."),
            session.delete(""),
            session.restart("a b"),
        ):
            with pytest.raises(InvalidRunError):
                await bad
        assert provider.sessions[0].place.log == []
        assert provider.sessions[0].place.files == {}


async def test_what_a_run_is_given_reaches_the_provider(box: Sandbox, provider: ScriptedProvider):
    limits = Limits(wall_s=3)
    result = await box.run(
        b"cat in", files={"in": b"x"}, stdin=b"y", limits=limits, allow_hosts=["Example.ORG:81"], caller="ann"
    )
    assert result.stdout == b"x\n"
    request = provider.requests[0]
    assert (request.stdin, request.limits, request.allow_hosts) == (b"y", limits, ("example.org:81",))
    assert provider.callers == ["ann"]
    async for event in box.stream("say hi"):
        last = event
    assert isinstance(last, EndEvent)


async def test_a_session_that_was_not_entered_says_how_to(box: Sandbox):
    opening = box.session()
    with pytest.raises(AttributeError, match=r"'run' yet: write 'async with box\.session"):
        opening.run("1")
    assert not hasattr(opening, "__len__")


def test_with_instead_of_async_with_says_so():
    with pytest.raises(TypeError, match="async with Sandbox"), Sandbox(ScriptedProvider()):
        pass


async def test_arguments_of_another_type_are_refused_by_name(box: Sandbox):
    limits: Any = {"wall_s": 5}
    files: Any = ["in.csv"]
    for start in (box.run, box.open_session):
        with pytest.raises(InvalidRunError, match=r"limits is dict; give Limits\("):
            await start(**({"code": "1"} if start == box.run else {}), limits=limits)
        with pytest.raises(InvalidRunError, match="files is list; give a dict"):
            await start(**({"code": "1"} if start == box.run else {}), files=files)
    async with box.session() as session:
        with pytest.raises(InvalidRunError, match="limits is dict"):
            await session.run("1", limits=limits)
        with pytest.raises(InvalidRunError, match="files is list"):
            await session.upload(files)
