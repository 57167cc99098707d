"""What a call's events become: items, stream events and statuses."""

import pytest

from polyport.content import Citation
from polyport.errors import FunctionError, RateLimitError, UpstreamError
from polyport.events import (
    ApprovalRequest,
    CitationAdded,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    ServerToolCall,
    ServerToolResult,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.support.scripted import text, tool_calls

pytestmark = pytest.mark.anyio

MCP = [{"type": "mcp", "server_label": "shop", "allowed_tools": ["look"]}]


async def both(make_wire, turn, shop=(), **members):
    """The same turn, whole and streamed: the last event must hold the very same response."""
    wire = make_wire({"m": [turn, turn]}, shop)
    whole = (await wire.create(**members)).json()
    streamed = await wire.create(stream=True, **members)
    assert streamed.headers[b"content-type"].startswith(b"text/event-stream")
    events = streamed.events()
    return whole, events


def without_ids(value):
    """Everything but ids and times, which differ between two runs."""
    if isinstance(value, dict):
        return {
            key: without_ids(item)
            for key, item in value.items()
            if key not in ("id", "item_id", "created_at", "completed_at", "approval_request_id")
        }
    return [without_ids(item) for item in value] if isinstance(value, list) else value


async def test_text(make_wire):
    turn = text("Hel", "lo", usage=Usage(7, 2, cached_tokens=3, reasoning_tokens=1))
    whole, events = await both(make_wire, turn)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert whole["status"] == "completed"
    assert whole["completed_at"] >= whole["created_at"]
    assert [part["text"] for part in whole["output"][0]["content"]] == ["Hello"]
    assert whole["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 9,
    }
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    assert events[0]["response"]["status"] == "in_progress"
    assert events[0]["response"]["output"] == []
    ids = {event["response"]["id"] for event in events if "response" in event}
    assert len(ids) == 1


async def test_reasoning_then_text_then_a_call(make_wire):
    turn = [
        ReasoningDelta("hm"),
        ReasoningDelta("m"),
        TextDelta("I'll look."),
        ToolCallDelta(0, "c1", "f", '{"x"'),
        ToolCallDelta(0, arguments=": 1}"),
        ToolCallDelta(1, "c2", "g", "{}"),
        Finish("tool_calls"),
    ]
    whole, events = await both(make_wire, turn)
    reasoning, message, first, second = whole["output"]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "hmm"}]
    assert message["content"][0]["text"] == "I'll look."
    assert (first["call_id"], first["name"], first["arguments"]) == ("c1", "f", '{"x": 1}')
    assert (second["call_id"], second["arguments"], second["status"]) == ("c2", "{}", "completed")
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    types = [event["type"] for event in events]
    assert types.index("response.reasoning_text.done") < types.index("response.output_text.delta")
    assert types.index("response.output_text.done") < types.index("response.function_call_arguments.delta")
    done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [(event["name"], event["arguments"]) for event in done] == [("f", '{"x": 1}'), ("g", "{}")]
    check_items(events)


def check_items(events):
    """Each item begins and ends once, at its place, under one id."""
    added = {event["output_index"]: event["item"]["id"] for event in events if event["type"].endswith("item.added")}
    done = {event["output_index"]: event["item"]["id"] for event in events if event["type"].endswith("item.done")}
    assert added == done
    assert sorted(added) == list(range(len(added)))
    for event in events:
        if "item_id" in event:
            assert added[event["output_index"]] == event["item_id"]
    final = events[-1]["response"]["output"]
    assert [item["id"] for item in final] == [added[index] for index in sorted(added)]


async def test_reasoning_as_a_summary(make_wire):
    whole, events = await both(make_wire, [ReasoningDelta("hm"), *text("ok")], reasoning={"summary": "auto"})
    assert whole["output"][0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert whole["output"][0]["content"] == []
    types = [event["type"] for event in events]
    assert types[3:7] == [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ]


async def test_a_refusal_is_a_part_of_its_own(make_wire):
    whole, events = await both(make_wire, [TextDelta("Well"), RefusalDelta("I "), RefusalDelta("won't"), Finish()])
    assert [part["type"] for part in whole["output"][0]["content"]] == ["output_text", "refusal"]
    assert whole["output"][0]["content"][1]["refusal"] == "I won't"
    assert [event["content_index"] for event in events if event["type"] == "response.refusal.delta"] == [1, 1]
    check_items(events)


async def test_citations_are_annotations(make_wire):
    citation = Citation("Guide", url="https://example.org")
    turn = [TextDelta("See it."), CitationAdded(citation), CitationAdded(Citation("B", start=1, end=3)), Finish()]
    whole, events = await both(make_wire, turn)
    first, second = whole["output"][0]["content"][0]["annotations"]
    assert first == {
        "type": "url_citation",
        "url": "https://example.org",
        "title": "Guide",
        "start_index": 0,
        "end_index": 7,
    }
    assert (second["start_index"], second["end_index"]) == (1, 3)
    added = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in added] == [0, 1]


