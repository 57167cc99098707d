from __future__ import annotations

import json
from typing import Any

import pytest

from polyport.events import Finish, TextDelta
from polyport_gateway.call import LOCAL
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import RequestInfo
from polyport_gateway.wires.openai.completions import CompletionEndpoint
from tests.support.scripted import ScriptedDispatch

pytestmark = pytest.mark.anyio

FIRST = {"tokens": ["a"], "token_logprobs": [-0.5], "text_offset": [0]}
SECOND = {"tokens": ["b"], "token_logprobs": [-1.5], "text_offset": [1]}
TURN = [TextDelta("a", 0, [FIRST]), TextDelta("b", 0, [SECOND]), TextDelta("c", 1), Finish(), Finish(choice=1)]


async def ask(**members: Any) -> bytes:
    """Ask a model that answers with `TURN`, and return the body of the answer."""
    endpoint = CompletionEndpoint(ScriptedDispatch({"m": [TURN]}), Settings())
    scope = {"headers": [], "polyport": RequestInfo("req_1", LOCAL)}
    body = json.dumps({"model": "m", "prompt": "x", **members}).encode()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


async def test_a_whole_answer_has_each_choices_log_probabilities() -> None:
    first, second = json.loads(await ask(logprobs=1))["choices"]
    assert first["text"] == "ab"
    assert first["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [-0.5, -1.5],
        "text_offset": [0, 1],
    }
    assert (second["text"], second["logprobs"]) == ("c", None)


async def test_a_streamed_answer_has_them_piece_by_piece() -> None:
    frames = (await ask(logprobs=1, stream=True)).split(b"\n\n")
    assert frames[-2] == b"data: [DONE]"
    choices = [json.loads(frame[6:])["choices"][0] for frame in frames[:-2]]
    assert [choice["logprobs"] for choice in choices] == [FIRST, SECOND, None, None, None]
