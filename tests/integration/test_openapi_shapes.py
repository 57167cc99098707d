"""Every answer of the OpenAI wire against OpenAI's own description and the Open Responses specification.

Three things are left out of the comparison with Open Responses, which describes only the core of the protocol:
items and tools of type ``mcp`` and ``code_interpreter`` (its core has neither), events of those items, and reasoning
events, which it names
``response.reasoning.*`` where OpenAI says ``response.reasoning_text.*``. A ``json_schema`` format is compared with
OpenAI's description alone: Open Responses allows only null for its ``schema``. All of it is held against OpenAI's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polyport import Answer, App, Citation, FunctionError
from polyport.errors import UpstreamError
from polyport.events import (
    CitationAdded,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport.testing import ScriptedEngine, gateway
from polyport.testing.engine import ToolCall
from tests.support.openai_spec import Description, load_open_responses, load_openai, streaming_events
from tests.support.picture_sandbox import PictureProvider

pytestmark = pytest.mark.requires("data")

LOGPROBS = [{"token": "hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]
EVERYTHING = [
    ReasoningDelta("hm"),
    TextDelta("hi", logprobs=LOGPROBS),
    CitationAdded(Citation("Guide", url="https://example.org/guide")),
    RefusalDelta("no more"),
    ToolCallDelta(0, "call_1", "f", '{"x": 1}'),
    Usage(10, 5, cached_tokens=2, reasoning_tokens=1),
    Finish("tool_calls"),
]
FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}


def play(request: Any) -> Any:
    """What the scripted model says depends on the last user message, so that tests need no order."""
    said = [message.content for message in request.messages if message.role == "user"][-1]
    answered = any(message.role == "tool" for message in request.messages)
    match said:
        case "everything":
            return EVERYTHING
        case "break":
            return [TextDelta("so f"), UpstreamError("the line broke")]
        case "short":
            return [TextDelta("so f"), Finish("length")]
        case "code" if not answered:
            return ToolCall("code_interpreter", {"code": "say 42\npicture\nwrite out.csv 1,2"})
        case "code":
            return "It is in sandbox:/mnt/data/out.csv."
        case "broken code" if not answered:
            return ToolCall("code_interpreter", {"code": "die"})
        case "add" | "add wrongly" if not answered:
            return ToolCall("add", {"a": 1, "b": 2} if said == "add" else {"a": "x", "b": 2})
        case _:
            return f"you said {said}"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = App("shapes")

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

    app.sandbox(PictureProvider(), tools=False, allow_hosts=["example.org"])
    app.model("echo", engine="echo")
    app.model("scripted", engine=ScriptedEngine(*[play] * 200))
    app.agent("helper", model="scripted", tools=["add"])
    with gateway(app) as running:
        yield running.url


@pytest.fixture(scope="module")
def openai_spec(shared_data: Path) -> Description:
    return load_openai(shared_data)


@pytest.fixture(scope="module")
def open_spec(shared_data: Path) -> Description:
    return load_open_responses(shared_data)


@pytest.fixture
def api(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}/v1", timeout=20) as client:
        yield client


def post(api: httpx.Client, path: str, status: int = 200, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def frames(api: httpx.Client, path: str, method: str = "POST", **body: Any) -> list[Any]:
    """The data of every SSE event, `[DONE]` left out."""
    answer = api.request(method, path, json=body or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


OPENAIS_OWN = ("mcp", "code_interpreter")
MESSAGES = [
    ("add", '{"a": 1, "b": 2}'),
    ("guide", "holidays"),
    ("echo", "hello there"),
    ("scripted", "everything"),
    ("scripted", "short"),
    ("helper", "add"),
]


def test_models(api: httpx.Client, openai_spec: Description) -> None:
    listed = api.get("models").json()
    openai_spec.check("ListModelsResponse", listed)
    assert {model["id"] for model in listed["data"]} == {"add", "guide", "echo", "scripted", "helper"}
    for name in ("add", "guide", "echo", "helper"):
        openai_spec.check("Model", api.get(f"models/{name}").json())


@pytest.mark.parametrize(("model", "text"), MESSAGES)
def test_chat(api: httpx.Client, openai_spec: Description, model: str, text: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    openai_spec.check("CreateChatCompletionResponse", post(api, "chat/completions", **body))
    for options in ({}, {"stream_options": {"include_usage": True}}):
        chunks = frames(api, "chat/completions", **body, stream=True, **options)
        assert len(chunks) > 1
        for chunk in chunks:
            openai_spec.check("CreateChatCompletionStreamResponse", chunk)


def test_completions_and_embeddings(api: httpx.Client, openai_spec: Description) -> None:
    body = {"model": "echo", "prompt": "once upon a time"}
    openai_spec.check("CreateCompletionResponse", post(api, "completions", **body))
    *pieces, last = frames(api, "completions", **body, stream=True)
    for chunk in pieces:
        # OpenAI describes whole answers alone; in the chunks before the last it sends null here itself.
        assert chunk["choices"][0]["finish_reason"] is None
        chunk["choices"][0]["finish_reason"] = "stop"
    for chunk in (*pieces, last):
        openai_spec.check("CreateCompletionResponse", chunk)
    openai_spec.check("CreateEmbeddingResponse", post(api, "embeddings", model="echo", input=["a", "b"]))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chat/completions", {"model": "nothing", "messages": [{"role": "user", "content": "x"}]}, 404),
        ("chat/completions", {"model": "echo"}, 400),
        ("chat/completions", {"model": "add", "messages": [{"role": "user", "content": '{"a": 13, "b": 1}'}]}, 500),
        ("embeddings", {"model": "add", "input": "x"}, 400),
        ("responses", {"model": "nothing", "input": "x"}, 404),
        ("responses", {"model": "echo", "input": "x", "tools": [{"type": "web_search"}]}, 400),
        ("responses", {"model": "add", "input": '{"a": 13, "b": 1}'}, 500),
        ("responses", {"model": "add", "input": '{"a": 13, "b": 1}', "stream": True}, 500),
        ("responses/resp_nothing/cancel", {}, 404),
        ("nowhere", {}, 404),
    ],
)
def test_errors(api: httpx.Client, openai_spec: Description, path: str, body: dict[str, Any], status: int) -> None:
    openai_spec.check("ErrorResponse", post(api, path, status, **body))


def core(response: dict[str, Any]) -> dict[str, Any]:
    """A response without what only OpenAI's own protocol has."""
    items = [item for item in response["output"] if not item["type"].startswith(OPENAIS_OWN)]
    tools = [tool for tool in response["tools"] if not tool["type"].startswith(OPENAIS_OWN)]
    return {**response, "output": items, "tools": tools}


