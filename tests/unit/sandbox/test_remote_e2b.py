"""E2B's messages in our words, its sandboxes made and killed, its files."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polyport_sandbox import (
    EndEvent,
    InvalidRunError,
    Limits,
    OutputEvent,
    Sandbox,
    SandboxBusyError,
    SandboxFileNotFoundError,
    SandboxUnavailableError,
    SessionClosedError,
)
from polyport_sandbox.remote.e2b import E2BProvider
from tests.support.sandbox_servers.e2b import KEY, E2BServer
from tests.support.sandbox_servers.server import Fault
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def running() -> Iterator[E2BServer]:
    with E2BServer(ScriptedProvider) as server:
        yield server


@pytest.fixture
def server(running: E2BServer) -> E2BServer:
    running.received.clear()
    running.faults.clear()
    running.boxes.clear()
    return running


@pytest.fixture
async def box(server: E2BServer) -> AsyncIterator[Sandbox]:
    async with Sandbox(E2BProvider(api_key=KEY, url=server.url, sandbox_url=server.url)) as box:
        yield box


def told(server: E2BServer, *messages: Any, end: bool = True) -> None:
    lines = [json.dumps(message) for message in messages] + ['{"type": "end_of_execution"}'] * end
    server.faults.append(Fault("POST /execute", body="\n".join(lines).encode() + b"\n"))


async def test_a_run_has_a_sandbox_of_its_own_that_is_killed(server: E2BServer, box: Sandbox):
    result = await box.run("say hi\nshow one\nresult two", files={"d/in": b"\xff"}, limits=Limits(wall_s=7))
    assert (result.status, result.exit_code, result.stdout) == ("ok", 0, b"hi\n")
    assert [(display.text, display.is_result) for display in result.displays] == [("one", False), ("two", True)]
    made = next(request.json for request in server.received if request.method == "POST")
    assert made == {
        "templateID": "code-interpreter-v1", "timeout": 67, "autoPause": False, "allow_internet_access": False,
    }  # fmt: skip
    assert server.boxes == {}
    assert server.paths()[-1].startswith("DELETE /sandboxes/i")


async def test_the_key_goes_to_the_api_alone_and_the_tokens_to_the_sandbox_alone(server: E2BServer, box: Sandbox):
    await box.run("say hi", files={"in": b""})
    for request in server.received:
        to_api = "/sandboxes" in request.path
        assert ("x-api-key" in request.headers) == to_api, request
        assert ("x-access-token" in request.headers) == (not to_api), request


async def test_hosts_are_a_list_of_what_is_allowed(server: E2BServer, box: Sandbox):
    await box.run("say hi", allow_hosts=["example.org", "*.example.net"])
    made = next(request.json for request in server.received if request.method == "POST")
    assert made["network"] == {"allowOut": ["example.org", "*.example.net"], "denyOut": ["0.0.0.0/0"]}
    assert "allow_internet_access" not in made
    with pytest.raises(InvalidRunError, match="port"):
        await box.run("say hi", allow_hosts=["example.org:81"])


@pytest.mark.parametrize(
    ("messages", "status", "exit_code"),
    [
        ([], "ok", 0),
        ([{"type": "keepalive"}, {"type": "number_of_executions", "execution_count": 1}, {"type": "new"}], "ok", 0),
        ([{"type": "error", "name": "ValueError", "value": "v", "traceback": "t"}], "error", 1),
        ([{"type": "error", "name": "SystemExit", "value": "4", "traceback": ""}], "error", 4),
        ([{"type": "error", "name": "SystemExit", "value": "0"}], "ok", 0),
        ([{"type": "error", "name": "ContextRestarting", "value": "", "traceback": ""}], "killed", None),
        ([{"type": "error", "name": "UnexpectedEndOfExecution", "value": ""}], "sandbox_error", None),
        ([{"type": "stdout", "text": "x" * 11, "timestamp": 1}], "output_limit", None),
        ([{"type": "stdout"}], "sandbox_error", None),
        ([{"type": "stdout", "text": 1}], "sandbox_error", None),
        ([{"no": "type"}], "sandbox_error", None),
        ([[]], "sandbox_error", None),
    ],
)
async def test_its_messages_are_our_statuses(
    server: E2BServer, box: Sandbox, messages: list[Any], status: str, exit_code: int | None
):
    told(server, *messages)
    result = await box.run("say hi", limits=Limits(output_bytes=10))
    assert (result.status, result.exit_code) == (status, exit_code), result
    assert server.boxes == {}


async def test_colours_are_taken_out_of_tracebacks_and_every_form_is_kept(server: E2BServer, box: Sandbox):
    forms = {"text": "t", "html": "<b>", "png": "aGk=", "json": {"a": 1}, "chart": {"type": "line"}, "latex": None}
    told(
        server,
        {"type": "result", **forms, "extra": {"x/y": "z"}, "is_main_result": True},
        {"type": "error", "name": "E", "value": "v", "traceback": "\x1b[31mred\x1b[0m"},
    )
    result = await box.run("say hi")
    assert result.displays[0].data == {
        "text/plain": "t", "text/html": "<b>", "image/png": "aGk=", "application/json": {"a": 1},
        "e2b/chart": {"type": "line"}, "x/y": "z",
    }  # fmt: skip
    assert result.displays[0].png == b"hi"
    assert result.error is not None
    assert result.error.traceback == "red"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST /execute", body=b"<html>\n"),
        Fault("POST /execute", body=b'{"type": "stdout", "text": "half"}\n'),
        Fault("POST /execute", cut_after=3),
        Fault("POST /execute", 500, body=b"boom"),
        Fault("POST /filesystem.Filesystem/ListDir", body=b'{"entries": [{"type": "FILE_TYPE_FILE"}]}'),
        Fault("POST /filesystem.Filesystem/ListDir", body=b'{"entries": 3}'),
        Fault("POST /v2/sandboxes", body=b"{}"),
        Fault("POST /v2/sandboxes", body=b'{"sandboxID": "a.evil.example/", "envdVersion": "0.5.0"}'),
        Fault("POST /v2/sandboxes", body=b'{"sandboxID": "a", "envdVersion": "0.5.0", "domain": "e/@x"}'),
    ],
)
async def test_an_answer_that_is_none_is_a_failure_of_the_sandbox(server: E2BServer, box: Sandbox, fault: Fault):
    server.faults.append(fault)
    result = await box.run("say hi")
    assert result.status == "sandbox_error"
    assert result.detail
    assert server.boxes == {}


async def test_a_line_without_an_end_is_not_kept(server: E2BServer, box: Sandbox):
    server.faults.append(Fault("POST /execute", body=b"x" * (3 << 20)))
    result = await box.run("say hi", limits=Limits(output_bytes=10, display_bytes=10))
    assert (result.status, result.detail) == ("sandbox_error", "E2B sent a line of more than 1048636 bytes")


async def test_making_a_sandbox_is_repeated_under_one_idempotency_key(server: E2BServer, box: Sandbox):
    server.faults.append(Fault("POST /v2/sandboxes", 500, body=b"{}"))
    server.faults.append(Fault("POST /v2/sandboxes", 429, {"retry-after": "0"}))
    assert (await box.run("say hi")).status == "ok"
    made = [request.headers["idempotency-key"] for request in server.received if "idempotency-key" in request.headers]
    assert len(made) == 3
    assert len(set(made)) == 1
    server.faults.append(Fault("POST /v2/sandboxes", 429, {"retry-after": "60"}))
    with pytest.raises(SandboxBusyError):
        await box.run("say hi")


async def test_a_wrong_key_is_said_when_it_is_opened(server: E2BServer):
    with pytest.raises(SandboxUnavailableError, match="E2B_API_KEY"):
        async with Sandbox(E2BProvider(api_key="wrong", url=server.url)):
            pass


async def test_a_template_that_is_not_there_is_said(server: E2BServer):
    provider = E2BProvider(api_key=KEY, url=server.url, sandbox_url=server.url, template="none")
    async with Sandbox(provider) as box:
        with pytest.raises(InvalidRunError, match="template 'none' not found"):
            await box.run("say hi")


async def test_a_run_over_its_time_is_ended_and_its_sandbox_killed(server: E2BServer, box: Sandbox):
    began = time.monotonic()
    result = await box.run("say before\nhang", limits=Limits(wall_s=0.5))
    assert (result.status, result.stdout) == ("timeout", b"before\n")
    assert 0.5 <= time.monotonic() - began < 3
    assert server.boxes == {}


async def test_events_come_as_they_happen_and_leaving_kills(server: E2BServer, box: Sandbox):
    events = box.stream("say one\nhang")
    first = await anext(events)
    assert first == OutputEvent("stdout", b"one\n")
    assert len(server.boxes) == 1
    await events.aclose()
    assert server.boxes == {}


async def test_a_cancelled_run_is_killed_within_a_second(server: E2BServer, box: Sandbox):
    run = asyncio.create_task(box.run("hang"))
    while "POST /execute" not in server.paths():
        await asyncio.sleep(0.01)
    began = time.monotonic()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert server.boxes == {}
    assert time.monotonic() - began < 1


async def test_a_sandbox_whose_making_was_cancelled_is_killed_all_the_same(server: E2BServer, box: Sandbox):
    server.faults.append(Fault("POST /v2/sandboxes", delay_s=0.3))
    run = asyncio.create_task(box.run("say hi"))
    while "POST /v2/sandboxes" not in server.paths():
        await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    until = time.monotonic() + 5
    while not server.paths()[-1].startswith("DELETE /sandboxes/"):
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    assert server.boxes == {}


async def test_a_sandbox_that_can_not_be_killed_costs_no_result(
    server: E2BServer, box: Sandbox, caplog: pytest.LogCaptureFixture
):
    server.faults.append(Fault("DELETE", 500, body=b"no", times=3))
    with caplog.at_level(logging.WARNING):
        assert (await box.run("say hi")).stdout == b"hi\n"
    assert "was not killed and ends by itself" in caplog.text


async def test_a_session_keeps_variables_files_and_contexts(server: E2BServer, box: Sandbox):
    async with box.session(files={"in": b"i"}, lifetime_s=99.5) as session:
        assert server.received[1].json["timeout"] == 105  # the session's own lifetime ends first
        await session.run("set a 1\nwrite out.txt hello")
        assert (await session.run("get a")).stdout == b"1\n"
        await session.run("set a 2", context="other")
        assert (await session.run("get a")).stdout == b"1\n"
        await session.upload({"d/e": b"\xff\0"})
        assert [(info.name, info.size) for info in await session.list()] == [("d/e", 2), ("in", 1), ("out.txt", 5)]
        assert [info.name for info in await session.list("d")] == ["d/e"]
        assert await session.download("d/e") == b"\xff\0"
        with pytest.raises(InvalidRunError):
            await session.download("d/e", max_bytes=1)
        await session.delete("in")
        for missing in (session.download("in"), session.delete("in")):
            with pytest.raises(SandboxFileNotFoundError):
                await missing
        await session.restart()
        failed = await session.run("get a")
        assert failed.status != "ok"
    assert server.boxes == {}
    with pytest.raises(SessionClosedError):
        await session.run("say x")


async def test_a_cell_over_its_time_is_interrupted_and_the_session_lives_on(server: E2BServer, box: Sandbox):
    async with box.session() as session:
        await session.run("set a 1")
        late = await session.run("say b\nhang", limits=Limits(wall_s=0.3))
        assert (late.status, late.stdout, late.detail) == ("timeout", b"b\n", None)
        assert (await session.run("get a")).stdout == b"1\n"


async def test_a_kernel_that_does_not_give_way_is_started_anew(server: E2BServer, box: Sandbox):
    async with box.session() as session:
        await session.run("set a 1")
        late = await session.run("stubborn 4", limits=Limits(wall_s=0.2))
        assert late.status == "timeout"
        assert "did not give way" in (late.detail or "")
        assert any(path.endswith("/restart") for path in server.paths())


async def test_an_interrupted_cell_has_a_result(server: E2BServer, box: Sandbox):
    async with box.session() as session:
        events = session.stream("say a\nhang")
        assert isinstance(await anext(events), OutputEvent)
        await session.interrupt()
        end = [event async for event in events][-1]
        assert isinstance(end, EndEvent)
        assert (end.result.status, end.result.stdout) == ("killed", b"a\n")
        assert (await session.run("say b")).stdout == b"b\n"


async def test_a_sandbox_that_is_gone_closes_the_session(server: E2BServer, box: Sandbox):
    async with box.session() as session:
        await session.run("say a")
        for one in list(server.boxes.values()):
            del server.boxes[one.id]
        with pytest.raises(SessionClosedError):
            await session.run("say b")
        with pytest.raises(SessionClosedError):
            await session.list()


async def test_closing_the_sandbox_kills_what_is_open(server: E2BServer):
    async with Sandbox(E2BProvider(api_key=KEY, url=server.url, sandbox_url=server.url)) as box:
        await box.open_session()
        assert len(server.boxes) == 1
    assert server.boxes == {}


async def test_what_it_can_not_do_is_refused_before_it_is_asked(server: E2BServer, box: Sandbox):
    server.received.clear()
    for arguments in ({"stdin": b"x"}, {"language": "cobol"}):
        with pytest.raises(InvalidRunError):
            await box.run("say hi", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidRunError, match="UTF-8"):
        await box.run(b"\xff")
    assert server.received == []
