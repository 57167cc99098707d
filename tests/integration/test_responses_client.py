"""`/v1/responses` as the unmodified `openai` package uses it, against a real gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from polyport import Answer, App, Citation, FunctionError
from polyport.errors import UpstreamError
from polyport.events import Finish, ReasoningDelta, TextDelta, Usage
from polyport.testing import ScriptedEngine, gateway
from polyport.testing.engine import ToolCall

ADD = '{"a": 1, "b": 2}'


class Sum(BaseModel):
    value: int


class Slow:
    """What the slow pipeline has lived through."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.finished = 0


def play(request: Any) -> Any:
    said = [message.content for message in request.messages if message.role == "user"][-1]
    answered = [message for message in request.messages if message.role == "tool"]
    match said:
        case "think":
            return [ReasoningDelta("hm"), TextDelta("thought"), Usage(5, 2), Finish()]
        case "add" if not answered:
            return ToolCall("add", {"a": 1, "b": 2})
        case "weather" if not answered:
            return ToolCall("weather", {"city": "Oslo"}, id="call_w")
        case "add" | "weather":
            return f"it is {answered[-1].content}"
        case "sum":
            return '{"value": 3}'
        case "break":
            return [TextDelta("so f"), UpstreamError("the line broke")]
        case "recall":
            return " / ".join(f"{message.role}: {message.content}" for message in request.messages)
        case _:
            return f"you said {said}"


@pytest.fixture(scope="module")
def slow() -> Slow:
    return Slow()


@pytest.fixture(scope="module")
def url(slow: Slow) -> Iterator[str]:
    app = App("house")

    @app.function(annotations={"read_only": True})
    def add(a: int, b: int) -> int:
        """Add two integers."""
        if a == 13:
            raise FunctionError("13 is unlucky")
        return a + b

    @app.pipeline
    def guide(question: str) -> Answer:
        """Answer with a source."""
        return Answer(f"About {question}.", [Citation("Guide", url="https://example.org/guide")])

    @app.pipeline
    async def crawl(question: str) -> AsyncIterator[str]:
        """Say one word, then take a long time."""
        slow.started += 1
        try:
            yield "first "
            await asyncio.sleep(float(question))
            yield "second"
            slow.finished += 1
        except (asyncio.CancelledError, GeneratorExit):
            slow.cancelled += 1
            raise

    app.model("model", engine=ScriptedEngine(*[play] * 200))
    app.model("echo", engine="echo")
    app.agent("helper", model="model", tools=["add"])
    with gateway(app) as running:
        yield running.url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.mark.parametrize(
    ("model", "given", "text"),
    [
        ("add", ADD, "3"),
        ("guide", "holidays", "About holidays."),
        ("echo", "hello 你好", "hello 你好"),
        ("model", "hello", "you said hello"),
        ("helper", "add", "it is 3"),
    ],
)
def test_every_capability_answers(client: openai.OpenAI, model: str, given: str, text: str) -> None:
    whole = client.responses.create(model=model, input=given)
    assert (whole.output_text, whole.status, whole.model) == (text, "completed", model)
    with client.responses.stream(model=model, input=given) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(pieces) == final.output_text == text
    assert client.responses.retrieve(final.id).output_text == text


def test_sources_and_reasoning(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="guide", input="x")
    assert answer.output[0].content[0].annotations[0].url == "https://example.org/guide"
    thought = client.responses.create(model="model", input="think")
    assert [item.type for item in thought.output] == ["reasoning", "message"]
    assert thought.usage.total_tokens == 7


def test_the_shape_of_the_answer(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="model", input="sum", text_format=Sum)
    assert parsed.output_parsed == Sum(value=3)


