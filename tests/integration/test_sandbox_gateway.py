"""The sandbox behind the gateway: REST, the clients, every wire's `run_code`, code mode and sandboxed functions."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text as sql

from polyport import App, AsyncClient, Client, FunctionError
from polyport.client import CodeEvent
from polyport.errors import BadRequestError, NotFoundError, ServiceUnavailableError
from polyport.testing import gateway
from polyport_sandbox import SandboxUnavailableError
from tests.support.machine import ROOT
from tests.support.scripted_sandbox import ScriptedProvider
from tests.support.wires import WIRES, ask, connection, eventually, head, open_session, request_for

WITHIN_S = 1.0


class NoDocker(ScriptedProvider):
    async def open(self) -> None:
        raise SandboxUnavailableError("There is no Docker socket at /nowhere.", mend="sudo apt install docker.io")


def build_app(provider: Any, **options: Any) -> App:
    app = App("boxed")
    app.sandbox(provider, **options)

    @app.function
    def add(a: int, b: int = 1) -> int:
        """Add two integers."""
        if a == 13:
            raise FunctionError("13 is unlucky")
        return a + b

    @app.function
    def secret() -> str:
        """Tell."""
        return "told"

    return app


@pytest.fixture(scope="module")
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture(scope="module")
def house(provider: ScriptedProvider) -> Iterator[Any]:
    app = build_app(provider, code_mode=True, allow_hosts=["*.example.org"], max_limits={"wall_s": 60})
    with gateway(app) as running:
        yield running


@pytest.fixture(params=["remote", "embedded"])
def client(request: pytest.FixtureRequest, house: Any) -> Iterator[Client]:
    if request.param == "remote":
        with Client(house.url, max_retries=0) as remote:
            yield remote
    else:
        with Client(build_app(ScriptedProvider()), max_retries=0) as embedded:
            yield embedded


def test_a_run_over_rest_gives_everything(house: Any, provider: ScriptedProvider):
    body = {
        "code": "say é\ncat in.txt\nresult 42\nerr oops",
        "language": "bash",
        "files": {"in.txt": base64.b64encode(b"content").decode()},
        "stdin": base64.b64encode(b"typed").decode(),
        "limits": {"wall_s": 5},
        "allow_hosts": ["a.example.org"],
    }
    answer = httpx.post(f"{house.url}/v1/sandbox/run", json=body)
    result = answer.json()
    assert answer.status_code == 200
    assert (result["status"], result["exit_code"], result["stdout"]) == ("ok", 0, "é\ncontent\n")
    assert base64.b64decode(result["stdout_base64"]).decode() == "é\ncontent\n"
    assert result["stderr"] == "oops\n"
    assert result["displays"] == [{"data": {"text/plain": "42"}, "metadata": {}, "is_result": True}]
    asked = provider.requests[-1]
    assert (asked.language.name, asked.stdin, asked.allow_hosts) == ("bash", b"typed", ("a.example.org",))
    assert (asked.limits.wall_s, asked.limits.memory_mb) == (5, 256)


def test_a_stream_over_rest_has_the_frozen_events(house: Any):
    body = {"code": "say 1\nshow picture\nresult 2\nfail ValueError no", "stream": True}
    with httpx.stream("POST", f"{house.url}/v1/sandbox/run", json=body) as answer:
        text = "".join(answer.iter_text())
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [(block.split("\n")[0][7:], json.loads(block.split("data: ")[1])) for block in text.split("\n\n")[:-1]]
    assert [kind for kind, _ in events] == ["stdout", "display", "result", "error", "end"]
    assert events[0][1]["text"] == "1\n"
    assert events[3][1]["name"] == "ValueError"
    assert events[4][1]["status"] == "error"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "code"),
        ({"code": "say x", "language": "cobol"}, "language"),
        ({"code": "say x", "limits": {"wall_s": 61}}, "wall_s"),
        ({"code": "say x", "limits": {"walls": 1}}, "limits.walls"),
        ({"code": "say x", "files": {"../x": ""}}, "files"),
        ({"code": "say x", "files": {"x": "!"}}, "files"),
        ({"code": "say x", "allow_hosts": ["evil.example"]}, "allow_hosts"),
        ({"code": "say x", "colour": 1}, "colour"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    house: Any, provider: ScriptedProvider, body: dict[str, Any], param: str
):
    before = len(provider.runs)
    answer = httpx.post(f"{house.url}/v1/sandbox/run", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_run", param), error
    assert len(provider.runs) == before


def test_a_session_over_rest(house: Any):
    with httpx.Client(base_url=f"{house.url}/v1/sandbox/sessions") as http:
        made = http.post("", json={"name": "mine", "limits": {"memory_mb": 128}, "files": {"a": "aGk="}}).json()
        one = f"/{made['id']}"
        assert made["id"].startswith("cntr_")
        assert (made["name"], made["limits"]["memory_mb"]) == ("mine", 128)
        assert made["id"] in [session["id"] for session in http.get("").json()["data"]]
        http.post(f"{one}/run", json={"code": "set x 1"})
        assert http.post(f"{one}/run", json={"code": "get x"}).json()["stdout"] == "1\n"
        assert http.put(f"{one}/files/d/b%20c.bin", content=b"\x00\xff").json()["name"] == "d/b c.bin"
        got = http.get(f"{one}/files/d/b%20c.bin")
        assert got.content == b"\x00\xff"
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert {file["name"] for file in http.get(f"{one}/files").json()["data"]} >= {"a", "d/b c.bin"}
        assert http.delete(f"{one}/files/a").json()["deleted"] is True
        assert http.get(f"{one}/files/a").json()["error"]["code"] == "file_not_found"
        assert http.post(f"{one}/interrupt").json() == {"interrupted": False}
        assert http.post(f"{one}/restart", json={"context": "default"}).json() == {"restarted": True}
        assert http.get(one).json()["id"] == made["id"]
        assert http.delete(one).json() == {"id": made["id"], "object": "sandbox.session.deleted", "deleted": True}
        for gone in (http.get(one), http.post(f"{one}/run", json={"code": "say x"}), http.get(f"{one}/files")):
            assert (gone.status_code, gone.json()["error"]["code"]) == (404, "session_not_found")


def test_an_interrupt_ends_the_cell_that_runs(house: Any):
    with Client(house.url) as client, client.sandbox.session() as session:
        with session.stream("say begun\nhang") as stream:
            told = []
            for event in stream:
                told.append(event)
                if event.type == "stdout":
                    session.interrupt()
        assert [event.type for event in told] == ["stdout", "end"]
        assert told[-1].result.status == "killed"
        assert session.run("say again").stdout == "again\n"


def test_the_client_runs_code(client: Client):
    result = client.sandbox.run("cat a\nresult 42", files={"a": "text"}, limits={"wall_s": 2})
    assert (result.ok, result.stdout, result.stdout_bytes, result.result) == (True, "text\n", b"text\n", "42")
    with client.sandbox.stream("say 1\nerr 2\nfail KeyError k") as stream:
        events = list(stream)
    assert [event.type for event in events] == ["stdout", "stderr", "error", "end"]
    assert events[0] == CodeEvent("stdout", text="1\n", data=b"1\n")
    assert client.sandbox.stream("exit 3").collect().exit_code == 3
    with pytest.raises(BadRequestError, match="unknown language 'cobol'") as refused:
        client.sandbox.run("x", language="cobol")
    assert refused.value.code == "invalid_run"


def test_the_client_keeps_sessions(client: Client):
    with client.sandbox.session(name="one", files={"in": b"1"}) as session:
        session.run("set x 1")
        assert session.run("get x").stdout == "1\n"
        assert session.run("set x 2", context="other").ok
        session.upload({"a/b": "text", "c": b"\xff"})
        assert session.download("c") == b"\xff"
        assert {"in", "a/b", "c"} <= {file.name for file in session.list()}
        session.delete("c")
        with pytest.raises(NotFoundError):
            session.download("c")
        with pytest.raises(BadRequestError, match="not the name of a file"):
            session.download("../c")
        assert client.sandbox.get_session(session.id).info.name == "one"
        assert [event.type for event in session.stream("say x")] == ["stdout", "end"]
        session.restart()
        assert session.interrupt() is False
    assert session.id not in [found.id for found in client.sandbox.sessions()]
    session.close()
    with pytest.raises(NotFoundError):
        session.run("say x")


@pytest.mark.anyio
async def test_the_async_client_does_the_same(house: Any):
    async with AsyncClient(house.url) as client, client.sandbox.session() as session:
        await session.run("set x 1")
        assert (await session.run("get x")).stdout == "1\n"
        await session.upload({"f": "1"})
        assert await session.download("f") == b"1"
        async with await session.stream("say a\nsay b") as stream:
            assert [event.text async for event in stream] == ["a\n", "b\n", ""]
        assert (await (await client.sandbox.stream("say a")).collect()).stdout == "a\n"
        assert session.id in [found.id for found in await client.sandbox.sessions()]


OUTCOMES = [
    ({"code": "say hello\nresult 42"}, "hello\n42", "ok"),
    ({"code": "say so far\nfail ValueError no"}, "so far\nValueError: no\n[exit code 1]", "error"),
    ({"code": "set x 1"}, "[no output]", "ok"),
    ({"code": "cat f", "files": {"f": {"base64": "aGk="}}}, "hi", "ok"),
]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("arguments", "text", "status"), OUTCOMES)
def test_run_code_gives_the_same_on_every_wire(
    house: Any, wire: str, arguments: dict[str, Any], text: str, status: str
):
    reply = ask(house.url, wire, "run_code", arguments)
    assert reply.ok, reply.says()
    if wire.startswith("mcp"):
        result = json.loads(reply.text.partition("data: ")[2] or reply.text)["result"]
        assert result["content"][0] == {"type": "text", "text": text}
        assert result["structuredContent"]["status"] == status
    elif wire == "rest":
        assert json.loads(reply.text)["result"]["status"] == status
    elif wire == "chat":
        assert json.loads(reply.text)["choices"][0]["message"]["content"] == text
    else:
        assert json.dumps(text)[1:-1] in reply.text or status in reply.text


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"code": "say x", "language": "cobol"}, "invalid_run"),
        ({"code": "say x", "timeout_s": 1e9}, "invalid_run"),
        ({"code": "say x", "session": "cntr_none"}, "session_not_found"),
        ({"code": "say x", "files": {"f": {"base64": "!"}}}, "invalid_arguments"),
        ({"language": "python"}, "invalid_arguments"),
    ],
)
def test_run_code_refuses_the_same_on_every_wire(house: Any, wire: str, arguments: dict[str, Any], code: str):
    assert ask(house.url, wire, "run_code", arguments).code == code


@pytest.mark.parametrize("wire", WIRES)
def test_a_client_that_goes_away_ends_its_run(house: Any, provider: ScriptedProvider, wire: str):
    before = len(provider.runs)
    path, body, headers = request_for(wire, "run_code", {"code": "say begun\nhang"})
    if wire == "mcp-2025":
        headers |= open_session(house.url)
    _leave(house.url, path, body, headers, lambda: len(provider.runs) > before and provider.runs[-1].busy == 1)
    eventually(lambda: provider.runs[-1].busy == 0, WITHIN_S, "the run has ended")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_rest_that_goes_away_ends_its_run(house: Any, provider: ScriptedProvider, stream: bool):
    before = len(provider.runs)
    body = {"code": "say begun\nhang", "stream": stream}
    _leave(house.url, "/v1/sandbox/run", body, {}, lambda: len(provider.runs) > before and provider.runs[-1].busy)
    eventually(lambda: provider.runs[-1].busy == 0, WITHIN_S, "the run has ended")


def _leave(url: str, path: str, body: Any, headers: dict[str, str], begun: Any) -> None:
    content = json.dumps(body).encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    with connection(url) as sock:
        sock.sendall(head("POST", path, "content-type: application/json", f"content-length: {len(content)}", *lines))
        sock.sendall(content)
        eventually(begun, what="the run has begun")


@pytest.fixture(scope="module")
def dry() -> Iterator[Any]:
    with gateway(build_app(NoDocker())) as running:
        yield running


@pytest.mark.parametrize("wire", WIRES)
def test_without_docker_every_wire_says_what_mends_it(dry: Any, wire: str):
    reply = ask(dry.url, wire, "run_code", {"code": "say x"})
    assert reply.code == "sandbox_unavailable"
    assert "sudo apt install docker.io" in (reply.message or "")
    if wire in ("rest", "chat"):
        assert reply.status == 503
        assert reply.headers["x-should-retry"] == "false"
    assert ask(dry.url, wire, "add", {"a": 1, "b": 2}).ok
    assert httpx.get(f"{dry.url}/readyz").json()["sandbox"] == "unavailable"


def test_without_a_sandbox_the_endpoints_say_how_to_get_one():
    with gateway(App("bare")) as running, Client(running.url, max_retries=0) as client:
        for use in (client.sandbox.open_session, client.sandbox.sessions, lambda: client.sandbox.run("say x")):
            with pytest.raises(BadRequestError, match="POLYPORT_SANDBOX=docker") as refused:
                use()
            assert refused.value.code == "sandbox_disabled"
        for path in ("containers", "sandbox/e2b/sandboxes", "sandbox/e2b/execute", "sandbox/fusion/run_code"):
            answer = httpx.post(f"{running.url}/v1/{path}", json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "sandbox_disabled"), path
        assert httpx.get(f"{running.url}/readyz").json()["sandbox"] == "none"


def _key(data_dir: Any, name: str, allow: str) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "polyport_gateway.cli", "keys", "create", name, "--allow", allow, "--json",
         "--data-dir", str(data_dir)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return str(json.loads(made.stdout)["token"])


def test_keys_open_the_sandbox_and_keep_sessions_apart(tmp_path: Any):
    provider = ScriptedProvider()
    full, other = _key(tmp_path, "full", "*"), _key(tmp_path, "other", "run_code")
    limited = _key(tmp_path, "limited", "add,run_code_with_tools,create_code_session")
    coder = _key(tmp_path, "coder", "add,run_code,run_code_with_tools")
    with gateway(build_app(provider, code_mode=True), data_dir=tmp_path) as running:
        url = running.url
        with Client(url, api_key=full) as mine, Client(url, api_key=other) as theirs:
            session = mine.sandbox.open_session()
            assert theirs.sandbox.sessions() == []
            with pytest.raises(NotFoundError):
                theirs.sandbox.get_session(session.id)
            with pytest.raises(NotFoundError):
                theirs.functions.call("run_code", code="say x", session=session.id)
            assert theirs.sandbox.run("say x").ok
        with Client(url, api_key=limited) as little:
            for use in (lambda: little.sandbox.run("say x"), lambda: little.sandbox.sessions(),
                        lambda: little.functions.call("run_code", code="say x")):  # fmt: skip
                with pytest.raises(NotFoundError):
                    use()
            for name in ("run_code_with_tools", "create_code_session"):  # they need run_code as well
                with pytest.raises(NotFoundError):
                    little.functions.call(name, code="say x")
            assert [found.name for found in little.functions.list()] == ["add"]
        with Client(url, api_key=coder) as little:
            told = little.functions.call("run_code_with_tools", code='call add {"a": 1}')
            assert told["stdout"] == "2\n"
            with pytest.raises(BadRequestError, match="There is no tool 'secret'"):
                little.functions.call("run_code_with_tools", code="call secret {}")
            about = next(f for f in little.functions.list() if f.name == "run_code_with_tools").description or ""
            assert "add(a: int, b: int = 1) -> int  # Add two integers." in about
            assert "secret" not in about
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/metrics", headers={"authorization": f"Bearer {limited}"}).status_code == 200
        rows = _rows(running.gateway)
    assert ("run_code", "rest", 0) in {(row.name, row.wire, row.depth) for row in rows}
    assert ("add", "rest", 1) in {(row.name, row.wire, row.depth) for row in rows}


def _rows(served: Any) -> list[Any]:
    eventually(lambda: served.usage.health().pending == 0, what="usage is written")
    url = served.settings.records_url
    from sqlalchemy import create_engine

    engine = create_engine(url)
    try:
        with engine.connect() as connected:
            return list(
                connected.execute(
                    sql("select name, wire, operation, depth, key_id, request_id, code from usage order by at, id")
                )
            )
    finally:
        engine.dispose()


def test_all_that_takes_time_or_room_in_the_sandbox_is_a_call(tmp_path: Any):
    e2b = {"x-api-key": "e2b_none"}
    with gateway(build_app(ScriptedProvider()), data_dir=tmp_path) as running, httpx.Client() as http:
        told = []

        def ask(method: str, path: str, wire: str, /, **options: Any) -> httpx.Response:
            answer = http.request(method, f"{running.url}/v1/{path}", **options)
            assert answer.is_success, answer.text
            told.append((wire, answer.headers["x-request-id"]))
            return answer

        session = ask("POST", "sandbox/sessions", "rest", json={}).json()["id"]
        files = f"sandbox/sessions/{session}/files"
        ask("PUT", f"{files}/a", "rest", content=b"abc")
        ask("GET", files, "rest")
        ask("GET", f"{files}/a", "rest")
        ask("DELETE", f"{files}/a", "rest")
        ask("POST", f"sandbox/sessions/{session}/restart", "rest", json={})
        one = f"containers/{ask('POST', 'containers', 'openai', json={'name': 'x'}).json()['id']}"
        file = f"{one}/files/{ask('POST', f'{one}/files', 'openai', files={'file': ('b', b'x')}).json()['id']}"
        ask("GET", f"{one}/files", "openai")
        ask("GET", file, "openai")
        assert ask("GET", f"{file}/content", "openai").content == b"x"
        ask("DELETE", file, "openai")
        made = ask("POST", "sandbox/e2b/sandboxes", "e2b", json={"templateID": "base"}, headers=e2b).json()
        there = {"e2b-sandbox-id": made["sandboxID"], "x-access-token": made["envdAccessToken"]}
        raw = {**there, "content-type": "application/octet-stream"}
        ask("POST", "sandbox/e2b/files?path=c", "e2b", content=b"x", headers=raw)
        ask("GET", "sandbox/e2b/files?path=c", "e2b", headers=there)
        for method in ("Stat", "Remove"):
            ask("POST", f"sandbox/e2b/filesystem.Filesystem/{method}", "e2b", json={"path": "c"}, headers=there)
        rows = _rows(running.gateway)
    assert [(row.wire, row.request_id) for row in rows] == told
    assert {(row.name, row.operation, row.depth, row.code) for row in rows} == {("run_code", "sandbox", 0, None)}


def test_a_full_gateway_still_lets_its_callers_end_what_they_hold(tmp_path: Any):
    with (
        gateway(build_app(ScriptedProvider()), data_dir=tmp_path, max_concurrent_calls=1) as running,
        Client(running.url, max_retries=0) as client,
    ):
        session = client.sandbox.open_session()
        running.gateway.dispatcher._running = 1  # as many as there may be
        with pytest.raises(ServiceUnavailableError) as refused:
            session.upload({"a": b"x"})
        assert refused.value.code == "overloaded"
        assert session.interrupt() is False
        session.close()
        assert client.sandbox.sessions() == []
        running.gateway.dispatcher._running = 0


def test_a_download_may_ask_for_another_bound(tmp_path: Any):
    limits = {"output_file_bytes": 100}
    app = build_app(ScriptedProvider(), limits=limits, max_limits={"output_file_bytes": 1000})
    with gateway(app, data_dir=tmp_path) as running, Client(running.url, max_retries=0) as client:
        session = client.sandbox.open_session()
        session.upload({"a": bytes(200), "b": bytes(2000)})
        files = f"{running.url}/v1/sandbox/sessions/{session.id}/files"
        for name, most, status in (("a", None, 400), ("a", 150, 400), ("a", 200, 200), ("b", 5000, 400)):
            answer = httpx.get(f"{files}/{name}", params={} if most is None else {"max_bytes": most})
            assert answer.status_code == status, (name, most, answer.text)
        for wrong in ("", "-1", "1e3", "x", "9" * 30):
            answer = httpx.get(f"{files}/a", params={"max_bytes": wrong})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_bytes"), wrong


def test_code_with_tools_calls_through_the_dispatcher(house: Any):
    with Client(house.url) as client:
        steps: list[Any] = []
        code = 'call add {"a": 20, "b": 22}'
        told = client.functions.invoke("run_code_with_tools", {"code": code}, on_progress=steps.append)
        assert told["stdout"] == "42\n"
        for code, message in (('call add {"a": 13}', "13 is unlucky"), ('call add {"a": "x"}', "Invalid arguments"),
                              ('call run_code {"code": "say x"}', "no tool 'run_code'"),
                              ('call run_code_with_tools {}', "no tool 'run_code_with_tools'")):  # fmt: skip
            with pytest.raises(Exception, match=message):  # the scripted provider lets what a tool raises through
                client.functions.call("run_code_with_tools", code=code)
    row = next(row for row in _rows(house.gateway) if row.name == "add" and row.depth == 1)
    assert row.request_id in {r.request_id for r in _rows(house.gateway) if r.name == "run_code_with_tools"}


def test_the_figures_are_there_for_prometheus(house: Any):
    with Client(house.url) as client:
        client.sandbox.run("say x")
    answer = httpx.get(f"{house.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE polyport_calls_running gauge" in answer.text
    assert 'polyport_sandbox_runs_total{language="python",status="ok"}' in answer.text
    assert httpx.get(f"{house.url}/readyz").json()["sandbox"] == "ready"


def test_a_gateway_without_a_sandbox_imports_nothing_of_it():
    code = (
        "import sys; from polyport import App; from polyport_gateway.server import create_gateway; "
        "from polyport_gateway.settings import Settings; create_gateway(App('x'), Settings()); "
        "wires = 'polyport_gateway.wires.'; "
        "parts = ('openai.containers', 'rest.sandbox', 'sandbox.e2b', 'sandbox.fusion'); "
        "unwanted = ('polyport_sandbox', *(wires + part for part in parts)); "
        "allowed = ('polyport_gateway.wires.rest.sandbox_paths',); "
        "print([m for m in sys.modules if m.startswith(unwanted) and m not in allowed])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# With Docker itself.


@pytest.fixture(scope="module")
def real() -> Iterator[Any]:
    app = App("real")
    app.sandbox("docker", pool_size=1, max_running=4, code_mode=True)

    @app.function
    def add(a: int, b: int = 1) -> int:
        """Add two integers."""
        return a + b

    @app.function(sandboxed=True, limits={"wall_s": 5, "memory_mb": 64}, files={"seven.txt": "7"})
    def work(a: int, how: str = "ok", others: list[int] | None = None) -> dict[str, int]:
        """Work on numbers."""
        import json
        import os
        import time
        from pathlib import Path

        print("working", flush=True)
        if how == "raise":
            raise ValueError("hunter2")
        if how == "meant":
            raise FunctionError("13 is unlucky")
        if how == "exit":
            os._exit(0)
        if how == "sleep":
            time.sleep(30)
        if how == "memory":
            bytearray(10**9)
        if how == "fake":
            print(json.dumps({"value": {"sum": 1}}))
            Path("answer-0.json").write_text(json.dumps({"value": {"sum": 1}}))
        if how == "nan":
            return {"sum": float("nan")}
        if how == "type":
            return {"sum": "many"}
        return {"sum": a + sum(others or []) + int(Path("seven.txt").read_text())}

    @app.function(sandboxed=True)
    async def later(word: str) -> str:
        import asyncio

        await asyncio.sleep(0.01)
        return word * 2

    @app.function
    async def slow() -> str:
        """Take long."""
        slow_ones.append("begun")
        try:
            await asyncio.sleep(30)
        finally:
            slow_ones.append("ended")
        return "late"

    with gateway(app) as running:
        yield running


slow_ones: list[str] = []


@pytest.mark.requires("docker", "sandbox")
def test_a_sandboxed_function_is_a_function_like_any_other(real: Any):
    with Client(real.url) as client:
        assert client.functions.call("work", a=1, others=[2, 3]) == {"sum": 13}
        assert client.functions.call("later", word="é") == "éé"
        assert client.functions.call("work", a=1, how="fake") == {"sum": 8}
    for wire in WIRES:
        assert "13" in ask(real.url, wire, "work", {"a": 1, "others": [2, 3]}).text


ENDS = [
    ("raise", "function_error", "'work' raised ValueError; the gateway's log"),
    ("meant", "function_error", "13 is unlucky"),
    ("exit", "function_error", "ended without returning"),
    ("sleep", "timeout", "still running after 5 s"),
    ("memory", "function_error", "64 MiB of memory"),
    ("nan", "invalid_output", "can't be sent as JSON"),
    ("type", "invalid_output", "its own return type forbids"),
]


@pytest.mark.requires("docker", "sandbox")
@pytest.mark.parametrize(("how", "code", "message"), ENDS)
def test_how_a_sandboxed_function_may_end(
    real: Any, how: str, code: str, message: str, caplog: pytest.LogCaptureFixture
):
    for wire in ("rest", "mcp-2026"):
        reply = ask(real.url, wire, "work", {"a": 1, "how": how})
        assert reply.code == code, reply.says()
        assert message in (reply.message or "")
        assert "hunter2" not in reply.text
    assert "hunter2" not in caplog.text


@pytest.mark.requires("docker", "sandbox")
def test_sessions_pictures_and_files_with_docker(real: Any):
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 16).decode()
    with Client(real.url) as client:
        with client.sandbox.session() as session:
            session.run("x = 20")
            assert session.run("x + 22").result == "42"
            session.run("open('out.txt', 'w').write('kept')")
            assert session.download("out.txt") == b"kept"
            told = client.functions.call("run_code", code="x", session=session.id)
            assert (told["result"], told["session"]) == ("20", session.id)
            shown = (
                "class P:\n    def _repr_png_(self):\n        import base64\n"
                f"        return base64.b64decode('{png}')\nP()"
            )
            assert session.run(shown).displays[0].png == base64.b64decode(png)
        left = client.sandbox.run("open('a.bin', 'wb').write(b'\\x00\\xff'); print(open('in').read())",
                                  files={"in": "given"})  # fmt: skip
        assert (left.file("a.bin"), left.stdout) == (b"\x00\xff", "given\n")


@pytest.mark.requires("docker", "sandbox")
@pytest.mark.anyio
async def test_output_comes_as_it_is_written_and_leaving_ends_the_run(real: Any):
    async with AsyncClient(real.url) as client, client.sandbox.session() as session:
        stream = await session.stream("import time\nprint('begun', flush=True)\ntime.sleep(30)")
        first = await asyncio.wait_for(anext(stream), 10)
        assert (first.type, first.text.rstrip()) == ("stdout", "begun")
        await stream.close()
        assert (await asyncio.wait_for(session.run("print('free')"), 5)).stdout == "free\n"


CODE = """
import polyport_tools
from concurrent.futures import ThreadPoolExecutor
from polyport_tools import ToolError, add

