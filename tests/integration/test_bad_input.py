"""Requests that are wrong in every way that HTTP and JSON allow: a clear answer each time, and the gateway goes on."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import ExitStack

import httpx
import pytest
from sqlalchemy import text as sql

from polyport import App
from polyport.testing import gateway
from tests.support.wires import (
    SECRETS,
    WIRES,
    ask,
    check_clean,
    connection,
    eventually,
    head,
    mcp_request,
    open_session,
    read,
    speak,
)

app = App("input")


@app.function
def add(a: int, b: int) -> int:
    return a + b


@app.function
def text(x: str) -> str:
    return x


app.model("echo", engine="echo")

OPENAI_PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
PATHS = [*OPENAI_PATHS, "/v1/functions/add"]
LIMIT = 200_000


@pytest.fixture(scope="module")
def url():
    with gateway(app, shutdown_grace_s=1, max_body_bytes=LIMIT, request_timeout_s=1.0) as running:
        httpx.post(f"{running.url}/mcp", content=b"{}", timeout=30)  # the first loads the SDK
        yield running.url


def post(url: str, path: str, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(
        url + path,
        content=content,
        headers={"content-type": "application/json", "accept": "application/json, text/event-stream", **headers},
        timeout=30,
    )


def still_serves(url: str) -> None:
    assert httpx.post(f"{url}/v1/functions/add", json={"a": 1, "b": 2}).json()["result"] == 3


BAD_BODIES = {
    "malformed": b'{"a": ',
    "two values": b"{} {}",
    "empty": b"",
    "array": b"[1]",
    "null": b"null",
    "a string": b'"x"',
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"a": NaN, "b": 1, "model": NaN}',
    "infinity": b'{"a": 1e999, "b": 1}',
    "a lone surrogate": b'{"a": "\\ud800", "b": 1}',
    "deep arrays": b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "unclosed": b"[" * 100_000,
    "compressed": b"\x1f\x8b\x08\x00",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", BAD_BODIES)
def test_a_body_that_is_no_json_object(url, path, kind):
    answer = post(url, path, BAD_BODIES[kind])
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["code"] in ("invalid_request", "invalid_arguments")
    assert set(error) >= {"message", "type", "param", "code"}
    assert len(error["message"]) < 2000
    check_clean(read(path, answer))
    still_serves(url)


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_a_body_that_is_no_mcp_message(url, kind):
    answer = post(url, "/mcp", BAD_BODIES[kind])
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in (-32700, -32600, -32602)
    check_clean(read("mcp", answer))
    still_serves(url)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {}, "model"),
        ("/v1/chat/completions", {"model": "echo"}, "messages"),
        ("/v1/chat/completions", {"model": 5, "messages": []}, "model"),
        ("/v1/chat/completions", {"model": "echo", "messages": "hello"}, "messages"),
        ("/v1/chat/completions", {"model": "echo", "messages": []}, "messages"),
        ("/v1/chat/completions", {"model": "echo", "messages": [{"role": "king", "content": "x"}]}, "messages.0"),
        ("/v1/completions", {"model": "echo", "prompt": {}}, "prompt"),
        ("/v1/embeddings", {"model": "echo", "input": []}, "input"),
        ("/v1/responses", {"model": "echo", "input": 5}, "input"),
        ("/v1/responses", {"model": "echo", "input": "x", "previous_response_id": "resp_no"}, "previous_response_id"),
        ("/v1/functions/add", {"a": "x", "b": 1}, "a"),
        ("/v1/functions/add", {"a": 1}, "b"),
        ("/v1/functions/add", {"a": 1, "b": 2, "c": 3}, "c"),
        ("/v1/functions/add", {"a": 1.5, "b": 2}, "a"),
        ("/v1/functions/add", {"a": None, "b": 2}, "a"),
        ("/v1/functions/add", {"a": 1, "b": "x" * 5000}, "b"),
    ],
)
def test_what_is_wrong_is_named(url, path, body, param):
    answer = httpx.post(url + path, json=body)
    error = answer.json()["error"]
    assert answer.status_code in (400, 404)
    assert error["param"].startswith(param)
    assert len(error["message"]) < 1500
    check_clean(read(path, answer))


def test_an_unknown_name_is_the_same_everywhere_and_not_repeated_at_length(url):
    for name in ("nothing", "n" * 50_000, "add\x00", "..", "añadir", "add "):
        plain = name.isascii() and name.isprintable() and name == name.strip() and len(name) < 5000
        for wire in WIRES:
            if not plain and wire in ("rest", "rest-sse", "mcp-2026"):
                continue  # their paths and headers can't hold it
            reply = ask(url, wire, name, {"prompt": "x"}, "x")
            assert not reply.ok, reply.says()
            assert "does not exist" in reply.message or "nothing at" in reply.message, reply.says()
            assert len(reply.message) < 500
            check_clean(reply)


@pytest.mark.parametrize("path", [*PATHS, "/mcp"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(url, path, chunked):
    data = b'"' + b"x" * (4 * LIMIT) + b'"'

    def pieces():
        for start in range(0, len(data), 50_000):
            yield data[start : start + 50_000]

    answer = post(url, path, pieces() if chunked else data)  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert "max_body_bytes" in answer.json()["error"]["message"]
    check_clean(read(path, answer))
    still_serves(url)


def test_a_large_body_that_is_only_announced_is_refused_at_once(url):
    started = time.monotonic()
    with connection(url) as sock:
        sock.sendall(head("POST", "/v1/chat/completions", "content-length: 41943040"))
        assert sock.recv(100).startswith(b"HTTP/1.1 413")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "data",
    [
        head("POST", "/v1/functions/add", "content-length: -4"),
        head("POST", "/v1/functions/add", "content-length: many"),
        head("POST", "/v1/functions/add", "transfer-encoding: chunked") + b"zz\r\n\r\n",
        head("POST", "/v1/functions/add", "content-length: 4", "transfer-encoding: chunked") + b"0\r\n\r\n",
        head("POST", "/v1/functions/add", "content-length: 4", "content-length: 5") + b"{}  ",
        head("GET", "/v1/models", "x-request-id: a\n evil: b"),
        head("GET", "/v1/models?" + "x" * 70_000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"FOO / HTTP/1.1\r\n\r\n",
        b"\0" * 100,
    ],
)
def test_what_is_no_http_is_refused(url, data):
    head, _, body = speak(url, data).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].split(b" ")[1] in (b"400", b"431")
    assert b"\r\nx-request-id: req_" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    still_serves(url)


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_an_upgrade_that_is_not_offered_is_answered_as_if_not_asked_for(url, protocol):
    asked = (
        "connection: upgrade, close",
        f"upgrade: {protocol}",
        "sec-websocket-key: eA==",
        "sec-websocket-version: 13",
    )
    answer = speak(url, head("GET", "/v1/models", *asked))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"x-request-id: req_" in answer
    still_serves(url)


def test_an_endless_head_is_refused_before_it_fills_the_memory(url):
    with connection(url) as sock:
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n")
        sent = 0
        try:
            while sent < 50_000_000:
                sock.sendall(b"x-more: " + b"y" * 10_000 + b"\r\n")
                sent += 10_000
        except OSError:
            pass
    assert sent < 20_000_000
    still_serves(url)


def test_many_headers_pass_while_they_are_small(url):
    answer = httpx.get(f"{url}/v1/models", headers={f"x-{i}": "y" for i in range(1000)})
    assert answer.status_code == 200


def test_a_wrong_method_says_which_are_right(url):
    for method in ("PUT", "DELETE", "GET", "TRACE", "OPTIONS"):
        answer = httpx.request(method, f"{url}/v1/chat/completions")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.json()["error"]["code"] == "method_not_allowed"
    assert httpx.head(f"{url}/healthz").status_code == 200
    assert httpx.head(f"{url}/v1/models").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/functions/..%2f..%2fetc%2fpasswd", "/v1/functions/../../etc/passwd", "/v1/functions/add%00",
     "/v1/functions/%ff", "/v1/functions/add/", "//v1//functions//add", "/v1/models/%2e%2e/x", "/v1/responses/..%2fx",
     "/v1/functions/" + "n" * 5000],
)  # fmt: skip
def test_a_path_leads_nowhere_else(url, path):
    for method in ("GET", "POST"):
        said = speak(url, head(method, path, "connection: close", "content-length: 2") + b"{}")
        assert b" 404 " in said.split(b"\r\n")[0]
        assert b"x-request-id" in said
        assert len(said) < 1500
        assert not any(secret.encode() in said for secret in SECRETS)


def test_a_name_may_be_percent_encoded(url):
    body = b'{"a": 1, "b": 2}'
    said = speak(url, head("POST", "/v1/functions/%61dd", f"content-length: {len(body)}", "connection: close") + body)
    assert b'"result":3' in said


@pytest.mark.parametrize(
    ("given", "kept"),
    [("good-id_1.2:3", True), ("a b", False), ("x" * 129, False), ("a\tb", False), ("\xff", False), ("", False),
     ("<script>", False)],
)  # fmt: skip
def test_a_request_id_is_taken_only_if_it_is_harmless(url, given, kept):
    said = speak(url, head("GET", "/v1/models", f"x-request-id: {given}", "connection: close")).decode("latin-1")
    answered = re.search(r"x-request-id: (.*)\r\n", said).group(1)
    assert (answered == given) is kept
    assert kept or answered.startswith("req_")


def test_the_content_type_does_not_matter_but_the_page_that_asks_does(url):
    body = b'{"a": 1, "b": 2}'
    assert post(url, "/v1/functions/add", body, **{"content-type": "text/plain"}).status_code == 200
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "http://[broken", "file://"):
        answer = post(url, "/v1/functions/add", body, **{"content-type": "text/plain", "origin": origin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed"), origin
        assert "access-control-allow-origin" not in answer.headers
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::2]"):
        answer = post(url, "/v1/functions/add", body, host=host)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed"), host


def test_a_client_that_stalls_in_its_body_is_told_so(url):
    for path in ("/v1/chat/completions", "/v1/functions/add", "/mcp"):
        started = time.monotonic()
        with connection(url) as sock:
            sock.sendall(head("POST", path, "content-length: 100", "content-type: application/json") + b'{"a": ')
            said = sock.recv(4096)
        assert said.startswith(b"HTTP/1.1 408"), said
        assert b"request_timeout_s" in said
        assert b"x-request-id" in said
        assert 0.8 < time.monotonic() - started < 4


@pytest.mark.parametrize("begun", [b"", b"GET /v1/mod", b"GET /v1/models HTTP/1.1\r\nhost: x\r\n"])
def test_a_client_that_stalls_in_its_head_is_dropped(url, begun):
    with connection(url) as sock:
        sock.sendall(begun)
        started = time.monotonic()
        assert sock.recv(100) == b""
        assert time.monotonic() - started < 5


def test_a_drip_fed_head_does_not_last_for_ever(url):
    started = time.monotonic()

    def drip(sock: socket.socket) -> None:
        while time.monotonic() - started < 10:
            sock.sendall(b"E")
            time.sleep(0.1)

    with connection(url) as sock, pytest.raises(OSError, match=r"reset|Broken pipe"):
        drip(sock)
    assert time.monotonic() - started < 6


def test_500_idle_connections_hold_up_nobody(url):
    address = httpx.URL(url)
    with ExitStack() as open_ones:
        for _ in range(500):
            open_ones.enter_context(socket.create_connection((address.host, address.port)))
        started = time.monotonic()
        still_serves(url)
        assert time.monotonic() - started < 1


def test_a_kept_connection_outlasts_the_patience_for_requests(url):
    ports = []
    with httpx.Client() as client:
        for pause in (0, 2.5):
            time.sleep(pause)
            answer = client.get(f"{url}/healthz")
            ports.append(answer.extensions["network_stream"].get_extra_info("client_addr")[1])
    assert ports[0] == ports[1]


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_no_trace(url):
    for path in ("/v1/chat/completions", "/v1/functions/add", "/mcp"):
        with connection(url) as sock:
            sock.sendall(head("POST", path, "content-length: 100") + b'{"a": ')
    still_serves(url)


def test_pipelined_requests_are_answered_in_order(url):
    data = b"".join(
        head("POST", "/v1/functions/add", f"content-length: {len(body)}") + body
        for body in (json.dumps({"a": i, "b": 0}).encode() for i in range(5))
    )
    assert re.findall(rb'"result":(\d)', speak(url, data)) == [b"0", b"1", b"2", b"3", b"4"]


def test_mcp_requests_that_are_wrong(url):
    session = open_session(url)
    for modern in (True, False):
        headers = {} if modern else session
        for method, params in (
            ("no/such/method", {}),
            ("tools/call", {}),
            ("tools/call", {"name": 5}),
            ("tools/call", {"name": "add", "arguments": [1]}),
            ("tools/list", {"cursor": "nonsense"}),
            ("resources/read", {"uri": "file:///etc/passwd"}),
            ("resources/read", {"uri": "../../etc/passwd"}),
            ("prompts/get", {"name": "none"}),
        ):
            path, body, more = mcp_request(method, params, modern=modern)
            answer = httpx.post(url + path, json=body, headers={**more, **headers})
            reply = read("mcp", answer)
            assert not reply.ok, f"{method} {params}: {reply.says()}"
            check_clean(reply)
            assert "root:" not in reply.text
    answer = httpx.post(f"{url}/mcp", json=body, headers={**more, "mcp-session-id": "no-such-session"})
    assert answer.status_code in (400, 404)
    still_serves(url)


def test_calls_are_recorded_and_what_never_became_one_is_not():
    with gateway(app, shutdown_grace_s=1) as running:
        for path in PATHS:
            post(running.url, path, b"{", **{"x-request-id": "never-a-call"})
        httpx.post(f"{running.url}/v1/functions/add", json={"a": "x"}, headers={"x-request-id": "a-call"})
        httpx.post(f"{running.url}/v1/functions/nope", json={}, headers={"x-request-id": "a-call"})
        query = sql("select request_id, name, status, code from usage order by at")

        def rows():
            return [tuple(row) for row in running.gateway.database.read_sync(lambda c: c.execute(query).all())]

        eventually(lambda: len(rows()) >= 2)
        assert rows() == [("a-call", "add", 400, "invalid_arguments"), ("a-call", "nope", 404, "model_not_found")]
