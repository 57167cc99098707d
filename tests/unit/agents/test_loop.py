import asyncio
import json
import time
from contextlib import aclosing

import pytest

from polyport.errors import (
    BadRequestError,
    CallCancelledError,
    DeadlineExceededError,
    FunctionError,
    InternalServerError,
    UpstreamError,
)
from polyport.events import (
    ApprovalRequest,
    Finish,
    Progress,
    Result,
    ServerToolCall,
    ServerToolResult,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport_gateway.agents import run_loop
from polyport_gateway.call import ServerTools
from tests.support.scripted import USAGE, FakeCapability, ScriptedDispatch, collect, make_call, text, tool_calls

pytestmark = pytest.mark.anyio

ADD = FakeCapability("add")


def add(call):
    return call.input.values["a"] + call.input.values["b"]


def loop(call, tools=(ADD,), **options):
    options = {"model": "m", "max_steps": 5, **options}
    return run_loop(call, chat=call.input, tools=tools, **options)


async def test_a_turn_without_tools_streams_through():
    dispatch = ScriptedDispatch({"m": [text("a", "b", usage=USAGE)]})
    assert await collect(loop(make_call(dispatch))) == [TextDelta("a"), TextDelta("b"), USAGE, Finish("stop")]


async def test_tool_results_reach_the_model_and_the_stream():
    dispatch = ScriptedDispatch(
        {
            "m": [
                tool_calls(("c1", "add", {"a": 1, "b": 2}), before=["Let me see. "], usage=USAGE),
                text("3", usage=USAGE),
            ]
        },
        {"add": add},
    )
    events = await collect(loop(make_call(dispatch), instructions="Be brief."))
    assert events == [
        TextDelta("Let me see. "),
        ServerToolCall("c1", "add", '{"a": 1, "b": 2}'),
        ServerToolResult("c1", "add", "3"),
        TextDelta("3"),
        USAGE + USAGE,
        Finish("stop"),
    ]
    first, second = dispatch.bodies("m")
    assert first["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert first["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Does add.", "parameters": {"type": "object"}}}
    ]
    assert second["messages"][2:] == [
        {
            "role": "assistant",
            "content": "Let me see. ",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
    ]
    assert {call.depth for call in dispatch.calls} == {1}


async def test_request_options_are_forwarded_and_usage_is_asked_for_in_a_stream():
    dispatch = ScriptedDispatch({"m": [text("x")]})
    body = {"temperature": 0.5, "stream": True, "stop": ["\n"], "response_format": {"type": "json_object"}}
    await collect(loop(make_call(dispatch, body=body)))
    sent = dispatch.bodies("m")[0]
    assert {key: sent[key] for key in ("temperature", "stop", "response_format", "stream", "model")} == {
        "temperature": 0.5,
        "stop": ["\n"],
        "response_format": {"type": "json_object"},
        "stream": True,
        "model": "m",
    }
    assert sent["stream_options"] == {"include_usage": True}


async def test_calls_of_a_turn_run_in_parallel_and_results_keep_their_order():
    met = asyncio.Barrier(3)

    async def slow(call):
        await met.wait()
        await asyncio.sleep(0.03 - 0.01 * call.input.values["n"])
        return call.input.values["n"]

    calls = [(f"c{n}", "slow", {"n": n}) for n in range(3)]
    dispatch = ScriptedDispatch({"m": [tool_calls(*calls), text("ok")]}, {"slow": slow})
    async with asyncio.timeout(5):
        events = await collect(loop(make_call(dispatch), tools=[FakeCapability("slow")]))
    assert [e.output for e in events if isinstance(e, ServerToolResult)] == ["0", "1", "2"]
    answers = [m["content"] for m in dispatch.bodies("m")[1]["messages"] if m["role"] == "tool"]
    assert answers == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("boom", "{}", "the stock is empty"),
        ("add", "{oops", "The arguments of 'add' are not valid JSON"),
        ("add", "[1]", "must be a JSON object, not list"),
        ("sub", "{}", "There is no tool 'sub'; the tools are: add, boom."),
    ],
)
async def test_failures_are_told_to_the_model(name, arguments, told):
    def boom(call):
        raise FunctionError("the stock is empty")

    dispatch = ScriptedDispatch({"m": [tool_calls(("c1", name, arguments)), text("sorry")]}, {"add": add, "boom": boom})
    events = await collect(loop(make_call(dispatch), tools=[ADD, FakeCapability("boom")]))
    result = next(e for e in events if isinstance(e, ServerToolResult))
    assert result.error
    assert told in result.output
    assert dispatch.bodies("m")[1]["messages"][-1] == {"role": "tool", "tool_call_id": "c1", "content": result.output}
    assert events[-2:] == [TextDelta("sorry"), Finish("stop")]


async def test_missing_call_ids_are_made_up_and_agree():
    dispatch = ScriptedDispatch({"m": [tool_calls((None, "add", {"a": 1, "b": 1})), text("2")]}, {"add": add})
    events = await collect(loop(make_call(dispatch)))
    made = {e.id for e in events if isinstance(e, ServerToolCall | ServerToolResult)}
    assert len(made) == 1
    assert made == {dispatch.bodies("m")[1]["messages"][-1]["tool_call_id"]}