def check_response(openai_spec: Description, open_spec: Description, body: dict[str, Any]) -> None:
    openai_spec.check("Response", body)
    if body["text"]["format"]["type"] != "json_schema":
        open_spec.check("ResponseResource", core(body))


def check_events(openai_spec: Description, open_spec: Description, events: list[Any]) -> None:
    described = dict(streaming_events(open_spec))
    for event in events:
        openai_spec.check("ResponseStreamEvent", event)
        if event.get("item", {}).get("type", "").startswith(OPENAIS_OWN) or event["type"] not in described:
            known = ("mcp", "reasoning_text", "code_interpreter")
            assert any(name in event["type"] for name in known) or "item" in event, event["type"]
            continue
        if "response" in event:
            event = {**event, "response": core(event["response"])}
        open_spec.check(described[event["type"]], event)


OPTIONS: list[dict[str, Any]] = [
    {},
    {
        "instructions": "be kind",
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "service_tier": "flex",
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
    },
]
MODEL_OPTIONS: list[dict[str, Any]] = [
    {"tools": [FUNCTION], "tool_choice": "auto", "max_output_tokens": 100, "parallel_tool_calls": False},
    {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}, "text": {"verbosity": "low"}},
    {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "reasoning": {"effort": "low"}},
    {"reasoning": {"summary": "auto"}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}}},
    {"text": {"format": {"type": "json_object"}}},
]
CASES = [(model, text, options) for model, text in MESSAGES for options in OPTIONS]
CASES += [("scripted", "everything", options) for options in MODEL_OPTIONS]


@pytest.mark.parametrize(("model", "text", "options"), CASES)
def test_responses(
    api: httpx.Client,
    openai_spec: Description,
    open_spec: Description,
    model: str,
    text: str,
    options: dict[str, Any],
) -> None:
    body = post(api, "responses", model=model, input=text, **options)
    check_response(openai_spec, open_spec, body)
    assert api.get(f"responses/{body['id']}").json() == body
    events = frames(api, "responses", model=model, input=text, stream=True, **options)
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    if body["text"]["format"]["type"] == "json_schema":
        for event in events:
            openai_spec.check("ResponseStreamEvent", event)
    else:
        check_events(openai_spec, open_spec, events)
        check_events(openai_spec, open_spec, frames(api, f"responses/{body['id']}?stream=true", "GET"))
    openai_spec.check("ResponseItemList", api.get(f"responses/{body['id']}/input_items").json())
    assert api.delete(f"responses/{body['id']}").json() == {"id": body["id"], "object": "response", "deleted": True}


