"""Knowledge bases as a person uses them: the real service behind both clients, the command line and curl."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polyport import App, Client
from polyport.errors import BadRequestError, ConflictError, NotFoundError, PermissionDeniedError
from polyport.events import TextDelta
from polyport.testing import gateway
from polyport.types.knowledge import KnowledgeAnswer
from polyport_gateway.jobs.durable import JobRunner
from polyport_gateway.knowledge.service.learning import Learning
from polyport_gateway.storage.jobs import JobRow, JobStore

GREEN = "# Green tea\n\nGreen tea is steeped at 75 degrees for two minutes."
RED = "# 红茶\n\n红茶用沸水冲泡，浸泡三到五分钟。"
CLI = [sys.executable, "-m", "polyport_gateway.cli", "kb"]


def make_app(folder: Path) -> App:
    app = App("library")
    app.knowledge("manual", sources=[folder], description="How machines are oiled")

    @app.function
    def long_words(text: str) -> list[str]:
        return sorted({word for word in re.findall(r"\w+", text) if len(word) > 6})[:3]

    return app


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "oil.md").write_text("# Oil\n\nThe lathe takes machine oil every Monday.")
    (folder / "junk.bin").write_bytes(os.urandom(300) + b"\0" * 300)
    with gateway(make_app(folder), data_dir=tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Any) -> Iterator[Client]:
    with Client(served.url) as client:
        yield client


@pytest.fixture
def tea(client: Client) -> Iterator[str]:
    client.knowledge.create("tea", description="Teas", fields={"year": "integer"})
    job = client.knowledge.add(
        "tea", {"green.md": GREEN, "docs/红茶.md": RED}, metadata={"year": 2025}, tags=["public"], wait=True
    )
    assert (job.added, job.failed, job.errors) == (2, 0, [])
    yield "tea"
    client.knowledge.delete("tea")


def settle(client: Client, name: str) -> None:
    for job in client.knowledge.jobs(name):
        if not job.finished:
            client.knowledge.wait(job, timeout=60)


def test_what_the_app_declares_is_there(client: Client) -> None:
    settle(client, "manual")
    base = client.knowledge.get("manual")
    assert (base.declared, base.documents, base.failed, base.state) == (True, 1, 1, "ready")
    answer = client.knowledge.ask("manual", "When does the lathe take oil?")
    assert "every Monday" in answer.text
    text = client.knowledge.text("manual", answer.citations[0].document)
    span = answer.citations[0].span
    assert span is not None
    assert "every Monday" in text[slice(*span)]
    with pytest.raises(ConflictError, match="declared"):
        client.knowledge.delete("manual")


def test_documents_come_change_and_go(client: Client, tea: str) -> None:
    knowledge = client.knowledge
    assert [one.source for one in knowledge.documents(tea).data] == ["docs/红茶.md", "green.md"]
    assert knowledge.add(tea, {"green.md": GREEN}, wait=True).unchanged == 1
    changed = {"green.md": GREEN.replace("75", "80")}
    assert knowledge.add(tea, changed, metadata={"year": 2025}, tags=["public"], wait=True).updated == 1
    hit = knowledge.search(tea, "At how many degrees is green tea steeped?").data[0]
    assert "80 degrees" in hit.text
    assert (hit.source, hit.tags, hit.metadata["year"]) == ("green.md", ["public"], 2025)
    assert hit.span is not None
    assert knowledge.text(tea, hit.document)[slice(*hit.span)] == hit.text
    assert knowledge.update(tea, "green.md", metadata={"year": 1999}, tags=[]).metadata == {"year": 1999}
    found = [knowledge.search(tea, "tea 红茶", filter={"year": year}).data for year in (1999, 2025, 3000)]
    assert [[one.source for one in hits] for hits in found] == [["green.md"], ["docs/红茶.md"], []]
    assert len(knowledge.remove(tea, "green.md", "docs/红茶.md").documents or []) == 2
    assert knowledge.search(tea, "green tea").data == []
    assert [change.action for change in knowledge.changes(tea, limit=2).data] == ["removed", "removed"]


def test_it_is_asked_in_the_language_it_is_written_in(client: Client, tea: str) -> None:
    with client.knowledge.ask(tea, "红茶怎么冲泡？", stream=True) as stream:
        events = list(stream)
    answer = events[-1]
    assert isinstance(answer, KnowledgeAnswer)
    assert answer.found
    assert "沸水" in answer.text
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == answer.text
    assert {citation.document for citation in answer.citations} == {client.knowledge.document(tea, "docs/红茶.md").id}
    assert not client.knowledge.ask(tea, "Who won the football match?").found
    assert client.knowledge.ask("红茶怎么冲泡？").found


def test_it_is_built_anew_while_it_serves(client: Client, tea: str) -> None:
    job = client.knowledge.wait(client.knowledge.reindex(tea, chunker="Sentences(max_tokens=16)"), timeout=60)
    assert (job.status, job.kind) == ("completed", "reindex")
    assert client.knowledge.get(tea).chunker == "Sentences(max_tokens=16)"
    assert client.knowledge.search(tea, "红茶").data
    rekeyed = client.knowledge.rekey(tea, function="long_words", version=2, batch=True)
    assert rekeyed.job is not None
    client.knowledge.wait(rekeyed.job, timeout=60)
    document = client.knowledge.document(tea, "green.md")
    assert (document.keywords_version, document.keywords) == (2, ["degrees", "minutes", "steeped"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (("search", "none", "x"), NotFoundError, "knowledge base 'none' does not exist"),
        (("search", ["tea", "none"], "x"), NotFoundError, "'none' does not exist"),
        (("search", [], "x"), BadRequestError, "names no knowledge base"),
        (("search", "tea", " "), BadRequestError, "query is empty"),
        (("search", "tea", "x" * 100_000), BadRequestError, "100,000 characters"),
        (("create", "tea"), ConflictError, "named 'tea' already"),
        (("create", "bad name"), BadRequestError, "can't be a name"),
        (("create", "jobs"), BadRequestError, "is something else"),
        (("create", "manual_search"), ConflictError, "taken"),
        (("get", "none"), NotFoundError, "'none' does not exist"),
        (("document", "tea", "none.md"), NotFoundError, "no document 'none.md'"),
        (("job", "job-none"), NotFoundError, "job"),
    ],
)
def test_what_is_refused(client: Client, tea: str, call: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        getattr(client.knowledge, call[0])(*call[1:])


def test_what_is_refused_by_value(client: Client, tea: str) -> None:
    knowledge = client.knowledge
    with pytest.raises(BadRequestError, match="colour"):
        knowledge.search(tea, "tea", filter={"colour": "red"})
    with pytest.raises(BadRequestError, match="Nonsense"):
        knowledge.reindex(tea, chunker="Nonsense()")
    with pytest.raises(BadRequestError, match="none-such"):
        knowledge.reindex(tea, embedder="none-such")
    with pytest.raises(BadRequestError, match="'bogus'"):
        knowledge.configure(tea, prompts={"bogus": "x"})
    with pytest.raises(BadRequestError, match="no address of the kinds"):
        knowledge.create("evil", sources=["ftp://example.org/"])
    with pytest.raises(PermissionDeniedError, match="folders that callers may name"):
        knowledge.create("evil", sources=["/etc"])
    job = knowledge.add(tea, "http://127.0.0.1:1/", wait=True)
    assert (job.failed, job.errors[0].source) == (1, "http://127.0.0.1:1/")


def test_curl(served: Any, client: Client, tea: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (tmp_path / "乌龙.md").write_text("# 乌龙茶\n\n乌龙茶是半发酵茶。")
    url = f"{served.url}/v1/knowledge"

    def curl(*arguments: str) -> Any:
        done = subprocess.run(["curl", "-sS", *arguments], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        return json.loads(done.stdout)

    job = curl("-F", "file=@乌龙.md", "-F", 'metadata={"year": 2024}', "-F", "tag=new", f"{url}/tea/documents")
    client.knowledge.wait(job["id"], timeout=60)
    body = json.dumps({"query": "乌龙茶", "filter": {"tags": "new"}})
    hits = curl("-H", "content-type: application/json", "-d", body, f"{url}/search")["data"]
    assert [hit["source"] for hit in hits] == ["乌龙.md"]
    assert hits[0]["metadata"]["year"] == 2024


def run(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_line_on_an_app(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/green.md").write_text(GREEN)
    (tmp_path / "docs/红茶.md").write_text(RED)
    (tmp_path / "app.py").write_text(
        'from polyport import App\napp = App("demo")\napp.knowledge("tea", sources=["docs"])\n'
    )
    done = run("ask", "tea", "红茶怎么冲泡？", "--app", "app.py", "--data-dir", "state", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "沸水" in done.stdout
    assert "docs/红茶.md" in done.stdout
    assert (tmp_path / "state/knowledge").is_dir()


@pytest.mark.slow
def test_a_command_that_meets_an_index_which_a_gateway_has_open(tmp_path: Path) -> None:
    from tests.support.peers import gateway as gateway_process

    (tmp_path / "green.md").write_text(GREEN)
    (tmp_path / "app.py").write_text(
        f'from polyport import App\napp = App("demo")\napp.knowledge("tea", sources=[{str(tmp_path / "green.md")!r}])\n'
    )
    with gateway_process(tmp_path / "app.py", data_dir=tmp_path / "data") as server:
        assert run("refresh", "tea", "--url", server.url, folder=tmp_path).returncode == 0
        asked = run("ask", "tea", "How is green tea steeped?", "--url", server.url, folder=tmp_path)
        assert "75 degrees" in asked.stdout
        refused = run("ask", "tea", "x", "--app", "app.py", "--data-dir", str(tmp_path / "data"), folder=tmp_path)
        assert refused.returncode != 0
        assert f"--url {server.url}" in refused.stderr, refused.stderr


def test_nothing_is_open_where_there_are_none(tmp_path: Path) -> None:
    with gateway(App("none"), data_dir=tmp_path) as running:
        assert httpx.get(f"{running.url}/v1/knowledge").json()["data"] == []
    with gateway(App("off"), data_dir=tmp_path, knowledge=False) as running:
        answer = httpx.get(f"{running.url}/v1/knowledge")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "knowledge_disabled")


def test_a_base_learns_once_from_what_is_added_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[int] = []
    learn = Learning.learn

    def counted(self: Learning, target: Any) -> None:
        learned.append(target.index.count())
        learn(self, target)

    monkeypatch.setattr(Learning, "learn", counted)
    with Client(App("library"), data_dir=tmp_path) as client:
        client.knowledge.create("teas")
        for part in range(4):
            files = {f"{part}-{number}.md": f"# Tea {part} {number}\n\nIt is hot." for number in range(60)}
            job = client.knowledge.add("teas", files)
        client.knowledge.wait(job, timeout=60)
        assert [one.status for one in client.knowledge.jobs("teas")] == ["completed"] * 4
        # The first may have been done before the second was there.
        assert len(learned) <= 2
        assert learned[-1] == 240
        client.knowledge.add("teas", {"more.md": "# More"}, wait=True)
        assert learned[-1] == 241


def test_nothing_is_at_work_when_it_is_closed(tmp_path: Path) -> None:
    app = App("library")
    (tmp_path / "docs").mkdir()
    for number in range(300):
        (tmp_path / "docs" / f"{number}.md").write_text(f"# Tea {number}\n\nIt is hot.", encoding="utf-8")
    app.knowledge("teas", sources=[tmp_path / "docs"], watch=True)
    before = set(threading.enumerate())  # another test's gateway has some
    for _ in range(2):
        with Client(app, data_dir=tmp_path / "data") as client:
            client.knowledge.search("teas", "hot")
        names = {thread.name for thread in threading.enumerate() if thread not in before}
        assert not [
            name for name in names if name.startswith(("polyport-knowledge", "polyport-ingest", "polyport-job"))
        ]
        shutil.copytree(tmp_path / "data", tmp_path / "copy")  # nothing comes or goes under it
        shutil.rmtree(tmp_path / "copy")


def test_a_base_learns_though_the_job_that_was_to_have_it_learn_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = threading.Event()
    monkeypatch.setattr(Learning, "learn", lambda self, target: learned.set())
    app = App("library")

    def slow(text: str) -> list[str]:
        time.sleep(0.05)
        return []

    app.knowledge("teas", keywords=slow)
    with Client(app, data_dir=tmp_path) as client:
        jobs = [
            client.knowledge.add("teas", {f"{part}-{number}.md": f"# Tea {number}" for number in range(60)})
            for part in range(2)
        ]
        client.knowledge.wait(jobs[0], timeout=60)
        assert not learned.is_set()
        client.knowledge.cancel(jobs[1].id)
        assert learned.wait(30)


def test_a_base_is_not_at_work_when_its_jobs_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = JobRunner.wait

    async def late(self: JobRunner, id: str) -> JobRow:  # noqa: A002
        row = await real(self, id)
        await asyncio.sleep(0.5)  # whoever keeps the books is slow
        return row

    monkeypatch.setattr(JobRunner, "wait", late)
    with Client(App("library"), data_dir=tmp_path) as client:
        client.knowledge.create("teas")
        for number in range(3):
            client.knowledge.add("teas", {f"{number}.md": GREEN}, wait=True)
            assert client.knowledge.get("teas").state == "ready"


def test_jobs_of_a_base_that_is_not_at_work_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = JobStore.finish

    async def late(self: JobStore, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0.5)  # the database is slow
        return await real(self, *args, **options)

    monkeypatch.setattr(JobStore, "finish", late)
    with Client(App("library"), data_dir=tmp_path) as client:
        client.knowledge.create("teas")
        job = client.knowledge.add("teas", {"green.md": GREEN})
        while client.knowledge.get("teas").state != "ready":
            time.sleep(0.02)
        assert client.knowledge.job(job.id).status == "completed"
