"""Batches: what goes together, what is refused, and what a request sees when its neighbours fail or leave."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from polyport.errors import BadRequestError, ServiceUnavailableError
from polyport_gateway.engines.batching import Batcher

pytestmark = pytest.mark.anyio


class Model:
    """Doubles words; stops before each batch while `gate` is closed."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.thread: str | None = None

    def open(self) -> Callable[[Sequence[str]], list[Any]]:
        self.thread = threading.current_thread().name
        return self.process

    def process(self, words: Sequence[str]) -> list[Any]:
        self.batches.append(list(words))
        self.entered.release()
        assert self.gate.wait(5)
        if "explode" in words:
            raise RuntimeError("the model exploded")
        return [BadRequestError("bad word") if word == "bad" else word * 2 for word in words]


@asynccontextmanager
async def batching(model: Any, *, most_items: int = 4, most_waiting: int = 100) -> AsyncIterator[Batcher[str, str]]:
    batcher: Batcher[str, str] = Batcher("m", model.open, size=len, most_items=most_items, most_waiting=most_waiting)
    batcher.start()
    try:
        yield batcher
    finally:
        if isinstance(model, Model):
            model.gate.set()
        await batcher.close()


async def held(model: Model, batcher: Batcher[str, str]) -> asyncio.Task[list[str]]:
    """Close the gate and put one item behind it, so that what follows has to wait."""
    model.gate.clear()
    task = asyncio.ensure_future(batcher.run(["first"]))
    await asyncio.to_thread(model.entered.acquire)
    return task


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


async def test_results_are_in_the_order_of_the_items_whatever_their_length() -> None:
    model = Model()
    async with batching(model) as batcher:
        words = ["ccc", "a", "dddd", "bb", "eeeee", "f", "gg"]
        assert await batcher.run(words) == [word * 2 for word in words]
        assert await batcher.run([]) == []
    assert model.thread == "polyport-m"
    # Items of like length go together.
    assert [sorted(map(len, batch)) for batch in model.batches] == [[2, 3, 4, 5], [1, 1, 2]]


async def test_requests_that_arrive_meanwhile_share_the_next_batch() -> None:
    model = Model()
    async with batching(model) as batcher:
        first = await held(model, batcher)
        rest = [asyncio.ensure_future(batcher.run([word])) for word in ("a", "b", "c")]
        await until(lambda: batcher.waiting == 3)
        model.gate.set()
        assert await first == ["firstfirst"]
        assert await asyncio.gather(*rest) == [["aa"], ["bb"], ["cc"]]
    assert model.batches == [["first"], ["a", "b", "c"]]


async def test_a_query_does_not_wait_for_the_thousands_before_it() -> None:
    model = Model()
    async with batching(model) as batcher:
        first = await held(model, batcher)
        many = asyncio.ensure_future(batcher.run(["w"] * 40))
        await until(lambda: batcher.waiting == 40)
        query = asyncio.ensure_future(batcher.run(["query"]))
        await until(lambda: batcher.waiting == 41)
        model.gate.set()
        assert await query == ["queryquery"]
        assert "query" in model.batches[1]
        assert await many == ["ww"] * 40
        await first


async def test_an_items_own_error_ends_its_request_alone() -> None:
    model = Model()
    async with batching(model) as batcher:
        first = await held(model, batcher)
        bad = asyncio.ensure_future(batcher.run(["ok", "bad"]))
        good = asyncio.ensure_future(batcher.run(["fine"]))
        await until(lambda: batcher.waiting == 3)
        model.gate.set()
        with pytest.raises(BadRequestError, match="bad word"):
            await bad
        assert await good == ["finefine"]
        await first
        assert batcher.waiting == 0


async def test_a_model_that_fails_fails_its_batch_and_goes_on() -> None:
    model = Model()
    async with batching(model) as batcher:
        with pytest.raises(RuntimeError, match="exploded"):
            await batcher.run(["explode"] * 9)
        assert len(model.batches) == 1, "the rest of a request that has failed was run"
        assert await batcher.run(["a"]) == ["aa"]


async def test_a_cancelled_request_costs_no_batch() -> None:
    model = Model()
    async with batching(model) as batcher:
        first = await held(model, batcher)
        gone = asyncio.ensure_future(batcher.run(["gone"] * 8))
        kept = asyncio.ensure_future(batcher.run(["kept"]))
        await until(lambda: batcher.waiting == 9)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert batcher.waiting == 1
        first.cancel()
        model.gate.set()
        assert await kept == ["keptkept"]
    assert model.batches == [["first"], ["kept"]]


async def test_too_many_waiting_are_refused() -> None:
    model = Model()
    async with batching(model, most_waiting=5) as batcher:
        first = await held(model, batcher)
        waits = asyncio.ensure_future(batcher.run(["a"] * 5))
        await until(lambda: batcher.waiting == 5)
        with pytest.raises(ServiceUnavailableError, match="5 texts waiting") as caught:
            await batcher.run(["b"])
        assert (caught.value.code, caught.value.retry_after) == ("overloaded", 1)
        model.gate.set()
        await waits
        # Alone, a request may be larger than the queue.
        assert len(await batcher.run(["c"] * 12)) == 12
        await first


async def test_closing_refuses_what_waits_and_what_comes() -> None:
    model = Model()
    async with batching(model) as batcher:
        first = await held(model, batcher)
        waits = asyncio.ensure_future(batcher.run(["a"]))
        await until(lambda: batcher.waiting == 1)
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0.01)
        model.gate.set()
        await closing
        assert await first == ["firstfirst"]
        with pytest.raises(ServiceUnavailableError, match="closed"):
            await waits
        with pytest.raises(ServiceUnavailableError, match="closed"):
            await batcher.run(["b"])


async def test_a_model_that_does_not_load_says_so_to_every_request(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __init__(self) -> None:
            self.go = threading.Event()

        def open(self) -> Any:
            assert self.go.wait(5)
            raise OSError("no weights in /secret/path")

    broken = Broken()
    async with batching(broken) as batcher:
        early = asyncio.ensure_future(batcher.run(["a"]))
        await until(lambda: batcher.waiting == 1)
        broken.go.set()
        with pytest.raises(ServiceUnavailableError, match="could not be loaded") as caught:
            await early
        assert caught.value.code == "model_not_loaded"
        assert "secret" not in caught.value.message
        with pytest.raises(ServiceUnavailableError, match="could not be loaded"):
            await batcher.run(["b"])
    assert "no weights" in caplog.text


async def test_many_at_once_lose_and_mix_up_nothing() -> None:
    model = Model()
    async with batching(model, most_items=7, most_waiting=10_000) as batcher:
        asked = [[f"{i}-{j}" for j in range(i % 5 + 1)] for i in range(200)]
        found = await asyncio.gather(*(batcher.run(words) for words in asked))
    assert found == [[word * 2 for word in words] for words in asked]
    assert max(map(len, model.batches)) == 7
    assert sum(map(len, model.batches)) == sum(map(len, asked))
