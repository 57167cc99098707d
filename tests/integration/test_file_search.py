"""The `file_search` tool of `/v1/responses`, as the unmodified `openai` package uses it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.events import Finish, TextDelta
from polyport.testing import ScriptedEngine, gateway
from polyport.testing.engine import ToolCall
from tests.support.machine import openai3_python
from tests.support.openai_spec import load_openai, streaming_events
from tests.support.wires import eventually

SHIPPING = "# Shipping\n\nGoods are shipped within five days from Hamburg.\n"
WARRANTY = "# 保修\n\n设备的保修期为三年，自购买之日起计算。\n"
RESULTS: Any = ["file_search_call.results"]


def play(request: Any) -> Any:
    """What the model says depends on the last user message alone, so that tests need no order."""
    said = [message.content for message in request.messages if message.role == "user"][-1]
    told = [message.content for message in request.messages if message.role == "tool"]
    last = request.messages[-1].role == "tool"
    match said.split(":", 1):
        case ["find", query] if not last:
            return ToolCall("file_search", {"queries": [query]})
        case ["find", _]:
            number = told[-1].partition("【")[2].partition("】")[0]
            pieces = ["So it is", f" 【{number}", "†", "x】. And more", "【99】."]
            return [*map(TextDelta, pieces), Finish("stop")]
        case ["cite", marks]:
            return [TextDelta(f"As said {marks}."), Finish("stop")]
        case ["wrong", arguments] if not last:
            return ToolCall("file_search", arguments)
        case ["told"]:
            return json.dumps(told, ensure_ascii=False)
        case _:
            return told[-1] if last else f"you said {said}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("qdrant_edge")
    folder = tmp_path_factory.mktemp("search")
    docs = folder / "docs"
    docs.mkdir()
    (docs / "手册.md").write_text(WARRANTY, encoding="utf-8")
    app = App("search")
    app.knowledge("handbook", sources=[str(docs)])
    app.model("echo", engine="echo")
    app.model("model", engine=ScriptedEngine(*[play] * 300))
    app.agent("helper", model="model", tools=[])
    with gateway(app, data_dir=folder / "data") as running:
        with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none") as client:
            eventually(
                lambda: client.vector_stores.retrieve("handbook").file_counts.completed == 1, 30, "handbook is read"
            )
        yield running


@pytest.fixture(scope="module")
def store(served: Any) -> tuple[str, str]:
    """A store with one file, and the file."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        made = client.vector_stores.create(name="goods").id
        file = client.vector_stores.files.upload_and_poll(vector_store_id=made, file=("shipping.md", SHIPPING.encode()))
        client.vector_stores.files.update(file.id, vector_store_id=made, attributes={"year": 2025})
        eventually(lambda: client.vector_stores.search(made, query="shipped").data[0].attributes, 10)
        return made, file.id


