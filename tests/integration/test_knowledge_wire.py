"""The endpoints of knowledge bases over a real server: forms, JSON, events, and what hostile clients send."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polyport import App, AsyncClient, Client
from polyport.errors import BadRequestError, ConflictError, NotFoundError
from polyport.events import CitationAdded, Progress, TextDelta
from polyport.testing import gateway
from tests.support.knowledge import MemoryKnowledge, install
from tests.support.wires import connection, head

HTTP = httpx.Client(timeout=20)
"""One for all tests: each loads the machine's certificates anew, which takes longer than most of them."""
GREEN, BLACK = "Green tea is steeped at 75 degrees.", "红茶用沸水冲泡。Black tea is steeped in boiling water."


@pytest.fixture(scope="module")
def memory() -> MemoryKnowledge:
    return MemoryKnowledge()


@pytest.fixture(scope="module")
def served(memory: MemoryKnowledge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch, memory)
        app = App("library")
        with gateway(app, data_dir=tmp_path_factory.mktemp("data"), documents_max_bytes=1 << 20) as running:
            yield running


@pytest.fixture
def base(served: Any, memory: MemoryKnowledge) -> str:
    memory.pause_s = 0.0
    memory.put("tea", {"green.md": GREEN, "docs/black 红.md": BLACK})
    return f"{served.url}/v1/knowledge/tea"