async def test_the_models_failure_ends_the_loop():
    dispatch = ScriptedDispatch({"m": [[TextDelta("x"), UpstreamError("down")]]})
    with pytest.raises(UpstreamError, match="down"):
        await collect(loop(make_call(dispatch)))


async def test_step_limit_names_itself_and_runs_no_tool_in_vain():
    ran = []
    turns = [tool_calls((f"c{n}", "add", {"a": n, "b": 0})) for n in range(9)]
    dispatch = ScriptedDispatch({"m": turns}, {"add": lambda call: ran.append(1) or "x"})
    with pytest.raises(InternalServerError, match="within 3 model turns: the last one still asks for add") as caught:
        await collect(loop(make_call(dispatch), max_steps=3))
    assert caught.value.code == "step_limit"
    assert len(ran) == 2


async def test_max_calls_refuses_further_calls_to_the_model_only():
    dispatch = ScriptedDispatch(
        {"m": [tool_calls(("c1", "add", {"a": 1, "b": 1}), ("c2", "add", {"a": 2, "b": 2})), text("done")]},
        {"add": add},
    )
    events = await collect(loop(make_call(dispatch), server_tools=ServerTools(max_calls=1)))
    assert [e.id for e in events if isinstance(e, ServerToolCall | ServerToolResult)] == ["c1", "c1"]
    assert dispatch.bodies("m")[1]["messages"][-1]["content"] == "Not called: the limit of 1 tool calls is used up."


async def test_cut_off_turns_run_no_tools():
    dispatch = ScriptedDispatch({"m": [tool_calls(("c1", "add", '{"a": 1'), reason="length")]}, {"add": add})
    assert await collect(loop(make_call(dispatch))) == [Finish("length")]


async def test_forced_tool_choice_holds_for_the_first_turn_only():
    dispatch = ScriptedDispatch(
        {"m": [tool_calls(("c1", "kb_find", {})), text("x")]}, {"kb.find": lambda call: "found"}
    )
    body = {"tool_choice": {"type": "function", "function": {"name": "kb.find"}}}
    events = await collect(loop(make_call(dispatch, body=body), tools=[FakeCapability("kb.find")]))
    first, second = dispatch.bodies("m")
    assert first["tool_choice"]["function"]["name"] == first["tools"][0]["function"]["name"] == "kb_find"
    assert "tool_choice" not in second
    assert ServerToolResult("c1", "kb.find", "found") in events


CLIENT_TOOL = {"type": "function", "function": {"name": "ask_user", "parameters": {"type": "object"}}}


async def test_client_calls_go_out_as_deltas_after_ours_were_run():
    dispatch = ScriptedDispatch(
        {"m": [tool_calls(("c1", "add", {"a": 1, "b": 2}), ("c2", "ask_user", {"q": "why"}))]}, {"add": add}
    )
    events = await collect(loop(make_call(dispatch, body={"tools": [CLIENT_TOOL]})))
    deltas = [e for e in events if isinstance(e, ToolCallDelta)]
    assert {d.index for d in deltas} == {0}
    assert (deltas[0].id, deltas[0].name) == ("c2", "ask_user")
    assert json.loads("".join(d.arguments for d in deltas)) == {"q": "why"}
    assert events[-2:] == [ServerToolResult("c1", "add", "3"), Finish("tool_calls")]
    assert [t["function"]["name"] for t in dispatch.bodies("m")[0]["tools"]] == ["ask_user", "add"]


async def test_one_name_on_both_sides_is_refused():
    tool = {"type": "function", "function": {"name": "add"}}
    with pytest.raises(BadRequestError, match="'add'") as caught:
        await collect(loop(make_call(ScriptedDispatch(), body={"tools": [tool]})))
    assert caught.value.param == "tools"


async def test_progress_of_tools_grows_and_names_its_tool():
    async def work(call):
        for n in (1, 2):
            yield Progress(n, 2)
        yield Result("done", "done")
        yield Finish()

    dispatch = ScriptedDispatch({"m": [tool_calls(("a", "work", {}), ("b", "work", {})), text("ok")]}, {"work": work})
    events = await collect(loop(make_call(dispatch), tools=[FakeCapability("work")]))
    news = [e for e in events if isinstance(e, Progress)]
    assert [e.progress for e in news] == [1, 2, 3, 4]
    assert {e.message for e in news} == {"work: 1 of 2", "work: 2 of 2"}


async def test_usage_of_tools_counts():
    async def helper(call):
        yield TextDelta("inner")
        yield Usage(5, 5)
        yield Finish()

    dispatch = ScriptedDispatch({"m": [tool_calls(("a", "helper", {})), text("ok", usage=USAGE)]}, {"helper": helper})
    events = await collect(loop(make_call(dispatch), tools=[FakeCapability("helper")]))
    assert [e for e in events if isinstance(e, Usage)] == [Usage(15, 7)]
    assert ServerToolResult("a", "helper", "inner") in events


