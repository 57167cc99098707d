"""Documents over a real server: every wire, both clients, and what hostile files and clients do to it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from polyport import App, AsyncClient, Client
from polyport.errors import BadRequestError, CallError, NotFoundError
from polyport.testing import gateway
from polyport.types.documents import DocumentResult
from polyport_gateway.knowledge.documents import Document
from tests.support.documents import TEA, docx, form, install_reader, png, trying
from tests.support.wires import ask

ASKED: list[str] = []
WIRES = ("rest", "chat", "responses", "mcp-2025", "mcp-2026")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folders")
    for name in ("library/deep", "outside"):
        (root / name).mkdir(parents=True)
    (root / "library/tea.md").write_bytes(TEA)
    (root / "library/deep/coffee.txt").write_text("Coffee is roasted.")
    (root / "outside/secret.txt").write_text("hunter2")
    (root / "library/leads-out.txt").symlink_to(root / "outside/secret.txt")
    (root / "library/leads-out").symlink_to(root / "outside")
    (root / "library/stays.txt").symlink_to(root / "library/deep/coffee.txt")
    os.mkfifo(root / "library/pipe.txt")
    (root / "library/large.txt").write_bytes(b"x" * (2 << 20))
    return root


def make_app(folders: Path | None = None, **options: Any) -> App:
    app = App("library")
    app.documents(folders=[folders / "library"] if folders else None, max_bytes=1 << 20, timeout_s=3, **options)
    app.model("parrot", engine="echo")

    @app.pipeline
    async def slow(question: str) -> str:
        ASKED.append(question)
        await asyncio.sleep(30)
        return question

    return app


@pytest.fixture(scope="module")
def served(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        install_reader(tmp_path_factory.mktemp("reader"), patch)
        with gateway(make_app(folders), data_dir=tmp_path_factory.mktemp("data")) as running:
            yield running


@pytest.fixture(scope="module")
def embedded(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        install_reader(tmp_path_factory.mktemp("reader"), patch)
        with Client(make_app(workers=1), data_dir=tmp_path_factory.mktemp("data")) as client:
            client.documents.read(TEA, name="tea.md")
            yield client


def post(url: str, path: str = "read", **members: Any) -> httpx.Response:
    body, kind = form(**members)
    return httpx.post(f"{url}/v1/documents/{path}", content=body, headers={"content-type": kind}, timeout=30)


def figures(url: str) -> dict[str, float]:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    pairs = [line.split() for line in lines if line.startswith("polyport_documents_")]
    return {name.removeprefix("polyport_documents_"): float(value) for name, value in pairs}


def eventually(holds: Any, timeout: float = 10) -> None:
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


class TestRest:
    def test_a_form_as_curl_sends_it(self, served):
        answer = post(served.url, file=("tea.md", TEA))
        assert answer.status_code == 200
        found = DocumentResult.model_validate(answer.json())
        assert (found.object, found.name, found.to) == ("document", "tea.md", "markdown")
        assert found.content == TEA.decode()
        assert found.receipt is not None
        assert (found.receipt.format, found.receipt.blocks, found.receipt.skipped) == ("markdown", 4, [])

    @pytest.mark.parametrize(
        ("to", "begins"), [("text", "Tea\n\nGreen"), ("html", "<!DOCTYPE html>"), ("markdown", "# Tea")]
    )
    def test_each_form_of_a_document(self, served, to, begins):
        found = post(served.url, file=("tea.md", TEA), to=to, receipt="false").json()
        assert found["content"].startswith(begins)
        assert found["receipt"] is None

    def test_json_loses_nothing(self, served):
        sent = docx("One.", picture=True, rows=[("a", "b"), ("1", "2")])
        found = post(served.url, file=("harvest.docx", sent), to="json", assets="true").json()
        document = Document.from_json(json.dumps({**found["document"], "assets": found["assets"]}))
        assert document.blocks[0].kind == "heading"
        assert list(document.assets.values()) == [png()]
        assert found["pictures"][0]["sha256"] in found["assets"]

    def test_text_and_base64_in_json(self, served):
        url = f"{served.url}/v1/documents/read"
        as_text = httpx.post(url, json={"name": "tea.md", "text": TEA.decode()}).json()
        as_base64 = httpx.post(url, json={"name": "tea.md", "base64": base64.b64encode(TEA).decode()}).json()
        assert as_text["content"] == as_base64["content"] == TEA.decode()

    def test_chunks(self, served):
        found = post(served.url, "chunk", file=("tea.md", TEA), with_="ByHeading()", tokenizer="estimate").json()
        assert [chunk["heading_path"] for chunk in found["data"]] == [["Tea"], ["Tea", "Black"]]
        text = post(served.url, file=("tea.md", TEA), to="text").json()["content"]
        assert all(text[slice(*chunk["span"])] == chunk["text"] for chunk in found["data"])
        assert found["tokenizer"].startswith("estimate")
        assert found["chunker"].startswith("ByHeading(level=None")

    def test_health(self, served):
        post(served.url, file=("tea.md", TEA))
        assert httpx.get(f"{served.url}/readyz").json()["documents"] == "ready"
        assert figures(served.url)["read_total"] > 0

    def test_lists(self, served):
        formats = httpx.get(f"{served.url}/v1/documents/formats").json()["data"]
        assert {"docx", "html", "csv"} <= {item["name"] for item in formats if item["readable"]}
        chunkers = httpx.get(f"{served.url}/v1/documents/chunkers").json()["data"]
        sentences = next(item for item in chunkers if item["name"] == "Sentences")
        assert "max_tokens" in {parameter["name"] for parameter in sentences["parameters"]}

    @pytest.mark.parametrize(
        ("members", "param", "said"),
        [
            ({"to": "text"}, "file", "has none"),
            ({"file": ("", b"x")}, "name", "names no file"),
            ({"file": ("a.txt", b"x"), "to": "docx"}, "to", "'markdown', 'html', 'json' or 'text'"),
            ({"file": ("a.txt", b"x"), "sort": "yes"}, "sort", "Extra inputs"),
            ({"file": ("a.txt", b"x"), "strict": "perhaps"}, "strict", "boolean"),
            ({"file": ("a.txt", b"x"), "text": "y"}, "text", "can't be used"),
        ],
    )
    def test_what_cant_be_understood(self, served, members, param, said):
        answer = post(served.url, **members)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, param), error
        assert said in error["message"]

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"name": "a.txt"}, "base64"),
            ({"name": "a.txt", "text": "a", "base64": "YQ=="}, "base64"),
            ({"text": "a"}, "name"),
            ({"name": "a.txt", "base64": "!"}, "base64"),
            ({"name": "a.txt", "text": "a", "strict": "true"}, "strict"),
        ],
    )
    def test_json_that_cant_be_understood(self, served, body, param):
        answer = httpx.post(f"{served.url}/v1/documents/read", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)

    def test_chunkers_that_there_are_not(self, served):
        error = post(served.url, "chunk", file=("a.txt", b"x"), with_="Sentenses()").json()["error"]
        assert error["code"] == "invalid_chunker"
        assert "Did you mean Sentences?" in error["message"]
        error = post(served.url, "chunk", file=("a.txt", b"x"), tokenizer="/etc/hostname").json()["error"]
        assert "no tokenizer" in error["message"]


class TestModels:
    def test_a_chunker_asks_a_model_of_the_gateway(self, served):
        found = post(served.url, "chunk", file=("tea.md", TEA), with_="ByHeading() | Summary(model='parrot')").json()
        assert len(found["data"]) == 2
        # The parrot says its prompt again, and that has the chunk in it.
        assert "It is rolled" in json.dumps(found["data"][1]["metadata"])

    def test_and_an_embedder(self, served):
        made = post(
            served.url, "chunk", file=("tea.txt", TEA), with_="SemanticBreakpoints(embedder='parrot', max_tokens=16)"
        )
        assert made.status_code == 200, made.text
        assert len(made.json()["data"]) > 1

    def test_one_that_there_is_not(self, served):
        error = post(served.url, "chunk", file=("tea.md", TEA), with_="Summary(model='owl')").json()["error"]
        assert (error["code"], "'owl'" in error["message"]) == ("invalid_chunker", True)

    def test_a_client_that_leaves_ends_them(self, served):
        body, kind = form(file=("tea.md", TEA), with_="ByHeading() | Summary(model='slow')")
        head = f"POST /v1/documents/chunk HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        before = served.gateway.dispatcher.running
        with connect(served.url) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            eventually(lambda: ASKED)
        eventually(lambda: served.gateway.dispatcher.running == before, 5)
        asked = len(ASKED)
        time.sleep(0.3)
        assert len(ASKED) == asked == 2


CASES = [
    ({"name": "a.rar", "data": b"Rar!\x1a\x07 and more"}, {}, "unsupported_format"),
    ({"name": "empty.docx", "data": b""}, {}, "unreadable_document"),
    ({"name": "locked.rtf", "data": trying("locked")}, {}, "encrypted_document"),
    ({"name": "locked.rtf", "data": trying("locked")}, {"password": "simsim"}, "encrypted_document"),
    ({"name": "lossy.rtf", "data": trying("lossy")}, {"strict": True}, "document_loss"),
    ({"name": "crash.rtf", "data": trying("crash")}, {}, "unreadable_document"),
]


@pytest.mark.parametrize(("file", "options", "code"), CASES, ids=lambda value: str(value)[:30])
def test_the_same_failure_on_every_wire(served, embedded, file, options, code):
    name, data = file["name"], file["data"]
    answer = post(served.url, file=(name, data), **options)
    error = answer.json()["error"]
    wanted = (answer.status_code, error["code"], error["message"])
    assert wanted[:2] == (400, code)
    assert name in wanted[2]
    arguments = {"name": name, "base64": base64.b64encode(data).decode(), **options}
    # Each of these ends a process, and a new one takes a while to start.
    for wire in WIRES if "crash" not in name else WIRES[-1:]:
        reply = ask(served.url, wire, "read_document", arguments)
        assert (reply.code, reply.message) == wanted[1:], wire
    with Client(served.url) as remote:
        for client in (remote, embedded):
            with pytest.raises(BadRequestError) as caught:
                client.documents.read(data, name=name, **options)
            assert (caught.value.status, caught.value.code, caught.value.message) == wanted


class TestBadClients:
    def test_a_large_upload_is_refused_before_it_came(self, served):
        body, kind = form(file=("large.bin", b"x" * 1000))
        head = f"POST /v1/documents/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        with connect(served.url) as client:
            client.sendall(f"{head}Content-Length: {300 << 20}\r\n\r\n".encode() + body[:500])
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"documents_max_bytes" in answer

    def test_one_that_is_compressed_is_not_taken_for_a_form(self, served):
        body, kind = form(file=("tea.md", TEA))
        head = (
            f"POST /v1/documents/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Encoding: gzip\r\n"
        )
        with connect(served.url) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 415")
        assert b"unsupported_encoding" in answer

    def test_one_that_does_not_say_how_large_it_is(self, served):
        body, kind = form(file=("large.bin", b"x" * (8 << 20)))
        sent = 0

        def pieces():
            nonlocal sent
            for start in range(0, len(body), 65536):
                sent = start
                yield body[start : start + 65536]

        try:
            answer = httpx.post(
                f"{served.url}/v1/documents/read", content=pieces(), headers={"content-type": kind}, timeout=20
            )
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the server did not wait for the rest
        assert sent < len(body)
        assert post(served.url, file=("tea.md", TEA)).status_code == 200

    def test_a_client_that_leaves_frees_the_process(self, served):
        before = figures(served.url)
        body, kind = form(file=("sleep.rtf", trying("sleep")))
        head = f"POST /v1/documents/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        with connect(served.url) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            eventually(lambda: figures(served.url)["reading"] == 1)
        eventually(lambda: figures(served.url)["reading"] == 0, 3)
        assert figures(served.url)["killed_total"] == before["killed_total"] + 1
        assert post(served.url, file=("tea.md", TEA)).status_code == 200

    def test_a_body_that_breaks_off(self, served):
        body, kind = form(file=("tea.md", TEA))
        answer = httpx.post(
            f"{served.url}/v1/documents/read", content=body[: len(body) // 2], headers={"content-type": kind}
        )
        assert answer.status_code == 400

    def test_time_ends(self, served):
        started = time.monotonic()
        error = post(served.url, file=("sleep.rtf", trying("sleep"))).json()["error"]
        assert (error["code"], error["param"]) == ("parsing_limit", "file")
        assert "sleep.rtf: reading it took more than 3 s" in error["message"]
        assert time.monotonic() - started < 10


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


class TestMany:
    def test_a_file_that_kills_its_process_ends_no_other(self, served):
        files = [("crash.rtf", trying("crash"))] + [
            (f"{number}.rtf", trying("nap", str(number))) for number in range(10)
        ]
        with ThreadPoolExecutor(11) as threads:
            answers = list(threads.map(lambda file: post(served.url, file=file), files))
        assert [answer.status_code for answer in answers] == [400] + [200] * 10
        assert "crashed its reader" in answers[0].json()["error"]["message"]
        assert [answer.json()["content"].strip() for answer in answers[1:]] == [f"nap {number}" for number in range(10)]

    def test_twenty_at_once_on_two_processes(self, served):
        with Client(served.url) as client, ThreadPoolExecutor(20) as threads:
            names = [f"{number}.md" for number in range(20)]
            found = list(threads.map(lambda name: client.documents.read(f"# {name}".encode(), name=name), names))
        assert [result.content for result in found] == [f"# {name}\n" for name in names]

    @pytest.mark.slow
    def test_more_than_may_wait(self, tmp_path, monkeypatch):
        install_reader(tmp_path, monkeypatch)
        with gateway(make_app(workers=1), documents_max_waiting=0, data_dir=tmp_path) as running:
            assert post(running.url, file=("a.md", b"a")).status_code == 200
            with ThreadPoolExecutor(2) as threads:
                answers = list(threads.map(lambda _: post(running.url, file=("n.rtf", trying("nap"))), range(2)))
        busy = next(answer for answer in answers if answer.status_code == 503)
        assert busy.json()["error"]["code"] == "documents_busy"
        assert busy.headers["retry-after"] == "2"
        assert {answer.status_code for answer in answers} == {200, 503}


class TestPaths:
    @pytest.mark.parametrize("path", ["tea.md", "library/tea.md", "./deep/../tea.md", "deep/coffee.txt", "stays.txt"])
    def test_files_in_the_folder(self, served, path):
        reply = ask(served.url, "rest", "read_document", {"path": path})
        assert reply.ok, reply.message

    def test_an_absolute_path(self, served, folders):
        reply = ask(served.url, "rest", "read_document", {"path": str(folders / "library/tea.md")})
        assert reply.ok, reply.message

    @pytest.mark.parametrize(
        "path",
        [
            "../outside/secret.txt",
            "deep/../../outside/secret.txt",
            "library/../outside/secret.txt",
            "leads-out.txt",
            "leads-out/secret.txt",
            "/etc/passwd",
            "ABSOLUTE",
            "/proc/self/environ",
            "/dev/stdin",
            "pipe.txt",
            "deep",
            ".",
            "",
            "tea.md\0.txt",
            "nothing.md",
            "~/.ssh/id_rsa",
            "x" * 5000,
            "http://127.0.0.1:1/tea.md",
        ],
    )
    def test_nothing_else(self, served, folders, path):
        path = str(folders / "outside/secret.txt") if path == "ABSOLUTE" else path
        for wire in ("rest", "mcp-2026"):
            reply = ask(served.url, wire, "read_document", {"path": path})
            assert reply.code in ("document_not_found", "invalid_request"), reply.code
            assert "hunter2" not in reply.text
            assert "outside" not in (reply.message or "").replace(path, "")

    def test_what_is_not_there_looks_like_what_lies_outside(self, served):
        told = [
            ask(served.url, "rest", "read_document", {"path": path}).message.replace(path, "PATH")
            for path in ("../outside/secret.txt", "../outside/nothing.txt", "nothing.txt")
        ]
        assert len(set(told)) == 1

    def test_too_large(self, served):
        reply = ask(served.url, "rest", "read_document", {"path": "large.txt"})
        assert (reply.status, "documents_max_bytes" in reply.message) == (413, True)

    def test_without_folders_no_path_is_taken(self):
        with Client(make_app()) as client:
            tool = client.functions.get("read_document")
            assert "path" not in tool.function.parameters["properties"]
            with pytest.raises(BadRequestError, match="reads no files by path"):
                client.functions.call("read_document", path="/etc/passwd")


class TestClients:
    def test_files_of_every_kind(self, served, tmp_path):
        path = tmp_path / "茶.md"
        path.write_bytes(TEA)
        with Client(served.url) as client:
            assert client.documents.read(path).name == "茶.md"
            assert client.documents.read(str(path), to="text").text.startswith("Tea\n")
            with path.open("rb") as file:
                assert client.documents.read(file).name == "茶.md"
            assert client.documents.read(TEA, name='a "b".md').name == 'a "b".md'
            with pytest.raises(BadRequestError, match="have no name"):
                client.documents.read(TEA)
            with pytest.raises(BadRequestError, match="can't be read"):
                client.documents.read(tmp_path / "nothing.md")
            assert {"markdown"} <= {item.name for item in client.documents.formats()}
            assert len(client.documents.chunkers()) > 10

    def test_a_password(self, served):
        with Client(served.url) as client:
            assert client.documents.read(trying("locked"), name="a.rtf", password="sesame").content == "locked\n"

    def test_embedded(self):
        with Client(make_app()) as client:
            found = client.documents.chunk(TEA, name="tea.md", with_="ByHeading()", max_tokens=99)
            assert [chunk.index for chunk in found.data] == [0, 1]
            assert found.receipt is not None

    @pytest.mark.anyio
    async def test_async(self, served):
        async with AsyncClient(served.url) as client:
            assert (await client.documents.read(TEA, name="tea.md")).content == TEA.decode()
            assert len((await client.documents.chunk(TEA, name="tea.md", with_="ByHeading()")).data) == 2
            assert await client.documents.formats()
            assert await client.documents.chunkers()


class TestAccess:
    def test_where_it_is_not_switched_on(self):
        with Client(App("none")) as client:
            assert client.functions.list() == []
            for do in (client.documents.formats, lambda: client.documents.read(TEA, name="tea.md")):
                with pytest.raises(CallError, match=r"app\.documents\(\)") as caught:
                    do()
                assert caught.value.code == "documents_disabled"

    def test_the_operator_has_the_last_word(self):
        with Client(make_app(), documents=False) as client, pytest.raises(CallError, match="not switched on"):
            client.documents.formats()
        with Client(App("none"), documents=True, documents_tools=False) as client:
            assert client.functions.list() == []
            assert client.documents.read(TEA, name="tea.md").content == TEA.decode()

    def test_keys(self, tmp_path):
        with gateway(make_app(), data_dir=tmp_path) as running:
            tokens = {}
            for name, allow in (("all", None), ("cut", ["chunk_document"]), ("none", ["parrot"]),
                                ("docs", ["read_document", "chunk_document"])):  # fmt: skip
                making = running.gateway.keys.create(name, allow)
                tokens[name] = asyncio.run_coroutine_threadsafe(making, running.loop).result()[1]
            for name in ("cut", "none"):
                with Client(running.url, api_key=tokens[name]) as client:
                    for do in (
                        client.documents.formats,
                        lambda client=client: client.documents.read(TEA, name="tea.md"),
                        lambda client=client: client.documents.chunk(TEA, name="tea.md"),
                        lambda client=client: client.functions.call("chunk_document", text="a", name="a.txt"),
                    ):
                        with pytest.raises(NotFoundError) as caught:
                            do()
                        assert caught.value.code == "model_not_found"
            with Client(running.url, api_key=tokens["docs"]) as client:
                assert client.documents.chunk(TEA, name="tea.md").data
                with pytest.raises(BadRequestError, match="no model named 'parrot'"):
                    client.documents.chunk(TEA, name="tea.md", with_="Summary(model='parrot')")
            with Client(running.url, api_key=tokens["all"]) as client:
                client.documents.read(TEA, name="tea.md")
                with pytest.raises(BadRequestError):
                    client.documents.chunk(b"", name="tea.md")
        rows = usage_rows(tmp_path)
        assert ("read_document", "document", 200, None) in rows
        assert ("chunk_document", "document", 400, "unreadable_document") in rows


def usage_rows(data_dir: Path) -> list[tuple[Any, ...]]:
    import sqlite3

    with sqlite3.connect(data_dir / "polyport.sqlite3") as database:
        found = database.execute("SELECT name, operation, status, code FROM usage").fetchall()
    database.close()
    return found
