"""`client.knowledge` against scripted HTTP, both clients."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

import polyport
from polyport import AsyncClient, Citation, Client
from polyport.client.knowledge_streams import AskDecoder
from polyport.client.knowledge_waiting import Waiting
from polyport.errors import (
    APIConnectionError,
    BadRequestError,
    CallCancelledError,
    DeadlineExceededError,
    InternalServerError,
    PayloadTooLargeError,
    UpstreamError,
)
from polyport.events import CitationAdded, Progress, TextDelta
from polyport.types.knowledge import KnowledgeJob

URL = "http://gateway.test:8400"
JOB = {"id": "job_1", "knowledge": "tea", "kind": "ingest", "status": "completed", "added": 2, "done": 2, "total": 2}
ANSWER = {"text": "Green.", "found": True, "citations": [], "question": "Which?"}
RESULTS = {"query": "q", "data": [], "mode": "bm25"}
Ask = Callable[..., Any]


@pytest.fixture
def http() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr("polyport.client.knowledge.time.sleep", found.append)
    monkeypatch.setattr("polyport.client.knowledge_aio.asyncio.sleep", sleep)
    return found


@pytest.fixture(scope="module")
def clients() -> Iterator[tuple[Client, AsyncClient, asyncio.Runner]]:
    """One of each for all tests: each loads the machine's certificates, which takes longer than most of them."""
    with asyncio.Runner() as runner, Client(URL, max_retries=0) as client:
        other = AsyncClient(URL, max_retries=0)
        yield client, other, runner
        runner.run(other.close())


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, clients: tuple[Client, AsyncClient, asyncio.Runner]) -> Ask:
    client, other, runner = clients

    async def work(method: str, args: Any, kwargs: Any) -> Any:
        return await getattr(other.knowledge, method)(*args, **kwargs)

    def do(method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(client.knowledge, method)(*args, **kwargs)
        return runner.run(work(method, args, kwargs))

    return do


def body(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


def events(*pairs: tuple[str, Any]) -> bytes:
    return b"".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode() for kind, data in pairs)


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("tea", "Which?"), {"query": "Which?", "knowledge": "tea"}),
        ((["tea", "contracts"], "Which?"), {"query": "Which?", "knowledge": ["tea", "contracts"]}),
        ((("tea",), "Which?"), {"query": "Which?", "knowledge": ["tea"]}),
        ((None, "Which?"), {"query": "Which?"}),
        (("Which?",), {"query": "Which?"}),
    ],
)
def test_names_come_first_and_may_be_left_out(
    http: respx.MockRouter, ask: Ask, arguments: tuple[Any, ...], sent: dict[str, Any]
) -> None:
    found = http.post("/v1/knowledge/search").respond(json=RESULTS)
    asked = http.post("/v1/knowledge/ask").respond(json=ANSWER)
    assert ask("search", *arguments, limit=3).query == "q"
    assert body(found) == {**sent, "limit": 3}
    assert ask("ask", *arguments, model="none").text == "Green."
    assert body(asked) == {**sent, "model": "none"}


def test_a_conversation_is_asked_as_messages(http: respx.MockRouter, ask: Ask) -> None:
    asked = http.post("/v1/knowledge/ask").respond(json=ANSWER)
    ask("ask", "tea", [polyport.Message("user", "Which?")])
    assert body(asked) == {"messages": [{"role": "user", "content": "Which?"}], "knowledge": "tea"}


@pytest.mark.parametrize("method", ["search", "ask"])
def test_what_is_no_question(ask: Ask, method: str) -> None:
    with pytest.raises(BadRequestError, match="no question"):
        ask(method, ["tea"])
    with pytest.raises(BadRequestError):
        ask("search", "tea", ["x"])


STREAM = events(
    ("progress", {"progress": 0, "message": "searching"}),
    ("text", {"text": "Gr"}),
    ("text", {"text": "een."}),
    ("citation", {"citation": {"title": "绿茶", "document": "doc_1", "start": 0, "end": 6, "page": 3, "new": 1}}),
    ("later", {}),
    ("answer", {"answer": ANSWER}),
)


