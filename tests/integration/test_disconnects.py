"""A client that goes away takes its call with it, on every wire, within a second."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import text as sql

from polyport import App, AsyncClient, Context
from polyport.testing import gateway
from tests.support.upstream import Behaviour, Upstream
from tests.support.wires import WIRES, connection, eventually, head, open_session, request_for


@dataclass
class Seen:
    """What became of the running function."""

    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    at: float = 0.0


seen: dict[str, Seen] = {}


def begin(name: str) -> Seen:
    seen[name] = Seen()
    return seen[name]


def end(name: str) -> None:
    seen[name].at = time.monotonic()
    seen[name].ended.set()


app = App("leaving")


@app.function
async def waits() -> str:
    seen["waits"].started.set()
    try:
        await asyncio.sleep(30)
    finally:
        end("waits")
    return "late"


@app.function
async def waits_with_context(ctx: Context) -> str:
    seen["waits_with_context"].started.set()
    try:
        await ctx.progress(1, 2)
        await asyncio.sleep(30)
    finally:
        end("waits_with_context")
    return "late"


@app.function
def works(ctx: Context) -> str:
    seen["works"].started.set()
    while not ctx.cancelled:
        time.sleep(0.01)
    end("works")
    return "stopped"


@app.pipeline
async def talks(question: str):
    seen["talks"].started.set()
    try:
        yield "some"
        while True:
            await asyncio.sleep(0.05)
            yield "more"
    finally:
        end("talks")


@app.pipeline
def talks_in_a_thread(question: str):
    seen["talks_in_a_thread"].started.set()
    try:
        while True:
            time.sleep(0.05)
            yield "more"
    finally:
        end("talks_in_a_thread")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as found:
        yield found


@pytest.fixture(scope="module")
def running(upstream):
    app.model("far", engine="openai", model="m", base_url=upstream.url)
    app.agent("helper", model="far", tools=["waits"])
    with gateway(app, shutdown_grace_s=1) as served:
        yield served


def leave(url: str, wire: str, name: str, *, started: Any, arguments: dict[str, Any] | None = None) -> float:
    """Send a request, wait until it is under way, hang up; return when."""
    path, body, headers = request_for(wire, name, {"prompt": "q"} if arguments is None else arguments, "q")
    if arguments == {} and wire.partition("-")[0] in ("chat", "responses"):
        path, body, headers = request_for(wire, name, {}, "{}")
    if wire == "mcp-2025":
        headers |= open_session(url)
    data = json.dumps(body).encode()
    lines = [f"{key}: {value}" for key, value in {**headers, "content-type": "application/json"}.items()]
    with connection(url) as sock:
        sock.sendall(head("POST", path, *lines, f"content-length: {len(data)}") + data)
        eventually(started, 10, f"{wire} {name} begins")
        time.sleep(0.1)
        return time.monotonic()


def last_row(running: Any) -> tuple[Any, ...]:
    query = sql("select name, status, code from usage where depth = 0 order by at desc, id desc limit 1")
    row = running.gateway.database.read_sync(lambda c: c.execute(query).first())
    return tuple(row) if row is not None else ()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", ["waits", "waits_with_context", "works", "talks", "talks_in_a_thread"])
def test_a_function_or_pipeline_is_cancelled(running, wire, name):
    mark = begin(name)
    arguments = None if name.startswith("talks") else {}
    left = leave(running.url, wire, name, started=mark.started.is_set, arguments=arguments)
    assert mark.ended.wait(5), "it was never cancelled"
    assert mark.at - left < 1.0
    eventually(lambda: running.gateway.dispatcher.running == 0)
    eventually(lambda: last_row(running) == (name, 499, "cancelled"), what=f"row: {last_row(running)}")


SILENT = Behaviour(delay_s=20.0)
TALKING = Behaviour(pieces=("x",) * 500, piece_delay_s=0.05)


@pytest.mark.parametrize(
    ("wire", "behaviour"),
    [*((wire, SILENT) for wire in WIRES), ("chat-stream", TALKING), ("responses-stream", TALKING)],
)
def test_the_request_to_the_upstream_is_cancelled(running, upstream, wire, behaviour):
    upstream.behaviour = behaviour
    before = len(upstream.requests)
    left = leave(running.url, wire, "far", started=lambda: len(upstream.requests) > before)
    assert upstream.requests[before].gone.wait(5), "the upstream still answers"
    assert time.monotonic() - left < 1.2
    eventually(lambda: running.gateway.dispatcher.running == 0)
    eventually(lambda: last_row(running) == ("far", 499, "cancelled"))


@pytest.mark.parametrize("wire", WIRES)
def test_an_agent_and_the_tool_it_calls_are_cancelled(running, upstream, wire):
    upstream.behaviour = Behaviour(tool_calls=(("waits", "{}"),))
    mark = begin("waits")
    left = leave(running.url, wire, "helper", started=mark.started.is_set)
    assert mark.ended.wait(5)
    assert mark.at - left < 1.0
    eventually(lambda: running.gateway.dispatcher.running == 0)
    eventually(lambda: last_row(running) == ("helper", 499, "cancelled"))


def test_a_background_response_outlives_its_client(running):
    mark = begin("waits")
    made = httpx.post(f"{running.url}/v1/responses", json={"model": "waits", "input": "{}", "background": True}).json()
    assert mark.started.wait(5)
    time.sleep(0.3)
    assert not mark.ended.is_set()
    cancelled = httpx.post(f"{running.url}/v1/responses/{made['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert mark.ended.wait(1)


def test_many_who_leave_at_once_leave_nothing_behind(running):
    mark = begin("waits_with_context")
    threads = [
        threading.Thread(
            target=leave,
            args=(running.url, wire, "waits_with_context"),
            kwargs={"started": mark.started.is_set, "arguments": {}},
        )
        for wire in ("rest", "chat-stream", "mcp-2026") * 20
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: running.gateway.dispatcher.running == 0, 3)


@pytest.mark.anyio
async def test_embedded_cancelling_cancels_the_function():
    mark = begin("waits")
    local = App("local")
    local.function(waits)
    async with AsyncClient(local) as client:
        call = asyncio.ensure_future(client.functions.call("waits"))
        while not mark.started.is_set():
            await asyncio.sleep(0.01)
        left = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(mark.ended.wait, 5)
        assert mark.at - left < 1.0
