"""Wires that look at keys themselves, and the names of sandboxes in Host headers."""

from __future__ import annotations

import json

import pytest

from polyport.errors import AuthenticationError
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.settings import Settings
from polyport_gateway.wires.access import AccessLayer, host_allowed
from polyport_gateway.wires.http import info_of, send_bytes, send_json
from polyport_gateway.wires.router import Route, Router

LABEL = f"49983-cntr_{'0a' * 16}"


class Porter:
    """Takes what lies under /own, and one name of the host's."""

    def takes(self, scope, host):
        if host == "own.localhost":
            scope["path"] = "/own" + scope["path"]
        return scope["path"].startswith("/own/")

    async def admit(self, scope, access):
        key = dict(scope["headers"]).get(b"x-own-key")
        if key == b"breaks":
            raise RuntimeError("secret detail")
        return await access(None if key is None else key.decode())

    async def refuse(self, scope, send, error, request_id):
        await send_bytes(send, json.dumps({"own": type(error).__name__}).encode(), status=418)


async def check(token):
    if token not in (None, "good"):
        raise AuthenticationError("wrong key")
    return LOCAL if token is None else Caller("k1", "test")


async def whoami(scope, receive, send):
    await send_json(send, {"caller": info_of(scope).caller.id, "path": scope["path"]})


async def ask(path, headers=None, settings=None):
    router = Router([Route("GET", "/own/who", whoami), Route("GET", "/who", whoami)])
    layer = AccessLayer(router, access=check, settings=settings or Settings(), doors=[Porter()])
    messages = []

    async def send(message):
        messages.append(message)

    raw = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
    await layer({"type": "http", "method": "GET", "path": path, "headers": raw}, None, send)
    return messages[0]["status"], json.loads(messages[1]["body"])


@pytest.mark.anyio
async def test_a_door_looks_at_keys_itself():
    assert await ask("/own/who", {"x-own-key": "good"}) == (200, {"caller": "k1", "path": "/own/who"})
    assert await ask("/own/who", {"authorization": "Basic eA=="}) == (200, {"caller": "local", "path": "/own/who"})
    assert await ask("/own/who", {"x-own-key": "bad"}) == (418, {"own": "AuthenticationError"})
    assert await ask("/own/who", {"x-own-key": "breaks"}) == (418, {"own": "RuntimeError"})
    assert await ask("/who", {"host": "own.localhost"}, Settings(allowed_hosts=("own.localhost",))) == (
        200,
        {"caller": "local", "path": "/own/who"},
    )


@pytest.mark.anyio
async def test_other_paths_are_as_they_were():
    status, body = await ask("/who", {"x-own-key": "bad"})
    assert (status, body["caller"]) == (200, "local")
    status, body = await ask("/who", {"authorization": "Basic eA=="})
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.anyio
async def test_the_host_is_looked_at_before_any_door():
    for path in ("/own/who", "/who"):
        status, body = await ask(path, {"host": "evil.example", "x-own-key": "good"})
        assert (status, body["error"]["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost", "localhost:8400", "127.0.0.1:8400", "gate.example", "gate.example:443"])
def test_a_sandbox_before_a_name_of_ours(host: str):
    settings = Settings(allowed_hosts=("gate.example",))
    assert host_allowed(host, settings)
    assert host_allowed(f"{LABEL}.{host}", settings)


@pytest.mark.parametrize(
    "host",
    [
        f"{LABEL}.evil.example",
        f"{LABEL}.localhost.evil.example",
        f"{LABEL}.{LABEL}.localhost",
        f"{LABEL}0.localhost",
        f"a{LABEL}.localhost",
        f"123456-{LABEL}.localhost",
        f"-cntr_{'0a' * 16}.localhost",
        f"49983-cntr_{'0A' * 16}.localhost",
        f"{LABEL}.",
        LABEL,
    ],
)
def test_a_sandbox_before_any_other_name(host: str):
    assert not host_allowed(host, Settings())
