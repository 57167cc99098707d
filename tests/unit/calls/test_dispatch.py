from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from polyport import App, Context, FunctionError, Message
from polyport.content import Answer, Citation
from polyport.declarations import ModelDeclaration
from polyport.errors import (
    BadRequestError,
    CallError,
    DeadlineExceededError,
    InvalidArgumentsError,
    InvalidOutputError,
    NotFoundError,
    ServiceUnavailableError,
    UnsupportedOperationError,
    UnsupportedParameterError,
)
from polyport.events import CitationAdded, Finish, Log, Progress, Result, TextDelta
from polyport.types.embeddings import EmbeddingRequest
from polyport_gateway.call import LOCAL, Arguments, Call, Caller, Chat, Embedding
from polyport_gateway.calls import Dispatcher
from polyport_gateway.catalog import Catalog
from polyport_gateway.engines.echo import EchoEngine
from polyport_gateway.engines.model import ModelCapability
from polyport_gateway.functions.function import FunctionCapability
from polyport_gateway.functions.pipeline import PipelineCapability

pytestmark = pytest.mark.anyio


def build_app() -> App:
    app = App("test")

    @app.function
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    @app.function
    async def greet(name: str) -> str:
        return f"Hello {name}"

    @app.function
    async def steps(n: int, ctx: Context) -> dict[str, int]:
        for i in range(n):
            await ctx.progress(i + 1, n, f"step {i + 1}")
        await ctx.log("done")
        return {"n": n}

    @app.function
    def steps_in_a_thread(n: int, ctx: Context) -> int:
        for i in range(n):
            ctx.progress(i + 1, n)
        return n

    @app.function
    def raises() -> str:
        raise ValueError("secret password")

    @app.function
    def says() -> str:
        raise FunctionError("no more apples")

    @app.function
    def lies() -> int:
        return "three"  # type: ignore[return-value]

    @app.function
    def not_a_number() -> float:
        return float("nan")

    @app.function(timeout=0.1)
    async def slow() -> str:
        await asyncio.sleep(30)
        return "never"

    @app.function(timeout=0.1)
    def slow_thread() -> str:
        time.sleep(1)
        return "never"

    @app.pipeline
    async def count(question: str):
        for word in question.split():
            yield word + " "

    @app.pipeline
    def cited(messages: list[Message]) -> Answer:
        return Answer(messages[-1].content, [Citation("Guide", url="https://example.org")])

    @app.pipeline
    def generated(question: str):
        yield from question

    @app.pipeline
    def wrong(question: str):
        return 42

    return app


class House:
    def __init__(self, **options) -> None:
        self.catalog = Catalog("test")
        self.rows = []
        for declaration in build_app().declarations:
            kind = FunctionCapability if type(declaration).__name__.startswith("Function") else PipelineCapability
            self.catalog.add(kind(declaration, changes=self.catalog.changes))
        self.dispatcher = Dispatcher(self.catalog, record=self.rows.append, **options)

    def call(self, name, given, caller=LOCAL, **fields):
        return Call(
            name=name, input=given, caller=caller, wire="test", request_id="r1", dispatch=self.dispatcher, **fields
        )

    async def run(self, name, given, **fields):
        return [event async for event in self.dispatcher.stream(self.call(name, given, **fields))]


def chat(text, **members):
    return Chat.from_body({"model": "x", "messages": [{"role": "user", "content": text}], **members})


async def test_a_function_as_a_tool_and_as_a_chat():
    house = House()
    events = await house.run("add", Arguments({"a": 1, "b": 2}))
    assert events == [Result(value=3, text="3"), Finish()]
    assert await house.run("add", chat('{"a": 1}')) == [TextDelta("2"), Finish()]
    assert await house.run("greet", chat("世界")) == [TextDelta("Hello 世界"), Finish()]
    assert [row.status for row in house.rows] == [200, 200, 200]
    assert {row.operation for row in house.rows} == {"tool", "chat"}