def test_an_answer_as_it_comes(http: respx.MockRouter) -> None:
    route = http.post("/v1/knowledge/ask").respond(content=STREAM, headers={"x-request-id": "r1"})
    wanted = [
        Progress(0, message="searching"),
        TextDelta("Gr"),
        TextDelta("een."),
        CitationAdded(Citation("绿茶", document="doc_1", start=0, end=6, page=3)),
    ]
    with Client(URL) as client:
        with client.knowledge.ask("tea", "Which?", stream=True) as stream:
            found = list(stream)
        assert found[:-1] == wanted
        assert found[-1].text == "Green."  # type: ignore[union-attr]
        assert client.knowledge.ask("Which?", stream=True).collect().found
    assert body(route) == {"query": "Which?", "stream": True}

    async def work() -> None:
        async with AsyncClient(URL) as client:
            async with await client.knowledge.ask("tea", "Which?", stream=True) as stream:
                assert [event async for event in stream][:-1] == wanted
            assert (await (await client.knowledge.ask("Which?", stream=True)).collect()).found

    asyncio.run(work())


@given(st.lists(st.integers(1, 40), min_size=1))
def test_it_may_come_in_any_pieces(sizes: list[int]) -> None:
    decoder, position, turn = AskDecoder(), 0, 0
    while position < len(STREAM):
        size = sizes[turn % len(sizes)]
        decoder.feed(STREAM[position : position + size])
        position, turn = position + size, turn + 1
    decoder.finish()
    assert decoder.answer is not None


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (events(("text", {"text": "Gr"})), APIConnectionError),
        (events(("error", {"error": {"message": "no", "code": "timeout"}})), DeadlineExceededError),
        (b"event: text\ndata: 7\n\n", UpstreamError),
        (events(("text", {})), UpstreamError),
        (events(("answer", {"answer": {"text": 7}})), UpstreamError),
    ],
)
def test_streams_that_are_not_whole(http: respx.MockRouter, content: bytes, error: type[Exception]) -> None:
    http.post("/v1/knowledge/ask").respond(content=content)
    with Client(URL) as client, pytest.raises(error), client.knowledge.ask("tea", "Which?", stream=True) as stream:
        list(stream)


def test_files_are_sent_with_their_keys(http: respx.MockRouter, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / 'od"d 茶.md').write_text("# 茶")
    route = http.post("/v1/knowledge/tea/documents").respond(json=JOB)
    job = ask("add", "tea", tmp_path, "https://example.org/a", metadata={"year": 2025}, tags=["公开"], chunker="Auto()")
    assert job.added == 2
    request = route.calls.last.request
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(request.headers["content-length"]) == len(request.content)
    sent = request.content.decode()
    for part in ('{"year":2025}', '["公开"]', "Auto()", "https://example.org/a", "# 茶"):
        assert f"\r\n\r\n{part}\r\n" in sent
    assert json.dumps([{"key": f'{tmp_path.name}/od"d 茶.md'}], ensure_ascii=False, separators=(",", ":")) in sent


def test_addresses_alone_are_sent_as_json(http: respx.MockRouter, ask: Ask) -> None:
    route = http.post("/v1/knowledge/tea/documents").respond(json=JOB)
    ask("add", "tea", "https://example.org/a", tags=("a",))
    assert body(route) == {"urls": ["https://example.org/a"], "tags": ["a"]}


