from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from polyport import App
from polyport.declarations import ModelDeclaration
from polyport.errors import (
    BadRequestError,
    CallCancelledError,
    CallError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailableError,
    UpstreamError,
)
from polyport.events import Finish, Result, TextDelta, Usage
from polyport_gateway.call import LOCAL, Call, Caller, CallEvent, Chat, Embedding, Operation, Rerank
from polyport_gateway.calls import Dispatcher
from polyport_gateway.catalog import Catalog
from polyport_gateway.engines.base import BaseEngine
from polyport_gateway.engines.model import ModelCapability
from polyport_gateway.engines.vectors import embedding_body, to_base64
from polyport_gateway.functions.function import FunctionCapability
from polyport_gateway.knowledge.embedding import Embedder, GatewayModels


class Engine(BaseEngine):
    """Embeds a text by its length, up to a limit; fails as it is told."""

    operations = frozenset({Operation.EMBEDDING, Operation.CHAT, Operation.RERANK})

    def __init__(self, *, features: frozenset[str] = frozenset(), most: int = 1000) -> None:
        self.features = features
        self.most = most
        self.size = 2
        self.failures: list[CallError] = []
        self.floats_only = False
        self.asked: list[dict[str, Any]] = []
        self.under_way = self.most_under_way = 0
        self.delay_s = 0.0
        self.cancelled = threading.Event()

    async def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        self.asked.append(dict(embedding.body))
        self.under_way += 1
        size = self.size
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
        if self.floats_only and embedding.request.encoding_format == "base64":
            raise BadRequestError("encoding_format must be float")
        texts: list[str] = embedding.body["input"]
        if "truncate" not in self.features and any(len(text) > self.most for text in texts):
            raise BadRequestError(
                "This model's maximum context length is 1000 characters", code="context_length_exceeded"
            )
        rows = [[float(len(text))] * size for text in texts]
        encoded = rows if self.floats_only else [to_base64(row) for row in rows]
        yield Result(embedding_body(encoded, model="m", encoding="float", prompt_tokens=1), "")
        yield Finish()

    async def rerank(self, call: Call, rerank: Rerank) -> AsyncIterator[CallEvent]:
        texts = rerank.request.texts()
        if any(len(text) > self.most for text in texts):
            raise BadRequestError("too long for the model", code="context_length_exceeded")
        ranked = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        yield Result({"results": [{"index": place, "relevance_score": len(texts[place])} for place in ranked]}, "")
        yield Finish()

    async def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        if self.failures:
            raise self.failures.pop(0)
        for piece in ("Tea ", "is ", "hot."):
            yield TextDelta(piece)
            await asyncio.sleep(self.delay_s)
        yield Usage(prompt_tokens=3, completion_tokens=3)
        yield Finish()