async def test_a_pipeline_as_a_chat_and_as_a_tool():
    house = House()
    assert await house.run("count", chat("a b")) == [TextDelta("a "), TextDelta("b "), Finish()]
    events = await house.run("count", Arguments({"prompt": "a b"}))
    assert events[-2] == Result(value={"text": "a b ", "citations": []}, text="a b ")
    assert await house.run("generated", chat("你好")) == [TextDelta("你"), TextDelta("好"), Finish()]
    events = await house.run("cited", chat("x"))
    assert isinstance(events[1], CitationAdded)
    events = await house.run("cited", Arguments({"messages": [{"role": "user", "content": "x"}]}))
    assert events[-2].value["citations"] == [{"title": "Guide", "url": "https://example.org"}]


async def test_progress_and_log_come_as_they_happen():
    house = House()
    events = await house.run("steps", Arguments({"n": 2}))
    assert events[:3] == [Progress(1, 2, "step 1"), Progress(2, 2, "step 2"), Log("info", "done")]
    events = await house.run("steps_in_a_thread", Arguments({"n": 2}))
    assert events == [Progress(1, 2), Progress(2, 2), Result(value=2, text="2"), Finish()]


@pytest.mark.parametrize(
    ("name", "given", "error", "said"),
    [
        ("add", Arguments({"a": "x"}), InvalidArgumentsError, "'add': a: "),
        ("add", Arguments({"a": 1, "c": 1}), InvalidArgumentsError, "c"),
        ("add", Arguments({}), InvalidArgumentsError, "a"),
        ("add", chat("not json"), InvalidArgumentsError, "JSON object of its arguments"),
        ("add", chat("[1]"), InvalidArgumentsError, "JSON object"),
        ("raises", Arguments({}), FunctionError, "raised ValueError; the gateway's log"),
        ("says", Arguments({}), FunctionError, "^no more apples"),
        ("lies", Arguments({}), InvalidOutputError, "its own return type"),
        ("not_a_number", Arguments({}), InvalidOutputError, "not_a_number"),
        ("slow", Arguments({}), DeadlineExceededError, "'slow'"),
        ("slow_thread", Arguments({}), DeadlineExceededError, "'slow_thread'"),
        ("nothing", Arguments({}), NotFoundError, "does not exist or you do not have access"),
        ("count", Arguments({}), InvalidArgumentsError, "prompt"),
        ("count", Arguments({"prompt": 1}), InvalidArgumentsError, "string, not int"),
        ("count", Arguments({"prompt": "x", "wat": 1}), InvalidArgumentsError, "wat"),
        ("count", Arguments({"messages": [{"role": "wizard"}]}), InvalidArgumentsError, "messages"),
        ("wrong", chat("x"), InvalidOutputError, "type int"),
        ("count", Embedding(EmbeddingRequest(model="x", input="y"), {}), UnsupportedOperationError, "chat, not embed"),
        (
            "count",
            Chat.from_body({"model": "x", "messages": [{"role": "assistant", "content": "x"}]}),
            BadRequestError,
            "needs a user message",
        ),
    ],
)
async def test_what_goes_wrong_is_said_and_accounted_for(name, given, error, said):
    house = House()
    with pytest.raises(error, match=said) as caught:
        await house.run(name, given)
    assert caught.value.request_id == "r1"
    assert "secret password" not in str(caught.value)
    assert [(row.status, row.code) for row in house.rows] == [(caught.value.status, caught.value.code)]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": ["x"]}, "stop"),
        ({"seed": 1}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"invented_by_a_vendor": 1}, "invented_by_a_vendor"),
    ],
)
async def test_what_can_not_be_honoured_is_refused(members, param):
    for name in ("add", "count"):
        with pytest.raises(UnsupportedParameterError, match=param) as caught:
            await House().run(name, chat('{"a": 1}', **members))
        assert caught.value.param == param


async def test_what_asks_for_nothing_is_taken():
    house = House()
    given = chat(
        '{"a": 1}', n=1, temperature=0.2, stop=None, tools=[], logprobs=False, user="u", metadata={"a": "b"},
        stream_options={"include_usage": True}, response_format={"type": "text"}, parallel_tool_calls=True,
    )  # fmt: skip
    assert await house.run("add", given) == [TextDelta("2"), Finish()]