def test_many_files_take_several_requests_and_are_waited_for(http: respx.MockRouter, ask: Ask, tmp_path: Path) -> None:
    for number in range(520):
        (tmp_path / f"{number}.md").write_text("x")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    ids = iter(f"job_{number}" for number in range(3))
    queued = {**JOB, "status": "queued", "added": 0, "done": 0, "total": None}
    route = http.post("/v1/knowledge/tea/documents").mock(
        side_effect=lambda request: httpx.Response(200, json={**queued, "id": next(ids)})
    )
    for number in range(3):
        running = {**JOB, "id": f"job_{number}", "status": "running", "added": 1, "done": 1}
        ended = {**JOB, "id": f"job_{number}", "errors": [{"source": f"{number}", "message": "no"}], "failed": 1}
        http.get(f"/v1/knowledge/jobs/job_{number}/events").respond(content=events(("job", running), ("job", ended)))
    seen: list[KnowledgeJob] = []
    job = ask("add", "tea", tmp_path, "https://example.org/", wait=True, on_progress=seen.append)
    assert len(route.calls) == 3
    assert [b'name="url"' in call.request.content for call in route.calls] == [True, False, False]
    assert (job.id, job.status, job.added, job.total) == ("job_2", "completed", 6, 6)
    assert [error.source for error in job.errors] == [str(tmp_path / "gone.md"), "0", "1", "2"]
    assert job.failed == 4
    assert [state.status for state in seen] == ["queued", "running", "running"] + ["running"] * 5 + ["completed"]
    assert [state.added for state in seen] == [0, 0, 0, 1, 2, 3, 4, 5, 6]


def test_one_file_that_is_too_large_stops_no_others(http: respx.MockRouter, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "huge.md").write_bytes(b"")
    os.truncate(tmp_path / "huge.md", 33 << 20)
    (tmp_path / "small.md").write_text("x")
    answers = [httpx.Response(413, json={"error": {"message": "too large", "code": "payload_too_large"}})]
    http.post("/v1/knowledge/tea/documents").mock(side_effect=[*answers, httpx.Response(200, json=JOB), *answers])
    job = ask("add", "tea", tmp_path)
    assert [(error.source, error.code) for error in job.errors] == [(str(tmp_path / "huge.md"), "payload_too_large")]
    with pytest.raises(PayloadTooLargeError):
        ask("add", "tea", tmp_path / "huge.md")


