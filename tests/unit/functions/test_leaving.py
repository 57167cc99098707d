"""What happens to a function or pipeline whose caller leaves before its end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import aclosing
from typing import Any

import pytest

from polyport import App, Context
from polyport_gateway.call import LOCAL, Arguments, Call, Chat
from polyport_gateway.calls import Dispatcher
from polyport_gateway.server import build_catalog
from polyport_gateway.settings import Settings

pytestmark = pytest.mark.anyio


def call_of(app: App, name: str, given: Arguments | Chat) -> Call:
    dispatcher = Dispatcher(build_catalog(app, Settings()), record=lambda _: None)
    return Call(name=name, input=given, caller=LOCAL, wire="test", request_id="r1", dispatch=dispatcher)


@pytest.mark.parametrize("busy", [False, True], ids=["between pieces", "while it makes one"])
async def test_a_generators_clean_up_runs_in_a_worker_thread(busy: bool) -> None:
    app = App("leaving")
    cleaned: list[str] = []

    @app.pipeline
    def slow(question: str) -> Any:
        try:
            yield "first"
            if busy:
                time.sleep(0.2)
            yield "second"
            yield from ("x",) * 5000  # more than the queue takes: it stands still between two pieces
        finally:
            cleaned.append(threading.current_thread().name)

    chat = Chat.from_body({"model": "slow", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    async with aclosing(call_of(app, "slow", chat).run()) as events:
        async for _ in events:
            await asyncio.sleep(0.05)
            break
    deadline = time.monotonic() + 5
    while not cleaned:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert [name.rpartition("-")[0] for name in cleaned] == ["polyport-worker"]


async def test_a_function_that_fails_while_it_is_cancelled_troubles_nobody() -> None:
    app = App("leaving")

    @app.function
    async def stubborn(ctx: Context) -> None:
        ctx.progress(1)
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("while it was cleaning up")

    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    async with aclosing(call_of(app, "stubborn", Arguments({})).run()) as events:
        async for _ in events:
            break
    gc.collect()
    await asyncio.sleep(0)
    assert troubles == []