async def test_log_probabilities_have_every_member(make_wire):
    given = [{"token": "é", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "e", "logprob": -1.0}]}]
    turn = [TextDelta("é", logprobs=given), Finish()]
    whole, events = await both(make_wire, turn, include=["message.output_text.logprobs"])
    entry = whole["output"][0]["content"][0]["logprobs"][0]
    assert entry == {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [{"token": "e", "logprob": -1.0, "bytes": [101]}],
    }
    assert next(event["logprobs"] for event in events if event["type"].endswith("text.delta")) == [entry]


async def test_calls_that_the_gateway_makes(make_wire, shop):
    turn = [
        TextDelta("Looking."),
        ServerToolCall("c1", "look", '{"a": 1}'),
        ServerToolCall("c2", "look", "{}"),
        ServerToolResult("c1", "look", "a hat"),
        ServerToolResult("c2", "look", "no such thing", error=True),
        *text("A hat."),
    ]
    whole, events = await both(make_wire, turn, shop, tools=MCP)
    listed, _, first, second, answer = whole["output"]
    assert (listed["type"], listed["server_label"]) == ("mcp_list_tools", "shop")
    assert listed["tools"][0]["annotations"] == {"readOnlyHint": True}
    assert (first["server_label"], first["output"], first["error"]) == ("shop", "a hat", None)
    assert (first["status"], second["status"], second["output"]) == ("completed", "failed", None)
    assert second["error"]["content"] == [{"type": "text", "text": "no such thing"}]
    assert answer["content"][0]["text"] == "A hat."
    types = [event["type"] for event in events]
    for expected in ("mcp_list_tools.in_progress", "mcp_list_tools.completed", "mcp_call.in_progress"):
        assert f"response.{expected}" in types
    assert types.count("response.mcp_call_arguments.done") == 2
    assert types.count("response.mcp_call.completed") == types.count("response.mcp_call.failed") == 1
    check_items(events)


async def test_an_agents_calls_carry_the_catalogues_name(make_wire, shop):
    turn = [ServerToolCall("c1", "sell", "{}"), ServerToolResult("c1", "sell", "sold"), *text("done")]
    wire = make_wire({"helper": [turn]}, shop)
    body = (await wire.create(model="helper", max_tool_calls=2)).json()
    assert (body["output"][0]["type"], body["output"][0]["server_label"]) == ("mcp_call", "shop")
    assert wire.chat().server_tools.max_calls == 2


