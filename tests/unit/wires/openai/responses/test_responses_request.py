"""What a request becomes: messages, options and tools; and what is refused."""

import pytest

from polyport.events import TextDelta
from polyport_gateway.call import ServerTools
from tests.support.scripted import text

pytestmark = pytest.mark.anyio

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "7"}


async def sent(make_wire, given, **members):
    wire = make_wire({"m": [text("ok")]})
    answer = await wire.create(given, **members)
    assert answer.status == 200, answer.body
    return wire.chat().body


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ("hi", [{"role": "user", "content": "hi"}]),
        ([{"role": "user", "content": "hi"}], [{"role": "user", "content": "hi"}]),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            [{"role": "user", "content": "hi"}],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
                        {"type": "input_file", "filename": "a.pdf", "file_data": "data:;base64,AA"},
                    ],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
                        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:;base64,AA"}},
                    ],
                }
            ],
        ),
        (
            [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "hi"},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "yes"}, {"type": "refusal", "refusal": "no"}],
                },
                {"role": "user", "content": "again"},
            ],
            [
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "yes", "refusal": "no"},
                {"role": "user", "content": "again"},
            ],
        ),
        (
            [
                {"role": "user", "content": "hi"},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"role": "assistant", "content": "let me see"},
                CALL,
                {**CALL, "call_id": "c2"},
                {**OUTPUT, "call_id": "c2", "output": [{"type": "input_text", "text": "8"}]},
                OUTPUT,
            ],
            [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": "let me see",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                        {"id": "c2", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "7"},
                {"role": "tool", "tool_call_id": "c2", "content": "8"},
            ],
        ),
        (
            [
                {"role": "user", "content": "hi"},
                {
                    "type": "mcp_call",
                    "id": "mcp_1",
                    "server_label": "shop",
                    "name": "look",
                    "arguments": "{}",
                    "output": "a hat",
                },
                {"role": "assistant", "content": "a hat"},
            ],
            [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "mcp_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "mcp_1", "content": "a hat"},
                {"role": "assistant", "content": "a hat"},
            ],
        ),
    ],
)
async def test_input_becomes_messages(make_wire, given, messages):
    assert (await sent(make_wire, given))["messages"] == messages


async def test_instructions_come_first(make_wire):
    body = await sent(make_wire, "hi", instructions="be kind")
    assert body["messages"][0] == {"role": "system", "content": "be kind"}


async def test_options_under_their_chat_names(make_wire):
    schema = {"type": "object", "properties": {"a": {"default": None}}}
    body = await sent(
        make_wire,
        "hi",
        max_output_tokens=99,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=3,
        include=["message.output_text.logprobs"],
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": False}],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="flex",
        user="u",
        metadata={"a": "b"},
        store=False,
        top_k=5,
    )
    del body["messages"]
    assert body == {
        "model": "m",
        "max_completion_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "logprobs": True,
        "top_logprobs": 3,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": schema, "strict": False},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "user": "u",
        "top_k": 5,
    }


async def test_a_response_repeats_the_request(make_wire):
    schema = {"type": "object", "properties": {"a": {"default": None}}}
    wire = make_wire({"m": [text("ok")]})
    members = {
        "max_output_tokens": 99,
        "metadata": {"a": "b"},
        "instructions": "be kind",
        "temperature": 0.5,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}},
        "tool_choice": "auto",
        "user": "u",
    }
    body = (await wire.create(**members)).json()
    assert {key: body[key] for key in members} == members


