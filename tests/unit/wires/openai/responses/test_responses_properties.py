"""Whatever a capability gives, and in whatever order: a stream of a response is whole and tells one story."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.content import Citation
from polyport.events import (
    ApprovalRequest,
    CitationAdded,
    Finish,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    ServerToolCall,
    ServerToolResult,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport.types.responses import Response, ResponseRequest
from polyport_gateway.call import Chat
from polyport_gateway.wires.openai.responses.builder import ResponseBuilder
from polyport_gateway.wires.openai.responses.plan import Plan
from polyport_gateway.wires.openai.responses.replay import replay

TEXT = st.text(max_size=5)
INDEX = st.integers(0, 2)
EVENTS = st.lists(
    st.one_of(
        st.builds(TextDelta, TEXT),
        st.builds(ReasoningDelta, TEXT),
        st.builds(RefusalDelta, TEXT),
        st.builds(ToolCallDelta, INDEX, st.sampled_from([None, "a", "b"]), st.sampled_from([None, "f"]), TEXT),
        st.builds(CitationAdded, st.builds(Citation, TEXT)),
        st.builds(ServerToolCall, st.sampled_from("xy"), st.just("t"), TEXT),
        st.builds(ServerToolResult, st.sampled_from("xy"), st.just("t"), TEXT, st.booleans()),
        st.builds(ApprovalRequest, st.just("z"), st.just("t"), TEXT),
        st.builds(Usage, INDEX, INDEX),
        st.builds(Progress, INDEX),
    ),
    max_size=25,
)
STATUS = {"completed": "stop", "incomplete": "length"}


def build(events, reason, *, summary):
    chat = Chat.from_body({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    response = Response(id="resp_" + "0" * 24, created_at=0, status="in_progress", model="m")
    plan = Plan(
        request=ResponseRequest(model="m", input="x"),
        chat=chat,
        response=response,
        input_items=[],
        labels={},
        default_label="house",
        listings={"house": [{"name": "t"}]},
        summary=summary,
    )
    builder = ResponseBuilder(plan)
    sent = [*builder.created(), *builder.begin()]
    for event in events:
        sent += builder.add(event)
    sent += builder.add(Finish(reason))
    sent += builder.finish()
    return sent, builder.snapshot()


def rebuild(sent):
    """What a client makes of the stream: each item as its deltas say, and as it was when it was done."""
    pieces, done = {}, {}
    for event in sent:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(pieces), "items are added in order"
            pieces[event["output_index"]] = ""
        elif kind.endswith(".delta"):
            assert event["output_index"] not in done, "nothing is added to an item that is done"
            pieces[event["output_index"]] += event["delta"]
        elif kind == "response.output_item.done":
            assert event["output_index"] not in done
            done[event["output_index"]] = event["item"]
    return pieces, [done[index] for index in sorted(done)]


def text_of(item):
    if item["type"] == "message":
        return "".join(part.get("text", part.get("refusal")) for part in item["content"])
    if item["type"] == "reasoning":
        return "".join(part["text"] for part in (*item["content"], *item["summary"]))
    return item["arguments"] if item["type"] in ("function_call", "mcp_call") else ""


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.sampled_from(sorted(STATUS)), st.booleans())
def test_a_stream_tells_one_story(events, status, summary):
    sent, final = build(events, STATUS[status], summary=summary)
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    assert sent[-1] == {"type": f"response.{status}", "sequence_number": len(sent) - 1, "response": final}
    assert sum("response" in event for event in sent) == 3
    pieces, items = rebuild(sent)
    assert items == final["output"]
    assert [pieces[index] for index in sorted(pieces)] == [text_of(item) for item in items]
    assert len({item["id"] for item in items}) == len(items)
    assert not any(item.get("status") == "in_progress" for item in items)
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert said == "".join(
        part["text"] for item in items if item["type"] == "message" for part in item["content"] if "text" in part
    )
    json.dumps(sent)


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.booleans(), st.integers(-1, 30))
def test_a_replay_tells_the_same_story(events, summary, after):
    _, final = build(events, "stop", summary=summary)
    whole = list(replay(final))
    assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
    pieces, items = rebuild(whole)
    assert items == final["output"]
    assert [pieces[index] for index in sorted(pieces)] == [text_of(item) for item in items]
    rest = list(replay(final, after=after))
    assert all(event["sequence_number"] > after for event in rest)
    assert rest[-1]["response"] == final
    if after < len(whole) - 1:
        assert rest == whole[after + 1 :]
