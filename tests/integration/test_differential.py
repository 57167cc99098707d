"""One registration, every wire: the same call gives the same result, error, refusal and usage row everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import text as sql

import polyport
from polyport import App, Client, FunctionError, Message
from polyport.testing import gateway

ROOT = Path(__file__).parents[2]
OPENAI3 = ROOT / ".venv-openai3" / "bin" / "python"


def build_app() -> App:
    app = App("differential")

    @app.function
    def add(a: int, b: int) -> int:
        """Add two integers."""
        if a == 13:
            raise FunctionError("13 is unlucky")
        return a + b

    @app.pipeline
    def shout(messages: list[Message]):
        """Repeat loudly."""
        question = messages[-1].content
        if question == "13":
            raise FunctionError("13 is unlucky")
        for word in question.split(" "):
            yield word.upper() + " "

    app.model("echo", engine="echo")
    app.agent("helper", model="echo", tools=["add"])
    return app


@dataclass(frozen=True)
class Case:
    name: str
    arguments: dict[str, Any]
    message: str
    text: str | None
    """What every wire must give; None when it fails with `code`."""
    code: str | None = None
    status: int = 0


TOOL_CALL = '/tool add {"a":20,"b":22}'
CASES = [
    Case("add", {"a": 1, "b": 2}, '{"a": 1, "b": 2}', "3"),
    Case("add", {"a": "x", "b": 2}, '{"a": "x", "b": 2}', None, "invalid_arguments", 400),
    Case("add", {"a": 13, "b": 2}, '{"a": 13, "b": 2}', None, "function_error", 500),
    Case("shout", {"prompt": "hello there 你好"}, "hello there 你好", "HELLO THERE 你好 "),
    Case("shout", {"prompt": "13"}, "13", None, "function_error", 500),
    Case("echo", {"prompt": "hello there 你好"}, "hello there 你好", "hello there 你好"),
    Case("helper", {"prompt": TOOL_CALL}, TOOL_CALL, "42"),
    Case("nothing", {"prompt": "x"}, "x", None, "model_not_found", 404),
]


@dataclass
class Outcome:
    """What a wire gave, in one form: a text, or an error's message, code and status."""

    text: str | None = None
    message: str | None = None
    code: str | None = None
    status: int | None = None


Caller = Callable[["House", str, dict[str, Any], str], Outcome]


@dataclass
class House:
    url: str
    gateway: Any
    app: App
    data_dir: Path
    token: str
    limited: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data_dir = tmp_path_factory.mktemp("differential")
    app = build_app()
    tokens = {}
    for name, allow in (("all", "*"), ("limited", "no_such_name")):
        made = subprocess.run(
            [sys.executable, "-m", "polyport_gateway.cli", "keys", "create", name, "--allow", allow, "--json",
             "--data-dir", str(data_dir)],
            capture_output=True, text=True, check=True, env={**os.environ, "POLYPORT_DATA_DIR": str(data_dir)},
        )  # fmt: skip
        tokens[name] = json.loads(made.stdout)["token"]
    with gateway(app, data_dir=data_dir) as running:
        yield House(running.url, running.gateway, app, data_dir, tokens["all"], tokens["limited"])


def from_body(status: int, body: dict[str, Any]) -> Outcome:
    error = body["error"]
    return Outcome(message=error["message"], code=error["code"], status=status)


# Every way in: (house, name, arguments, message, token) → Outcome.


def rest(house: House, case: Case, token: str) -> Outcome:
    answer = httpx.post(
        f"{house.url}/v1/functions/{case.name}", json=case.arguments, headers={"Authorization": f"Bearer {token}"}
    )
    if answer.status_code != 200:
        return from_body(answer.status_code, answer.json())
    result = answer.json()["result"]
    return Outcome(text=result["text"] if isinstance(result, dict) else json.dumps(result))


def openai_error(error: openai.APIError) -> Outcome:
    body: Any = error.body or {}
    body = body.get("error", body)
    status = getattr(error, "status_code", None)
    return Outcome(message=body["message"], code=body["code"], status=status)


def openai_chat(house: House, case: Case, token: str) -> Outcome:
    client = openai.OpenAI(base_url=f"{house.url}/v1", api_key=token, max_retries=0)
    try:
        answer = client.chat.completions.create(model=case.name, messages=[{"role": "user", "content": case.message}])
    except openai.APIError as error:
        return openai_error(error)
    return Outcome(text=answer.choices[0].message.content)