def settled(base: str, job: dict[str, Any]) -> dict[str, Any]:
    url = base.rpartition("/")[0] + f"/jobs/{job['id']}"
    end = time.monotonic() + 10
    while (found := HTTP.get(url).json())["status"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return dict(found)


class TestDocuments:
    def test_a_form_as_curl_sends_it(self, base: str) -> None:
        files = [("file", ("手册/oolong.md", b"Oolong", "text/markdown")), ("file", ("a.md", b"A"))]
        fields = {"metadata": '{"year": 2025}', "tag": ["公开", "hr"], "url": ["https://example.org/x"]}
        job = settled(base, HTTP.post(f"{base}/documents", files=files, data=fields).json())
        assert (job["added"], job["total"], job["failed"]) == (3, 3, 0)
        found = {one["source"]: one for one in HTTP.get(f"{base}/documents").json()["data"]}
        assert found["手册/oolong.md"]["metadata"] == {"year": 2025}
        assert found["https://example.org/x"]["tags"] == found["a.md"]["tags"] == ["公开", "hr"]

    def test_json(self, base: str) -> None:
        body = {
            "documents": [
                {"key": "a.md", "text": "A", "metadata": {"b": 2}, "tags": ["t"]},
                {"key": "b.bin", "base64": base64.b64encode(b"B\0").decode()},
            ],
            "metadata": {"a": 1, "b": 1},
            "tags": ["s"],
        }
        job = settled(base, HTTP.post(f"{base}/documents", json=body).json())
        assert (job["added"], job["failed"], job["errors"][0]["source"]) == (1, 1, "b.bin")
        document = HTTP.get(f"{base}/documents/a.md").json()
        assert (document["metadata"], document["tags"]) == ({"a": 1, "b": 2}, ["s", "t"])

    def test_nothing_is_done_twice(self, base: str) -> None:
        files = {"file": ("green.md", GREEN.encode())}
        job = settled(base, HTTP.post(f"{base}/documents", files=files).json())
        assert (job["unchanged"], job["added"], job["updated"]) == (1, 0, 0)

    def test_pages(self, base: str) -> None:
        first = HTTP.get(f"{base}/documents", params={"limit": 1}).json()
        assert (first["total"], first["has_more"], len(first["data"])) == (2, True, 1)
        second = HTTP.get(f"{base}/documents", params={"limit": 1, "after": first["next"]}).json()
        assert [one["source"] for one in second["data"]] == ["docs/black 红.md"]
        assert HTTP.get(f"{base}/documents", params={"query": "红"}).json()["total"] == 1

    @pytest.mark.parametrize("key", ["docs/black 红.md", "docs%2Fblack%20%E7%BA%A2.md"])
    def test_a_document_by_its_key(self, base: str, key: str) -> None:
        assert HTTP.get(f"{base}/documents/{key}").json()["title"] == "black 红"
        assert HTTP.get(f"{base}/documents/{key}/text").json()["text"] == BLACK
        changed = HTTP.patch(f"{base}/documents/{key}", json={"title": "红茶"}).json()
        assert (changed["title"], changed["source"]) == ("红茶", "docs/black 红.md")
        assert HTTP.delete(f"{base}/documents/{key}").json()["documents"] == [changed["id"]]
        assert HTTP.get(f"{base}/documents/{key}").status_code == 404
        assert HTTP.delete(f"{base}/documents/{key}").json()["error"]["code"] == "document_not_found"

    def test_a_key_that_looks_like_an_address(self, served: Any, base: str) -> None:
        with Client(served.url) as client:
            client.knowledge.add("tea", {"notes/text": "one", "text": "two"}, wait=True)
            assert client.knowledge.document("tea", "notes/text").source == "notes/text"
            assert client.knowledge.text("tea", "notes/text") == "one"
            assert client.knowledge.text("tea", "text") == "two"
            assert len(client.knowledge.remove("tea", "notes/text", "text", "gone").documents or []) == 2

    @pytest.mark.parametrize(
        ("send", "message"),
        [
            ({"json": {}}, "nothing to add"),
            ({"json": {"documents": [{"key": "a"}]}}, "one of text and base64"),
            ({"json": {"documents": [{"key": "a", "text": "b", "base64": ""}]}}, "one of text and base64"),
            ({"json": {"documents": [{"key": "a", "base64": "!"}]}}, "can't be decoded"),
            ({"json": {"documents": [{"key": " ", "text": ""}]}}, "is empty"),
            ({"json": {"documents": [{"key": "a\n", "text": ""}]}}, "can't be printed"),
            ({"json": {"documents": [{"key": "a" * 2000, "text": ""}]}}, "longer than 1024 bytes"),
            ({"json": {"documents": [{"key": "https://x/", "text": ""}]}}, "is an address"),
            ({"json": {"documents": [{"key": "a", "text": ""}] * 2}}, "Two documents have the key 'a'"),
            ({"json": {"urls": ["file:///etc/passwd"]}}, "no address of the kinds http"),
            ({"json": {"urls": ["http://"]}}, "no address of the kinds http"),
            ({"json": {"surprise": 1}}, "surprise"),
            ({"content": b"x", "headers": {"content-type": "text/plain"}}, "content type is text/plain"),
            ({"files": {"other": ("a.md", b"")}}, "a file 'other'"),
            ({"files": {"file": ("a.md", b"")}, "data": {"metadata": "{"}}, "metadata is not valid JSON"),
            ({"files": {"file": ("a.md", b"")}, "data": {"tags": "a"}}, "tags is not valid JSON"),
            ({"files": {"file": ("a.md", b"")}, "data": {"chunker": ["a", "b"]}}, "'chunker' twice"),
            ({"files": {"file": ("a.md", b"")}, "data": {"documents": "[]", "surprise": "1"}}, "surprise"),
            ({"files": {"file": ("a.md", b"")}, "data": {"documents": '[{"key":"a","text":"b"}]'}}, "as files"),
            (
                {"files": {"file": ("a.md", b"")}, "data": {"documents": '[{"key":"a"},{"key":"b"}]'}},
                "2 entries and the form 1 files",
            ),
            ({"files": [("file", (f"{n}", b"")) for n in range(257)]}, "Too many files"),
        ],
    )
    def test_what_can_not_be_added(self, base: str, send: dict[str, Any], message: str) -> None:
        answer = HTTP.post(f"{base}/documents", **send)
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]

    def test_one_that_is_too_large(self, base: str) -> None:
        request = head(
            "POST", "/v1/knowledge/tea/documents", "content-type: multipart/form-data; boundary=x",
            f"content-length: {200 << 20}",
        )  # fmt: skip
        with connection(base) as sock:
            sock.sendall(request)
            answer = sock.recv(65536)
        assert b" 413 " in answer.splitlines()[0]
        assert b"documents_max_bytes" in answer

    def test_a_form_that_breaks_off_adds_nothing(self, base: str) -> None:
        with connection(base) as sock:
            sock.sendall(
                head(
                    "POST",
                    "/v1/knowledge/tea/documents",
                    "content-type: multipart/form-data; boundary=x",
                    "content-length: 10000",
                )
                + b'--x\r\ncontent-disposition: form-data; name="file"; '
            )
        assert HTTP.get(f"{base}/documents").json()["total"] == 2


