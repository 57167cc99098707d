from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from mcp_types import ClientCapabilities

from polyport.context import AskRoots, Elicit, Sample
from polyport_gateway.call import InputRequired
from polyport_gateway.wires.mcp.asking import Asker
from polyport_gateway.wires.mcp.errors import MissingClientCapabilityError

pytestmark = pytest.mark.anyio

NAME = Elicit("Name?", {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})
EVERYTHING = {"elicitation": {}, "sampling": {}, "roots": {}}


def asker(
    responses: dict[str, Any] | None = None, state: str | None = None, capabilities: dict[str, Any] = EVERYTHING
) -> Asker:
    session = SimpleNamespace(client_capabilities=ClientCapabilities.model_validate(capabilities))
    request: Any = SimpleNamespace(protocol_version="2026-07-28", session=session)
    return Asker(request, responses, state)


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


async def first_round(**asks: Any) -> dict[str, Any]:
    running = asker()
    with pytest.raises(InputRequired):
        await running.ask(asks)
    result = running.input_required()
    assert result is not None
    return result


async def test_what_is_not_known_yet_is_asked_by_the_same_keys() -> None:
    result = await first_round(who=NAME, how=Sample("How?"), where=AskRoots())
    assert result["resultType"] == "input_required"
    assert [request["method"] for request in result["inputRequests"].values()] == [
        "elicitation/create",
        "sampling/createMessage",
        "roots/list",
    ]
    assert list(result["inputRequests"]) == ["who", "how", "where"]


async def test_answers_of_earlier_rounds_travel_in_the_state() -> None:
    first = await first_round(who=NAME)
    second = asker({"who": accept(name="Ada")}, first["requestState"])
    assert (await second.ask({"who": NAME}))["who"].data == {"name": "Ada"}
    with pytest.raises(InputRequired):
        await second.ask({"how": Sample("How?")})
    asked = second.input_required()
    assert asked is not None
    assert list(asked["inputRequests"]) == ["how"]
    answer = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "well"}}
    third = asker({"how": answer}, asked["requestState"])
    assert (await third.ask({"who": NAME}))["who"].data == {"name": "Ada"}
    assert (await third.ask({"how": Sample("How?")}))["how"].text == "well"
    assert third.input_required() is None


async def test_the_same_key_twice_is_two_questions() -> None:
    running = asker({"answer": accept(name="Ada")})
    assert (await running.ask({"answer": NAME}))["answer"].data == {"name": "Ada"}
    with pytest.raises(InputRequired):
        await running.ask({"answer": NAME})
    result = running.input_required()
    assert result is not None
    assert list(result["inputRequests"]) == ["answer_2"]


async def test_an_answer_to_another_question_is_not_taken() -> None:
    first = await first_round(who=NAME)
    second = asker({"who": accept(name="Ada")}, first["requestState"])
    with pytest.raises(InputRequired):
        await second.ask({"who": Elicit("Who else?", NAME.schema)})


@pytest.mark.parametrize("answer", [7, None, {}, accept(), accept(name=7), {"action": "maybe"}])
async def test_an_answer_that_does_not_fit_is_asked_again(answer: Any) -> None:
    running = asker({"who": answer})
    with pytest.raises(InputRequired):
        await running.ask({"who": NAME})


async def test_declining_is_an_answer() -> None:
    assert (await asker({"who": {"action": "decline"}}).ask({"who": NAME}))["who"].action == "decline"


async def test_what_the_client_cannot_do_is_refused_by_name() -> None:
    with pytest.raises(MissingClientCapabilityError) as caught:
        await asker(capabilities={"elicitation": {"url": {}}}).ask({"who": NAME, "how": Sample("How?")})
    assert caught.value.required == {"elicitation": {}, "sampling": {}}


async def test_the_state_holds_no_more_than_was_used() -> None:
    running = asker({"who": accept(name="Ada"), "extra": accept(name="x")})
    await running.ask({"who": NAME})
    with pytest.raises(InputRequired):
        await running.ask({"then": NAME})
    result = running.input_required()
    assert result is not None
    assert list(json.loads(result["requestState"])["answers"]) == ["who"]