def openai_chat_stream(house: House, case: Case, token: str) -> Outcome:
    client = openai.OpenAI(base_url=f"{house.url}/v1", api_key=token, max_retries=0)
    try:
        stream = client.chat.completions.create(
            model=case.name, messages=[{"role": "user", "content": case.message}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    except openai.APIError as error:
        return openai_error(error)
    return Outcome(text="".join(pieces))


def openai_responses(house: House, case: Case, token: str) -> Outcome:
    client = openai.OpenAI(base_url=f"{house.url}/v1", api_key=token, max_retries=0)
    try:
        answer = client.responses.create(model=case.name, input=case.message, store=False)
    except openai.APIError as error:
        return openai_error(error)
    return Outcome(text=answer.output_text)


def openai_responses_stream(house: House, case: Case, token: str) -> Outcome:
    client = openai.OpenAI(base_url=f"{house.url}/v1", api_key=token, max_retries=0)
    pieces = []
    try:
        for event in client.responses.create(model=case.name, input=case.message, store=False, stream=True):
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
            elif event.type == "response.failed":
                error = event.response.error
                return Outcome(message=error.message, code=error.code)
            elif event.type == "error":
                return Outcome(message=event.message, code=event.code)
    except openai.APIError as error:
        return openai_error(error)
    return Outcome(text="".join(pieces))


_OPENAI3_SCRIPT = """
import json, sys, openai
assert openai.__version__.startswith("3."), openai.__version__


def ask(mode, url, token, name, message):
    client = openai.OpenAI(base_url=url + "/v1", api_key=token, max_retries=0)
    messages = [{"role": "user", "content": message}]
    if mode == "chat":
        return {"text": client.chat.completions.create(model=name, messages=messages).choices[0].message.content}
    if mode == "chat_stream":
        chunks = client.chat.completions.create(model=name, messages=messages, stream=True)
        return {"text": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)}
    if mode == "responses":
        return {"text": client.responses.create(model=name, input=message, store=False).output_text}
    text = ""
    for event in client.responses.create(model=name, input=message, store=False, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.failed":
            return {"message": event.response.error.message, "code": event.response.error.code}
    return {"text": text}


for line in sys.stdin:
    try:
        answer = ask(*json.loads(line))
    except openai.APIError as error:
        body = error.body or {}
        body = body.get("error", body)
        answer = {"message": body["message"], "code": body["code"], "status": getattr(error, "status_code", None)}
    print(json.dumps(answer), flush=True)
"""


class OpenAI3:
    """openai 3.x can't live beside 2.x, so it is asked in a process of its own, started when first needed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def ask(self, *question: str) -> dict[str, Any]:
        if self._child is None:
            self._child = subprocess.Popen(
                [str(OPENAI3), "-c", _OPENAI3_SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(json.dumps(question) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, f"openai 3.x ended with {self._child.wait()}"
        return json.loads(line)

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.communicate(timeout=10)


_openai3 = OpenAI3()


@pytest.fixture(scope="module", autouse=True)
def openai3_stops() -> Iterator[None]:
    yield
    _openai3.stop()


def openai3(mode: str) -> Callable[[House, Case, str], Outcome]:
    def run(house: House, case: Case, token: str) -> Outcome:
        return Outcome(**_openai3.ask(mode, house.url, token, case.name, case.message))

    run.__name__ = f"openai3_{mode}"
    return run


def mcp(version: str) -> Callable[[House, Case, str], Outcome]:
    """Call over raw JSON-RPC, so that the revision is exactly the one named."""

    def run(house: House, case: Case, token: str) -> Outcome:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": version,
        }
        params: dict[str, Any] = {"name": case.name, "arguments": case.arguments}
        with httpx.Client(base_url=house.url, headers=headers, timeout=30) as client:
            if version == "2026-07-28":
                params["_meta"] = {
                    "io.modelcontextprotocol/protocolVersion": version,
                    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                }
                client.headers.update({"Mcp-Method": "tools/call", "Mcp-Name": case.name})
            else:
                del client.headers["MCP-Protocol-Version"]
                hello = client.post("/mcp", json=rpc("initialize", {
                    "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
                }))  # fmt: skip
                assert hello.status_code == 200, hello.text
                client.headers["Mcp-Session-Id"] = hello.headers["mcp-session-id"]
                client.headers["MCP-Protocol-Version"] = version
                client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
            answer = client.post("/mcp", json=rpc("tools/call", params))
        return from_rpc(last_message(answer))

    run.__name__ = f"mcp_{version}"
    return run


def rpc(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def last_message(answer: httpx.Response) -> dict[str, Any]:
    if answer.headers["content-type"].startswith("text/event-stream"):
        found = [
            json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:") and line[5:].strip()
        ]
        return next(message for message in reversed(found) if "id" in message)
    return answer.json()


def from_rpc(message: dict[str, Any]) -> Outcome:
    if "error" in message:
        error = message["error"]
        return Outcome(message=error["message"], code=error["data"]["polyport/error"]["code"])
    result = message["result"]
    text = "".join(block["text"] for block in result["content"] if block["type"] == "text")
    if result.get("isError"):
        meta = result["_meta"]["polyport/error"]
        return Outcome(message=text, code=meta["code"], status=meta["status"])
    structured = result["structuredContent"]
    assert (structured["text"] if "text" in structured else json.dumps(structured["result"])) == text
    return Outcome(text=text)


def sdk_outcome(client: Client, case: Case) -> Outcome:
    try:
        value = client.functions.call(case.name, **case.arguments)
    except polyport.CallError as error:
        return Outcome(message=error.message, code=error.code, status=error.status)
    return Outcome(text=value["text"] if isinstance(value, dict) else json.dumps(value))


def sdk_remote(house: House, case: Case, token: str) -> Outcome:
    with Client(house.url, api_key=token, max_retries=0) as client:
        return sdk_outcome(client, case)


def sdk_remote_chat(house: House, case: Case, token: str) -> Outcome:
    with Client(house.url, api_key=token, max_retries=0) as client:
        try:
            return Outcome(text=client.chat(case.name, case.message).choices[0].message.content)
        except polyport.CallError as error:
            return Outcome(message=error.message, code=error.code, status=error.status)


def sdk_embedded(house: House, case: Case, token: str) -> Outcome:
    with Client(house.app, api_key=token, max_retries=0, data_dir=house.data_dir) as client:
        return sdk_outcome(client, case)


def sdk_embedded_stream(house: House, case: Case, token: str) -> Outcome:
    with Client(house.app, api_key=token, max_retries=0, data_dir=house.data_dir) as client:
        try:
            with client.chat(case.name, case.message, stream=True) as stream:
                return Outcome(text="".join(e.text for e in stream if isinstance(e, polyport.events.TextDelta)))
        except polyport.CallError as error:
            return Outcome(message=error.message, code=error.code, status=error.status)


WAYS: list[Callable[[House, Case, str], Outcome]] = [
    rest,
    openai_chat,
    openai_chat_stream,
    openai_responses,
    openai_responses_stream,
    mcp("2025-11-25"),
    mcp("2026-07-28"),
    sdk_remote,
    sdk_remote_chat,
    sdk_embedded,
    sdk_embedded_stream,
]
WAYS3 = [openai3(mode) for mode in ("chat", "chat_stream", "responses", "responses_stream")]


def all_ways() -> list[Any]:
    return [pytest.param(way, id=way.__name__) for way in WAYS] + [
        pytest.param(way, id=way.__name__, marks=pytest.mark.requires("openai3")) for way in WAYS3
    ]


def rows(house: House) -> list[dict[str, Any]]:
    """Every top-level usage row, once nothing is pending."""
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{house.data_dir / 'polyport.sqlite3'}")
    try:
        with engine.connect() as connection:
            found = connection.execute(sql("select * from usage where depth = 0 order by id")).mappings()
            return [dict(row) for row in found]
    finally:
        engine.dispose()


def new_rows(house: House, before: int) -> list[dict[str, Any]]:
    """Every row since `before`. A call is recorded before its answer ends, so waiting for the writer is enough."""
    deadline = time.monotonic() + 10
    while house.gateway.usage.health().pending and time.monotonic() < deadline:
        time.sleep(0.01)
    return rows(house)[before:]


def expected_message(house: House, case: Case) -> str:
    outcome = rest(house, case, house.token)
    assert outcome.message is not None
    return outcome.message


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.code or 'ok'}")
@pytest.mark.parametrize("way", all_ways())
def test_same_everywhere(house: House, way: Callable[[House, Case, str], Outcome], case: Case) -> None:
    message = None if case.text is not None else expected_message(house, case)
    before = len(new_rows(house, 0))
    outcome = way(house, case, house.token)
    assert outcome.text == case.text
    if case.text is None:
        assert outcome.code == case.code
        assert outcome.message == message
        assert outcome.status in (case.status, None)
    written = new_rows(house, before)
    assert len(written) == 1, written
    assert written[0]["name"] == case.name
    assert written[0]["status"] == (200 if case.text is not None else case.status)
    assert written[0]["code"] == case.code


@pytest.mark.parametrize("name", ["add", "shout", "echo", "helper"])
@pytest.mark.parametrize("way", all_ways())
def test_a_key_that_may_not_is_refused_alike(
    house: House, way: Callable[[House, Case, str], Outcome], name: str
) -> None:
    case = next(case for case in CASES if case.name == name)
    outcome = way(house, case, house.limited)
    assert outcome.text is None
    assert outcome.message == f"The model or function {name!r} does not exist or you do not have access to it."
    assert outcome.code in ("model_not_found", None)
    assert outcome.status in (404, None)


@pytest.mark.parametrize("way", all_ways())
def test_a_wrong_key_is_refused_alike(house: House, way: Callable[[House, Case, str], Outcome]) -> None:
    if way.__name__.startswith("mcp"):
        answer = httpx.post(f"{house.url}/mcp", json={}, headers={"Authorization": "Bearer pp_wrong_key"})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        return
    outcome = way(house, CASES[0], "pp_wrong_key")
    assert (outcome.code, outcome.status) == ("invalid_api_key", 401)