async def test_leaving_the_stream_cancels_every_tool():
    started, cancelled = asyncio.Semaphore(0), []

    async def hang(call):
        yield Progress(1)
        started.release()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(call.input.values["n"])
            raise
        yield Finish()

    turn = tool_calls(*((f"c{n}", "hang", {"n": n}) for n in range(3)))
    call = make_call(ScriptedDispatch({"m": [turn]}, {"hang": hang}))

    async def consume():
        async with aclosing(loop(call, tools=[FakeCapability("hang")])) as events:
            async for _ in events:
                pass

    task = asyncio.create_task(consume())
    for _ in range(3):
        await started.acquire()
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == [0, 1, 2]
    assert time.monotonic() - began < 1


async def test_a_cancelled_call_takes_no_further_turn():
    dispatch = ScriptedDispatch({"m": [tool_calls(("c", "add", {})), text("x")]})
    call = make_call(dispatch)
    dispatch.tools["add"] = lambda child: call.cancel() or "x"
    with pytest.raises(CallCancelledError):
        await collect(loop(call))
    assert len(dispatch.bodies("m")) == 1


async def test_a_passed_deadline_ends_the_loop():
    dispatch = ScriptedDispatch({"m": [text("x")]})
    with pytest.raises(DeadlineExceededError):
        await collect(loop(make_call(dispatch, deadline=time.monotonic() - 1)))
    assert dispatch.calls == []


async def test_too_deep_nesting_is_refused():
    with pytest.raises(InternalServerError, match="8 deep") as caught:
        await collect(loop(make_call(ScriptedDispatch(), depth=8)))
    assert caught.value.code == "agent_depth"


class TestApprovals:
    async def test_waiting_calls_end_the_turn_after_the_others_ran(self):
        dispatch = ScriptedDispatch(
            {"m": [tool_calls(("c1", "pay", {"eur": 5}), ("c2", "add", {"a": 1, "b": 2}), usage=USAGE)]}, {"add": add}
        )
        events = await collect(
            loop(
                make_call(dispatch),
                tools=[ADD, FakeCapability("pay")],
                server_tools=ServerTools(approve=frozenset({"pay"})),
            )
        )
        assert events == [
            ServerToolCall("c2", "add", '{"a": 1, "b": 2}'),
            ServerToolResult("c2", "add", "3"),
            ApprovalRequest("c1", "pay", '{"eur": 5}'),
            USAGE,
            Finish("stop"),
        ]

    def history(self, *more):
        calls = [
            {"id": i, "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}} for i in "xyz"
        ]
        return [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "x", "content": "3"},
            *more,
        ]

    async def test_approved_calls_run_and_refused_ones_are_told(self):
        dispatch = ScriptedDispatch({"m": [text("done")]}, {"add": add})
        given = ServerTools(approve="always", approved={"y": True, "z": False})
        events = await collect(loop(make_call(dispatch, messages=self.history()), server_tools=given))
        assert [e.id for e in events if isinstance(e, ServerToolCall)] == ["y"]
        answers = {m["tool_call_id"]: m["content"] for m in dispatch.bodies("m")[0]["messages"] if m["role"] == "tool"}
        assert answers["x"] == answers["y"] == "3"
        assert "refused" in answers["z"]

    async def test_undecided_calls_keep_waiting(self):
        dispatch = ScriptedDispatch({"m": []}, {"add": add})
        given = ServerTools(approve="always", approved={"y": True})
        events = await collect(loop(make_call(dispatch, messages=self.history()), server_tools=given))
        assert events[-2:] == [ApprovalRequest("z", "add", '{"a": 1, "b": 2}'), Finish("stop")]
        assert dispatch.bodies("m") == []

    async def test_calls_passed_over_by_the_user_are_answered_in_place(self):
        dispatch = ScriptedDispatch({"m": [text("fine")]}, {"add": add})
        messages = self.history({"role": "user", "content": "never mind"})
        await collect(loop(make_call(dispatch, messages=messages), server_tools=ServerTools(approve="always")))
        sent = dispatch.bodies("m")[0]["messages"]
        assert [m.get("tool_call_id") for m in sent if m["role"] == "tool"] == ["x", "y", "z"]
        assert sent[-1]["content"] == "never mind"
        assert len(dispatch.calls) == 1

    async def test_a_claimed_call_without_approval_never_runs(self):
        dispatch = ScriptedDispatch({"m": [text("fine")]}, {"add": add})
        await collect(loop(make_call(dispatch, messages=self.history())))
        assert [call.name for call in dispatch.calls] == ["m"]

    async def test_an_id_that_an_engine_uses_again_is_another_call(self):
        dispatch = ScriptedDispatch({"m": [text("done")]}, {"add": add})
        call = {"id": "0", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "0", "content": "3"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
        given = ServerTools(approve="always", approved={"0": True})
        events = await collect(loop(make_call(dispatch, messages=messages), server_tools=given))
        assert [event.id for event in events if isinstance(event, ServerToolResult)] == ["0"]
        assert [m["role"] for m in dispatch.bodies("m")[0]["messages"]][-2:] == ["assistant", "tool"]