@pytest.mark.parametrize("member", ["max_tokens", "max_completion_tokens"])
async def test_a_long_answer_is_cut(member):
    house = House()
    assert await house.run("count", chat("a b c d", **{member: 2})) == [
        TextDelta("a "), TextDelta("b "), Finish("length"),
    ]  # fmt: skip
    assert await house.run("count", chat("a b", **{member: 9})) == [TextDelta("a "), TextDelta("b "), Finish()]
    assert await house.run("greet", chat("世界你好", **{member: 3})) == [TextDelta("Hello 世界"), Finish("length")]
    assert {row.status for row in house.rows} == {200}


async def test_pictures_are_refused_by_what_takes_only_a_question():
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]}
    given = Chat.from_body({"model": "x", "messages": [message]})
    with pytest.raises(UnsupportedParameterError, match="images"):
        await House().run("count", given)
    assert await House().run("cited", given)


async def test_an_allow_list_hides_what_it_leaves_out():
    house = House()
    caller = Caller("k", "k", frozenset({"gr*"}))
    assert await house.run("greet", Arguments({"name": "A"}), caller=caller)
    with pytest.raises(NotFoundError) as hidden:
        await house.run("add", Arguments({"a": 1}), caller=caller)
    with pytest.raises(NotFoundError) as missing:
        await house.run("adx", Arguments({"a": 1}), caller=caller)
    assert hidden.value.message == missing.value.message.replace("adx", "add")
    assert await house.run("add", Arguments({"a": 1}), caller=caller, granted=frozenset({"add"}))


async def test_a_consumer_that_stops_cancels_and_is_accounted_for():
    house = House()
    call = house.call("steps", Arguments({"n": 100}))
    async with aclosing(house.dispatcher.stream(call)) as events:
        async for _ in events:
            break
    assert call.cancelled
    assert [(row.status, row.code) for row in house.rows] == [(499, "cancelled")]
    assert house.dispatcher.running == 0


async def test_a_parents_cancellation_reaches_its_children():
    house = House()
    parent = house.call("add", Arguments({}))
    child = parent.child("add", Arguments({})).child("add", Arguments({}))
    assert (child.depth, child.cancelled) == (2, False)
    parent.cancel()
    assert child.cancelled


async def test_too_many_calls_and_shutting_down_are_refused():
    house = House(max_concurrent=1)
    call = house.call("steps", Arguments({"n": 2}))
    async with aclosing(house.dispatcher.stream(call)) as events:
        await anext(events)
        with pytest.raises(ServiceUnavailableError, match="limit") as caught:
            await house.run("add", Arguments({"a": 1}))
        assert caught.value.retry_after
    assert await house.run("add", Arguments({"a": 1}))
    house.dispatcher.refuse_new()
    with pytest.raises(CallError, match="shutting down"):
        await house.run("add", Arguments({"a": 1}))
    assert await house.dispatcher.drained(0.1)


async def test_the_gateways_own_deadline_holds_where_nothing_else_is_set():
    house = House(timeout_s=0.05)
    with pytest.raises(DeadlineExceededError):
        await house.run("steps_in_a_thread", Arguments({"n": 10**7}))


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_an_engine_that_exits_fails_its_call_and_not_the_gateway(kind):
    class Exits(EchoEngine):
        async def chat(self, call, chat):
            raise kind
            yield

    catalog = Catalog("test")
    catalog.add(ModelCapability(ModelDeclaration("m", engine=Exits("m"))))
    rows = []
    dispatcher = Dispatcher(catalog, record=rows.append)
    chat = Chat.from_body({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    call = Call(name="m", input=chat, caller=LOCAL, wire="test", request_id="r", dispatch=dispatcher)
    with pytest.raises(CallError) as caught:
        async for _ in call.run():
            pass
    assert (caught.value.status, caught.value.code) == (500, "internal_error")
    assert [row.code for row in rows] == ["internal_error"]