MCP: dict[str, Any] = {"type": "mcp", "server_label": "house", "allowed_tools": ["add"], "require_approval": "never"}


@pytest.mark.parametrize("text", ["add", "add wrongly"])
def test_tools_of_the_gateway(api: httpx.Client, openai_spec: Description, open_spec: Description, text: str) -> None:
    body = post(api, "responses", model="scripted", input=text, tools=[MCP], max_tool_calls=3)
    check_response(openai_spec, open_spec, body)
    kinds = [item["type"] for item in body["output"]]
    assert kinds == ["mcp_list_tools", "mcp_call", "message"]
    assert body["output"][1]["status"] == ("completed" if text == "add" else "failed")
    events = frames(api, "responses", model="scripted", input=text, tools=[MCP], stream=True)
    check_events(openai_spec, open_spec, events)
    check_events(openai_spec, open_spec, frames(api, f"responses/{body['id']}?stream=true", "GET"))


def test_approval(api: httpx.Client, openai_spec: Description, open_spec: Description) -> None:
    tools = [{**MCP, "require_approval": "always"}]
    events = frames(api, "responses", model="scripted", input="add", tools=tools, stream=True)
    check_events(openai_spec, open_spec, events)
    asked = events[-1]["response"]
    request = asked["output"][-1]
    assert request["type"] == "mcp_approval_request"
    decision = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
    body = post(api, "responses", model="scripted", input=[decision], tools=tools, previous_response_id=asked["id"])
    check_response(openai_spec, open_spec, body)
    call = body["output"][0]
    assert (call["type"], call["output"], call["approval_request_id"]) == ("mcp_call", "3", request["id"])
    openai_spec.check("ResponseItemList", api.get(f"responses/{body['id']}/input_items").json())


def test_every_kind_of_input_item_is_listed_as_described(api: httpx.Client, openai_spec: Description) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]},
        {"role": "user", "content": [{"type": "input_file", "filename": "a.txt", "file_data": "data:;base64,AA"}]},
        {"role": "assistant", "content": "hello"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        call,
        {"type": "function_call_output", "call_id": "c", "output": "7"},
        {"type": "mcp_call", "id": "mcp_1", "server_label": "x", "name": "add", "arguments": "{}", "output": "3"},
        {"role": "user", "content": "and?"},
    ]
    body = post(api, "responses", model="scripted", input=items)
    listed = api.get(f"responses/{body['id']}/input_items", params={"order": "asc"}).json()
    openai_spec.check("ResponseItemList", listed)
    assert len(listed["data"]) == len(items)


def test_background_and_failure(api: httpx.Client, openai_spec: Description, open_spec: Description) -> None:
    queued = post(api, "responses", model="echo", input="hi", background=True)
    check_response(openai_spec, open_spec, queued)
    events = frames(api, f"responses/{queued['id']}?stream=true", "GET")
    assert "response.queued" in [event["type"] for event in events]
    check_events(openai_spec, open_spec, events)
    cancelled = api.post(f"responses/{queued['id']}/cancel").json()
    check_response(openai_spec, open_spec, cancelled)
    broken = frames(api, "responses", model="scripted", input="break", stream=True)
    assert broken[-1]["type"] == "response.failed"
    check_events(openai_spec, open_spec, broken)


CODE = {"type": "code_interpreter", "container": {"type": "auto"}}