@pytest.fixture
def client(served: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def tool(*stores: str, **members: Any) -> Any:
    return {"type": "file_search", "vector_store_ids": list(stores), **members}


def cited(answer: Any) -> list[tuple[str, str, int]]:
    (part,) = answer.output[-1].content
    return [(note.file_id, note.filename, note.index) for note in part.annotations]


def test_a_model_searches_and_cites(client: openai.OpenAI, store: tuple[str, str]) -> None:
    answer = client.responses.create(model="model", input="find:Where are goods shipped from?", tools=[tool(store[0])])
    search, message = answer.output
    assert (search.type, search.status, search.queries, search.results) == (
        "file_search_call", "completed", ["Where are goods shipped from?"], None,
    )  # fmt: skip
    assert message.content[0].text == "So it is. And more."
    assert cited(answer) == [(store[1], "shipping.md", len("So it is"))]
    assert answer.tools[0].vector_store_ids == [store[0]]


def test_results_are_shown_to_those_who_ask(client: openai.OpenAI, store: tuple[str, str]) -> None:
    answer = client.responses.create(model="model", input="find:Hamburg", tools=[tool(store[0])], include=RESULTS)
    (result,) = answer.output[0].results
    assert (result.file_id, result.filename, result.attributes) == (store[1], "shipping.md", {"year": 2025})
    assert "Hamburg" in result.text
    assert 0 < result.score <= 1
    plain = client.responses.create(model="model", input="find:Hamburg", tools=[tool(store[0])])
    assert client.responses.retrieve(plain.id).output[0].results is None
    assert client.responses.retrieve(plain.id, include=RESULTS).output[0].results[0].text == result.text


def test_it_is_streamed(client: openai.OpenAI, store: tuple[str, str]) -> None:
    with client.responses.stream(model="model", input="find:Hamburg", tools=[tool(store[0])]) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    kinds = [event.type for event in events]
    at = kinds.index("response.output_item.added")
    assert kinds[at : at + 5] == [
        "response.output_item.added",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.output_item.done",
    ]
    text = ""
    for event in events:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_text.annotation.added":
            # It comes just where it belongs.
            assert event.annotation["index"] == len(text) == len("So it is")
    assert text == answer.output_text == "So it is. And more."
    assert kinds.count("response.output_text.annotation.added") == 1
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_what_was_streamed_can_be_read_again(client: openai.OpenAI, store: tuple[str, str], served: Any) -> None:
    made = client.responses.create(model="model", input="find:Hamburg", tools=[tool(store[0])])
    kinds = [event.type for event in client.responses.retrieve(made.id, stream=True)]
    for state in ("in_progress", "searching", "completed"):
        assert f"response.file_search_call.{state}" in kinds
    assert "response.output_text.annotation.added" in kinds


def test_marks_of_earlier_turns_still_cite(client: openai.OpenAI, store: tuple[str, str]) -> None:
    tools = [tool(store[0], "handbook")]
    first = client.responses.create(model="model", input="find:Where is Hamburg?", tools=tools, include=RESULTS)
    earlier = len(first.output[0].results)
    second = client.responses.create(
        model="model", input="find:保修期", tools=tools, previous_response_id=first.id, include=RESULTS
    )
    assert cited(second)[0][1] == "手册.md", "the marks go on from those of the turn before"
    third = client.responses.create(
        model="model", input=f"cite:【1】 【{earlier + 1}】", tools=tools, previous_response_id=second.id
    )
    assert [name for _, name, _ in cited(third)] == ["shipping.md", "手册.md"]
    fourth = client.responses.create(model="model", input="told", previous_response_id=third.id)
    told = json.loads(fourth.output_text)
    assert len(told) == 2
    assert "【1】 shipping.md" in told[0]
    assert f"【{earlier + 1}】 手册.md" in told[1]


def test_items_that_the_caller_sends_back(client: openai.OpenAI, store: tuple[str, str]) -> None:
    first = client.responses.create(
        model="model", input="find:Hamburg", tools=[tool(store[0])], include=RESULTS, store=False
    )
    said: Any = [item.model_dump(exclude_none=True) for item in first.output]
    again = client.responses.create(model="model", input=[*said, {"role": "user", "content": "told"}])
    assert "Hamburg" in json.loads(again.output_text)[0]


def test_the_echo_engine_searches_too(client: openai.OpenAI, store: tuple[str, str]) -> None:
    answer = client.responses.create(
        model="echo", input='/tool file_search {"queries": ["Hamburg"]}', tools=[tool(store[0])]
    )
    assert "Hamburg" in answer.output_text
    assert "【" not in answer.output_text
    assert cited(answer)[0][:2] == (store[1], "shipping.md")


@pytest.mark.parametrize(
    ("choice", "searches"),
    [
        ({"type": "file_search"}, True),
        ("required", True),
        ("auto", False),
        ("none", False),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "file_search"}]}, True),
    ],
)
def test_the_tool_is_chosen(client: openai.OpenAI, store: tuple[str, str], choice: Any, searches: bool) -> None:
    answer = client.responses.create(model="echo", input="Hamburg", tools=[tool(store[0])], tool_choice=choice)
    kinds = [item.type for item in answer.output]
    assert kinds == (["file_search_call", "message"] if searches else ["message"])