class TestBases:
    def test_what_is_said_of_one(self, base: str) -> None:
        found = HTTP.get(base).json()
        assert (found["name"], found["documents"], found["description"]) == ("tea", 2, "About tea")
        changed = HTTP.patch(base, json={"description": None, "threshold": 0.5}).json()
        assert changed["description"] is None
        assert [one["name"] for one in HTTP.get(base.rpartition("/")[0]).json()["data"]] == ["tea"]
        assert [one["action"] for one in HTTP.get(f"{base}/changes").json()["data"]] == ["added", "added"]

    @pytest.mark.parametrize(
        ("method", "path", "body", "message"),
        [
            ("POST", "", {"name": "x", "surprise": 1}, "surprise"),
            ("POST", "", {}, "name: Field required"),
            ("PATCH", "/tea", {"chunker": "Auto()"}, "chunker"),
            ("PATCH", "/tea", {"threshold": 2}, "threshold"),
            ("PATCH", "/tea/documents/green.md", {"bytes": 1}, "bytes"),
            ("POST", "/tea/reindex", {"model": "m"}, "model"),
            ("POST", "/tea/rekey", {"version": 0}, "version"),
            ("POST", "/tea/remove", {"documents": []}, "documents"),
            ("POST", "/search", {}, "query: Field required"),
            ("POST", "/search", {"query": "q", "limit": 1000}, "limit"),
            ("POST", "/tea/search", {"query": "q", "knowledge": ["other"]}, "other knowledge bases"),
            ("POST", "/ask", {}, "one of query and messages"),
            ("POST", "/ask", {"query": "q", "messages": [{"role": "user", "content": "q"}]}, "one of query and"),
            ("POST", "/ask", {"query": "unasked"}, "can't be asked"),
            ("POST", "/ask", {"query": "unasked", "stream": True}, "can't be asked"),
        ],
    )
    def test_what_is_refused(self, base: str, method: str, path: str, body: dict[str, Any], message: str) -> None:
        answer = HTTP.request(method, base.rpartition("/")[0] + path, json=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/tea/documents?limit=0", "from 1 to 1000"),
            ("/tea/documents?limit=x", "from 1 to 1000"),
            ("/tea/documents?limits=1", "'limits'"),
            ("/tea/changes?before=-1", "before is '-1'"),
            ("/tea/changes?before=" + "9" * 5000, "must be a number"),
            ("/jobs?name=tea", "'name'"),
        ],
    )
    def test_queries_that_are_refused(self, base: str, path: str, message: str) -> None:
        answer = HTTP.get(base.rpartition("/")[0] + path)
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        "path", ["/none", "/none/documents", "/none/changes", "/tea/documents/none", "/jobs/none", "/jobs/none/events"]
    )
    def test_what_is_not_there(self, base: str, path: str) -> None:
        answer = HTTP.get(base.rpartition("/")[0] + path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"].endswith("_not_found")

    def test_whoever_may_not_use_one_does_not_see_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        memory = MemoryKnowledge()
        memory.put("tea", {"green.md": GREEN})
        memory.put("coffee", {})
        install(monkeypatch, memory)
        with gateway(App("keyed"), data_dir=tmp_path) as running:
            made = asyncio.run_coroutine_threadsafe(
                running.gateway.keys.create("narrow", allow=["coffee"]), running.loop
            ).result(10)
            headers = {"authorization": f"Bearer {made[1]}"}
            url = f"{running.url}/v1/knowledge"
            assert [one["name"] for one in HTTP.get(url, headers=headers).json()["data"]] == ["coffee"]
            for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/documents"), ("GET", "/documents/green.md")):
                assert HTTP.request(method, f"{url}/tea{path}", headers=headers).status_code == 404
            files = {"file": ("a.md", b"")}
            assert HTTP.post(f"{url}/tea/documents", files=files, headers=headers).status_code == 404
            assert HTTP.get(f"{url}/tea").status_code == 401


class TestAsking:
    def test_searching(self, base: str, memory: MemoryKnowledge) -> None:
        body = {"query": "How is green tea steeped?", "limit": 1, "filter": {}}
        found = HTTP.post(f"{base}/search", json=body).json()
        assert (found["object"], found["data"][0]["text"]) == ("knowledge.results", GREEN)
        assert memory.asked[-1].knowledge == "tea"
        assert HTTP.post(base.rpartition("/")[0] + "/search", json={"query": "红茶"}).json()["searched"] == ["tea"]

    def test_an_answer_and_its_events(self, base: str) -> None:
        whole = HTTP.post(f"{base}/ask", json={"query": "green degrees"}).json()
        assert (whole["text"], whole["found"], whole["citations"][0]["quote"]) == (GREEN, True, GREEN)
        answer = HTTP.post(f"{base}/ask", json={"query": "green degrees", "stream": True})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
        kinds = [kind.removeprefix("event: ") for kind, _ in events]
        assert kinds == ["progress", *["text"] * 7, "citation", "answer"]
        data = [json.loads(line.removeprefix("data: ")) for _, line in events]
        assert "".join(one["text"] for one in data[1:8]) == GREEN
        assert data[-1]["answer"] == whole

    def test_one_that_breaks_off(self, base: str) -> None:
        answer = HTTP.post(f"{base}/ask", json={"query": "green break", "stream": True})
        assert answer.text.count("event: text") == 1
        last = json.loads(answer.text.strip().rpartition("data: ")[2])
        assert last["error"]["message"] == "It broke off."
        assert last["error"]["type"] == "invalid_request_error"

    def test_whoever_goes_away_is_not_answered_further(self, base: str, memory: MemoryKnowledge) -> None:
        before = memory.cancelled
        with pytest.raises(httpx.ReadTimeout):
            HTTP.post(f"{base}/ask", json={"query": "forever", "stream": True}, timeout=0.3)
        end = time.monotonic() + 5
        while memory.cancelled == before:
            assert time.monotonic() < end
            time.sleep(0.02)


class TestJobs:
    def test_a_job_as_it_goes_on(self, served: Any, base: str, memory: MemoryKnowledge) -> None:
        memory.pause_s = 0.03
        seen: list[tuple[str, int]] = []
        with Client(served.url) as client:
            job = client.knowledge.add(
                "tea", {f"{n}.md": f"{n}" for n in range(5)}, wait=True,
                on_progress=lambda job: seen.append((job.status, job.done)),
            )  # fmt: skip
            assert (job.status, job.added) == ("completed", 5)
            assert seen[0][0] == "queued"
            assert seen[-1] == ("completed", 5)
            assert [done for _, done in seen] == sorted(done for _, done in seen)
            assert len(seen) >= 4
            assert client.knowledge.jobs("tea")[0].id == job.id

    def test_one_that_does_not_change_gives_signs_of_life(
        self, base: str, memory: MemoryKnowledge, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("polyport_gateway.wires.rest.knowledge._BEAT_S", 0.05)
        memory.pause_s = 1.5
        job = HTTP.post(f"{base}/documents", files={"file": ("slow.md", b"slow")}).json()
        events = HTTP.get(base.rpartition("/")[0] + f"/jobs/{job['id']}/events").text
        assert events.count("event: job") >= 5

    def test_cancelling(self, base: str, memory: MemoryKnowledge) -> None:
        memory.pause_s = 30
        job = HTTP.post(f"{base}/documents", files={"file": ("slow.md", b"slow")}).json()
        url = base.rpartition("/")[0] + f"/jobs/{job['id']}"
        assert HTTP.post(f"{url}/cancel").json()["status"] == "cancelled"
        assert '"status":"cancelled"' in HTTP.get(f"{url}/events").text

    def test_the_others(self, base: str) -> None:
        assert settled(base, HTTP.post(f"{base}/refresh").json())["kind"] == "ingest"
        assert settled(base, HTTP.post(f"{base}/reindex", json={"embedder": "minilm"}).json())["kind"] == "reindex"
        assert HTTP.get(base).json()["embedders"] == ["minilm"]
        assert HTTP.post(f"{base}/rekey", json={"version": 3}).json()["job"] is None
        assert HTTP.post(f"{base}/rekey", json={"batch": True}).json()["job"]["kind"] == "rekey"


class TestClients:
    def test_folders_stream_through(self, served: Any, base: str, tmp_path: Path) -> None:
        for number in range(70):
            (tmp_path / f"{number}.md").write_text(f"Number {number}. 第{number}号。")
        with Client(served.url) as client:
            job = client.knowledge.add("tea", tmp_path, metadata={"year": 2025}, wait=True)
            assert (job.added, job.failed) == (70, 0)
            assert client.knowledge.text("tea", f"{tmp_path.name}/69.md") == "Number 69. 第69号。"
            hits = client.knowledge.search("tea", "number", filter={"year": 2025}, limit=100).data
            assert len(hits) == 70
            with client.knowledge.ask(["tea"], "green degrees", stream=True) as stream:
                events = list(stream)
            assert isinstance(events[0], Progress)
            assert "".join(event.text for event in events if isinstance(event, TextDelta)) == GREEN
            assert isinstance(events[-2], CitationAdded)
            with pytest.raises(ConflictError):
                client.knowledge.create("tea")
            with pytest.raises(NotFoundError):
                client.knowledge.get("coffee")
            with pytest.raises(BadRequestError, match="broke off"):
                client.knowledge.ask("tea", "green break", stream=True).collect()

    def test_the_async_one_over_the_wire_and_embedded(
        self, served: Any, base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "a.md").write_bytes(b"x " + b"y" * ((700 << 10) - 2))

        async def work(client: AsyncClient) -> None:
            async with client:
                found = await client.knowledge.list()
                if not found:
                    await client.knowledge.create("tea")
                seen: list[str] = []
                job = await client.knowledge.add(
                    "tea", tmp_path / "a.md", wait=True, on_progress=lambda job: seen.append(job.status)
                )
                assert (job.added, seen[-1]) == (1, "completed")
                assert len(await client.knowledge.text("tea", "a.md")) == 700 << 10
                stream = await client.knowledge.ask("x", stream=True)
                assert (await stream.collect()).found

        asyncio.run(work(AsyncClient(served.url)))
        install(monkeypatch, MemoryKnowledge())
        asyncio.run(work(AsyncClient(App("embedded"), data_dir=tmp_path / "data")))

    def test_the_embedded_sync_one(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        install(monkeypatch, MemoryKnowledge())
        with Client(App("embedded"), data_dir=tmp_path) as client:
            client.knowledge.create("tea")
            assert client.knowledge.add("tea", text=GREEN, key="green.md", wait=True).added == 1
            assert client.knowledge.ask("green degrees").text == GREEN
