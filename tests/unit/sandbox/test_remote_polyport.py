"""Another gateway's sandbox, over its real REST API, and what becomes of answers that are none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polyport import App
from polyport.testing import gateway
from polyport_sandbox import (
    EndEvent,
    InvalidRunError,
    Limits,
    OutputEvent,
    Sandbox,
    SandboxError,
    SandboxFileNotFoundError,
    SandboxUnavailableError,
    SessionClosedError,
)
from polyport_sandbox.remote.polyport import PolyportProvider
from tests.support.sandbox_servers.bad_gateway import BadGateway
from tests.support.sandbox_servers.server import Fault
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture(scope="module")
def url(provider: ScriptedProvider) -> Iterator[str]:
    app = App("remote")
    app.sandbox(provider, allow_hosts=["example.org"])
    with gateway(app) as running:
        yield running.url


@pytest.fixture
async def box(url: str) -> AsyncIterator[Sandbox]:
    async with Sandbox(PolyportProvider(url=url)) as box:
        yield box


async def test_a_run_arrives_whole_and_comes_back_whole(provider: ScriptedProvider, box: Sandbox):
    limits = Limits(wall_s=3, memory_mb=77, displays=5)
    code = "say hi\nerr no\nshow one\nresult two\nfail ValueError nope"
    result = await box.run(
        code, files={"a/b": b"\xff"}, stdin=b"\0", limits=limits, allow_hosts=["example.org"], language="bash"
    )
    assert (result.status, result.exit_code, result.stdout, result.stderr) == ("error", 1, b"hi\n", b"no\n")
    assert [(display.text, display.is_result) for display in result.displays] == [("one", False), ("two", True)]
    assert result.error is not None
    assert result.error.name == "ValueError"
    assert (result.usage.cpu_s, result.usage.peak_memory_mb) == (0.001, 20.0)
    asked = provider.requests[-1]
    assert (asked.code, asked.language.name, dict(asked.files)) == (code.encode(), "bash", {"a/b": b"\xff"})
    assert (asked.stdin, asked.limits, asked.allow_hosts) == (b"\0", limits, ("example.org",))


async def test_events_come_as_they_happen(box: Sandbox):
    events = box.stream("say one\nsleep 0.5\nsay two")
    began = time.monotonic()
    assert await anext(events) == OutputEvent("stdout", b"one\n")
    assert time.monotonic() - began < 0.4
    rest = [event async for event in events]
    assert rest[0] == OutputEvent("stdout", b"two\n")
    assert isinstance(rest[-1], EndEvent)


async def test_a_cancelled_run_is_killed_within_a_second(provider: ScriptedProvider, box: Sandbox):
    run = asyncio.create_task(box.run("hang"))
    count = len(provider.runs)
    until = time.monotonic() + 5
    while len(provider.runs) == count or not provider.runs[-1].busy:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    began = time.monotonic()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    while provider.runs[-1].busy:
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.01)


async def test_refusals_keep_what_they_say(box: Sandbox):
    with pytest.raises(InvalidRunError) as caught:
        await box.run("say hi", allow_hosts=["forbidden.example"])
    assert "forbidden.example" in str(caught.value)
    with pytest.raises(InvalidRunError, match="memory_mb"):
        await box.run("say hi", limits=Limits(memory_mb=65536))
    with pytest.raises(InvalidRunError, match="unknown language"):
        await box.run("say hi", language="cobol")


async def test_a_gateway_that_gives_less_than_our_defaults_runs_what_asks_for_nothing():
    provider, less = ScriptedProvider(), {"wall_s": 4, "memory_mb": 64, "output_bytes": 1000}
    app = App("small")
    app.sandbox(provider, limits=less, max_limits=less)
    with gateway(app) as running:
        async with Sandbox(PolyportProvider(url=running.url)) as box:
            assert (await box.run("say hi")).stdout == b"hi\n"
            async with box.session(limits=Limits(wall_s=3)) as session:
                assert (await session.run("say hi")).status == "ok"
                # The default is more than the session has, and was asked for.
                with pytest.raises(InvalidRunError, match="wall_s"):
                    await session.run("say hi", limits=Limits())
            with pytest.raises(InvalidRunError, match="memory_mb"):
                await box.run("say hi", limits=Limits(memory_mb=65))
    assert [request.limits for request in provider.requests] == [Limits(**less)]
    assert provider.sessions[0].request.limits == Limits(**{**less, "wall_s": 3})


async def test_a_language_that_only_the_gateway_lacks_is_its_to_refuse(url: str):
    async with Sandbox(PolyportProvider(url=url, languages=("ruby",))) as box:
        with pytest.raises(InvalidRunError, match="ruby"):
            await box.run("puts 1", language="ruby")


async def test_tools_stay_here(box: Sandbox):
    class Host:
        def describe(self) -> list[Any]:
            return []

        async def call(self, name: str, arguments: Any) -> Any:
            raise AssertionError

    with pytest.raises(InvalidRunError, match="tools"):
        await box.run("say hi", tools=Host())
    with pytest.raises(InvalidRunError, match="tools"):
        await box.open_session(tools=Host())


async def test_a_session_keeps_variables_files_and_contexts(provider: ScriptedProvider, box: Sandbox):
    async with box.session(files={"in": b"i"}, limits=Limits(wall_s=5, memory_mb=88)) as session:
        there = provider.sessions[-1]
        assert there.request.limits == Limits(wall_s=5, memory_mb=88)
        await session.run("set a 1\nwrite out.txt hello")
        assert (await session.run("get a")).stdout == b"1\n"
        await session.run("set a 2", context="other")
        assert (await session.run("get a")).stdout == b"1\n"
        name = "d e/ä?#%.txt"
        await session.upload({name: b"\xff\0", "empty": b""})
        found = {info.name: info.size for info in await session.list()}
        assert found == {name: 2, "empty": 0, "in": 1, "out.txt": 5}
        assert [info.name for info in await session.list("d e")] == [name]
        assert await session.download(name) == b"\xff\0"
        with pytest.raises(InvalidRunError):
            await session.download(name, max_bytes=1)
        await session.delete("in")
        for missing in (session.download("in"), session.delete("in")):
            with pytest.raises(SandboxFileNotFoundError):
                await missing
        await session.restart("other")
        assert (await session.run("get a")).stdout == b"1\n"
        await session.restart()
        assert there.place.variables == {}
    assert there.closed == 1


async def test_an_interrupted_cell_has_a_result_and_the_session_lives_on(box: Sandbox):
    async with box.session() as session:
        events = session.stream("say a\nhang")
        assert isinstance(await anext(events), OutputEvent)
        began = time.monotonic()
        await session.interrupt()
        end = [event async for event in events][-1]
        assert isinstance(end, EndEvent)
        assert (end.result.status, end.result.stdout) == ("killed", b"a\n")
        assert (await session.run("say b")).stdout == b"b\n"
        assert time.monotonic() - began < 3


async def test_a_session_that_is_gone_there_is_closed_here(provider: ScriptedProvider, box: Sandbox):
    async with box.session() as session:
        provider.sessions[-1].place.lost = True
        with pytest.raises(SessionClosedError):
            await session.run("say a")
        with pytest.raises(SessionClosedError):
            await session.list()
        assert session.closed


async def test_a_gateway_without_a_sandbox_says_what_to_do():
    with gateway(App("bare")) as running, pytest.raises(SandboxUnavailableError) as caught:
        async with Sandbox(PolyportProvider(url=running.url)) as box:
            await box.run("say hi")
    assert str(caught.value).count("To mend it") == 1
    assert "app.sandbox(" in str(caught.value)


@pytest.fixture
def bad() -> Iterator[BadGateway]:
    with BadGateway(ScriptedProvider) as server:
        yield server


def sse(*events: tuple[str, Any]) -> bytes:
    return b"".join(f"event: {name}\ndata: {json.dumps(value)}\n\n".encode() for name, value in events)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "ended before the run did"),
        (b"<html>", "ended before the run did"),
        (sse(("stdout", {"base64": "aGk=", "text": "hi"})), "ended before the run did"),
        (b"event: end\ndata: {\n\n", "not JSON"),
        (sse(("end", {})), "can't be read"),
        (sse(("stdout", {"text": "x"})), "can't be read"),
        (sse(("error", {"error": {"message": "boom", "code": "server_error"}})), "boom"),
        (b": " + b"x" * (40 << 20), "more than the"),
    ],
)
async def test_a_stream_that_is_none_is_a_failure_of_the_sandbox(bad: BadGateway, body: bytes, said: str):
    async with Sandbox(PolyportProvider(url=bad.url)) as box:
        bad.faults.append(Fault("POST /v1/sandbox/run", body=body))
        limits = Limits(output_bytes=1000, output_file_bytes=1000, display_bytes=1000)
        result = await box.run("say x", limits=limits)
    assert result.status == "sandbox_error"
    assert said in (result.detail or "")
    assert result.stdout == (b"hi" if b"aGk=" in body else b"")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid_run", InvalidRunError),
        ("sandbox_unavailable", SandboxUnavailableError),
        ("session_closed", SessionClosedError),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_errors_are_named_by_their_code(bad: BadGateway, code: str, error: type[SandboxError], streamed: bool):
    value = {"error": {"message": "so it is", "code": code, "type": "x", "param": "limits"}}
    fault = (
        Fault("POST", body=sse(("error", value))) if streamed else Fault("POST", 418, body=json.dumps(value).encode())
    )
    async with Sandbox(PolyportProvider(url=bad.url)) as box:
        bad.faults.append(fault)
        with pytest.raises(error, match="so it is"):
            await box.run("say x")


async def test_an_older_gateway_says_what_to_do(bad: BadGateway):
    bad.faults.append(Fault("GET", 404, body=b"{}"))
    with pytest.raises(SandboxUnavailableError, match=r"app\.sandbox\(\)"):
        async with Sandbox(PolyportProvider(url=bad.url)):
            pass


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id": 3}', b'{"id": ""}'])
async def test_a_session_that_is_none_is_a_failure(bad: BadGateway, body: bytes):
    async with Sandbox(PolyportProvider(url=bad.url)) as box:
        bad.faults.append(Fault("POST /v1/sandbox/sessions", body=body))
        with pytest.raises(SandboxError, match="no id"):
            await box.open_session()
