"""The event splitter and the sniffers, whatever way the network cuts a stream."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.events import Finish, ToolCallDelta, Usage
from polyport_gateway.call import Operation
from polyport_gateway.engines.openai_events import AnswerReader
from polyport_gateway.engines.openai_sniff import StreamWatch, sniff_answer
from polyport_gateway.engines.sse import EventSplitter, ends_stream, event_data

TRICKY = 'say "usage":{"x":1} and data: [DONE]\n\n"error" "finish_reason":"stop"'


@given(
    st.lists(st.sampled_from([b"data: 1\n\n", b"data: 22\r\n\r\n", b": hi\n\n", b"event: x\ndata: 3\n\n"]), max_size=9),
    st.lists(st.integers(1, 12), min_size=1),
)
def test_any_cut_gives_whole_events(events: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(events)
    splitter = EventSplitter()
    out: list[bytes] = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        piece = splitter.feed(stream[at : at + size])
        assert not piece or piece.endswith((b"\n\n", b"\n\r\n"))
        out.append(piece)
        at, turn = at + size, turn + 1
    assert b"".join(out) == stream
    assert splitter.rest == b""


def test_an_event_without_end() -> None:
    with pytest.raises(ValueError, match="more than 10 bytes"):
        EventSplitter(limit=10).feed(b"data: 12345678")


def test_done_is_a_line_and_not_a_text() -> None:
    assert ends_stream(b"data: [DONE]\n\n")
    assert ends_stream(b"data: {}\r\n\r\ndata:[DONE]\r\n\r\n")
    assert not ends_stream(b"data: " + orjson.dumps({"content": TRICKY}) + b"\n\n")


def test_text_is_not_mistaken_for_news() -> None:
    watch = StreamWatch()
    frame = b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": TRICKY}}]}) + b"\n\n"
    assert watch.look(frame) == frame
    assert (watch.done, watch.error) == (False, None)
    assert list(watch.end()) == [Finish()]


def test_news_of_every_choice() -> None:
    watch = StreamWatch()
    for index, reason in ((0, "length"), (1, "stop")):
        chunk = {"choices": [{"index": index, "delta": {}, "finish_reason": reason}]}
        watch.look(b"data: " + orjson.dumps(chunk) + b"\n\n")
    watch.look(b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}\n\ndata: [DONE]\n\n')
    assert watch.done
    assert list(watch.end()) == [Usage(1, 2), Finish("length", 0), Finish("stop", 1)]


def test_what_came_before_an_error_is_handed_on() -> None:
    watch = StreamWatch()
    good = b'data: {"choices":[]}\n\n'
    assert watch.look(good + b'data: {"error":{"message":"no"}}\n\n' + good) == good
    assert watch.error == {"message": "no"}


def test_a_large_body_is_only_sniffed() -> None:
    body = orjson.dumps({"object": "list", "data": [{"embedding": [0.25] * 20_000}], "usage": {"prompt_tokens": 5}})
    assert sniff_answer(body, Operation.EMBEDDING) == [Usage(5), Finish()]
    with pytest.raises(ValueError, match="data"):
        sniff_answer(body.replace(b'"data"', b'"atad"'), Operation.EMBEDDING)
    with pytest.raises(ValueError, match="JSON"):
        sniff_answer(body[:-2], Operation.EMBEDDING)


def test_comments_and_several_lines() -> None:
    events = b': ping\n\nevent: x\ndata: {"a":\ndata: 1}\n\nid: 3\n\n'
    assert list(event_data(events)) == [b'{"a":\n1}']


def _tool(**piece: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([(0, "a"), (0, None), (1, "b"), (1, None)], id="as OpenAI"),
        pytest.param([(0, "a"), (0, "a"), (1, "b"), (1, "b")], id="id repeated"),
        pytest.param([(0, "a"), (0, None), (0, "b"), (0, None)], id="always 0"),
        pytest.param([(None, "a"), (None, None), (None, "b"), (None, None)], id="no index"),
        pytest.param([(1, "a"), (1, None), (2, "b"), (2, None)], id="counted from 1"),
    ],
)
def test_tool_calls_are_told_apart(pieces: list[tuple[int | None, str | None]]) -> None:
    reader = AnswerReader()
    deltas = []
    for index, identity in pieces:
        piece = {"function": {"name": "f" if identity else None, "arguments": "x"}, "id": identity}
        deltas.extend(reader.read(_tool(**piece, **({} if index is None else {"index": index}))))
    assert deltas == [
        ToolCallDelta(0, "a", "f", "x"),
        ToolCallDelta(0, None, None, "x"),
        ToolCallDelta(1, "b", "f", "x"),
        ToolCallDelta(1, None, None, "x"),
    ]
