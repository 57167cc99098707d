"""Reranking through the whole gateway: every client, every refusal, one usage row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine
from sqlalchemy import text as sql

import polyport
from polyport import App, AsyncClient, Client
from polyport.events import Finish, Result, Usage
from polyport.testing import ScriptedEngine, gateway
from tests.support.upstream import Behaviour, Upstream

DOCUMENTS = ["about cars", "about cats", "about dogs and cats"]


def by_length(request: Any) -> list[Any]:
    """The longest document first."""
    texts = request.texts()
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))[: request.top_n]
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": len(texts[index]) / 100} for index in order]
    if request.return_documents:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    body = {"id": "rerank-1", "model": request.model, "results": results, "usage": usage}
    return [Result(value=body, text=""), Usage(prompt_tokens=7), Finish()]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        running.behaviour = Behaviour()
        yield running


@pytest.fixture(scope="module")
def app(upstream: Upstream) -> App:
    made = App("reranking")
    made.model("ranker", engine=ScriptedEngine(*[by_length] * 100, operations=["rerank"]))
    made.model("remote", engine="openai", model="bge", base_url=upstream.url, operations=["rerank"])
    made.model("echo", engine="echo")

    @made.function
    def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    return made


@pytest.fixture(scope="module")
def running(app: App) -> Iterator[Any]:
    with gateway(app) as served:
        yield served


def ways(url: str, app: App, folder: Path) -> Iterator[tuple[str, Callable[..., Any]]]:
    def later(made: Callable[[], AsyncClient]) -> Callable[..., Any]:
        async def work(*args: Any, **kwargs: Any) -> Any:
            async with made() as client:
                return await client.rerank(*args, **kwargs)

        return lambda *args, **kwargs: asyncio.run(work(*args, **kwargs))

    with Client(url) as remote, Client(app, data_dir=folder / "sync") as embedded:
        yield "remote", remote.rerank
        yield "embedded", embedded.rerank
        yield "remote async", later(lambda: AsyncClient(url))
        yield "embedded async", later(lambda: AsyncClient(app, data_dir=folder / "async"))


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work().model_dump()
    except polyport.CallError as error:
        return type(error).__name__, error.status, error.code, error.param, error.message


CASES = [
    ("ranker", "cats?", DOCUMENTS, {}),
    ("ranker", "cats?", [{"text": "a"}, "bb", {"text": "ccc", "title": "t"}], {"top_n": 2, "return_documents": True}),
    ("remote", "cats?", DOCUMENTS, {"top_n": 1}),
    ("echo", "cats?", DOCUMENTS, {}),
    ("add", "cats?", DOCUMENTS, {}),
    ("nothing", "cats?", DOCUMENTS, {}),
    ("ranker", " ", DOCUMENTS, {}),
    ("ranker", "cats?", [], {}),
    ("ranker", "cats?", DOCUMENTS, {"top_n": 0}),
    ("ranker", "cats?", ["a", {"title": "no text"}], {}),
]


def test_every_client_gives_the_same(running: Any, app: App, tmp_path: Path) -> None:
    found: dict[str, list[Any]] = {}
    for name, ask in ways(running.url, app, tmp_path):
        found[name] = [outcome(lambda ask=ask, case=case: ask(case[0], case[1], case[2], **case[3])) for case in CASES]
    first = found["remote"]
    assert all(answers == first for answers in found.values()), found
    whole, some, passed_on, *refusals = first
    assert [result["index"] for result in whole["results"]] == [2, 0, 1]
    assert whole["usage"]["prompt_tokens"] == 7
    assert [result["document"]["text"] for result in some["results"]] == ["ccc", "bb"]
    assert passed_on["results"] == [{"index": 2, "relevance_score": 0.3, "document": {"text": "about dogs and cats"}}]
    assert [refusal[1:4] for refusal in refusals] == [
        (400, "unsupported_operation", "model"),
        (400, "unsupported_operation", "model"),
        (404, "model_not_found", "model"),
        (400, "invalid_request", "query"),
        (400, "invalid_request", "documents"),
        (400, "invalid_request", "top_n"),
        (400, "invalid_request", "documents.1.str"),
    ]


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank"])
def test_both_paths_take_the_same_body(running: Any, path: str) -> None:
    answer = httpx.post(f"{running.url}{path}", json={"model": "ranker", "query": "q", "documents": DOCUMENTS})
    assert answer.status_code == 200
    assert answer.json()["results"][0] == {"index": 2, "relevance_score": 0.19}
    described = httpx.get(f"{running.url}/openapi.json").json()["paths"][path]["post"]
    asked = described["requestBody"]["content"]["application/json"]["schema"]
    assert asked == {"$ref": "#/components/schemas/RerankRequest"}


def test_one_usage_row_for_each(running: Any) -> None:
    def rows() -> list[Any]:
        deadline = time.monotonic() + 10
        while running.gateway.usage.health().pending and time.monotonic() < deadline:
            time.sleep(0.01)
        engine = create_engine(f"sqlite:///{running.gateway.settings.data_dir / 'polyport.sqlite3'}")
        try:
            with engine.connect() as connection:
                found = connection.execute(sql("SELECT name, operation, status, prompt_tokens FROM usage ORDER BY id"))
                return [tuple(row) for row in found]
        finally:
            engine.dispose()

    before = len(rows())
    with Client(running.url) as client:
        client.rerank("ranker", "q", DOCUMENTS)
        client.rerank("remote", "q", DOCUMENTS)
        with pytest.raises(polyport.UnsupportedOperationError):
            client.rerank("echo", "q", DOCUMENTS)
    assert rows()[before:] == [
        ("ranker", "rerank", 200, 7),
        ("remote", "rerank", 200, 5),
        ("echo", "rerank", 400, None),
    ]


def test_a_key_that_may_not(app: App, tmp_path: Path) -> None:
    with gateway(app, data_dir=tmp_path) as served:
        making = served.gateway.keys.create("limited", allow=["echo"])
        _, token = asyncio.run_coroutine_threadsafe(making, served.loop).result(5)
        with Client(served.url, api_key=token) as client, pytest.raises(polyport.NotFoundError) as caught:
            client.rerank("ranker", "q", DOCUMENTS)
        assert caught.value.code == "model_not_found"
        answer = httpx.post(f"{served.url}/rerank", json={"model": "ranker", "query": "q", "documents": DOCUMENTS})
        assert answer.status_code == 401


def test_an_upstream_that_answers_something_else(running: Any, upstream: Upstream) -> None:
    upstream.behaviour = Behaviour(body=b'{"data": []}')
    try:
        with Client(running.url, max_retries=0) as client, pytest.raises(polyport.UpstreamError, match="no results"):
            client.rerank("remote", "q", DOCUMENTS)
    finally:
        upstream.behaviour = Behaviour()