@pytest.mark.parametrize("include", [[], ["code_interpreter_call.outputs"]])
@pytest.mark.parametrize("text", ["code", "broken code"])
def test_code_in_responses(api: httpx.Client, openai_spec: Description, text: str, include: list[str]) -> None:
    asked = {"model": "scripted", "input": text, "tools": [CODE], "include": include}
    body = post(api, "responses", **asked)
    openai_spec.check("Response", body)
    call = body["output"][0]
    openai_spec.check("CodeInterpreterToolCall", call)
    assert (call["outputs"] is not None) == bool(include)
    events = frames(api, "responses", stream=True, **asked)
    for event in events:
        openai_spec.check("ResponseStreamEvent", event)
    kinds = {event["type"] for event in events if "code_interpreter" in event["type"]}
    assert len(kinds) == (5 if text == "code" else 4)
    for path in (f"responses/{body['id']}", f"responses/{body['id']}?include[]=code_interpreter_call.outputs"):
        openai_spec.check("Response", api.get(path).json())
    for event in frames(api, f"responses/{body['id']}?stream=true", "GET"):
        openai_spec.check("ResponseStreamEvent", event)
    if text == "code":
        (cited,) = body["output"][-1]["content"][0]["annotations"]
        openai_spec.check("ContainerFileCitationBody", cited)
    items = [{"role": "user", "content": text}, *body["output"], {"role": "user", "content": "and now?"}]
    again = post(api, "responses", model="scripted", input=items)
    listed = api.get(f"responses/{again['id']}/input_items").json()
    openai_spec.check("ResponseItemList", listed)


def test_containers(api: httpx.Client, openai_spec: Description) -> None:
    policy = {"type": "allowlist", "allowed_domains": ["example.org"]}
    plain = post(api, "containers", name="plain")
    made = post(
        api,
        "containers",
        name="mine",
        memory_limit="1g",
        expires_after={"anchor": "last_active_at", "minutes": 3},
        network_policy=policy,
    )
    assert (made["memory_limit"], made["network_policy"]) == ("1g", policy)
    for body in (plain, made, api.get(f"containers/{made['id']}").json()):
        openai_spec.check("ContainerResource", body)
    listed = api.get("containers").json()
    assert {body["id"] for body in listed["data"]} >= {plain["id"], made["id"]}
    openai_spec.check("ContainerListResource", listed)
    openai_spec.check("ContainerListResource", api.get("containers?name=nobody").json())
    files = f"containers/{made['id']}/files"
    openai_spec.check("ContainerFileListResource", api.get(files).json())
    file = api.post(files, files={"file": ("a.txt", b"x")}).json()
    openai_spec.check("ContainerFileResource", file)
    openai_spec.check("ContainerFileResource", api.get(f"{files}/{file['id']}").json())
    openai_spec.check("ContainerFileListResource", api.get(files).json())
    for path in ("containers/cntr_0", f"{files}/cfile_0", f"{files}/cfile_0/content"):
        answer = api.get(path)
        assert answer.status_code == 404
        openai_spec.check("ErrorResponse", answer.json())
    for path in (f"{files}/{file['id']}", f"containers/{made['id']}", f"containers/{plain['id']}"):
        assert api.delete(path).json()["deleted"] is True


def spoiled(value: Any) -> Iterator[tuple[str, Any]]:
    """The value with one required thing wrong at a time."""
    yield "status", {**value, "status": "done"}
    yield "created_at", {**value, "created_at": "yesterday"}
    yield "missing id", {key: item for key, item in value.items() if key != "id"}
    message = value["output"][0]
    yield "role", {**value, "output": [{**message, "role": "user"}]}
    yield "part", {**value, "output": [{**message, "content": [{"type": "output_text", "text": 1}]}]}
    part = {key: item for key, item in message["content"][0].items() if key != "annotations"}
    yield "annotations", {**value, "output": [{**message, "content": [part]}]}
    yield "usage", {**value, "usage": {**value["usage"], "input_tokens": "many"}}


def test_the_check_can_fail(api: httpx.Client, openai_spec: Description, open_spec: Description) -> None:
    body = post(api, "responses", model="echo", input="hi")
    for what, wrong in spoiled(body):
        assert openai_spec.problems("Response", wrong), f"OpenAI's description lets a wrong {what} pass"
        if what not in ("status", "role"):  # Open Responses takes any status, and items of any role
            assert open_spec.problems("ResponseResource", wrong), f"Open Responses lets a wrong {what} pass"
    event = frames(api, "responses", model="echo", input="hi", stream=True)[4]
    assert event["type"] == "response.output_text.delta"
    assert not openai_spec.problems("ResponseStreamEvent", event)
    for wrong in ({**event, "type": "response.output_text.piece"}, {**event, "delta": 1}, {**event, "item_id": None}):
        assert openai_spec.problems("ResponseStreamEvent", wrong)
    chat = post(api, "chat/completions", model="echo", messages=[{"role": "user", "content": "hi"}])
    assert openai_spec.problems("CreateChatCompletionResponse", {**chat, "object": "chat"})
    with pytest.raises(AssertionError, match="not a Response: at"):
        openai_spec.check("Response", {})