def test_filters_limits_and_thresholds_hold(client: openai.OpenAI, store: tuple[str, str]) -> None:
    def found(**members: Any) -> int:
        answer = client.responses.create(
            model="model",
            input="find:Hamburg 保修期",
            tools=[tool(store[0], "handbook", **members)],
            include=RESULTS,
        )
        return len(answer.output[0].results)

    assert found() == 2
    assert found(max_num_results=1) == 1
    assert found(filters={"type": "gte", "key": "year", "value": 2025}) == 1
    assert found(filters={"type": "gt", "key": "year", "value": 2025}) == 0
    assert found(ranking_options={"score_threshold": 1.0, "ranker": "auto"}) == 0


@pytest.mark.parametrize(
    "arguments", ["Hamburg", '{"query": "Hamburg"}', '["Hamburg"]', '"Hamburg"', '{"queries": "Hamburg"}']
)
def test_what_models_write_instead(client: openai.OpenAI, store: tuple[str, str], arguments: str) -> None:
    answer = client.responses.create(model="model", input=f"wrong:{arguments}", tools=[tool(store[0])])
    assert answer.output[0].queries == ["Hamburg"]
    assert "Hamburg" in answer.output_text


@pytest.mark.parametrize("arguments", ["{", "{}", '{"queries": []}', '{"queries": [""]}', '{"queries": 1}', ""])
def test_what_they_are_told_is_wrong(client: openai.OpenAI, store: tuple[str, str], arguments: str) -> None:
    answer = client.responses.create(model="model", input=f"wrong:{arguments}", tools=[tool(store[0])])
    assert (answer.output[0].queries, answer.output[0].status) == ([], "completed")
    assert "queries" in answer.output_text


@pytest.mark.parametrize(
    ("tools", "status", "param"),
    [
        ([tool("vs_none")], 404, "tools.0.vector_store_ids"),
        ([tool("handbook", "vs_none")], 404, "tools.0.vector_store_ids"),
        ([tool()], 400, "tools.0.vector_store_ids"),
        ([tool(*["handbook"] * 101)], 400, "tools.0.vector_store_ids"),
        ([tool("handbook", max_num_results=0)], 400, "tools.0.max_num_results"),
        ([tool("handbook", filters={"type": "eq"})], 400, "tools.0.filters.key"),
        ([tool("handbook", ranking_options={"score_threshold": 2})], 400, "tools.0.ranking_options.score_threshold"),
        ([tool("handbook", more=1)], 400, "tools.0.more"),
        ([tool("handbook"), tool("handbook")], 400, "tools.1"),
        ([tool("handbook"), {"type": "function", "name": "file_search", "parameters": {}}], 400, "tools"),
    ],
)
def test_bad_tools(served: Any, tools: Any, status: int, param: str) -> None:
    answer = httpx.post(f"{served.url}/v1/responses", json={"model": "model", "input": "hi", "tools": tools})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error


def test_who_does_not_take_the_tool(served: Any, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="agent"):
        client.responses.create(model="helper", input="hi", tools=[tool("handbook")])
    body = {"model": "model", "messages": [{"role": "user", "content": "hi"}], "tools": [tool("handbook")]}
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert "file_search" in answer.text
    with pytest.raises(openai.BadRequestError, match="not in tools"):
        client.responses.create(model="model", input="hi", tool_choice={"type": "file_search"})


