"""The served shapes over plain HTTP: hosts, tokens, malformed input, and clients that go away."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from e2b_code_interpreter import Sandbox

from polyport import App
from polyport.testing import gateway
from tests.integration.serving_sandboxes import House, house
from tests.support.machine import ROOT
from tests.support.markdown import blocks
from tests.support.peers import clean_environment
from tests.support.wires import connection, eventually, head

pytestmark = pytest.mark.requires("docker", "sandbox")

ENVD, INTERPRETER = "49983", "49999"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("raw")
    with house(folder, max_body_bytes=1 << 20, allowed_hosts=("boxes.example",)) as found:
        yield found


class Raw:
    """A sandbox, and the requests its client would send."""

    def __init__(self, served: House, opened: dict[str, Any]) -> None:
        self.served = served
        self.id, self.envd, self.traffic = (
            opened["sandboxID"],
            opened["envdAccessToken"],
            opened["trafficAccessToken"],
        )
        self.headers = {"e2b-sandbox-id": self.id, "e2b-sandbox-port": ENVD, "x-access-token": self.envd}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = more.pop("headers", self.headers)
        return httpx.request(method, f"{self.served.e2b}{path}", headers=headers, timeout=30, **more)

    def rpc(self, method: str, message: Any, **more: Any) -> httpx.Response:
        headers = {"content-type": "application/json", **self.headers, **more.pop("headers", {})}
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.ask("POST", method, content=content, headers=headers)

    def stream(self, method: str, body: bytes, **headers: str) -> list[tuple[int, Any]]:
        headers = {"content-type": "application/connect+json", **self.headers, **headers}
        answer = self.ask("POST", method, content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/connect+json"
        return list(unwrapped(answer.content))


def wrapped(message: Any, flags: int = 0) -> bytes:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", flags, len(text)) + text


def unwrapped(body: bytes) -> Iterator[tuple[int, Any]]:
    while body:
        flags, length = struct.unpack_from(">BI", body)
        yield flags, json.loads(body[5 : 5 + length])
        body = body[5 + length :]


@pytest.fixture(scope="module")
def box(served: House) -> Raw:
    key = {"x-api-key": served.keys["one"]}
    answer = httpx.post(f"{served.e2b}/v2/sandboxes", json={"templateID": "base", "timeout": 600}, headers=key)
    assert answer.status_code == 201
    return Raw(served, answer.json())


@pytest.fixture(scope="module")
def other(served: House) -> Raw:
    key = {"x-api-key": served.keys["one"]}
    return Raw(served, httpx.post(f"{served.e2b}/sandboxes", json={"templateID": "base"}, headers=key).json())


# --- who may enter


def test_the_lines_of_an_execution(box: Raw):
    answer = box.ask("POST", "/execute", json={"code": "print('a'); 1"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["type"] for line in lines if line["type"] != "stdout"] == [
        "number_of_executions",
        "result",
        "end_of_execution",
    ]
    assert lines[-2] == {"type": "result", "is_main_result": True, "text": "1"}


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/execute", "envd", 200),
        ("/execute", "traffic", 200),
        ("/contexts", "traffic", 405),  # PUT: past the door
        ("/files?path=a", "traffic", 401),
        ("/health", "traffic", 401),
        ("/filesystem.Filesystem/Stat", "traffic", 401),
        ("/process.Process/List", "traffic", 401),
        ("/execute", "none", 401),
        ("/execute", "wrong", 401),
        ("/execute", "other", 401),
        ("/health", "key", 401),
    ],
)
def test_tokens(served: House, box: Raw, other: Raw, path: str, token: str, status: int):
    key = {"x-api-key": served.keys["one"]}
    given = {
        "envd": {"x-access-token": box.envd},
        "traffic": {"e2b-traffic-access-token": box.traffic},
        "wrong": {"x-access-token": "é" + box.envd[1:]},
        "other": {"x-access-token": other.envd, "e2b-traffic-access-token": other.traffic},
        "key": key,
        "none": {},
    }[token]
    headers = [("e2b-sandbox-id", box.id), *given.items()]
    raw = [(name.encode(), value.encode()) for name, value in headers]
    method = {"/health": "GET", "/contexts": "PUT"}.get(path, "GET" if path.startswith("/files") else "POST")
    more = {"json": {"code": "1"}} if method == "POST" else {}
    answer = httpx.request(method, served.e2b + path, headers=raw, timeout=30, **more)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["code"] == 401


def test_a_sandbox_that_never_was(served: House, box: Raw):
    answer = box.ask("GET", "/health", headers={**box.headers, "e2b-sandbox-id": "cntr_" + "0" * 32})
    assert (answer.status_code, answer.json()["code"]) == (502, 502)
    assert "was not found" in answer.json()["message"]
    assert box.ask("GET", "/health", headers={"x-access-token": box.envd}).status_code == 400
    assert box.ask("GET", "/health").status_code == 204
    ports = box.ask("GET", "/health", headers={**box.headers, "e2b-sandbox-port": "8000"})
    assert (ports.status_code, "49999" in ports.json()["message"]) == (400, True)


def test_tokens_are_not_keys(served: House, box: Raw):
    for token in (box.envd, box.traffic):
        for headers in ({"x-api-key": token}, {"authorization": f"Bearer {token}"}, {"x-access-token": token}):
            assert httpx.get(f"{served.e2b}/v2/sandboxes", headers=headers).status_code == 401
            assert httpx.get(f"{served.running.url}/v1/models", headers=headers).status_code == 401
    # Elsewhere keys come as they always did.
    assert httpx.get(f"{served.running.url}/v1/models", headers={"x-api-key": served.keys["one"]}).status_code == 401


# --- hosts


def test_a_sandbox_by_its_host(served: House, box: Raw):
    for domain in ("boxes.example", "localhost:8400", "boxes.example:443"):
        headers = {"host": f"{INTERPRETER}-{box.id}.{domain}", "e2b-traffic-access-token": box.traffic}
        answer = httpx.post(f"{served.running.url}/execute", headers=headers, json={"code": "6 * 7"})
        assert answer.status_code == 200
        assert '"42"' in answer.text
        headers = {"host": f"{ENVD}-{box.id}.{domain}", "x-access-token": box.envd}
        assert httpx.get(f"{served.running.url}/health", headers=headers).status_code == 204


def test_hosts_that_are_not_ours(served: House, box: Raw):
    tokens = {"x-access-token": box.envd, "e2b-traffic-access-token": box.traffic}
    for host in (
        f"{ENVD}-{box.id}.evil.example",
        f"{ENVD}-{box.id}.boxes.example.evil.example",
        f"{ENVD}-{box.id}.{ENVD}-{box.id}.evil.example",
        f"{ENVD}-{box.id}x.boxes.example",
        f"x{ENVD}-{box.id}.boxes.example",
        "evil.example",
    ):
        for path in ("/health", "/v1/models", "/v1/sandbox/e2b/health"):
            answer = httpx.get(f"{served.running.url}{path}", headers={"host": host, **tokens})
            assert answer.status_code == 403, host
            assert answer.json()["error"]["code"] == "host_not_allowed"


def test_a_sandboxs_host_leads_to_nothing_else(served: House, box: Raw):
    headers = {
        "host": f"{ENVD}-{box.id}.boxes.example",
        "x-access-token": box.envd,
        "x-api-key": served.keys["one"],
        "authorization": f"Bearer {served.keys['one']}",
    }
    for path in ("/v1/models", "/sandboxes", "/v2/sandboxes", "/v1/sandbox/e2b/sandboxes", "/"):
        answer = httpx.get(f"{served.running.url}{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, 404)
    headers["host"] = f"8000-{box.id}.boxes.example"
    assert httpx.get(f"{served.running.url}/health", headers=headers).status_code == 400


def test_pages_from_elsewhere(served: House, box: Raw):
    answer = box.ask("GET", "/health", headers={**box.headers, "origin": "https://evil.example"})
    assert answer.status_code == 403


# --- what is malformed


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/v2/sandboxes", {"timeout": "soon"}, 400, "timeout"),
        ("POST", "/v2/sandboxes", {"metadata": {"a": 1}}, 400, "metadata.a"),
        ("POST", "/v2/sandboxes", {"network": {"allowOut": [1]}}, 501, "allow_out"),
        ("POST", "/v2/sandboxes", {"templateID": ["a"]}, 400, "templateID"),
        ("POST", "/v2/sandboxes", [], 400, "JSON object"),
        ("GET", "/v2/sandboxes?limit=0", None, 400, "limit"),
        ("GET", "/v2/sandboxes?limit=x", None, 400, "limit"),
        ("GET", "/v2/sandboxes?nextToken=x", None, 400, "nextToken"),
        ("GET", "/v2/sandboxes?nextToken=%C3%A9%C3%A9", None, 400, "nextToken"),
        ("GET", "/v2/sandboxes?startedAfter=x", None, 400, "startedAfter"),
        ("GET", "/v2/sandboxes?" + "&".join(f"a{n}=1" for n in range(99)), None, 400, "64 parameters"),
        ("GET", "/sandboxes/none", None, 404, "not found"),
        ("GET", "/sandboxes/..%2F..%2Fkeys", None, 404, "nothing"),
        ("POST", "/sandboxes/none/timeout", {"timeout": 1}, 404, "not found"),
        ("POST", "/sandboxes/none/pause", {}, 404, "not found"),
        ("GET", "/templates", None, 404, "not offered"),
        ("POST", "/v3/templates", {}, 404, "not offered"),
    ],
)
def test_the_control_plane_refuses(served: House, method: str, path: str, body: Any, status: int, words: str):
    key = {"x-api-key": served.keys["one"]}
    more = {} if body is None else {"json": body}
    answer = httpx.request(method, served.e2b + path, headers=key, **more)
    assert answer.status_code == status
    assert answer.json()["code"] == status
    assert words in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "JSON object"),
        (b"{}", "code"),
        (b'{"code": 1}', "code"),
        (b'{"code": "1", "context_id": "x", "language": "python"}', "not both"),
        (b'{"code": "1", "language": "cobol"}', "does not run"),
        (b'{"code": "1", "env_vars": {"a b": "c"}}', "'a b'"),
        (b'{"code": "1", "env_vars": {"a": "\\u0000"}}', "null"),
        (b"[" * 100, "nests deeper"),
    ],
)
def test_an_execution_refuses(box: Raw, body: bytes, words: str):
    answer = box.ask("POST", "/execute", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def form(*files: tuple[str, bytes]) -> dict[str, Any]:
    return {"files": [("file", file) for file in files]}


@pytest.mark.parametrize(
    ("query", "more", "status", "words"),
    [
        ("", form(("", b"x")), 400, ""),
        ("", form(("a", b"x"), ("./a", b"y")), 400, "twice"),
        ("", form(("../a", b"x")), 400, "working folder"),
        ("", form(("a", b"x"), ("a/b", b"y")), 400, "under another"),
        ("?path=/etc/a", form(("a", b"x")), 400, "working folder"),
        ("", {"content": b"x", "headers": {"content-type": "application/octet-stream"}}, 400, "needs a path"),
        ("?path=a", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "multipart"),
        ("?path=a", {"content": b"x"}, 415, "multipart"),
        ("", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
        ("", {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "form"),
        ("", {"data": {"a": "b"}, "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415, "multipart"),
        (
            "?path=a",
            {"content": b"x" * (2 << 20), "headers": {"content-type": "application/octet-stream"}},
            413,
            "larger",
        ),
        ("?path=a", form(("a", b"x")) | {"headers": {"x-metadata-a": "b"}}, 400, "metadata"),
        ("?path=" + "d/" * 20 + "a", form(("a", b"x")), 400, "parts"),
        ("?path=" + "n" * 300, form(("a", b"x")), 400, "255"),
        ("?path=a%00b", form(("a", b"x")), 400, "control"),
    ],
)
def test_an_upload_refuses(box: Raw, query: str, more: dict[str, Any], status: int, words: str):
    more = dict(more)
    headers = {**box.headers, **more.pop("headers", {})}
    answer = box.ask("POST", f"/files{query}", headers=headers, **more)
    assert answer.status_code == status
    assert words in answer.json()["message"]


def test_packed_uploads(box: Raw):
    headers = {**box.headers, "content-type": "application/octet-stream", "content-encoding": "gzip"}
    packed = gzip.compress(b"hello")
    assert box.ask("POST", "/files?path=p", headers=headers, content=packed).status_code == 200
    assert box.ask("GET", "/files?path=p").content == b"hello"
    bomb = gzip.compress(b"\0" * (64 << 20))
    for content, status in ((bomb, 413), (packed[:-4], 400), (b"plain", 400)):
        assert box.ask("POST", "/files?path=p", headers=headers, content=content).status_code == status
    odd = {**headers, "content-encoding": "br"}
    assert box.ask("POST", "/files?path=p", headers=odd, content=b"x").status_code == 415


def test_a_download_is_never_a_page(box: Raw):
    box.ask("POST", "/files?path=a%22b%C3%A9.html", files={"file": ("x", b"<script>")})
    answer = box.ask("GET", "/files?path=a%22b%C3%A9.html")
    assert answer.content == b"<script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("method", "message", "status", "code"),
    [
        ("/filesystem.Filesystem/Stat", b"{", 400, "invalid_argument"),
        ("/filesystem.Filesystem/Stat", {"path": 1}, 400, "invalid_argument"),
        ("/filesystem.Filesystem/Stat", {"path": "a\0b"}, 400, "invalid_argument"),
        ("/filesystem.Filesystem/Stat", {"path": "none"}, 404, "not_found"),
        ("/filesystem.Filesystem/ListDir", {"path": ".", "depth": -1}, 400, "invalid_argument"),
        ("/filesystem.Filesystem/ListDir", {"path": ".", "depth": True}, 400, "invalid_argument"),
        ("/filesystem.Filesystem/Remove", {"path": "."}, 400, "invalid_argument"),
        ("/filesystem.Filesystem/MakeDir", {"path": "."}, 409, "already_exists"),
        ("/filesystem.Filesystem/Move", {"source": ".", "destination": "a"}, 400, "invalid_argument"),
        ("/filesystem.Filesystem/CreateWatcher", {"path": "."}, 501, "unimplemented"),
        ("/process.Process/SendSignal", {"process": {"pid": 999}}, 404, "not_found"),
        ("/process.Process/SendSignal", {"process": {"pid": "x"}}, 400, "invalid_argument"),
        ("/process.Process/SendInput", {}, 501, "unimplemented"),
        ("/process.Process/Update", {}, 501, "unimplemented"),
    ],
)
def test_a_method_refuses(box: Raw, method: str, message: Any, status: int, code: str):
    answer = box.rpc(method, message)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]
    binary = box.rpc(method, b"x", headers={"content-type": "application/proto"})
    assert (binary.status_code, binary.json()["code"]) in ((400, "invalid_argument"), (501, "unimplemented"))


START = {"process": {"cmd": "/bin/bash", "args": ["-c", "echo hi"]}}


def test_a_command_as_messages(box: Raw):
    start, *data, end, last = box.stream("/process.Process/Start", wrapped(START))
    assert start[1]["event"]["start"]["pid"] > 0
    output = b"".join(base64.b64decode(one["event"]["data"]["stdout"]) for _, one in data)
    assert output == b"hi\n"
    assert end == (0, {"event": {"end": {"exitCode": 0, "exited": True, "status": "exit status 0"}}})
    assert last == (2, {})


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "invalid_argument", "no message"),
        (b"\0\0", "invalid_argument", "no message"),
        (wrapped(START)[:-1], "invalid_argument", "one message"),
        (wrapped(START) * 2, "invalid_argument", "one message"),
        (wrapped(START, flags=1), "invalid_argument", "compressed"),
        (wrapped(START, flags=2), "invalid_argument", "one message"),
        (wrapped(b"{"), "invalid_argument", "not valid JSON"),
        (wrapped([]), "invalid_argument", "object"),
        (wrapped({}), "invalid_argument", "process"),
        (wrapped({"process": {"cmd": ""}}), "invalid_argument", "cmd"),
        (wrapped({"process": {"cmd": "a\0b"}}), "invalid_argument", "null"),
        (wrapped({**START, "pty": {}}), "unimplemented", "terminals"),
        (wrapped({**START, "stdin": True}), "unimplemented", "no input"),
        (b"\0\xff\xff\xff\xff" + b"{}", "invalid_argument", "one message"),
    ],
)
def test_a_start_refuses(box: Raw, body: bytes, code: str, words: str):
    ((flags, message),) = box.stream("/process.Process/Start", body)
    assert flags == 2
    assert message["error"]["code"] == code
    assert words in message["error"]["message"]


def test_a_silent_command_is_heard_of(box: Raw):
    quiet = {"process": {"cmd": "sleep", "args": ["2.5"]}}
    messages = box.stream("/process.Process/Start", wrapped(quiet), **{"keepalive-ping-interval": "1"})
    assert [next(iter(message.get("event", {})), None) for _, message in messages] == [
        "start",
        "keepalive",
        "keepalive",
        "end",
        None,
    ]


def test_deadlines_of_commands(box: Raw):
    slow = {"process": {"cmd": "sleep", "args": ["60"]}}
    began = time.monotonic()
    *_, (flags, message) = box.stream("/process.Process/Start", wrapped(slow), **{"connect-timeout-ms": "500"})
    assert time.monotonic() - began < 5
    assert (flags, message["error"]["code"]) == (2, "deadline_exceeded")
    ((_, message),) = box.stream("/process.Process/Start", wrapped(slow), **{"connect-timeout-ms": "soon"})
    assert message["error"]["code"] == "invalid_argument"


# --- clients that go away


@pytest.mark.parametrize("shape", ["execute", "command", "fusion", "jupyter"])
def test_whoever_goes_away_takes_the_run_along(served: House, box: Raw, other: Raw, shape: str):
    busy = "import time\nwhile True: time.sleep(0.01)"
    bodies = {
        "execute": ("/v1/sandbox/e2b/execute", json.dumps({"code": busy}).encode(), "application/json"),
        "command": (
            "/v1/sandbox/e2b/process.Process/Start",
            wrapped({"process": {"cmd": "sleep", "args": ["60"]}}),
            "application/connect+json",
        ),
        "fusion": (
            "/v1/sandbox/fusion/run_code",
            json.dumps({"code": busy, "language": "python"}).encode(),
            "application/json",
        ),
        "jupyter": ("/v1/sandbox/fusion/run_jupyter", json.dumps({"cells": [busy]}).encode(), "application/json"),
    }
    path, body, kind = bodies[shape]
    names = [f"{name}: {value}" for name, value in box.headers.items()] if "e2b" in path else []
    key = f"authorization: Bearer {served.keys['one']}"
    lines = [f"content-type: {kind}", f"content-length: {len(body)}", key, *names]
    dispatcher = served.running.gateway.dispatcher
    eventually(lambda: dispatcher.running == 0)
    with connection(served.running.url) as sock:
        sock.sendall(head("POST", path, *lines) + body)
        eventually(lambda: dispatcher.running == 1, within_s=10)
        time.sleep(0.3)
    took = eventually(lambda: dispatcher.running == 0, within_s=5)
    assert took < 1
    sessions = served.wait_for(served.running.gateway.sandbox.box())._registry._sessions
    eventually(lambda: set(sessions) <= {box.id, other.id}, within_s=5)
    assert '"2"' in box.ask("POST", "/execute", json={"code": "1 + 1"}).text


# --- gateways of another kind


def test_without_keys_any_key_does(tmp_path):
    app = App("open")
    app.sandbox("docker", pool_size=1, max_running=2, gvisor="never")
    with gateway(app, data_dir=tmp_path) as running:
        url = f"{running.url}/v1/sandbox/e2b"
        with Sandbox.create(api_key="whatever", api_url=url, sandbox_url=url) as sandbox:
            assert sandbox.run_code("1 + 1").text == "2"
        body = {"code": "print(1)", "language": "python"}
        answer = httpx.post(f"{running.url}/v1/sandbox/fusion/run_code", json=body, timeout=30)
        assert answer.json()["status"] == "Success"


def test_a_gateway_without_a_sandbox_says_how_it_is_switched_on(tmp_path):
    with gateway(App("none"), data_dir=tmp_path) as running:
        for path in ("e2b/v2/sandboxes", "fusion/run_code", "e2b/execute"):
            answer = httpx.post(f"{running.url}/v1/sandbox/{path}", json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "sandbox_disabled")
            assert "POLYPORT_SANDBOX=docker" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("number", "printed"), [(0, "6\nvalue\n\n"), (1, "RunStatus.Success 42\n\n")])
def test_the_page_says_how(served: House, number: int, printed: str):
    page = ROOT / "docs" / "sandbox-compatible.md"
    code = [block.code for block in blocks(page) if block.language == "py"][number]
    env = {
        **clean_environment(),
        "E2B_API_URL": served.e2b,
        "E2B_SANDBOX_URL": served.e2b,
        "E2B_API_KEY": served.keys["one"],
        "SANDBOX_FUSION_ENDPOINT": served.fusion_with("one"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, printed), done.stderr
