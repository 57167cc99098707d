"""Agents through the whole gateway: dispatcher, access rules, records."""

import json

import pytest

from polyport import App, FunctionError
from polyport.errors import CallError, ConfigurationError, NotFoundError
from polyport.events import Finish, Result, ServerToolResult, TextDelta, Usage
from polyport_gateway.call import LOCAL, Arguments, Call, Caller, Chat, Operation, ServerTools
from polyport_gateway.catalog.capability import ALL_FEATURES
from polyport_gateway.engines.base import BaseEngine
from polyport_gateway.server import create_gateway, running
from polyport_gateway.settings import Settings
from tests.support.scripted import USAGE, collect, text, tool_calls

pytestmark = pytest.mark.anyio


class Scripted(BaseEngine):
    operations = frozenset({Operation.CHAT})
    features = ALL_FEATURES

    def __init__(self, *turns):
        self.turns = list(turns)
        self.asked = []

    async def chat(self, call, chat):
        self.asked.append(chat.body)
        for event in self.turns.pop(0):
            yield event


def build(*turns, **agent):
    engine = Scripted(*turns)
    app = App("test")

    @app.function
    def add(a: int, b: int) -> int:
        return a + b

    @app.function
    def fail() -> str:
        raise FunctionError("the stock is empty")

    @app.pipeline
    def ask(question: str):
        yield "You asked: "
        yield question

    app.model("m", engine=engine)
    app.agent("helper", **{"model": "m", "tools": ["add", "fail", "ask"], **agent})
    gateway = create_gateway(app, Settings(database_url="sqlite://"))
    rows = []
    record = gateway.dispatcher._record
    gateway.dispatcher._record = lambda row: (rows.append(row), record(row))
    return gateway, engine, rows


def call(gateway, name, given, caller=LOCAL):
    if isinstance(given, list):
        given = Chat.from_body({"model": name, "messages": given})
    return Call(
        name=name, input=given, caller=caller, wire="test", request_id="req_1", dispatch=gateway.dispatcher
    ).run()


HI = [{"role": "user", "content": "hi"}]


async def test_an_agent_reaches_functions_and_pipelines_and_every_call_is_recorded():
    turn = tool_calls(("1", "add", {"a": 1, "b": 2}), ("2", "ask", {"prompt": "why"}), ("3", "fail", {}), usage=USAGE)
    gateway, engine, rows = build(turn, text("done", usage=USAGE))
    async with running(gateway):
        events = await collect(call(gateway, "helper", HI))
    results = {event.name: (event.output, event.error) for event in events if isinstance(event, ServerToolResult)}
    assert results["add"] == ("3", False)
    assert results["fail"] == ("the stock is empty", True)
    assert results["ask"][0] == "You asked: why"
    assert events[-3:] == [TextDelta("done"), USAGE + USAGE, Finish("stop")]
    assert sorted((row.name, row.depth, row.status) for row in rows) == [
        ("add", 1, 200),
        ("ask", 1, 200),
        ("fail", 1, 500),
        ("helper", 0, 200),
        ("m", 1, 200),
        ("m", 1, 200),
    ]
    assert engine.asked[0]["tools"][0]["function"]["parameters"]["required"] == ["a", "b"]


async def test_a_key_for_the_agent_alone_reaches_its_tools_only_through_it():
    gateway, _, _ = build(tool_calls(("1", "add", {"a": 1, "b": 2})), text("3"))
    caller = Caller("k", "k", frozenset({"helper"}))
    async with running(gateway):
        events = await collect(call(gateway, "helper", HI, caller))
        assert TextDelta("3") in events
        for name in ("add", "m"):
            with pytest.raises(NotFoundError):
                await collect(call(gateway, name, HI, caller))


async def test_an_agent_as_a_tool_gives_text():
    gateway, _, _ = build(text("four"))
    async with running(gateway):
        events = await collect(call(gateway, "helper", Arguments({"prompt": "2+2?"})))
    (result,) = [event for event in events if isinstance(event, Result)]
    assert result.text == "four"
    assert result.value["text"] == "four"


@pytest.mark.parametrize(
    "param", [{"n": 2}, {"logprobs": True}, {"tools": [{"type": "function", "function": {"name": "x"}}]}]
)
async def test_what_an_agent_cant_honour_is_refused(param):
    gateway, engine, _ = build()
    async with running(gateway):
        given = Chat.from_body({"model": "helper", "messages": HI, **param})
        with pytest.raises(CallError) as caught:
            await collect(call(gateway, "helper", given))
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param == next(iter(param))
    assert "'m'" not in caught.value.message, "the model may be hidden from whoever may use the agent"
    assert "'helper' is an agent" in caught.value.message
    assert engine.asked == []


async def test_a_model_with_the_gateways_tools():
    gateway, engine, rows = build(tool_calls(("1", "add", {"a": 1, "b": 2}), usage=Usage(1, 1)), text("3"))
    chat = Chat.from_body({"model": "m", "messages": HI})
    given = Chat(chat.request, chat.body, ServerTools(names=frozenset({"add"})))
    async with running(gateway):
        events = await collect(call(gateway, "m", given))
    assert ServerToolResult("1", "add", "3") in events
    assert [tool["function"]["name"] for tool in engine.asked[0]["tools"]] == ["add"]
    assert [(row.name, row.depth) for row in rows] == [("m", 1), ("add", 1), ("m", 1), ("m", 0)]
    assert json.loads(json.dumps(engine.asked[1]["messages"][-1])) == {
        "role": "tool",
        "tool_call_id": "1",
        "content": "3",
    }


async def test_a_wrong_agent_keeps_the_gateway_from_starting():
    gateway, _, _ = build(tools=["ad"])
    with pytest.raises(ConfigurationError, match="did you mean 'add'"):
        await gateway.start()
