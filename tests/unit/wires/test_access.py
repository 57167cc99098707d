from __future__ import annotations

import json

import pytest

from polyport.errors import AuthenticationError
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.settings import Settings
from polyport_gateway.wires.access import AccessLayer, host_allowed, origin_allowed
from polyport_gateway.wires.http import info_of, send_json
from polyport_gateway.wires.router import Route, Router

KEY = Caller("k1", "test")


async def check(token):
    if token is None:
        return LOCAL
    if token == "breaks":
        raise RuntimeError("secret detail")
    if token != "good":
        raise AuthenticationError("wrong key")
    return KEY


async def whoami(scope, receive, send):
    info = info_of(scope)
    await send_json(send, {"caller": info.caller.id, "request_id": info.request_id, "trace": info.traceparent})


async def broken(scope, receive, send):
    raise RuntimeError("secret detail")


ROUTES = [
    Route("GET", "/who", whoami),
    Route("GET", "/v1/models/{model}", whoami),
    Route("GET", "/broken", broken),
    Route("*", "/any", whoami),
]


async def ask(path="/who", method="GET", headers=None, settings=None, **scope):
    layer = AccessLayer(Router(ROUTES), access=check, settings=settings or Settings())
    messages = []

    async def send(message):
        messages.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    raw = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
    await layer({"type": "http", "method": method, "path": path, "headers": raw, **scope}, receive, send)
    body = b"".join(m.get("body", b"") for m in messages[1:])
    return messages[0]["status"], dict(messages[0]["headers"]), json.loads(body) if body else None


pytestmark = pytest.mark.anyio


async def test_every_answer_has_a_request_id():
    _, headers, body = await ask()
    assert headers[b"x-request-id"].decode() == body["request_id"]
    _, headers, _ = await ask("/nowhere")
    assert headers[b"x-request-id"].startswith(b"req_")
    _, headers, _ = await ask(headers={"x-request-id": "mine-1"})
    assert headers[b"x-request-id"] == b"mine-1"
    _, headers, _ = await ask(headers={"x-request-id": "bad id\tinjected"})
    assert headers[b"x-request-id"].startswith(b"req_")


async def test_keys():
    assert (await ask(headers={"authorization": "Bearer good"}))[2]["caller"] == "k1"
    assert (await ask(headers={"authorization": "bearer good"}))[2]["caller"] == "k1"
    status, headers, body = await ask(headers={"authorization": "Bearer bad"})
    assert (status, headers[b"www-authenticate"], body["error"]["code"]) == (401, b"Bearer", "invalid_api_key")
    assert (await ask(headers={"authorization": "Basic abc"}))[0] == 401


async def test_not_found_and_wrong_method_have_openai_bodies():
    status, _, body = await ask("/nowhere")
    assert (status, body["error"]["code"]) == (404, "not_found")
    status, _, body = await ask("/who", method="DELETE")
    assert (status, body["error"]["code"]) == (405, "method_not_allowed")
    assert (await ask("/any", method="DELETE"))[0] == 200
    assert (await ask("/v1/models/a%2Fb"))[0] == 200


async def test_an_endpoint_that_breaks_answers_500_without_detail():
    status, _, body = await ask("/broken")
    assert status == 500
    assert "secret" not in json.dumps(body)


async def test_a_key_that_cannot_be_checked_answers_500_without_detail():
    status, headers, body = await ask(headers={"authorization": "Bearer breaks", "x-request-id": "mine"})
    assert (status, body["error"]["code"]) == (500, "internal_error")
    assert headers[b"x-request-id"] == b"mine"
    assert "secret" not in json.dumps(body)


async def test_a_rebound_host_is_refused():
    status, _, body = await ask(headers={"host": "evil.example:8400"})
    assert (status, body["error"]["code"]) == (403, "host_not_allowed")
    assert (await ask(headers={"host": "localhost:8400"}))[0] == 200
    assert (await ask(headers={"host": "[::1]:8400"}))[0] == 200
    allowed = Settings(allowed_hosts=("gw.example",))
    assert (await ask(headers={"host": "gw.example"}, settings=allowed))[0] == 200
    # A caller in this process needs no host.
    assert (await ask(headers={"host": "polyport"}, **{"polyport.local": True}))[0] == 200


async def test_a_foreign_page_is_refused():
    status, _, body = await ask(headers={"origin": "https://evil.example"})
    assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
    assert (await ask(headers={"origin": "http://localhost:3000"}))[0] == 200
    assert (await ask(headers={"origin": "null"}))[0] == 403


async def test_cors():
    settings = Settings(cors_origins=("https://app.example",))
    status, headers, _ = await ask(
        method="OPTIONS",
        headers={
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
        settings=settings,
    )
    assert status == 204
    assert headers[b"access-control-allow-origin"] == b"https://app.example"
    assert headers[b"access-control-allow-headers"] == b"authorization,content-type"
    _, headers, _ = await ask(headers={"origin": "https://app.example"}, settings=settings)
    assert headers[b"access-control-allow-origin"] == b"https://app.example"
    status, headers, _ = await ask(
        method="OPTIONS",
        headers={"origin": "https://other.example", "access-control-request-method": "POST"},
        settings=settings,
    )
    assert status == 403
    assert b"access-control-allow-origin" not in headers


async def test_traceparent_is_kept_only_when_well_formed():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert (await ask(headers={"traceparent": trace}))[2]["trace"] == trace
    assert (await ask(headers={"traceparent": "nonsense"}))[2]["trace"] is None


def test_hosts_and_origins():
    wide = Settings(host="0.0.0.0")
    assert host_allowed("anything.example", wide)
    assert not host_allowed("anything.example", Settings(host="0.0.0.0", allowed_hosts=("mine.example",)))
    assert not host_allowed("127.0.0.1.evil.example", Settings())
    assert not origin_allowed("http://localhost.evil.example", Settings())
    assert not origin_allowed("http://[broken", Settings())
