"""The OpenAPI document is true: what it names is served, and what is served it names."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import jsonschema
import pytest

from polyport import App
from polyport.testing import ScriptedEngine, gateway
from polyport_gateway.wires.router import Router
from polyport_gateway.wires.sandbox.disabled import SERVED_SHAPES
from tests.support.scripted_sandbox import ScriptedProvider


def build_app(**model: Any) -> App:
    app = App("documented", instructions="What this is for.")

    @app.function
    def add(a: int, b: int = 1) -> int:
        """Add two integers."""
        return a + b

    @app.function
    def tree(depth: int) -> dict[str, list[int]]:
        return {"levels": list(range(depth))}

    app.model("echo", engine="echo")
    return app


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory):
    with gateway(build_app(), data_dir=tmp_path_factory.mktemp("openapi")) as running:
        yield running


@pytest.fixture(scope="module")
def document(running) -> dict[str, Any]:
    return httpx.get(f"{running.url}/openapi.json").json()


def create_key(running, name: str) -> str:
    return asyncio.run_coroutine_threadsafe(running.gateway.keys.create(name), running.loop).result(10)[1]


def resolver(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": document["components"]})


# Other projects' protocols are described there, and not in this gateway's document.
ELSEWHERE = ("/mcp", "/openapi.json", *(f"{shape}/" for shape in SERVED_SHAPES))


def endpoints(running, document: dict[str, Any]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return what is served and what is described, less the functions."""
    router = Router(running.gateway.routes())
    served = {(method.lower(), path) for path, method in router.paths() if not path.startswith(ELSEWHERE)}
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    functions = {("post", f"/v1/functions/{capability.name}") for capability in running.gateway.catalog}
    return served - {("post", "/v1/functions/{name}")}, described - functions


def test_every_endpoint_is_described_and_every_description_served(running, document) -> None:
    served, described = endpoints(running, document)
    assert described == served


def test_with_a_sandbox_too(running, document, tmp_path) -> None:
    app = build_app()
    app.sandbox(ScriptedProvider())
    with gateway(app, data_dir=tmp_path) as other:
        served, described = endpoints(other, httpx.get(f"{other.url}/openapi.json").json())
        assert described == served
        assert served == endpoints(running, document)[0]
        assert any(path.startswith(SERVED_SHAPES) for path, _ in Router(other.gateway.routes()).paths())


def test_moderations_are_served_only_where_an_engine_offers_them(running, document, tmp_path) -> None:
    assert "/v1/moderations" not in document["paths"]
    missing = httpx.post(f"{running.url}/v1/moderations", json={"model": "echo", "input": "x"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    app = App("moderated")
    engine = ScriptedEngine("x")
    engine.operations = frozenset({"chat", "moderation"})
    app.model("judge", engine=engine)
    with gateway(app, data_dir=tmp_path) as other:
        assert "/v1/moderations" in httpx.get(f"{other.url}/openapi.json").json()["paths"]


def test_requests_and_answers_match_their_schemas(running, document) -> None:
    for path, body in [
        ("/v1/functions/add", {"a": 1}),
        ("/v1/functions/tree", {"depth": 2}),
        ("/v1/functions/echo", {"prompt": "hello"}),
        ("/v1/chat/completions", {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/completions", {"model": "echo", "prompt": "hi"}),
        ("/v1/embeddings", {"model": "echo", "input": "hi"}),
        ("/v1/responses", {"model": "echo", "input": "hi"}),
    ]:
        operation = document["paths"][path]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["schema"]
        resolver(document, asked).validate(body)
        answer = httpx.post(f"{running.url}{path}", json=body)
        assert answer.status_code == 200, answer.text
        given = operation["responses"]["200"]["content"]["application/json"]["schema"]
        resolver(document, given).validate(answer.json())
    for path in ("/v1/models", "/v1/functions", "/healthz", "/readyz"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        resolver(document, schema).validate(httpx.get(f"{running.url}{path}").json())


def test_wrong_arguments_are_wrong_for_the_schema_too(running, document) -> None:
    schema = document["paths"]["/v1/functions/add"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for body in ({}, {"a": "x"}, {"a": 1, "c": 2}):
        assert not resolver(document, schema).is_valid(body)
        answer = httpx.post(f"{running.url}/v1/functions/add", json=body)
        assert answer.status_code == 400
        error = document["paths"]["/v1/functions/add"]["post"]["responses"]["default"]["content"]["application/json"]
        resolver(document, error["schema"]).validate(answer.json())


def test_query_parameters_are_described_as_they_are_taken(running, document) -> None:
    made = httpx.post(f"{running.url}/v1/responses", json={"model": "echo", "input": "hi"}).json()
    for path in ("/v1/responses/{response_id}", "/v1/responses/{response_id}/input_items"):
        url = running.url + path.format(response_id=made["id"])
        query = [item for item in document["paths"][path]["get"]["parameters"] if item["in"] == "query"]
        assert query
        for item in query:
            for value, fits in [("true", "boolean"), ("0", "integer"), ("101", "integer"), ("desc", "string")]:
                sent = {"boolean": True, "integer": int(value) if value.isdigit() else value}.get(fits, value)
                valid = resolver(document, item["schema"]).is_valid(sent)
                if item["schema"]["type"] != fits or item["name"] in ("after", "before"):
                    continue
                answer = httpx.get(url, params={item["name"]: value})
                assert (answer.status_code == 200) == valid, (item["name"], value, answer.text)


def test_a_functions_events_are_described(running, document) -> None:
    content = document["paths"]["/v1/functions/add"]["post"]["responses"]["200"]["content"]
    answer = httpx.post(f"{running.url}/v1/functions/add", json={"a": 1}, headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"].partition(";")[0] in content


def test_a_key_is_asked_for_where_the_document_says_so(document, tmp_path) -> None:
    assert {} in document["security"]
    with gateway(build_app(), data_dir=tmp_path) as other:
        with_key = {"authorization": f"Bearer {create_key(other, 'alice')}"}
        found = httpx.get(f"{other.url}/openapi.json", headers=with_key).json()
        assert found["security"] == [{"key": []}]
        for path in ("/healthz", "/readyz"):
            assert found["paths"][path]["get"]["security"] == []
            assert httpx.get(other.url + path).status_code == 200
        assert httpx.get(f"{other.url}/v1/models").status_code == 401
