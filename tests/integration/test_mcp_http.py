"""The MCP wire's edges, by hand: what is malformed, forbidden, too large, gone, or somebody else's."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import httpx
import pytest
from pydantic import Field

from polyport import App, Context
from polyport_gateway.wires.mcp import sessions
from tests.integration.mcp_serving import (
    BOTH,
    HEADERS,
    LEGACY,
    MODERN,
    Served,
    eventually,
    modern,
    modern_headers,
    serving,
)

pytestmark = pytest.mark.anyio

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def make_app(states: list[str] | None = None) -> App:
    app = App("edges")
    seen = states if states is not None else []

    @app.function
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @app.function
    def secret() -> str:
        """Not for everybody."""
        return "secret"

    @app.function
    async def slow(ctx: Context, report: bool = False) -> str:
        """Take for ever."""
        seen.append("started")
        if report:
            await ctx.progress(1)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return "done"

    @app.function
    def routed(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
        """Take an argument that proxies may route by."""
        return region

    @app.function
    async def nap() -> str:
        """Say nothing for a while."""
        await asyncio.sleep(0.3)
        return "rested"

    @app.resource("note://secret", name="secret_note")
    def secret_note() -> str:
        return "secret"

    @app.prompt
    def secret_prompt() -> str:
        return "secret"

    return app


async def open_session(served: Served, **headers: str) -> dict[str, str]:
    """Do the handshake of 2025-11-25; gives the headers of every further request."""
    answer = await served.post(INITIALIZE, **headers)
    assert answer.status_code == 200, answer.text
    found = {"mcp_session_id": answer.headers["mcp-session-id"], "mcp_protocol_version": LEGACY, **headers}
    done = await served.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, **found)
    assert done.status_code == 202
    return found


async def call(served: Served, revision: str, name: str, arguments: Any, **headers: str) -> httpx.Response:
    """Call a tool."""
    params = {"name": name, "arguments": arguments}
    if revision == MODERN:
        return await served.ask("tools/call", params, **headers)
    session = headers if "mcp_session_id" in headers else await open_session(served, **headers)
    return await served.post({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}, **session)


@pytest.mark.parametrize("revision", BOTH)
async def test_a_plain_call_is_answered_with_json_and_a_request_id(revision: str) -> None:
    async with serving(make_app()) as served:
        answer = await call(served, revision, "add", {"a": 1, "b": 2})
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"]
        result = answer.json()["result"]
        assert result["structuredContent"] == {"result": 3}
        assert ("resultType" in result) == (revision == MODERN)
        listed = await served.ask("server/discover")
        assert listed.json()["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "edges"


@pytest.mark.parametrize("revision", BOTH)
@pytest.mark.parametrize("body", ["{", b"\xff\xfe{}", '{"a":' * 100 + "1" + "}" * 100, "[]", "7", '"x"', "{}", ""])
async def test_what_is_no_request_gets_a_400_in_json(revision: str, body: str | bytes) -> None:
    async with serving(make_app()) as served:
        if revision == MODERN:
            headers = modern_headers("tools/list")
        else:
            headers = await open_session(served)
        answer = await served.post(body, **headers)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] in (-32700, -32600, -32602)
        assert "Traceback" not in answer.text
        assert (await call(served, revision, "add", {"a": 1, "b": 2})).status_code == 200


@pytest.mark.parametrize("revision", BOTH)
@pytest.mark.parametrize(
    "params",
    [{}, {"name": 7}, {"name": "add", "arguments": []}, {"name": "add", "arguments": "x"}, {"name": None}],
)
async def test_parameters_of_the_wrong_type_are_invalid(revision: str, params: dict[str, Any]) -> None:
    async with serving(make_app()) as served:
        if revision == MODERN:
            answer = await served.ask("tools/call", params)
            assert answer.status_code == 400
        else:
            session = await open_session(served)
            message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
            answer = await served.post(message, **session)
            assert answer.json()["id"] == 7
        assert answer.json()["error"]["code"] in (-32602, -32020)


async def test_unknown_methods_are_not_found() -> None:
    async with serving(make_app()) as served:
        answer = await served.ask("tools/destroy")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)
        session = await open_session(served)
        answer = await served.post({"jsonrpc": "2.0", "id": 7, "method": "tools/destroy"}, **session)
        assert answer.json()["error"]["code"] == -32601


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"host": "evil.example", "origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example:8400"},
    ],
)
async def test_other_hosts_and_origins_are_forbidden(headers: dict[str, str]) -> None:
    async with serving(make_app()) as served:
        assert (await served.post(INITIALIZE, **headers)).status_code == 403
        assert (await served.ask("tools/list", **headers)).status_code == 403


async def test_named_hosts_and_origins_are_let_in() -> None:
    settings = {"allowed_hosts": ("gateway.example",), "allowed_origins": ("https://app.example",)}
    async with serving(make_app(), **settings) as served:
        assert (await served.ask("tools/list", host="gateway.example")).status_code == 200
        assert (await served.ask("tools/list", origin="https://app.example")).status_code == 200
        assert (await served.ask("tools/list", origin="http://localhost:5173")).status_code == 200


@pytest.mark.parametrize("revision", BOTH)
async def test_a_body_over_the_limit_is_refused(revision: str) -> None:
    async with serving(make_app(), max_body_bytes=4096) as served:
        message = modern("tools/call", {"name": "add", "arguments": {"a": "x" * 5000}})
        headers = modern_headers("tools/call", {"name": "add"}) if revision == MODERN else {}
        answer = await served.post(message, **headers)
        assert answer.status_code == 413
        assert "4096 bytes" in answer.json()["error"]["message"]

        async def chunks() -> Any:
            for _ in range(3):
                yield b"x" * 2000

        async with httpx.AsyncClient() as http:
            answer = await http.post(served.url, content=chunks(), headers=HEADERS)
        assert answer.status_code == 413


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    async with serving(make_app()) as served, httpx.AsyncClient() as http:
        headers = {**HEADERS, "mcp-protocol-version": MODERN}
        assert (await http.request(method, served.url, headers=headers, content="{}")).status_code == 405


@pytest.mark.parametrize("report", [False, True], ids=["silent", "streaming"])
@pytest.mark.parametrize("revision", BOTH)
async def test_a_client_that_leaves_cancels_its_call_within_a_second(revision: str, report: bool) -> None:
    states: list[str] = []
    async with serving(make_app(states)) as served:
        session = {} if revision == MODERN else await open_session(served)
        params = {"name": "slow", "arguments": {"report": report}}
        if revision == MODERN:
            message, extra = modern("tools/call", params), modern_headers("tools/call", params)
        else:
            message, extra = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}, session
        message["params"].setdefault("_meta", {})["progressToken"] = "t"
        headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in extra.items()}}
        async with httpx.AsyncClient(timeout=10) as http:
            sending = asyncio.ensure_future(_read_some(http, served.url, headers, message))
            await eventually(lambda: states == ["started"], within_s=5)
            await asyncio.sleep(0.1)
            sending.cancel()
            await asyncio.wait({sending})
        await eventually(lambda: states == ["started", "cancelled"])
        await eventually(lambda: served.gateway.dispatcher.running == 0)
        assert (await call(served, revision, "add", {"a": 1, "b": 2}, **session)).status_code == 200


async def _read_some(http: httpx.AsyncClient, url: str, headers: dict[str, str], message: Any) -> None:
    async with http.stream("POST", url, headers=headers, json=message) as answer:
        async for _ in answer.aiter_bytes():
            pass


async def test_a_cancelled_request_of_a_session_ends_its_stream() -> None:
    states: list[str] = []
    async with serving(make_app(states)) as served:
        session = await open_session(served)
        slow = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "slow", "arguments": {}}}
        waiting = asyncio.ensure_future(served.post(slow, **session))
        await eventually(lambda: states == ["started"], within_s=5)
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
        assert (await served.post(cancel, **session)).status_code == 202
        await eventually(lambda: states == ["started", "cancelled"])
        answer = (await waiting).text.strip().splitlines()[-1]
        assert json.loads(answer.removeprefix("data: "))["error"]["code"] == -32800


async def test_one_id_is_not_used_twice_at_a_time() -> None:
    states: list[str] = []
    async with serving(make_app(states)) as served:
        session = await open_session(served)
        slow = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "slow", "arguments": {}}}
        waiting = asyncio.ensure_future(served.post(slow, **session))
        await eventually(lambda: states == ["started"], within_s=5)
        assert (await served.post(slow, **session)).status_code == 409
        waiting.cancel()


async def test_a_session_ends_when_it_is_deleted() -> None:
    async with serving(make_app()) as served:
        session = await open_session(served)
        async with httpx.AsyncClient() as http:
            headers = {name.replace("_", "-"): value for name, value in session.items()}
            assert (await http.delete(served.url, headers=headers)).status_code == 200
        assert (await call(served, LEGACY, "add", {"a": 1, "b": 2}, **session)).status_code == 404


async def _key(served: Served, name: str, allow: list[str] | None = None) -> dict[str, str]:
    """Make a key; gives the header that carries it."""
    _, token = await served.gateway.keys.create(name, allow=allow)
    return {"authorization": f"Bearer {token}"}


async def _keys(served: Served) -> tuple[dict[str, str], dict[str, str]]:
    """A key for add alone, and one for everything."""
    return await _key(served, "narrow", ["add"]), await _key(served, "wide")


@pytest.mark.parametrize("revision", BOTH)
async def test_a_name_that_a_key_may_not_use_does_not_exist_for_it(revision: str) -> None:
    async with serving(make_app()) as served:
        narrow, wide = await _keys(served)
        assert (await call(served, revision, "secret", {}, **wide)).json()["result"]["content"][0]["text"] == "secret"
        refused = (await call(served, revision, "secret", {}, **narrow)).json()["error"]
        unknown = (await call(served, revision, "absent", {}, **narrow)).json()["error"]
        assert refused["code"] == unknown["code"] == -32602
        assert refused["message"] == unknown["message"].replace("absent", "secret")
        assert refused["data"] == unknown["data"]
        assert (await served.ask("tools/list")).status_code == 401


async def test_lists_and_documents_follow_the_allow_list() -> None:
    async with serving(make_app()) as served:
        narrow, wide = await _keys(served)
        for headers, count in ((narrow, 0), (wide, 1)):
            assert len((await served.ask("resources/list", **headers)).json()["result"]["resources"]) == count
            assert len((await served.ask("prompts/list", **headers)).json()["result"]["prompts"]) == count
            read = await served.ask("resources/read", {"uri": "note://secret"}, **headers)
            got = await served.ask("prompts/get", {"name": "secret_prompt"}, **headers)
            assert ("result" in read.json(), "result" in got.json()) == (bool(count), bool(count))
        names = [tool["name"] for tool in (await served.ask("tools/list", **narrow)).json()["result"]["tools"]]
        assert names == ["add"]


async def test_a_session_belongs_to_the_key_that_opened_it() -> None:
    async with serving(make_app()) as served:
        narrow, wide = await _keys(served)
        session = await open_session(served, **wide)
        stolen = {**session, **narrow}
        assert (await call(served, LEGACY, "add", {"a": 1, "b": 2}, **stolen)).status_code == 404
        assert (await call(served, LEGACY, "add", {"a": 1, "b": 2}, **session)).status_code == 200


async def test_state_handed_to_one_key_is_no_good_for_another() -> None:
    app = App("asks")

    @app.function
    async def ask(ctx: Context) -> str:
        """Ask."""
        form = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
        return json.dumps((await ctx.elicit("ok?", form)).data)

    async with serving(app) as served:
        wide, other = await _key(served, "wide"), await _key(served, "other")
        params: dict[str, Any] = {"name": "ask", "arguments": {}}
        headers = modern_headers("tools/call", params)

        async def send(given: dict[str, Any], key: dict[str, str]) -> dict[str, Any]:
            message = modern("tools/call", given, capabilities={"elicitation": {}})
            return (await served.post(message, **headers, **key)).json()  # type: ignore[no-any-return]

        first = (await send(params, wide))["result"]
        assert first["resultType"] == "input_required"
        answers = {"answer": {"action": "accept", "content": {"ok": True}}}
        again = {**params, "inputResponses": answers, "requestState": first["requestState"]}
        assert (await send(again, other))["error"]["code"] == -32602
        wrong = {**again, "inputResponses": {"answer": {"action": "accept", "content": {"ok": "maybe"}}}}
        assert (await send(wrong, wide))["result"]["resultType"] == "input_required"
        assert (await send(again, wide))["result"]["content"][0]["text"] == '{"ok": true}'


async def test_streams_that_wait_for_news_end_when_the_server_does() -> None:
    async with serving(make_app()) as served, httpx.AsyncClient(timeout=10) as http:
        session = {name.replace("_", "-"): value for name, value in (await open_session(served)).items()}
        wanted = {"notifications": {"toolsListChanged": True}}
        listening = {**HEADERS, "mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}
        body = modern("subscriptions/listen", wanted)
        async with (
            http.stream("GET", served.url, headers={**HEADERS, **session}) as standing,
            http.stream("POST", served.url, headers=listening, json=body) as listen,
        ):
            lines = listen.aiter_lines()
            while not (await anext(lines)).startswith("data:"):
                pass
            served.gateway.mcp.end_streams()
            async with asyncio.timeout(2):
                await standing.aread()
                rest = [line async for line in lines if line.startswith("data:")]
        assert json.loads(rest[-1].removeprefix("data:"))["result"]["resultType"] == "complete"
        dashed = {name.replace("-", "_"): value for name, value in session.items()}
        assert (await call(served, LEGACY, "add", {"a": 1, "b": 2}, **dashed)).status_code == 200


async def test_headers_for_proxies_must_match_the_arguments() -> None:
    async with serving(make_app()) as served:
        params = {"name": "routed", "arguments": {"region": "eu"}}
        assert (await served.ask("tools/call", params, mcp_param_region="eu")).status_code == 200
        for headers in ({}, {"mcp_param_region": "us"}):
            answer = await served.ask("tools/call", params, **headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


async def test_a_hidden_tools_headers_do_not_give_it_away() -> None:
    async with serving(make_app()) as served:
        narrow, _ = await _keys(served)
        hidden = await served.ask("tools/call", {"name": "routed", "arguments": {"region": "eu"}}, **narrow)
        absent = await served.ask("tools/call", {"name": "absent", "arguments": {"region": "eu"}}, **narrow)
        assert hidden.json()["error"]["code"] == absent.json()["error"]["code"] == -32602
        assert hidden.text == absent.text.replace("absent", "routed")


async def test_a_silent_call_of_a_session_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_PING_INTERVAL_S", 0.05)
    async with serving(make_app()) as served:
        answer = await call(served, LEGACY, "nap", {})
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.text.count(": ping") >= 3
        last = answer.text.strip().splitlines()[-1]
        assert json.loads(last.removeprefix("data: "))["result"]["content"][0]["text"] == "rested"


@pytest.mark.parametrize("revision", BOTH)
async def test_every_call_leaves_one_usage_row(revision: str) -> None:
    async with serving(make_app()) as served:
        rows: list[Any] = []
        served.gateway.dispatcher._record = rows.append
        await call(served, revision, "add", {"a": 1, "b": 2})
        await call(served, revision, "add", {"a": "x"})
        await call(served, revision, "absent", {})
        assert [(row.wire, row.name, row.status) for row in rows] == [
            ("mcp", "add", 200),
            ("mcp", "add", 400),
            ("mcp", "absent", 404),
        ]
