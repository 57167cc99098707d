"""Opening, refusing and closing: the gateway's one sandbox."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from polyport.errors import NotFoundError, UnsupportedOperationError
from polyport_gateway.call import LOCAL, Caller, CodeRun
from polyport_gateway.sandboxes.plan import SandboxPlan
from polyport_gateway.sandboxes.service import SandboxService
from polyport_sandbox import (
    EndEvent,
    InvalidRunError,
    Limits,
    RunResult,
    SandboxUnavailableError,
    SessionNotFoundError,
)
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio


class Unwilling(ScriptedProvider):
    """Can't be opened until it is told to."""

    willing = False

    async def open(self) -> None:
        await super().open()
        if not self.willing:
            raise SandboxUnavailableError("There is no Docker socket.", mend="sudo apt install docker.io")


def service(provider: Any = None, **plan: Any) -> SandboxService:
    plan = {"limits": {"wall_s": 10, "memory_mb": 256}, "max_limits": {"wall_s": 60, "memory_mb": 512}} | plan
    return SandboxService(SandboxPlan(provider=provider or ScriptedProvider(), **plan))


async def run(sandbox: SandboxService, code: str, caller: Caller = LOCAL, **options: Any) -> RunResult:
    async for event in sandbox.stream(CodeRun(code, **options), caller):
        if isinstance(event, EndEvent):
            return event.result
    raise AssertionError("no end")


async def test_a_gateway_without_one_says_how_to_get_one():
    sandbox = SandboxService(None)
    await sandbox.start()
    assert (sandbox.enabled, sandbox.state) == (False, "none")
    with pytest.raises(UnsupportedOperationError, match="POLYPORT_SANDBOX=docker"):
        await sandbox.box()
    await sandbox.close()


async def test_it_starts_where_it_can_not_be_opened_and_tries_again_at_each_use(caplog: pytest.LogCaptureFixture):
    provider = Unwilling()
    sandbox = service(provider)
    with caplog.at_level(logging.WARNING):
        await sandbox.start()
        await asyncio.sleep(0.05)
    assert sandbox.state == "unavailable"
    assert "sudo apt install docker.io" in caplog.text
    with pytest.raises(SandboxUnavailableError, match=r"sudo apt install docker\.io"):
        await run(sandbox, "say x")
    provider.willing = True
    assert (await run(sandbox, "say x")).stdout == b"x\n"
    assert sandbox.state == "ready"
    await sandbox.close()


async def test_it_is_opened_once_however_many_ask():
    provider = ScriptedProvider()
    sandbox = service(provider)
    await asyncio.gather(*(run(sandbox, "say x") for _ in range(20)))
    assert provider.opened == 1
    await sandbox.close()
    assert provider.closed == 1


async def test_after_closing_nothing_opens_it_again():
    sandbox = service()
    await sandbox.start()
    await sandbox.close()
    with pytest.raises(SandboxUnavailableError, match="shutting down"):
        await sandbox.box()


async def test_limits_are_the_gateways_own_and_at_most_what_it_gives():
    provider = ScriptedProvider()
    sandbox = service(provider)
    await run(sandbox, "say x")
    await run(sandbox, "say x", limits={"memory_mb": 400})
    await run(sandbox, "say x", limits=Limits(wall_s=60))
    assert [(r.limits.wall_s, r.limits.memory_mb) for r in provider.requests] == [(10, 256), (10, 400), (60, 256)]
    for asked, says in (({"wall_s": 61}, "at most 60"), ({"walls": 1}, "unknown limit 'walls'"), ({"pids": 1}, "pids")):
        with pytest.raises(InvalidRunError, match=says):
            await run(sandbox, "say x", limits=asked)
    with pytest.raises(InvalidRunError, match="at most 512"):
        await sandbox.open_session(LOCAL, limits=Limits(memory_mb=513))
    await sandbox.close()


@pytest.mark.parametrize(
    ("allowed", "asked", "may"),
    [
        (("a.example",), "a.example", True),
        (("a.example",), "A.Example", True),
        (("a.example",), "b.a.example", False),
        (("a.example",), "a.example:443", True),
        (("a.example",), "a.example:22", False),
        (("a.example:22",), "a.example:22", True),
        (("a.example:22",), "a.example", False),
        (("*.a.example",), "b.a.example", True),
        (("*.a.example",), "*.b.a.example", True),
        (("*.a.example",), "a.example", False),
        (("*.a.example",), "xa.example", False),
        (("*.a.example",), "*.example", False),
        (("*",), "b.example:9", True),
        ((), "a.example", False),
    ],
)
async def test_which_hosts_may_be_asked_for(allowed: tuple[str, ...], asked: str, may: bool):
    sandbox = service(allow_hosts=allowed)
    if may:
        assert sandbox.hosts((asked,)) == (asked,)
    else:
        with pytest.raises(InvalidRunError, match="may not be reached"):
            sandbox.hosts((asked,))
    await sandbox.close()


async def test_sessions_are_their_callers_own():
    mine, theirs = Caller("a", "a"), Caller("b", "b")
    sandbox = service()
    session = await sandbox.open_session(mine, name="one")
    await run(sandbox, "set x 1", mine, session=session.id)
    assert (await run(sandbox, "get x", mine, session=session.id)).stdout == b"1\n"
    assert [found.id for found in await sandbox.sessions(mine)] == [session.id]
    assert await sandbox.sessions(theirs) == []
    for who, identity in ((theirs, session.id), (mine, "cntr_" + "0" * 32)):
        with pytest.raises(SessionNotFoundError):
            await run(sandbox, "get x", who, session=identity)
    await sandbox.close()


async def test_a_session_keeps_its_own_limits_but_for_time_and_output():
    provider = ScriptedProvider()
    sandbox = service(provider)
    session = await sandbox.open_session(LOCAL, limits={"memory_mb": 300, "output_bytes": 77})
    seen: list[Limits] = []
    stream = provider.sessions[0].stream
    provider.sessions[0].stream = lambda request: seen.append(request.limits) or stream(request)  # type: ignore[func-returns-value,method-assign,return-value]
    await run(sandbox, "say x", session=session.id)
    await run(sandbox, "say x", session=session.id, limits={"wall_s": 20, "memory_mb": 32})
    assert [(x.wall_s, x.memory_mb, x.output_bytes) for x in seen] == [(10, 300, 77), (20, 300, 77)]
    with pytest.raises(InvalidRunError, match="chosen when it is opened"):
        await run(sandbox, "say x", session=session.id, tools=_NoTools())
    await sandbox.close()


async def test_who_may_not_run_code_may_not_know_of_it():
    sandbox = service()
    sandbox.check(Caller("a", "a", frozenset({"run_*"})))
    with pytest.raises(NotFoundError):
        sandbox.check(Caller("a", "a", frozenset({"add"})))
    await sandbox.close()


class _NoTools:
    def describe(self) -> list[Any]:
        return []

    async def call(self, name: str, arguments: Any) -> Any:
        raise AssertionError(name)