def test_the_clients_own_functions(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    asked = client.responses.create(model="model", input="weather", tools=tools)
    call = asked.output[0]
    assert (call.type, call.call_id, call.name, call.arguments) == (
        "function_call",
        "call_w",
        "weather",
        '{"city": "Oslo"}',
    )
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    told = client.responses.create(model="model", input=[output], tools=tools, previous_response_id=asked.id)
    assert told.output_text == "it is sunny"
    # Without the server's memory: every item is sent back as it came.
    items: Any = [{"role": "user", "content": "weather"}, *asked.output, output]
    assert client.responses.create(model="model", input=items, store=False).output_text == "it is sunny"


def test_the_gateways_tools_with_approval(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "mcp", "server_label": "house", "allowed_tools": ["add"]}]
    asked = client.responses.create(model="model", input="add", tools=tools)
    listed, request = asked.output
    assert (listed.type, [tool.name for tool in listed.tools]) == ("mcp_list_tools", ["add"])
    assert (request.type, request.name) == ("mcp_approval_request", "add")

    def decide(approve: bool) -> Any:
        decision: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": approve}
        return client.responses.create(model="model", input=[decision], tools=tools, previous_response_id=asked.id)

    agreed = decide(True)
    assert [item.type for item in agreed.output] == ["mcp_call", "message"]
    assert (agreed.output[0].output, agreed.output[0].approval_request_id) == ("3", request.id)
    assert agreed.output_text == "it is 3"
    refused = decide(False)
    assert [item.type for item in refused.output] == ["message"]
    assert "refused" in refused.output_text
    later = client.responses.create(model="model", input="recall", previous_response_id=agreed.id, tools=tools)
    assert "tool: 3" in later.output_text


def test_approval_without_the_servers_memory(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "mcp", "server_label": "house", "allowed_tools": ["add"]}]
    given: Any = [{"role": "user", "content": "add"}]
    asked = client.responses.create(model="model", input=given, tools=tools, store=False)
    decision = {"type": "mcp_approval_response", "approval_request_id": asked.output[-1].id, "approve": True}
    answer = client.responses.create(model="model", input=[*given, *asked.output, decision], tools=tools, store=False)
    assert [item.type for item in answer.output] == ["mcp_call", "message"]
    assert answer.output_text == "it is 3"


def test_the_gateways_tools_without_approval(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "mcp", "server_label": "house", "allowed_tools": ["add"], "require_approval": "never"}]
    with client.responses.stream(model="model", input="add", tools=tools) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_response()
    assert [item.type for item in final.output] == ["mcp_list_tools", "mcp_call", "message"]
    assert types.index("response.mcp_call.completed") < types.index("response.output_text.delta")
    assert final.output_text == "it is 3"


def test_an_agents_calls_are_shown(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="helper", input="add")
    call = answer.output[0]
    assert (call.type, call.name, call.server_label, call.output) == ("mcp_call", "add", "house", "3")
    again = client.responses.create(model="helper", input="recall", previous_response_id=answer.id)
    assert "tool: 3" in again.output_text


def test_turns_that_follow_each_other(client: openai.OpenAI) -> None:
    first = client.responses.create(model="model", input="one", instructions="be kind")
    second = client.responses.create(model="model", input="two", previous_response_id=first.id)
    third = client.responses.create(model="model", input="recall", previous_response_id=second.id)
    assert third.output_text == (
        "user: one / assistant: you said one / user: two / assistant: you said two / user: recall"
    )
    items = client.responses.input_items.list(third.id)
    assert [item.content[0].text for item in items] == ["recall"]


def test_input_items_page_by_page(client: openai.OpenAI) -> None:
    given: Any = [{"role": "user", "content": str(number)} for number in range(7)]
    answer = client.responses.create(model="model", input=given)
    pages = client.responses.input_items.list(answer.id, order="asc", limit=3)
    assert [item.content[0].text for item in pages] == [str(number) for number in range(7)]