class House:
    """A loop in a thread, and models on it."""

    def __init__(self, engine: Engine, caller: Caller = LOCAL, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        app = App("test")

        @app.function
        def terms(text: str) -> list[str]:
            """Split."""
            return text.split()

        catalog = Catalog("test")
        catalog.add(ModelCapability(ModelDeclaration("m", engine=engine)))
        for declaration in app.declarations:
            catalog.add(FunctionCapability(declaration, changes=catalog.changes))
        self.rows: list[Any] = []
        self.dispatcher = Dispatcher(catalog, record=self.rows.append)
        self.models = GatewayModels(
            self.loop, self.dispatcher, caller, features=lambda name: catalog.resolve(name, LOCAL).features, **options
        )

    def close(self) -> None:
        self.models.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def house(engine: Engine) -> Iterator[House]:
    made = House(engine)
    yield made
    made.close()


def lengths(vectors: np.ndarray) -> list[int]:
    return [int(row[0]) for row in vectors]


def test_texts_are_embedded_in_batches_side_by_side_and_in_their_order(house: House, engine: Engine) -> None:
    engine.delay_s = 0.02
    texts = ["x" * (number % 50 + 1) for number in range(300)]
    assert lengths(house.models.embed("m", texts)) == [len(text) for text in texts]
    assert [len(asked["input"]) for asked in engine.asked] == [60] * 5
    assert engine.most_under_way == 4
    assert {row.wire for row in house.rows} == {"knowledge"}
    assert house.models.embed("m", []).shape == (0, 0)


def test_requests_that_are_under_way_together_hold_texts_of_all_lengths(house: House, engine: Engine) -> None:
    texts = ["x" * (number + 1) for number in range(256)]
    assert lengths(house.models.embed("m", texts)) == [len(text) for text in texts]
    means = [np.mean([len(text) for text in asked["input"]]) for asked in engine.asked]
    assert len(means) == 4
    assert max(means) - min(means) < 4


def test_a_batch_has_not_too_many_characters(house: House, engine: Engine) -> None:
    engine.most = 10**6
    house.models.embed("m", ["x" * 90_000] * 5)
    assert [len(asked["input"]) for asked in engine.asked] == [2, 2, 1]


def test_an_empty_text_is_no_failure(house: House) -> None:
    assert lengths(house.models.embed("m", ["", " \n", "tea"])) == [1, 1, 3]


def test_floats_where_a_model_gives_nothing_else(house: House, engine: Engine) -> None:
    engine.floats_only = True
    assert lengths(house.models.embed("m", ["tea"])) == [3]
    assert lengths(house.models.embed("m", ["milk"])) == [4]
    assert [asked["encoding_format"] for asked in engine.asked] == ["base64", "float", "float"]


def test_a_text_that_is_too_long_is_embedded_by_its_beginning_and_the_others_whole(
    house: House, engine: Engine
) -> None:
    texts = ["x" * 10] * 40 + ["x" * 3000] + ["x" * 20] * 23
    assert lengths(house.models.embed("m", texts)) == [10] * 40 + [750] + [20] * 23
    engine.most = 3
    with pytest.raises(UpstreamError, match="too long to embed"):
        house.models.embed("m", ["x" * 40])


def test_what_a_model_can_do_is_used() -> None:
    engine = Engine(features=frozenset({"input_type", "truncate"}))
    house = House(engine)
    try:
        house.models.embed("m", ["x" * 5000])
        Embedder("m", lambda texts, role: house.models.embed("m", texts, role)).query("tea")
    finally:
        house.close()
    assert [(asked["input_type"], asked["truncate"]) for asked in engine.asked] == [("document", True), ("query", True)]


def test_a_model_without_room_is_asked_again(house: House, engine: Engine) -> None:
    engine.failures = [
        RateLimitError("slow down", retry_after=0.02),
        ServiceUnavailableError("full", retry_after=0.02),
        UpstreamError("cut", code="upstream_cut", retry_after=0.02),
    ]
    assert lengths(house.models.embed("m", ["tea"])) == [3]
    assert len(engine.asked) == 4


@pytest.mark.parametrize(
    "failure",
    [UpstreamError("no key", code="upstream_refused_key"), BadRequestError("no such thing")],
    ids=["refused", "bad"],
)
def test_what_another_try_cannot_help_is_said_at_once(house: House, engine: Engine, failure: CallError) -> None:
    engine.failures = [failure]
    with pytest.raises(type(failure), match=failure.message):
        house.models.embed("m", ["tea"] * 300)
    assert len(engine.asked) <= 5, "each batch once"


def test_patience_ends(engine: Engine) -> None:
    house = House(engine, patience_s=0.3)
    engine.failures = [RateLimitError("slow down") for _ in range(20)]
    try:
        began = time.monotonic()
        with pytest.raises(RateLimitError):
            house.models.embed("m", ["tea"])
        assert time.monotonic() - began < 2
        engine.failures = [RateLimitError("tomorrow", retry_after=86_400)]
        with pytest.raises(RateLimitError, match="tomorrow"):
            house.models.embed("m", ["tea"])
    finally:
        house.close()


def test_vectors_of_different_sizes_are_nonsense(house: House, engine: Engine) -> None:
    real = engine.embed

    async def growing(call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        engine.size = 2 + len(embedding.body["input"]) % 64
        async for event in real(call, embedding):
            yield event

    engine.embed = growing  # type: ignore[method-assign]
    with pytest.raises(UpstreamError, match="different sizes"):
        house.models.embed("m", ["tea"] * 67)


def test_scores_are_in_the_order_of_the_texts(house: House, engine: Engine) -> None:
    assert house.models.rerank("m", "which?", ["a", "abc", "ab"]).tolist() == [1, 3, 2]
    assert house.models.rerank("m", "which?", []).tolist() == []
    engine.most = 40
    assert house.models.rerank("m", "which?", ["a", "x" * 100]).tolist() == [1, 25]


def test_a_chat_at_once_and_in_pieces(house: House, engine: Engine) -> None:
    messages = [{"role": "user", "content": "Is tea hot?"}]
    assert house.models.complete("m", messages, temperature=0) == "Tea is hot."
    used: list[Usage] = []
    assert list(house.models.stream("m", messages, usage=used.append)) == ["Tea ", "is ", "hot."]
    assert used[0].completion_tokens == 3
    engine.failures = [BadRequestError("no")]
    with pytest.raises(BadRequestError, match="no"):
        list(house.models.stream("m", messages))
    engine.delay_s = 30
    pieces = house.models.stream("m", messages)
    assert next(pieces) == "Tea "
    pieces.close()  # type: ignore[attr-defined]


def test_a_function(house: House) -> None:
    assert house.models.call("terms", {"text": "tea 茶"}) == ["tea", "茶"]


def test_a_base_may_ask_its_models_for_whom_it_answers(engine: Engine) -> None:
    house = House(engine, Caller("k", "k", allow=frozenset({"handbook"})))
    try:
        assert lengths(house.models.embed("m", ["tea"])) == [3]
        with pytest.raises(NotFoundError):
            house.models.embed("n", ["tea"])
    finally:
        house.close()


def test_calls_are_children_of_the_one_they_are_for(house: House, engine: Engine) -> None:
    parent = Call(
        name="handbook", input=Embedding(None, {}), caller=Caller("k", "k"), wire="rest", request_id="r9",  # type: ignore[arg-type]
        dispatch=house.dispatcher, deadline=time.monotonic() + 0.2,
    )  # fmt: skip
    models = house.models.for_call(parent)
    assert lengths(models.embed("m", ["tea"])) == [3]
    assert (house.rows[-1].request_id, house.rows[-1].wire, house.rows[-1].depth) == ("r9", "rest", 1)
    engine.delay_s = 30
    with pytest.raises(CallError) as caught:
        models.embed("m", ["tea"])
    assert caught.value.code == "timeout"
    assert engine.cancelled.wait(5)


def test_closing_ends_what_is_asked(house: House, engine: Engine) -> None:
    engine.delay_s = 30
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(house.models.embed, "m", ["tea"])
        while not engine.under_way:
            time.sleep(0.01)
        house.models.close()
        with pytest.raises(CallCancelledError):
            asked.result(5)
    assert engine.cancelled.wait(5)
    with pytest.raises(CallCancelledError):
        house.models.embed("m", ["tea"])


@pytest.mark.anyio
async def test_the_event_loop_itself_must_not_wait() -> None:
    catalog = Catalog("test")
    models = GatewayModels(asyncio.get_running_loop(), Dispatcher(catalog, record=lambda row: None), LOCAL)
    with pytest.raises(RuntimeError, match="worker thread"):
        models.embed("m", ["tea"])


class Narrow(Engine):
    """Reads so many words of a text, and two tokens around them."""

    def __init__(self, window: int, *, cuts: bool, counts: bool = True) -> None:
        super().__init__(features=frozenset({"truncate"} if cuts else ()))
        self.window, self.counts = window, counts

    async def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        self.asked.append(dict(embedding.body))
        (text,) = embedding.body["input"]
        tokens = len(text.split()) + 2
        if tokens > self.window and not embedding.body.get("truncate"):
            raise BadRequestError(f"This model's maximum context length is {self.window} tokens.")
        read = min(tokens, self.window) if self.counts else 1
        yield Result(embedding_body([to_base64([1.0, 0.0])], model="m", encoding="base64", prompt_tokens=read), "")
        yield Finish()


@pytest.mark.parametrize(("window", "told"), [(64, 64), (256, 256), (351, 351), (352, None), (8192, None)])
def test_a_model_that_cuts_says_how_much_it_reads(window: int, told: int | None) -> None:
    engine = Narrow(window, cuts=True)
    house = House(engine)
    try:
        assert house.models.window("m", 352) == told
    finally:
        house.close()
    assert len(engine.asked) == 1


@pytest.mark.parametrize("window", [40, 128, 256, 300])
def test_of_a_model_that_refuses_it_is_found_by_halving(window: int) -> None:
    engine = Narrow(window, cuts=False)
    house = House(engine)
    try:
        told = house.models.window("m", 352)
    finally:
        house.close()
    assert told is not None
    assert min(window - 2, 32) <= told <= window - 2
    assert told >= 0.85 * (window - 2)
    assert len(engine.asked) <= 6


def test_of_a_model_that_counts_nothing_nothing_is_known() -> None:
    for engine in (Narrow(128, cuts=True, counts=False), Narrow(8192, cuts=False), Engine(most=10_000)):
        house = House(engine)
        try:
            assert house.models.window("m", 352) is None
        finally:
            house.close()


def test_a_model_that_fails_says_nothing_of_what_it_reads(house: House, engine: Engine) -> None:
    engine.failures = [BadRequestError("no such member")]
    with pytest.raises(BadRequestError, match="no such member"):
        house.models.window("m", 352)
