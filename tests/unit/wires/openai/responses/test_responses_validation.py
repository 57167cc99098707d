"""Wrong requests: where they are wrong, in the caller's own words."""

import pytest

from polyport.errors import BadRequestError, UnsupportedParameterError, UpstreamError
from polyport_gateway.wires.openai.responses.validation import name_as_asked, parse_request
from tests.support.scripted import text


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"input": "x"}, "model", "Field required"),
        ({"model": "m"}, "input", "Field required"),
        ({"model": "m", "input": 5}, "input", "valid list (got 5)"),
        ({"model": "m", "input": ["x"]}, "input.0", "object with a type"),
        ({"model": "m", "input": [{"type": "function_call"}]}, "input.0.call_id", "input.0.arguments: Field required"),
        ({"model": "m", "input": [{"role": "robot", "content": "x"}]}, "input.0.role", "'robot'"),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"text": "x"}]}]},
            "input.0.content.0.type",
            "Field required",
        ),
        ({"model": "m", "input": "x", "tools": [{"type": "mcp"}]}, "tools.0.server_label", "Field required"),
        ({"model": "m", "input": "x", "top_p": 7}, "top_p", "less than or equal to 1"),
        ({"model": "m", "input": [{"role": "u" * 500, "content": "x"}]}, "input.0.role", "…"),
    ],
)
def test_a_problem_is_named_by_its_place(body, param, words):
    with pytest.raises(BadRequestError) as caught:
        parse_request(body)
    assert caught.value.param == param
    assert words in caught.value.message
    for name_of_a_type in ("tagged-union", "list[", ".str", "Item"):
        assert name_of_a_type not in caught.value.message


def test_many_problems_are_counted():
    with pytest.raises(BadRequestError, match="and 12 more"):
        parse_request({"model": "m", "input": [{"role": "user"}] * 20})


def test_a_failure_names_the_parameter_as_it_was_asked_for():
    error = UnsupportedParameterError("'f' can't honour max_completion_tokens.", param="max_completion_tokens")
    assert name_as_asked(error).body()["param"] == "max_output_tokens"
    assert error.message == "'f' can't honour max_output_tokens."
    assert name_as_asked(UpstreamError("bad messages", param="messages.0.content")).param == "input"
    assert name_as_asked(UpstreamError("bad messages")).param is None


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_names_it_so(make_wire, stream):
    refused = UnsupportedParameterError("can't honour response_format", param="response_format")
    wire = make_wire({"m": [[refused], text("ok")]})
    answer = await wire.create(text={"format": {"type": "json_object"}}, stream=stream)
    assert (answer.status, answer.error["param"]) == (400, "text.format")
    assert answer.error["message"] == "can't honour text.format"