def test_delete(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="echo", input="x")
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.retrieve(answer.id)
    assert caught.value.body["message"] == f"Response with id {answer.id!r} not found."
    assert caught.value.request_id


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("members", "error", "code"),
    [
        ({"model": "nothing", "input": "x"}, openai.NotFoundError, "model_not_found"),
        ({"model": "add", "input": '{"a": 13, "b": 1}'}, openai.InternalServerError, "function_error"),
        ({"model": "add", "input": '{"a": "x", "b": 1}'}, openai.BadRequestError, "invalid_arguments"),
        ({"model": "add", "input": ADD, "top_logprobs": 2}, openai.BadRequestError, "unsupported_parameter"),
        ({"model": "echo", "input": "x", "conversation": "c"}, openai.BadRequestError, "unsupported_parameter"),
        (
            {"model": "echo", "input": "x", "previous_response_id": "resp_x"},
            openai.BadRequestError,
            "previous_response_not_found",
        ),
    ],
)
def test_errors(
    client: openai.OpenAI, members: dict[str, Any], error: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        client.responses.create(**members, stream=stream)
    assert caught.value.code == code


def test_a_failure_in_the_middle(client: openai.OpenAI) -> None:
    *_, last = client.responses.create(model="model", input="break", stream=True)
    assert last.type == "response.failed"
    assert last.response.error.message == "the line broke"
    stored = client.responses.retrieve(last.response.id)
    assert (stored.status, stored.output_text) == ("failed", "so f")


def test_background(client: openai.OpenAI) -> None:
    queued = client.responses.create(model="crawl", input="0.2", background=True)
    assert queued.status in ("queued", "in_progress")
    found = wait_until(client, queued.id, lambda status: status not in ("queued", "in_progress"))
    assert (found.status, found.output_text) == ("completed", "first second")
    events = list(client.responses.retrieve(queued.id, stream=True, starting_after=2))
    assert [event.sequence_number for event in events] == list(range(3, 3 + len(events)))
    assert events[-1].type == "response.completed"


def wait_until(client: openai.OpenAI, id_: str, condition: Any) -> Any:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        found = client.responses.retrieve(id_)
        if condition(found.status):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{id_} is still {found.status}")


def test_background_is_cancelled(client: openai.OpenAI, slow: Slow) -> None:
    before = slow.cancelled
    queued = client.responses.create(model="crawl", input="30", background=True)
    wait_until(client, queued.id, lambda status: status == "in_progress")
    began = time.monotonic()
    cancelled = client.responses.cancel(queued.id)
    assert cancelled.status == "cancelled"
    assert time.monotonic() - began < 1
    assert client.responses.cancel(queued.id).status == "cancelled"
    settle(lambda: slow.cancelled == before + 1)
    plain = client.responses.create(model="echo", input="x")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(plain.id)


def settle(condition: Any) -> None:
    give_up = time.monotonic() + 1
    while not condition():
        assert time.monotonic() < give_up, "it took longer than a second"
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_the_work(url: str, client: openai.OpenAI, slow: Slow, stream: bool) -> None:
    started, before = slow.started, slow.cancelled
    body = {"model": "crawl", "input": "30", "stream": stream}
    if stream:
        with httpx.Client() as http, http.stream("POST", f"{url}/v1/responses", json=body, timeout=5) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: response.created"
            id_ = next(lines).partition('"id":"')[2].partition('"')[0]
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/responses", json=body, timeout=0.3)
    assert slow.started == started + 1
    settle(lambda: slow.cancelled == before + 1)
    if stream:
        assert client.responses.retrieve(id_).status == "cancelled"


def test_background_goes_on_without_its_client(url: str, client: openai.OpenAI, slow: Slow) -> None:
    finished = slow.finished
    body = {"model": "crawl", "input": "0.3", "stream": True, "background": True}
    with httpx.Client() as http, http.stream("POST", f"{url}/v1/responses", json=body, timeout=5) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: response.created"
        id_ = next(lines).partition('"id":"')[2].partition('"')[0]
    found = wait_until(client, id_, lambda status: status not in ("queued", "in_progress"))
    assert found.output_text == "first second"
    assert slow.finished == finished + 1


@pytest.mark.anyio
async def test_many_streams_at_once(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

        async def one(number: int) -> str:
            stream = await client.responses.create(model="echo", input=f"number {number}", stream=True)
            pieces = []
            numbers = []
            async for event in stream:
                numbers.append(event.sequence_number)
                if event.type == "response.output_text.delta":
                    pieces.append(event.delta)
            assert numbers == list(range(len(numbers)))
            return "".join(pieces)

        answers = await asyncio.gather(*(one(number) for number in range(40)))
    assert answers == [f"number {number}" for number in range(40)]


def test_a_restart_keeps_what_was_stored(tmp_path: Any) -> None:
    app = App("house")
    app.model("echo", engine="echo")
    with gateway(app, data_dir=tmp_path) as first:
        client = openai.OpenAI(base_url=f"{first.url}/v1", api_key="none", max_retries=0)
        kept = client.responses.create(model="echo", input="remember me")
    with gateway(app, data_dir=tmp_path) as second:
        client = openai.OpenAI(base_url=f"{second.url}/v1", api_key="none", max_retries=0)
        assert client.responses.retrieve(kept.id).output_text == "remember me"
        following = client.responses.create(model="echo", input="and?", previous_response_id=kept.id)
        assert following.previous_response_id == kept.id