async def test_an_approval_ends_the_turn_and_the_next_one_continues_it(make_wire, shop):
    asking = [TextDelta("May I?"), ApprovalRequest("call_9", "look", '{"a": 1}'), Finish()]
    wire = make_wire({"m": [asking, text("later"), text("ok"), text("so")]}, shop)
    first = (await wire.create(tools=MCP)).json()
    request = first["output"][-1]
    assert request["type"] == "mcp_approval_request"
    assert (request["name"], request["arguments"], request["server_label"]) == ("look", '{"a": 1}', "shop")
    assert request["id"].startswith("mcpr_")
    decision = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}

    second = await wire.create([decision], tools=MCP, previous_response_id=first["id"])
    assert wire.messages()[1:] == [
        {
            "role": "assistant",
            "content": "May I?",
            "tool_calls": [
                {"id": request["id"], "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
            ],
        }
    ]
    assert wire.chat().server_tools.approved == {request["id"]: True}
    assert [item["type"] for item in second.json()["output"]] == ["message"], "tools are listed once"

    refused = await wire.create([{**decision, "approve": False}], previous_response_id=first["id"])
    assert refused.status == 200
    assert wire.messages()[-1]["role"] == "tool"
    assert "refused" in wire.messages()[-1]["content"]

    untold = await wire.create([decision], previous_response_id=first["id"])
    assert (untold.status, untold.error["param"]) == (400, "tools")


async def test_an_approved_call_is_answered_once(make_wire, shop):
    asking = [ApprovalRequest("call_9", "look", "{}"), Finish()]

    def made(call):
        (id_,) = call.input.server_tools.approved
        return [ServerToolCall(id_, "look", "{}"), ServerToolResult(id_, "look", "a hat"), *text("A hat.")]

    wire = make_wire({"m": [asking, made, text("bye")]}, shop)
    first = (await wire.create(tools=MCP)).json()
    request = first["output"][-1]
    decision = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
    second = (await wire.create([decision], tools=MCP, previous_response_id=first["id"])).json()
    assert second["output"][0]["approval_request_id"] == request["id"]
    await wire.create("thanks", tools=MCP, previous_response_id=second["id"])
    assert [message["role"] for message in wire.messages()] == ["user", "assistant", "tool", "assistant", "user"]
    assert wire.messages()[2] == {"role": "tool", "tool_call_id": request["id"], "content": "a hat"}
    assert wire.chat().server_tools.approved == {}


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_an_answer_cut_short_is_incomplete(make_wire, reason, why):
    whole, events = await both(make_wire, text("Hel", reason=reason))
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": why})
    assert whole["output"][0]["status"] == "incomplete"
    assert whole["completed_at"] is None
    assert events[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_event_keeps_its_status(make_wire, stream):
    wire = make_wire({"m": [[RateLimitError("slow down", retry_after=3)]]})
    answer = await wire.create(stream=stream)
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert answer.headers[b"retry-after"] == b"3"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError("it broke"), "server_error"),
        (FunctionError("it broke"), "server_error"),
        (RateLimitError("it broke"), "rate_limit_exceeded"),
    ],
)
async def test_a_failure_in_the_middle_ends_the_stream_and_is_stored(make_wire, error, code):
    wire = make_wire({"m": [[TextDelta("Hel"), error]]})
    events = (await wire.create(stream=True)).events()
    assert events[-1]["type"] == "response.failed"
    failed = events[-1]["response"]
    assert (failed["status"], failed["error"]["code"], failed["error"]["message"]) == ("failed", code, "it broke")
    assert failed["error"]["detail"]["code"] == error.code
    assert failed["output"][0]["content"][0]["text"] == "Hel"
    assert failed["output"][0]["status"] == "incomplete"
    stored = (await wire.request("GET", f"/v1/responses/{failed['id']}")).json()
    assert stored == failed


async def test_a_call_that_ends_without_an_answer_is_a_failure(make_wire):
    wire = make_wire({"m": [[], [TextDelta("x")]]})
    assert (await wire.create()).status == 502
    assert (await wire.create(stream=True)).types()[-1] == "response.failed"


async def test_other_choices_are_left_out(make_wire):
    whole, _ = await both(make_wire, [TextDelta("a"), TextDelta("b", choice=1), Finish(choice=1), Finish()])
    assert whole["output"][0]["content"][0]["text"] == "a"


async def test_obfuscation_hides_lengths_where_asked_for(make_wire):
    wire = make_wire({"m": [text("a", "abcdefgh")] * 2})
    plain = (await wire.create(stream=True)).events()
    hidden = (await wire.create(stream=True, stream_options={"include_obfuscation": True})).events()
    assert not any("obfuscation" in event for event in plain)
    sizes = {len(event["delta"] + event["obfuscation"]) for event in hidden if "delta" in event}
    assert sizes == {16}


async def test_calls_that_share_an_index_are_told_apart_by_id(make_wire):
    turn = [ToolCallDelta(0, "a", "f", "{}"), ToolCallDelta(0, "b", "g", "{}"), Finish("tool_calls")]
    whole, events = await both(make_wire, turn)
    assert [item["call_id"] for item in whole["output"]] == ["a", "b"]
    check_items(events)


async def test_scripted_calls(make_wire):
    whole, _ = await both(make_wire, tool_calls(("c1", "f", {"a": 1})))
    assert whole["output"][0]["arguments"] == '{"a": 1}'
