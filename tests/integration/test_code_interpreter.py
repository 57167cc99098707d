"""The code interpreter of `/v1/responses` as the unmodified `openai` package uses it, in a scripted sandbox and in Docker's."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.events import Finish, TextDelta
from polyport.testing import ScriptedEngine, gateway
from polyport.testing.engine import ToolCall
from polyport_sandbox import Display, DisplayEvent, RunEvent, RunRequest, SessionRequest
from tests.support.openai_spec import Description, load_openai
from tests.support.scripted_sandbox import Place, ScriptedProvider, ScriptedSession

AUTO: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
OUTPUTS: Any = ["code_interpreter_call.outputs"]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and the rest").decode()


def code(text: str, id_: str | None = None) -> ToolCall:
    return ToolCall("code_interpreter", {"code": text}, id=id_)


def tool_texts(request: Any) -> list[str]:
    return [message.content for message in request.messages if message.role == "tool"]


def play(request: Any) -> Any:
    """What is asked for in braces is run, one call a line; then the model says what it was told."""
    said = [message.content for message in request.messages if message.role == "user"][-1]
    since = list(request.messages)
    while since and since[0].role != "user":
        since.pop(0)
    last = max(place for place, message in enumerate(request.messages) if message.role == "user")
    answered = [message.content for message in request.messages[last:] if message.role == "tool"]
    verb, _, rest = said.partition(": ")
    match verb:
        case "run" if not answered:
            return code(rest.replace(" | ", "\n"))
        case "steps":
            steps = rest.split(" | ")
            return code(steps[len(answered)]) if len(answered) < len(steps) else f"after {len(answered)} steps"
        case "together" if not answered:
            return [code(step, f"call_{place}") for place, step in enumerate(rest.split(" | "))]
        case "raw" if not answered:
            return ToolCall("code_interpreter", rest)
        case "say":
            return rest
        case "recall":
            return " / ".join(f"{message.role}: {message.content}" for message in request.messages)
        case "write" if not answered:
            return code(f"write {rest} hello")
        case "write":
            return [TextDelta("Here: [it](sandbox:/mnt/"), TextDelta(f"data/{rest})."), Finish()]
        case _:
            return "it said " + " + ".join(answered)


class Pictures(ScriptedProvider):
    """A scripted sandbox whose code can show a picture: ``picture``."""

    async def open_session(self, request: SessionRequest, *, caller: str) -> Any:
        session: ScriptedSession = await super().open_session(request, caller=caller)  # type: ignore[assignment]
        session.place.__class__ = PicturePlace
        return session


class PicturePlace(Place):
    async def _act(self, verb: str, rest: str, request: RunRequest, told: dict[str, Any]) -> AsyncGenerator[RunEvent]:
        if verb == "picture":
            display = Display({"image/png": rest or PNG, "text/plain": "<Figure>"})
            told["displays"].append(display)
            yield DisplayEvent("display", display)
            return
        async for event in super()._act(verb, rest, request, told):
            yield event


@pytest.fixture
def sandbox() -> ScriptedProvider:
    return Pictures()


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(*[play] * 50)


@pytest.fixture
def url(sandbox: ScriptedProvider, engine: ScriptedEngine) -> Iterator[str]:
    app = App("house")
    app.sandbox(sandbox, tools=False)
    app.model("model", engine=engine)
    app.model("echo", engine="echo")
    app.agent("helper", model="model")
    with gateway(app) as running:
        yield running.url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_code_runs_and_its_output_is_told(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="model", input="run: say 42 | err oh | result 7", tools=[AUTO])
    call, message = answer.output
    assert (call.type, call.status, call.code) == ("code_interpreter_call", "completed", "say 42\nerr oh\nresult 7")
    assert call.id.startswith("ci_") and call.container_id.startswith("cntr_")
    assert call.outputs is None
    assert answer.output_text == "it said 42\noh\n7\n"
    assert answer.tools[0].type == "code_interpreter"
    assert client.containers.retrieve(call.container_id).status == "running"