class TestKnowledgeBase:
    def test_it_answers_from_stores_besides_itself(self, client: openai.OpenAI, store: tuple[str, str]) -> None:
        asked = "Where are goods shipped from?"
        answer = client.responses.create(model="handbook", input=asked, tools=[tool(store[0])], include=RESULTS)
        search = answer.output[0]
        assert (search.type, search.status, search.queries) == ("file_search_call", "completed", [asked])
        assert search.results[0].file_id == store[1]
        assert "Hamburg" in answer.output_text
        (note, *_) = answer.output[-1].content[0].annotations
        assert (note.type, note.file_id, note.filename) == ("file_citation", store[1], "shipping.md")

    def test_its_citations_are_annotations(self, client: openai.OpenAI) -> None:
        with client.responses.stream(model="handbook", input="保修期多久？") as stream:
            events = list(stream)
            answer = stream.get_final_response()
        (part,) = answer.output[0].content
        assert "三年" in part.text
        assert part.annotations
        told = [event.annotation for event in events if event.type == "response.output_text.annotation.added"]
        assert told == [note.model_dump() for note in part.annotations]
        files = {file.id for file in client.vector_stores.files.list("handbook")}
        for note in told:
            assert (note["type"], note["filename"]) == ("file_citation", "手册.md")
            assert note["file_id"] in files
            assert 0 <= note["start_index"] < note["end_index"] == note["index"] <= len(part.text)
            assert note["quote"] in part.text[note["start_index"] : note["end_index"]]

    def test_its_citations_in_a_chat(self, client: openai.OpenAI) -> None:
        asked: Any = {"model": "handbook", "messages": [{"role": "user", "content": "保修期多久？"}]}
        message = client.chat.completions.create(**asked).choices[0].message
        assert message.content is not None
        assert "三年" in message.content
        assert message.annotations
        for note in message.annotations:
            spot = note.url_citation
            assert note.type == "url_citation"
            assert 0 <= spot.start_index < spot.end_index <= len(message.content)
            assert spot.title
            said: Any = spot.model_dump()
            assert said["quote"] in message.content[spot.start_index : spot.end_index]
            assert client.vector_stores.files.retrieve(said["document"], vector_store_id="handbook")
        streamed: list[Any] = []
        text = ""
        for chunk in client.chat.completions.create(stream=True, **asked):
            delta = chunk.choices[0].delta
            text += delta.content or ""
            streamed += getattr(delta, "annotations", None) or []
        assert text == message.content
        assert streamed == [note.model_dump() for note in message.annotations]


@pytest.mark.requires("data")
def test_answers_are_as_openai_describes_them(
    served: Any, client: openai.OpenAI, store: tuple[str, str], shared_data: Path
) -> None:
    spec = load_openai(shared_data)
    schemas = dict(streaming_events(spec))
    for model, asked in (("model", "find:Hamburg"), ("handbook", "Hamburg?")):
        body = {"model": model, "input": asked, "tools": [tool(store[0])], "include": RESULTS}
        answer = httpx.post(f"{served.url}/v1/responses", json=body).json()
        spec.check("Response", answer)
        assert answer["output"][0]["type"] == "file_search_call"
        spec.check("FileSearchToolCall", answer["output"][0])
        streamed = httpx.post(f"{served.url}/v1/responses", json={**body, "stream": True})
        events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
        kinds = {event["type"] for event in events}
        assert {f"response.file_search_call.{state}" for state in ("in_progress", "searching", "completed")} <= kinds
        for event in events:
            if event["type"] in schemas:
                spec.check(schemas[event["type"]], event)


OPENAI_3 = """
import json, sys
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
store = client.vector_stores.create(name="three").id
tea = "# 茶\\n\\n绿茶是蒸的。\\n".encode()
file = client.vector_stores.files.upload_and_poll(vector_store_id=store, file=("茶.md", tea))
batch = client.vector_stores.file_batches.upload_and_poll(store, files=[("b.md", b"# B\\n\\nBeta.\\n")])
hits = client.vector_stores.search(store, query="绿茶").data
tool = {"type": "file_search", "vector_store_ids": [store]}
asked = {"model": "model", "input": "find:绿茶", "tools": [tool], "include": ["file_search_call.results"]}
with client.responses.stream(**asked) as stream:
    kinds = [event.type for event in stream]
    answer = stream.get_final_response()
content = client.files.content(file.id).content.decode()
listed = sorted(one.status for one in client.vector_stores.files.list(store))
client.vector_stores.delete(store)
print(json.dumps({
    "major": openai.__version__.split(".")[0],
    "hit": [hits[0].file_id == file.id, hits[0].filename],
    "batch": batch.status,
    "listed": listed,
    "content": content,
    "completed": "response.file_search_call.completed" in kinds,
    "results": answer.output[0].results[0].filename,
    "cited": [note.file_id == file.id for note in answer.output[-1].content[0].annotations],
}))
"""


@pytest.mark.slow
@pytest.mark.requires("openai3")
def test_with_the_next_major_version(served: Any) -> None:
    command = [str(openai3_python()), "-c", OPENAI_3, f"{served.url}/v1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {
        "major": "3",
        "hit": [True, "茶.md"],
        "batch": "completed",
        "listed": ["completed", "completed"],
        "content": "# 茶\n\n绿茶是蒸的。\n",
        "completed": True,
        "results": "茶.md",
        "cited": [True],
    }
