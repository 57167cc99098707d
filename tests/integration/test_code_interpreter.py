"""The code interpreter of `/v1/responses` as the unmodified `openai` package uses it, in a scripted sandbox."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.events import Finish, TextDelta, ToolCallDelta
from polyport.testing import ScriptedEngine, gateway
from polyport.testing.engine import ToolCall
from tests.support.machine import openai3_python
from tests.support.picture_sandbox import PNG, PictureProvider
from tests.support.scripted_sandbox import ScriptedProvider
from tests.support.wires import eventually

AUTO: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
OUTPUTS: Any = ["code_interpreter_call.outputs"]


def code(text: str, id_: str | None = None) -> ToolCall:
    return ToolCall("code_interpreter", {"code": text}, id=id_)


def play(request: Any) -> Any:
    """What is asked for in braces is run, one call a line; then the model says what it was told."""
    said = [message.content for message in request.messages if message.role == "user"][-1]
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
        case "slowly" | "cut" if not answered:
            text = json.dumps({"code": rest.replace(" | ", "\n")})
            pieces = [text[start : start + 3] for start in range(0, len(text), 3)]
            deltas = [
                ToolCallDelta(0, *(("call_1", "code_interpreter") if not n else ()), arguments=piece)
                for n, piece in enumerate(pieces)
            ]
            return deltas if verb == "slowly" else [*deltas[:-3], Finish("length")]
        case "speak" if not answered:
            return [TextDelta("I will run it."), code(rest)]
        case "same id" if not answered:
            return [code(step, "call_1") for step in rest.split(" | ")]
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


@pytest.fixture
def sandbox() -> ScriptedProvider:
    return PictureProvider()


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(*[play] * 50)


@pytest.fixture
def url(sandbox: ScriptedProvider, engine: ScriptedEngine) -> Iterator[str]:
    app = App("house")
    app.sandbox(sandbox, tools=False)
    app.model("model", engine=engine)
    plain = ScriptedEngine()
    plain.features = frozenset({"stop"})
    app.model("plain", engine=plain)
    app.agent("helper", model="model")
    with gateway(app) as running:
        yield running.url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_code_runs_and_its_output_is_told(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="model", input="run: say 42 | err oh | result 7", tools=[AUTO])
    call, _ = answer.output
    assert (call.type, call.status, call.code) == ("code_interpreter_call", "completed", "say 42\nerr oh\nresult 7")
    assert call.id.startswith("ci_")
    assert call.container_id.startswith("cntr_")
    assert call.outputs is None
    assert answer.output_text == "it said 42\noh\n7\n"
    assert answer.tools[0].type == "code_interpreter"
    assert client.containers.retrieve(call.container_id).status == "running"


def test_outputs_are_shown_where_they_are_asked_for(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="model", input="run: say 1 | picture", tools=[AUTO], include=OUTPUTS)
    logs, image = answer.output[0].outputs
    assert (logs.type, logs.logs) == ("logs", "1\n")
    assert (image.type, image.url) == ("image", f"data:image/png;base64,{PNG}")
    # The picture is in the container too, and the model knows where.
    container = answer.output[0].container_id
    (file,) = client.containers.files.list(container)
    assert (file.source, file.path.endswith(".png")) == ("assistant", True)
    assert client.containers.files.content.retrieve(file.id, container_id=container).content == base64.b64decode(PNG)
    assert f"sandbox:{file.path}" in answer.output_text


def test_what_only_claims_to_be_a_picture_is_none(client: openai.OpenAI) -> None:
    fake = base64.b64encode(b"<script>").decode()
    answer = client.responses.create(model="model", input=f"run: picture {fake}", tools=[AUTO], include=OUTPUTS)
    assert [(output.type, output.logs) for output in answer.output[0].outputs] == [("logs", "<Figure>\n")]


def test_outputs_can_be_asked_for_later(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="model", input="run: say 1", tools=[AUTO])
    assert client.responses.retrieve(answer.id).output[0].outputs is None
    later = client.responses.retrieve(answer.id, include=OUTPUTS)
    assert [output.logs for output in later.output[0].outputs] == ["1\n"]
    assert "kept" not in client.responses.with_raw_response.retrieve(answer.id, include=OUTPUTS).text
    with pytest.raises(openai.BadRequestError, match="include"):
        client.responses.retrieve(answer.id, include=["everything"])  # type: ignore[list-item]
    shown = client.responses.create(model="model", input="run: say 1", tools=[AUTO], include=OUTPUTS)
    assert client.responses.retrieve(shown.id).output[0].outputs[0].logs == "1\n"


def test_the_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="model", input="run: say 1", tools=[AUTO], include=OUTPUTS) as stream:
        events = list(stream)
        final = stream.get_final_response()
    code_events = [event for event in events if "code_interpreter" in event.type]
    assert [event.type.removeprefix("response.code_interpreter_") for event in code_events] == [
        "call.in_progress",
        "call_code.delta",
        "call_code.done",
        "call.interpreting",
        "call.completed",
    ]
    assert code_events[1].delta == code_events[2].code == "say 1"
    added, done = (
        next(event.item for event in events if event.type == f"response.output_item.{step}")
        for step in ("added", "done")
    )
    assert (added.status, added.code, added.outputs) == ("in_progress", None, None)
    assert (done.status, done.code, done.outputs[0].logs) == ("completed", "say 1", "1\n")
    assert added.container_id == done.container_id == final.output[0].container_id
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_code_comes_as_it_is_written(client: openai.OpenAI) -> None:
    written = 'say "é😀\\" | say two'
    with client.responses.stream(model="model", input=f"slowly: {written}", tools=[AUTO]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.code_interpreter_call_code.delta"]
    assert len(deltas) > 5
    assert "".join(deltas) == final.output[0].code == written.replace(" | ", "\n")
    kinds = [event.type for event in events]
    assert kinds.index("response.output_item.added") < kinds.index("response.code_interpreter_call_code.delta")
    assert kinds.count("response.code_interpreter_call.in_progress") == 1


def test_code_that_is_cut_off_is_not_run(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    answer = client.responses.create(model="model", input="cut: say a long line", tools=[AUTO])
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    (call,) = answer.output
    assert (call.status, call.outputs) == ("incomplete", None)
    assert call.code
    assert "say a long line".startswith(call.code)
    assert sandbox.sessions[0].place.log == []
    later = client.responses.create(model="model", input="recall", previous_response_id=answer.id)
    assert "[This code was not run to its end.]" in later.output_text


def test_calls_that_share_an_id(client: openai.OpenAI) -> None:
    given = "same id: say 1 | say 2"
    with client.responses.stream(model="model", input=given, tools=[AUTO], include=OUTPUTS) as stream:
        events = list(stream)
        final = stream.get_final_response()
    calls = final.output[:-1]
    assert [(call.status, call.code, call.outputs[0].logs) for call in calls] == [
        ("completed", "say 1", "1\n"),
        ("completed", "say 2", "2\n"),
    ]
    done = [event.code for event in events if event.type == "response.code_interpreter_call_code.done"]
    assert done == ["say 1", "say 2"]


def test_a_stored_response_streams_again(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="model", input="run: say 1", tools=[AUTO])
    kinds = [event.type for event in client.responses.retrieve(answer.id, stream=True)]
    assert "response.code_interpreter_call.completed" in kinds
    assert kinds[-1] == "response.completed"


def test_in_the_background(client: openai.OpenAI) -> None:
    begun = client.responses.create(model="model", input="run: say 1", tools=[AUTO], background=True, include=OUTPUTS)
    for _ in range(200):
        found = client.responses.retrieve(begun.id)
        if found.status not in ("queued", "in_progress"):
            break
    assert (found.status, found.output[0].outputs[0].logs) == ("completed", "1\n")


def test_several_rounds_in_one_container(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    answer = client.responses.create(model="model", input="steps: set x 5 | get x | say done", tools=[AUTO])
    calls = [item for item in answer.output if item.type == "code_interpreter_call"]
    assert [call.code for call in calls] == ["set x 5", "get x", "say done"]
    assert len({call.container_id for call in calls}) == len(sandbox.sessions) == 1
    assert answer.output_text == "after 3 steps"


def test_calls_of_one_turn_have_their_turns(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    given = "together: sleep 0.05 | set x 1 | get x"
    answer = client.responses.create(model="model", input=given, tools=[AUTO])
    assert [item.status for item in answer.output[:-1]] == ["completed"] * 3
    place = sandbox.sessions[0].place
    assert (place.most_busy, place.log) == (1, ["sleep 0.05", "set x 1", "get x"])
    assert answer.output_text.endswith("1\n")


def test_the_limit_of_calls(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    given = "together: say 1 | say 2 | say 3"
    answer = client.responses.create(model="model", input=given, tools=[AUTO], max_tool_calls=2)
    assert [item.type for item in answer.output] == ["code_interpreter_call"] * 2 + ["message"]
    assert "the limit of 2" in answer.output_text
    assert sandbox.sessions[0].place.log == ["say 1", "say 2"]


def test_the_next_turn_has_the_container_and_the_history(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    first = client.responses.create(model="model", input="run: set x 5 | say set", tools=[AUTO])
    second = client.responses.create(model="model", input="run: get x", tools=[AUTO], previous_response_id=first.id)
    assert second.output[0].container_id == first.output[0].container_id
    assert second.output_text == "it said 5\n"
    third = client.responses.create(model="model", input="recall", previous_response_id=second.id)
    assert "tool: set\n" in third.output_text
    assert "tool: 5\n" in third.output_text
    assert len(sandbox.sessions) == 1


def test_without_the_servers_memory(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    given: Any = [{"role": "user", "content": "run: set x 5 | say set"}]
    first = client.responses.create(model="model", input=given, tools=[AUTO], include=OUTPUTS, store=False)
    again: Any = [*given, *first.output, {"role": "user", "content": "run: get x"}]
    second = client.responses.create(model="model", input=again, tools=[AUTO], store=False)
    assert second.output_text == "it said 5\n"
    assert len(sandbox.sessions) == 1
    recalled = client.responses.create(
        model="model", input=[*again, *second.output, {"role": "user", "content": "recall"}], store=False
    )
    assert "tool: set\n" in recalled.output_text
    assert "[The output of this call was not kept.]" in recalled.output_text


def test_a_container_that_is_gone_is_replaced(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    first = client.responses.create(model="model", input="run: set x 5", tools=[AUTO])
    client.containers.delete(first.output[0].container_id)
    second = client.responses.create(model="model", input="run: say 1", tools=[AUTO], previous_response_id=first.id)
    assert second.output[0].container_id != first.output[0].container_id
    assert "this is a new one" in second.output_text
    assert len(sandbox.sessions) == 2


def test_a_container_lost_in_the_middle_is_replaced(client: openai.OpenAI, sandbox: ScriptedProvider) -> None:
    answer = client.responses.create(model="model", input="steps: set x 1 | die | say back", tools=[AUTO])
    one, lost, new = answer.output[:3]
    assert (one.status, lost.status, new.status) == ("completed", "failed", "completed")
    assert one.container_id == lost.container_id != new.container_id
    assert client.containers.retrieve(lost.container_id).status == "expired"
    assert len(sandbox.sessions) == 2


def test_a_container_of_the_callers(client: openai.OpenAI) -> None:
    container = client.containers.create(name="mine")
    file = client.containers.files.create(container.id, file=("in.txt", b"the input"))
    tool: Any = {"type": "code_interpreter", "container": container.id}
    answer = client.responses.create(model="model", input="run: cat in.txt", tools=[tool])
    assert answer.output[0].container_id == container.id
    assert answer.output_text == "it said the input\n"
    assert client.containers.files.retrieve(file.id, container_id=container.id).source == "user"


def test_the_model_is_told_which_files_there_are(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    container = client.containers.create(name="mine")
    client.containers.files.create(container.id, file=("in.txt", b"12345"))
    tool: Any = {"type": "code_interpreter", "container": container.id}
    client.responses.create(model="model", input="hello", tools=[tool])
    told = engine.requests[-1].tools[0].function.description
    assert "/mnt/data/in.txt (5 bytes)" in told
    assert "no network" in told


def test_files_that_the_model_names_are_cited(client: openai.OpenAI) -> None:
    with client.responses.stream(model="model", input="write: out.csv", tools=[AUTO]) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    part = answer.output[-1].content[0]
    (cited,) = part.annotations
    container = answer.output[0].container_id
    assert (cited.type, cited.container_id, cited.filename) == ("container_file_citation", container, "out.csv")
    assert part.text[cited.start_index : cited.end_index] == "sandbox:/mnt/data/out.csv"
    assert client.containers.files.content.retrieve(cited.file_id, container_id=container).content == b"hello"
    kinds = [event.type for event in events]
    assert kinds.index("response.output_text.annotation.added") < kinds.index("response.output_text.done")
    later = client.responses.create(
        model="model", input="say: once more: /mnt/data/out.csv", tools=[AUTO], previous_response_id=answer.id
    )
    assert later.output[-1].content[0].annotations[0].file_id == cited.file_id


@pytest.mark.parametrize(
    ("given", "code_shown", "told", "status"),
    [
        ("say plain", "say plain", "plain\n", "completed"),
        ('"say quoted"', "say quoted", "quoted\n", "completed"),
        ('{"code": "say', '{"code": "say', "not valid JSON", "completed"),
        ('{"cod": "say 1"}', '{"cod": "say 1"}', "have no code", "completed"),
        ("[1]", "[1]", "have no code", "completed"),
        ('{"code": "fail ValueError bad"}', "fail ValueError bad", "ValueError: bad", "completed"),
        ('{"code": "exit 3"}', "exit 3", "exit code 3", "completed"),
        ('{"code": "vanish"}', "vanish", "without an end", "failed"),
    ],
)
def test_whatever_the_model_writes(client: openai.OpenAI, given: str, code_shown: str, told: str, status: str) -> None:
    answer = client.responses.create(model="model", input=f"raw: {given}", tools=[AUTO], include=OUTPUTS)
    assert (answer.output[0].code, answer.output[0].status) == (code_shown, status)
    assert told in answer.output_text


def test_the_model_can_be_made_to_use_it(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    client.responses.create(model="model", input="hi", tools=[AUTO], tool_choice={"type": "code_interpreter"})
    assert engine.requests[-1].tool_choice == {"type": "function", "function": {"name": "code_interpreter"}}
    client.responses.create(model="model", input="hi", tools=[AUTO], tool_choice="required")
    assert engine.requests[-1].tool_choice == "required"


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"tools": [AUTO, AUTO]}, "tools.1", "one code_interpreter already"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools.0.container", "required"),
        ({"tools": [{**AUTO, "container": {"type": "auto", "memory_limit": "2g"}}]}, None, "1g"),
        ({"tools": [{**AUTO, "container": {"type": "auto", "memory_limit": "64g"}}]}, None, "may be 1g"),
        ({"tools": [{**AUTO, "container": {"type": "auto", "gpu": 1}}]}, None, "gpu is not supported"),
        ({"tools": [{**AUTO, "allowed_callers": ["programmatic"]}]}, "tools.0.allowed_callers", "direct"),
        (
            {
                "tools": [
                    {
                        "type": "code_interpreter",
                        "container": {
                            "type": "auto",
                            "network_policy": {"type": "allowlist", "allowed_domains": ["example.org"]},
                        },
                    }
                ]
            },
            "tools.0.container.network_policy.allowed_domains",
            "may not be reached",
        ),
        ({"tools": [], "tool_choice": {"type": "code_interpreter"}}, "tool_choice", "not in tools"),
        (
            {"tools": [AUTO, {"type": "function", "name": "code_interpreter", "parameters": {}, "strict": False}]},
            "tools",
            "rename it",
        ),
        ({"model": "helper"}, "tools", "only a model"),
        ({"model": "plain"}, "tools", "can't call tools"),
    ],
)
def test_refusals(client: openai.OpenAI, change: dict[str, Any], param: str | None, words: str) -> None:
    body: Any = {"model": "model", "input": "hi", "tools": [AUTO], **change}
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        client.responses.create(**body)
    assert caught.value.param == param or param is None


def test_each_run_is_a_call_of_the_callers() -> None:
    app = App("house")
    app.sandbox(ScriptedProvider())
    app.model("model", engine=ScriptedEngine(*[play] * 10))
    with gateway(app) as running:

        def wait(work: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(work, running.loop).result(10)

        public, token = wait(running.gateway.keys.create("may", allow=["model", "run_code"]))
        _, barred = wait(running.gateway.keys.create("barred", allow=["model"]))
        base_url = f"{running.url}/v1"
        with (
            openai.OpenAI(base_url=base_url, api_key=barred, max_retries=0) as client,
            pytest.raises(openai.NotFoundError, match="run_code"),
        ):
            client.responses.create(model="model", input="run: say 1", tools=[AUTO])
        with openai.OpenAI(base_url=base_url, api_key=token, max_retries=0) as client:
            answer = client.responses.create(model="model", input="steps: say 1 | say 2", tools=[AUTO])
        assert answer.output_text == "after 2 steps"

        def counted() -> dict[str, int]:
            totals = wait(running.gateway.usage.totals(0))
            return {total.name: total.calls for total in totals if total.key_id == public.id}

        eventually(lambda: counted().get("run_code") == 2)
        assert counted()["model"] == 4  # the response, and the model's three turns


def test_too_many_containers_fail_the_response(client: openai.OpenAI) -> None:
    for number in range(16):
        client.containers.create(name=str(number))
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as caught:
            client.responses.create(model="model", input="run: say 1", tools=[AUTO], stream=stream)
        assert (caught.value.status_code, caught.value.code) == (503, "sandbox_busy")
    begun = client.responses.create(model="model", input="speak: say 1", tools=[AUTO], stream=True)
    failed = list(begun)[-1]
    assert (failed.type, failed.response.error.code) == ("response.failed", "server_error")
    assert "16 sessions" in failed.response.error.message


def test_a_container_that_is_not_there(client: openai.OpenAI) -> None:
    tool: Any = {"type": "code_interpreter", "container": "cntr_0"}
    with pytest.raises(openai.NotFoundError, match="cntr_0"):
        client.responses.create(model="model", input="hi", tools=[tool])


def test_files_that_were_kept_before(client: openai.OpenAI) -> None:
    file = client.files.create(file=("输入.txt", b"the input"), purpose="user_data")
    tool: Any = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file.id]}}
    answer = client.responses.create(
        model="model", input="run: cat 输入.txt", tools=[tool], include=["code_interpreter_call.outputs"]
    )
    assert answer.output[0].outputs[0].logs == "the input\n"
    again = client.responses.create(
        model="model",
        input="run: cat 输入.txt",
        tools=[tool],
        include=["code_interpreter_call.outputs"],
        previous_response_id=answer.id,
    )
    assert again.output[0].container_id == answer.output[0].container_id
    client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError, match=file.id) as caught:
        client.responses.create(model="model", input="hi", tools=[tool])
    assert caught.value.param == "tools.0.container.file_ids"


def test_chat_completions_have_no_code_interpreter(url: str) -> None:
    body = {"model": "model", "messages": [{"role": "user", "content": "hi"}], "tools": [AUTO]}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=10)
    assert answer.status_code == 400
    assert "code_interpreter" in answer.text


OPENAI_3 = """
import json, sys
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
container = client.containers.create(name="mine", memory_limit="1g")
client.containers.files.create(container.id, file=("in.txt", b"the input"))
tool = {"type": "code_interpreter", "container": container.id}
with client.responses.stream(model="model", input="run: cat in.txt | picture", tools=[tool]) as stream:
    kinds = [event.type for event in stream]
    answer = stream.get_final_response()
found = client.responses.retrieve(answer.id, include=["code_interpreter_call.outputs"])
files = {file.source: file for file in client.containers.files.list(container.id)}
content = client.containers.files.content.retrieve(files["user"].id, container_id=container.id).content
annotations = answer.output[-1].content[0].annotations
client.containers.delete(container.id)
print(json.dumps({
    "major": openai.__version__.split(".")[0],
    "completed": "response.code_interpreter_call.completed" in kinds,
    "logs": found.output[0].outputs[0].logs,
    "sources": sorted(files),
    "content": content.decode(),
    "cited": [note.file_id == files["assistant"].id for note in annotations],
    "left": [container.id for container in client.containers.list()],
}))
"""


@pytest.mark.requires("openai3")
def test_with_the_next_major_version(url: str) -> None:
    command = [str(openai3_python()), "-c", OPENAI_3, f"{url}/v1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {
        "major": "3",
        "completed": True,
        "logs": "the input\n",
        "sources": ["assistant", "user"],
        "content": "the input",
        "cited": [True],
        "left": [],
    }