with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda i: add(a=i, b=0), range(50))))
try:
    add(a="x")
except ToolError as error:
    print(error)
try:
    polyport_tools.call("run_code", code="1")
except ToolError as error:
    print(error)
print(sorted(tool["name"] for tool in polyport_tools.tools()))
"""


@pytest.mark.requires("docker", "sandbox")
def test_code_calls_tools_from_within_docker(real: Any):
    with Client(real.url) as client:
        told = client.functions.call("run_code_with_tools", code=CODE)
    total, invalid, refused, names = told["stdout"].splitlines()
    assert total == "1225"
    assert invalid.startswith("Invalid arguments for 'add': a:")
    assert refused.startswith("There is no tool 'run_code'")
    assert names == "['add', 'later', 'slow', 'work']"
    calls = [row for row in _rows(real.gateway) if row.name == "add" and row.depth == 1]
    assert len(calls) >= 51
    assert len({row.request_id for row in calls}) == 1


@pytest.mark.requires("docker", "sandbox")
def test_code_that_is_killed_takes_its_calls_with_it(real: Any):
    slow_ones.clear()
    code = "from polyport_tools import slow\nslow()"
    with Client(real.url) as client:
        told = client.functions.call("run_code_with_tools", code=code, timeout_s=1.5)
    assert told["status"] == "timeout"
    eventually(lambda: slow_ones == ["begun", "ended"], WITHIN_S, "the tool's call has ended")
