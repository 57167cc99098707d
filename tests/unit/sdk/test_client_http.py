"""Both clients against scripted HTTP: what is sent, what is repeated, what each failure becomes."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import inspect
import json
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import respx

import polyport
from polyport import AsyncClient, Client, Image, Message
from polyport.client.retry import RetryPolicy

URL = "http://gateway.test:8400"
RESULT = {"object": "function.result", "name": "f", "result": 3, "content": []}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Makes waiting take no time, and tells how long it would have been."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr("polyport.client.sync.time.sleep", found.append)
    monkeypatch.setattr("polyport.client.aio._sleep", sleep)
    return found


@pytest.fixture
def http() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


Ask = Callable[..., Any]


def _ask_sync(method: str, *args: Any, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    with Client(URL, **(client or {})) as made:
        return _method(made, method)(*args, **kwargs)


def _ask_async(method: str, *args: Any, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    async def work() -> Any:
        async with AsyncClient(URL, **(client or {})) as made:
            return await _method(made, method)(*args, **kwargs)

    return asyncio.run(work())


def _method(client: Any, path: str) -> Any:
    for part in path.split("."):
        client = getattr(client, part)
    return client


@pytest.fixture(params=[_ask_sync, _ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param


def test_both_clients_offer_the_same() -> None:
    with Client(URL) as client:
        twin = AsyncClient(URL)
        pairs = [
            (client, twin),
            *(
                (getattr(client, n), getattr(twin, n))
                for n in ("functions", "models", "responses", "documents", "knowledge")
            ),
        ]
        for one, other in pairs:
            names = {name for name in dir(one) if not name.startswith("_")}
            assert names == {name for name in dir(other) if not name.startswith("_")}
            for name in names:
                if inspect.ismethod(getattr(one, name)):
                    mine, theirs = inspect.signature(getattr(one, name)), inspect.signature(getattr(other, name))
                    assert list(mine.parameters.values()) == list(theirs.parameters.values())


def test_a_call_sends_its_arguments_and_gives_the_result(http: respx.MockRouter, ask: Ask) -> None:
    route = http.post("/v1/functions/f").respond(json=RESULT)
    assert ask("functions.call", "f", a=1, when=dt.date(2026, 1, 2), raw=b"\xff", client={"api_key": "pp_x"}) == 3
    request = route.calls.last.request
    assert json.loads(request.content) == {"a": 1, "when": "2026-01-02", "raw": "_w=="}
    assert request.headers["authorization"] == "Bearer pp_x"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-request-id"].startswith("req_")


def test_arguments_may_have_any_name(http: respx.MockRouter, ask: Ask) -> None:
    route = http.post("/v1/functions/f").respond(json=RESULT)
    assert ask("functions.call", "f", name="x", timeout=1, self=2) == 3
    assert json.loads(route.calls.last.request.content) == {"name": "x", "timeout": 1, "self": 2}


def test_names_are_quoted(http: respx.MockRouter, ask: Ask) -> None:
    route = http.route(method="POST").respond(json=RESULT)
    ask("functions.call", "a/b?c")
    assert route.calls.last.request.url.raw_path == b"/v1/functions/a%2Fb%3Fc"


@dataclass
class Point:
    x: int


def test_results_take_the_type_asked_for(http: respx.MockRouter, ask: Ask) -> None:
    http.post("/v1/functions/f").respond(json={**RESULT, "result": {"x": 1}})
    assert ask("functions.invoke", "f", returns=Point) == Point(1)
    with pytest.raises(polyport.InvalidOutputError, match="other than int"):
        ask("functions.invoke", "f", returns=int)
    http.post("/v1/functions/f").respond(json={**RESULT, "result": "_-8="})
    assert ask("functions.invoke", "f", returns=bytes) == b"\xff\xef"


def test_pictures_come_back_as_pictures(http: respx.MockRouter, ask: Ask) -> None:
    block = {"type": "image", "data": base64.b64encode(b"png").decode(), "mimeType": "image/png"}
    http.post("/v1/functions/f").respond(json={**RESULT, "content": [block]})
    assert ask("functions.call", "f") == Image(b"png")
    assert ask("functions.invoke", "f", returns=Image) == Image(b"png")
    http.post("/v1/functions/f").respond(json={**RESULT, "content": [{"type": "text", "text": "see"}, block]})
    assert ask("functions.call", "f") == ["see", Image(b"png")]


def test_messages_in_every_form(http: respx.MockRouter, ask: Ask) -> None:
    body = {"id": "1", "created": 1, "model": "m", "choices": [{"message": {"content": "hi"}}]}
    route = http.post("/v1/chat/completions").respond(json=body)
    assert ask("chat", "m", "hello", temperature=0).text == "hi"
    assert json.loads(route.calls.last.request.content) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
    }
    ask("chat", "m", [Message("system", "be brief"), {"role": "user", "content": "hello"}])
    assert json.loads(route.calls.last.request.content)["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
    ]


def test_vectors_travel_as_base64(http: respx.MockRouter, ask: Ask) -> None:
    packed = [base64.b64encode(struct.pack("<2f", n, 0.5)).decode() for n in (1, 2)]
    data = [{"index": 1, "embedding": packed[1]}, {"index": 0, "embedding": packed[0]}]
    route = http.post("/v1/embeddings").respond(json={"data": data, "model": "m"})
    assert ask("embed", "m", ["a", "b"]).vectors == [[1.0, 0.5], [2.0, 0.5]]
    assert json.loads(route.calls.last.request.content)["encoding_format"] == "base64"
    assert ask("embed", "m", ["a", "b"], encoding_format="base64").data[0].embedding == packed[0]
    http.post("/v1/embeddings").respond(json={"data": [{"index": 0, "embedding": [1, 2]}], "model": "m"})
    assert ask("embed", "m", "a").vectors == [[1.0, 2.0]]
    http.post("/v1/embeddings").respond(json={"data": [{"index": 0, "embedding": "AAA="}], "model": "m"})
    with pytest.raises(polyport.UpstreamError, match="float32"):
        ask("embed", "m", "a")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "m", "code": "invalid_arguments", "param": "a"}}, polyport.InvalidArgumentsError),
        (401, {"error": {"message": "m"}}, polyport.AuthenticationError),
        (403, {"error": {"message": "m"}}, polyport.PermissionDeniedError),
        (404, {"error": {"message": "m", "code": "model_not_found"}}, polyport.NotFoundError),
        (413, "too big", polyport.PayloadTooLargeError),
        (418, None, polyport.BadRequestError),
        (500, {"error": {"message": "m", "code": "function_error"}}, polyport.FunctionError),
        (500, "<html>", polyport.InternalServerError),
        (302, None, polyport.InternalServerError),
    ],
)
def test_every_status_becomes_its_error(
    http: respx.MockRouter, ask: Ask, waits: list[float], status: int, body: Any, kind: type[polyport.CallError]
) -> None:
    content = {"json": body} if isinstance(body, dict) else {"text": body or ""}
    route = http.post("/v1/functions/f").respond(status, headers={"x-request-id": "req_7"}, **content)
    with pytest.raises(kind) as caught:
        ask("functions.call", "f")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.request_id == "req_7"
    assert "req_7" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).request_id == "req_7"
    assert route.call_count == 1
    assert waits == []


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_may_be_repeated_is_repeated(http: respx.MockRouter, ask: Ask, waits: list[float], status: int) -> None:
    route = http.get("/v1/models").mock(
        side_effect=[httpx.Response(status), httpx.Response(status), httpx.Response(200, json={"data": []})]
    )
    assert ask("models.list") == []
    assert route.call_count == 3
    assert len({call.request.headers["x-request-id"] for call in route.calls}) == 3
    assert len(waits) == 2
    assert 0 <= waits[0] <= 0.5
    assert 0 <= waits[1] <= 1.0


@pytest.mark.parametrize(
    ("status", "idempotent", "tries"),
    [
        (429, False, 3),
        (503, False, 3),
        (502, False, 1),
        (504, False, 1),
        (502, True, 3),
        (500, True, 1),
        (409, True, 1),
    ],
)
def test_a_function_is_repeated_only_if_it_has_not_run_or_may_run_twice(
    http: respx.MockRouter, ask: Ask, waits: list[float], status: int, idempotent: bool, tries: int
) -> None:
    route = http.post("/v1/functions/f").respond(status)
    with pytest.raises(polyport.CallError):
        ask("functions.invoke", "f", idempotent=idempotent)
    assert route.call_count == tries


def test_the_server_may_forbid_it(http: respx.MockRouter, ask: Ask, waits: list[float]) -> None:
    route = http.get("/v1/models").respond(503, headers={"x-should-retry": "false"})
    with pytest.raises(polyport.ServiceUnavailableError):
        ask("models.list")
    assert route.call_count == 1


def test_retry_after_is_honoured(http: respx.MockRouter, ask: Ask, waits: list[float]) -> None:
    http.get("/v1/models").mock(
        side_effect=[httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200, json={"data": []})]
    )
    assert ask("models.list") == []
    assert waits == [7.0]


def test_a_wait_past_the_timeout_is_not_begun(http: respx.MockRouter, ask: Ask, waits: list[float]) -> None:
    http.get("/v1/models").respond(429, headers={"retry-after": "7"})
    with pytest.raises(polyport.RateLimitError) as caught:
        ask("models.list", timeout=5)
    assert caught.value.retry_after == 7
    assert waits == []


@pytest.mark.parametrize(
    ("failure", "kind", "tries"),
    [
        (httpx.ConnectError("refused"), polyport.APIConnectionError, 3),
        (httpx.ConnectTimeout("slow"), polyport.APIConnectionError, 3),
        (httpx.ReadTimeout("slow"), polyport.DeadlineExceededError, 1),
        (httpx.ReadError("reset"), polyport.APIConnectionError, 1),
        (httpx.RemoteProtocolError("nonsense"), polyport.APIConnectionError, 1),
    ],
)
def test_transport_failures(
    http: respx.MockRouter,
    ask: Ask,
    waits: list[float],
    failure: Exception,
    kind: type[polyport.CallError],
    tries: int,
) -> None:
    route = http.post("/v1/functions/f").mock(side_effect=failure)
    with pytest.raises(kind, match="gateway") as caught:
        ask("functions.call", "f")
    assert route.call_count == tries
    assert caught.value.request_id is not None


@pytest.mark.parametrize("text", ["<html>", '{"data": 1}', "[]", ""])
def test_an_answer_of_another_kind(http: respx.MockRouter, ask: Ask, text: str) -> None:
    http.get("/v1/models").respond(200, text=text)
    with pytest.raises(polyport.UpstreamError, match="is this address a Polyport gateway"):
        ask("models.list")


def test_what_json_cannot_carry(ask: Ask) -> None:
    with pytest.raises(polyport.BadRequestError, match="JSON"):
        ask("functions.call", "f", a=object())
    with pytest.raises(polyport.BadRequestError, match="not the name"):
        ask("functions.call", "")


@pytest.mark.parametrize(
    "arguments",
    [
        {"target": "localhost:8400"},
        {"target": "ftp://x"},
        {"target": "http://"},
        {"target": "http://[::1"},
        {"target": 5},
        {"timeout": 0},
        {"timeout": "5"},
        {"max_retries": -1},
        {"api_key": "clé\n"},
        {"api_key": ""},
        {"data_dir": "x"},
    ],
)
def test_wrong_settings_are_refused_at_once(arguments: dict[str, Any]) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(polyport.ConfigurationError):
            kind(**{"target": URL, **arguments})


def test_defaults_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYPORT_BASE_URL", raising=False)
    with Client() as client:
        assert client.base_url == "http://127.0.0.1:8400"
    monkeypatch.setenv("POLYPORT_BASE_URL", URL + "/v1/")
    monkeypatch.setenv("POLYPORT_API_KEY", "pp_env")
    with Client() as client, respx.mock(base_url=URL) as router:
        route = router.get("/v1/models").respond(json={"data": []})
        client.models.list()
    assert route.calls.last.request.headers["authorization"] == "Bearer pp_env"


def test_a_closed_client_says_so() -> None:
    client = Client(URL)
    client.close()
    with pytest.raises(polyport.UsageError, match="closed"):
        client.models.list()


def test_a_client_belongs_to_one_loop(http: respx.MockRouter) -> None:
    http.get("/v1/models").respond(json={"data": []})
    client = AsyncClient(URL)
    asyncio.run(client.models.list())
    with pytest.raises(polyport.UsageError, match="another event loop"):
        asyncio.run(client.models.list())


def test_a_client_belongs_to_one_process(http: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(URL) as client:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(polyport.UsageError, match="fork"):
            client.models.list()


def test_a_given_http_client_is_used_and_left_open() -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200, json={"data": []}))) as mine:
        with Client(URL, http_client=mine) as client:
            assert client.models.list() == []
        assert not mine.is_closed


def test_policies_differ_in_their_jitter() -> None:
    assert len({RetryPolicy().delay(1, retry_after=None, remaining=None) for _ in range(20)}) > 1