def test_a_retried_upload_is_sent_whole_again(http: respx.MockRouter, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("polyport.client.sync.time.sleep", lambda seconds: None)
    (tmp_path / "a.md").write_text("tea")
    route = http.post("/v1/knowledge/tea/documents").mock(
        side_effect=[httpx.Response(503), httpx.ReadError("broke"), httpx.Response(200, json=JOB)]
    )
    with Client(URL) as client:
        client.knowledge.add("tea", tmp_path / "a.md")
    assert len({call.request.read() for call in route.calls}) == 1
    assert b"\r\n\r\ntea\r\n" in route.calls.last.request.content


def test_a_gateway_that_goes_away_is_waited_for(http: respx.MockRouter, ask: Ask, waits: list[float]) -> None:
    running, ended = {**JOB, "status": "running"}, dict(JOB)
    http.get("/v1/knowledge/jobs/job_1/events").mock(
        side_effect=[
            httpx.Response(200, content=events(("job", running))),
            httpx.ConnectError("down"),
            httpx.ConnectError("down"),
            httpx.Response(200, content=events(("job", running), ("job", ended))),
        ]
    )
    assert ask("wait", "job_1").added == 2
    assert waits == [0.5, 1.0, 2.0]


def test_one_that_stays_away_is_not(http: respx.MockRouter, ask: Ask, waits: list[float]) -> None:
    http.get("/v1/knowledge/jobs/job_1/events").mock(side_effect=httpx.ConnectError("down"))
    with pytest.raises(APIConnectionError):
        ask("wait", KnowledgeJob.model_validate(JOB))
    assert len(waits) == 6


@pytest.mark.parametrize(("status", "error"), [("failed", InternalServerError), ("cancelled", CallCancelledError)])
def test_a_job_that_came_to_no_good_end(http: respx.MockRouter, ask: Ask, status: str, error: type[Exception]) -> None:
    job = {**JOB, "status": status, "error": "the disk is full"}
    http.get("/v1/knowledge/jobs/job_1/events").respond(content=events(("job", job)))
    with pytest.raises(error, match="the disk is full" if status == "failed" else "was cancelled"):
        ask("wait", "job_1")


def test_waiting_has_an_end() -> None:
    now = [0.0]
    waiting = Waiting("job_1", 10, lambda: now[0])
    assert waiting.left() == 10
    now[0] = 4
    waiting.heard()
    assert waiting.left() == 6
    now[0] = 10
    with pytest.raises(DeadlineExceededError, match="it goes on"):
        waiting.heard()
    assert Waiting("job_1", None).left() is None


def test_the_rest_goes_where_it_should(http: respx.MockRouter, ask: Ask) -> None:
    base = {"name": "茶"}
    document = {"id": "doc_1", "knowledge": "tea", "title": "T", "source": "t.md"}
    one = "/v1/knowledge/tea"
    http.post("/v1/knowledge").respond(json=base)
    http.get("/v1/knowledge").respond(json={"data": [base]})
    http.get(one).respond(json=base)
    configured = http.patch(one).respond(json=base)
    http.delete(one).respond(json={"knowledge": "tea"})
    listed = http.get(f"{one}/documents").respond(json={"data": [document], "next": "doc_1"})
    http.get(f"{one}/documents/a%2Fb.md").respond(json=document)
    http.get(f"{one}/documents/doc_1/text").respond(json={"id": "doc_1", "title": "T", "text": "绿茶"})
    changed = http.patch(f"{one}/documents/doc_1").respond(json=document)
    removed = http.post(f"{one}/remove").respond(json={"knowledge": "tea", "documents": ["doc_1"]})
    for path in ("refresh", "reindex"):
        http.post(f"{one}/{path}").respond(json=JOB)
    http.post(f"{one}/rekey").respond(json={"keywords": {"version": 2}, "job": None})
    jobs = http.get("/v1/knowledge/jobs").respond(json={"data": [JOB]})
    http.get("/v1/knowledge/jobs/job_1").respond(json=JOB)
    http.post("/v1/knowledge/jobs/job_1/cancel").respond(json=JOB)
    log = http.get(f"{one}/changes").respond(json={"data": [{"at": 1, "action": "created"}]})

    assert ask("create", "茶", embedder="minilm", sources=["./docs"]).name == "茶"
    assert [found.name for found in ask("list")] == ["茶"]
    assert ask("get", "tea").name == "茶"
    ask("configure", "tea", model=None, threshold=0.3)
    assert body(configured) == {"model": None, "threshold": 0.3}
    assert ask("delete", "tea").deleted
    assert ask("documents", "tea", after="x", limit=5, query="绿茶").next == "doc_1"
    assert dict(listed.calls.last.request.url.params) == {"after": "x", "limit": "5", "query": "绿茶"}
    assert ask("document", "tea", "a/b.md").title == "T"
    assert ask("text", "tea", "doc_1") == "绿茶"
    ask("update", "tea", "doc_1", tags=[])
    assert body(changed) == {"tags": []}
    assert ask("remove", "tea", "doc_1", "b.md").documents == ["doc_1"]
    assert body(removed) == {"documents": ["doc_1", "b.md"]}
    assert ask("refresh", "tea").id == ask("reindex", "tea", embedder=None).id == "job_1"
    assert ask("rekey", "tea", version=2).keywords.version == 2
    assert [job.id for job in ask("jobs", "tea")] == ["job_1"]
    assert dict(jobs.calls.last.request.url.params) == {"knowledge": "tea"}
    assert ask("job", "job_1").id == ask("cancel", "job_1").id == "job_1"
    assert ask("changes", "tea", before=5).data[0].action == "created"
    assert dict(log.calls.last.request.url.params) == {"before": "5"}


@pytest.mark.parametrize("call", [("get", ""), ("delete", ".."), ("add", "", b"x"), ("remove", "tea"), ("job", "..")])
def test_what_can_not_be_asked(ask: Ask, call: tuple[Any, ...]) -> None:
    with pytest.raises(BadRequestError):
        ask(*call, **({"key": "a"} if call[0] == "add" else {}))
    with pytest.raises(BadRequestError, match="tags is a list"):
        ask("add", "tea", b"x", key="a", tags="public")