@pytest.mark.parametrize(
    ("members", "param", "words"),
    [
        ({"conversation": "conv_1"}, "conversation", "previous_response_id"),
        ({"prompt": {"id": "p"}}, "prompt", "templates"),
        ({"truncation": "auto"}, "truncation", "disabled"),
        ({"moderation": {}}, "moderation", "moderated"),
        ({"messages": []}, "messages", "chat/completions"),
        ({"n": 2}, "n", "chat/completions"),
        ({"include": ["everything"]}, "include", "everything"),
        ({"include": ["reasoning.encrypted_content"]}, "include", "Encrypted"),
        ({"reasoning": {"summary": "concise"}}, "reasoning.summary", "detailed"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format", "name"),
        ({"background": True, "store": False}, "background", "store"),
        ({"tools": [{"type": "web_search"}]}, "tools.0", "'web_search'"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools.0", "sandbox"),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x"}]},
            "tools.0.server_url",
            "operator",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"}]},
            "tools.0.connector_id",
            "operator",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "headers": {"a": "b"}}]},
            "tools.0.headers",
            "not supported",
        ),
        ({"tools": [{"type": "mcp", "server_label": "x"}] * 2}, "tools.1.server_label", "twice"),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice", "file_search"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", "'f'"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata", "16"),
        ({"temperature": 3}, "temperature", "2"),
        ({"input": []}, "input", "empty"),
        ({"input": [{"type": "computer_call"}]}, "input.0", "'computer_call'"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input.0.content.0", "'input_video'"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input", "image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]}, "input", "file_data"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0", "'text'"),
        ({"input": [{"role": "user", "content": "x"}, CALL]}, "input", "No tool output found for function call c1"),
        ({"input": [OUTPUT]}, "input", "No tool call found"),
        ({"previous_response_id": "resp_x"}, "previous_response_id", "not found"),
        (
            {"input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}]},
            "input",
            "mcpr_1",
        ),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(make_wire, members, param, words):
    wire = make_wire({"m": [text("ok")]})
    answer = await wire.create(**{"input": "hi", **members})
    assert answer.status == 400, answer.body
    assert answer.error["param"] == param
    assert words in answer.error["message"]
    assert answer.error["type"] == "invalid_request_error"
    assert not wire.dispatch.calls


async def test_a_model_must_be_visible_before_work_begins_in_the_background(make_wire, shop):
    wire = make_wire({"m": [text("ok")]}, shop)
    hidden = await wire.create(allow=frozenset({"look"}), background=True)
    missing = await wire.create(model="nothing", background=True)
    assert (hidden.status, hidden.error["code"]) == (404, "model_not_found")
    assert hidden.error["message"].replace("'m'", "'nothing'") == missing.error["message"]


def mcp(**members):
    return {"tools": [{"type": "mcp", "server_label": "shop", **members}]}


@pytest.mark.parametrize(
    ("tool", "names", "approve"),
    [
        ({}, {"look", "sell", "ask", "helper"}, {"look", "sell", "ask", "helper"}),
        ({"allowed_tools": ["look", "sell"]}, {"look", "sell"}, {"look", "sell"}),
        ({"allowed_tools": {"tool_names": ["look"]}, "require_approval": "never"}, {"look"}, set()),
        ({"allowed_tools": {"read_only": True}, "require_approval": "never"}, {"look"}, set()),
        (
            {"allowed_tools": ["look", "sell"], "require_approval": {"never": {"tool_names": ["look"]}}},
            {"look", "sell"},
            {"sell"},
        ),
        (
            {"allowed_tools": ["look", "sell"], "require_approval": {"never": {"read_only": True}}},
            {"look", "sell"},
            {"sell"},
        ),
        (
            {
                "allowed_tools": ["look", "sell"],
                "require_approval": {"always": {"tool_names": ["look"]}, "never": {"tool_names": ["look", "sell"]}},
            },
            {"look", "sell"},
            {"look"},
        ),
    ],
)
async def test_tools_of_the_catalogue(make_wire, shop, tool, names, approve):
    wire = make_wire({"m": [text("ok")]}, shop)
    answer = await wire.create(max_tool_calls=3, **mcp(**tool))
    given = wire.chat().server_tools
    assert given == ServerTools(
        names=frozenset(names), label="shop", approve=frozenset(approve), approved={}, max_calls=3
    )
    listed = answer.json()["output"][0]
    assert listed["type"] == "mcp_list_tools"
    assert {tool["name"] for tool in listed["tools"]} == names


async def test_a_tool_that_a_key_may_not_see_is_missing(make_wire, shop):
    wire = make_wire({"m": [text("ok")]}, shop)
    hidden = await wire.create(allow=frozenset({"m", "look"}), **mcp(allowed_tools=["sell"]))
    missing = await wire.create(**mcp(allowed_tools=["nothing"]))
    assert (hidden.status, hidden.error["code"]) == (404, "tool_not_found")
    assert hidden.error["message"].replace("'sell'", "'nothing'") == missing.error["message"]
    await wire.create(allow=frozenset({"m", "look"}), **mcp())
    assert wire.chat().server_tools.names == {"look"}


async def test_only_a_model_takes_tools_of_the_catalogue(make_wire, shop):
    wire = make_wire({}, shop)
    answer = await wire.create(model="look", **mcp())
    assert (answer.status, answer.error["param"]) == (400, "tools")


async def test_a_choice_of_tools_leaves_only_these(make_wire, shop):
    wire = make_wire({"m": [text("ok")] * 3}, shop)
    tools = [
        {"type": "function", "name": "f", "parameters": {}},
        {"type": "function", "name": "g", "parameters": {}},
        {"type": "mcp", "server_label": "shop", "allowed_tools": ["look", "sell"]},
    ]
    allowed = [{"type": "function", "name": "g"}, {"type": "mcp", "server_label": "shop", "name": "look"}]
    await wire.create(tools=tools, tool_choice={"type": "allowed_tools", "mode": "required", "tools": allowed})
    assert [tool["function"]["name"] for tool in wire.chat().body["tools"]] == ["g"]
    assert wire.chat().server_tools.names == {"look"}
    assert wire.chat().body["tool_choice"] == "required"
    await wire.create(tools=tools, tool_choice={"type": "mcp", "server_label": "shop", "name": "sell"})
    assert wire.chat().body["tool_choice"] == {"type": "function", "function": {"name": "sell"}}
    await wire.create(tools=tools, tool_choice={"type": "mcp", "server_label": "shop"})
    assert wire.chat().body["tool_choice"] == "required"
    assert "tools" not in wire.chat().body


async def test_a_reference_names_an_item_of_an_earlier_response(make_wire):
    wire = make_wire({"m": [[TextDelta("first"), *text("")], text("ok")]})
    first = (await wire.create("hi")).json()
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    answer = await wire.create([reference, {"role": "user", "content": "and?"}])
    assert answer.status == 200
    assert wire.messages() == [{"role": "assistant", "content": "first"}, {"role": "user", "content": "and?"}]
    other = await wire.create([{"id": reference["id"]}], caller="someone else")
    assert other.status == 404
