"""`/v1/files` as the unmodified `openai` package uses it, and as those do who mean no good."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.testing import ScriptedEngine, gateway
from tests.support.openai_spec import load_openai
from tests.support.wires import bearer, eventually, head, speak
from tests.support.wires import connection as connected

LIMIT = 4 << 20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("files")
    with gateway(App("files"), data_dir=folder, files_max_bytes=LIMIT, files_quota_bytes=3 * LIMIT) as running:
        yield running.url, folder


@pytest.fixture
def url(served: tuple[str, Path]) -> str:
    return served[0]


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made
        for file in made.files.list():
            made.files.delete(file.id)


def blobs(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").glob("??/*") if path.is_file()]


def test_a_file_comes_and_goes(client: openai.OpenAI, served: tuple[str, Path]) -> None:
    content = "第一章\r\n" * 1000
    made = client.files.create(file=("手册.md", content.encode()), purpose="user_data")
    assert made.id.startswith("file-")
    assert (made.object, made.filename, made.purpose, made.status) == ("file", "手册.md", "user_data", "processed")
    assert (made.bytes, made.expires_at) == (len(content.encode()), None)
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).content == content.encode()
    assert client.files.delete(made.id).model_dump() == {"id": made.id, "object": "file", "deleted": True}
    with pytest.raises(openai.NotFoundError, match=made.id):
        client.files.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.files.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(made.id)
    assert blobs(served[1]) == []


def test_lists_come_in_pages(client: openai.OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.md", b"x%d" % n), purpose="assistants").id for n in range(5)]
    other = client.files.create(file=("other.md", b"x"), purpose="user_data").id
    assert [file.id for file in client.files.list()] == [other, *made[::-1]]
    assert [file.id for file in client.files.list(order="asc", limit=2)] == [*made, other]
    assert [file.id for file in client.files.list(purpose="assistants", limit=3)] == made[::-1]
    page = client.files.list(purpose="assistants", order="asc", limit=2, after=made[1])
    assert ([file.id for file in page.data], page.has_more) == (made[2:4], True)
    assert client.files.list(purpose="batch").data == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=no", "after"),
    ],
)
def test_bad_lists(url: str, query: str, param: str) -> None:
    answer = httpx.get(f"{url}/v1/files?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_same_bytes_are_kept_once_until_the_last_file_goes(client: openai.OpenAI, served: tuple[str, Path]) -> None:
    first, second = (client.files.create(file=(name, b"same"), purpose="user_data") for name in ("a.md", "b.md"))
    assert len(blobs(served[1])) == 1
    client.files.delete(first.id)
    assert client.files.content(second.id).content == b"same"
    client.files.delete(second.id)
    assert blobs(served[1]) == []


@pytest.mark.slow
def test_many_at_once(client: openai.OpenAI, served: tuple[str, Path]) -> None:
    """The same few contents are uploaded and deleted side by side: no file that is there loses its bytes."""

    def work(number: int) -> None:
        content = b"content %d" % (number % 3)
        made = client.files.create(file=("a.md", content), purpose="user_data")
        assert client.files.content(made.id).content == content
        client.files.delete(made.id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    assert blobs(served[1]) == []


def test_a_file_for_a_batch_expires_by_itself(client: openai.OpenAI) -> None:
    made = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    assert made.expires_at == made.created_at + 30 * 86_400
    hours = client.files.create(
        file=("a.md", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    assert hours.expires_at == hours.created_at + 7200


def test_what_has_expired_is_gone_and_its_bytes_at_the_next_start(tmp_path: Path) -> None:
    def upload(name: str, content: bytes) -> str:
        form: Any = {"data": {"purpose": "user_data"}, "files": {"file": (name, content)}}
        return str(httpx.post(f"{running.url}/v1/files", **form).json()["id"])

    with gateway(App("files"), data_dir=tmp_path) as running:
        gone, stays = upload("a.md", b"old"), upload("b.md", b"new")
        connection = sqlite3.connect(tmp_path / "polyport.sqlite3")
        connection.execute("UPDATE files SET expires_at = 1 WHERE id = ?", (gone,))
        connection.commit()
        connection.close()
        assert httpx.get(f"{running.url}/v1/files/{gone}").status_code == 404
        assert [file["id"] for file in httpx.get(f"{running.url}/v1/files").json()["data"]] == [stays]
    assert len(blobs(tmp_path)) == 2
    with gateway(App("files"), data_dir=tmp_path) as running:
        eventually(lambda: len(blobs(tmp_path)) == 1, what="the expired file's bytes are removed")
        assert httpx.get(f"{running.url}/v1/files/{stays}/content").content == b"new"


@pytest.mark.parametrize(
    ("data", "files", "param", "words"),
    [
        ({"purpose": "user_data"}, {"file": ("a.md", b"")}, "file", "empty"),
        ({}, {"file": ("a.md", b"x")}, "purpose", "required"),
        ({"purpose": "fun"}, {"file": ("a.md", b"x")}, "purpose", "fun"),
        ({"purpose": "assistants_output"}, {"file": ("a.md", b"x")}, "purpose", "assistants_output"),
        ({"purpose": "batch"}, {"file": ("a.md", b"x")}, "file", "jsonl"),
        ({"purpose": "fine-tune"}, {"file": ("a.csv", b"x")}, "file", "jsonl"),
        ({"purpose": "user_data"}, {"other": ("a.md", b"x")}, "file", "none"),
        ({"purpose": "user_data", "file": "text"}, None, "file", "form"),
        ({"purpose": "user_data", "more": "x"}, {"file": ("a.md", b"x")}, "more", "not known"),
        ({"purpose": "user_data"}, {"file": ("..", b"x")}, "file", "no file"),
        ({"purpose": "user_data"}, {"file": ("a" * 300, b"x")}, "file", "longer"),
        (
            {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "10"},
            {"file": ("a.md", b"x")},
            "expires_after.seconds",
            "3600",
        ),
        (
            {"purpose": "user_data", "expires_after[anchor]": "now", "expires_after[seconds]": "7200"},
            {"file": ("a.md", b"x")},
            "expires_after.anchor",
            "created_at",
        ),
        ({"purpose": "user_data", "expires_after": "soon"}, {"file": ("a.md", b"x")}, "expires_after", "soon"),
    ],
)
def test_bad_uploads(url: str, served: tuple[str, Path], data: Any, files: Any, param: str, words: str) -> None:
    answer = httpx.post(f"{url}/v1/files", data=data, files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param), error
    assert words in error["message"]
    assert httpx.get(f"{url}/v1/files").json()["data"] == []
    assert blobs(served[1]) == []


def test_folders_in_a_name_are_dropped(client: openai.OpenAI) -> None:
    made = client.files.create(file=("C:\\docs\\../手册.md", b"x"), purpose="user_data")
    assert made.filename == "手册.md"


def test_what_is_too_large(client: openai.OpenAI, served: tuple[str, Path]) -> None:
    with pytest.raises(openai.APIStatusError, match="files_max_bytes") as caught:
        client.files.create(file=("a.bin", b"x" * (LIMIT + 1)), purpose="user_data")
    assert caught.value.status_code == 413
    assert blobs(served[1]) == []
    for number in range(3):
        client.files.create(file=("a.bin", bytes([number]) * (LIMIT - 10)), purpose="user_data")
    with pytest.raises(openai.APIStatusError, match="files_quota_bytes") as caught:
        client.files.create(file=("a.bin", b"x" * 1000), purpose="user_data")
    assert (caught.value.status_code, caught.value.code) == (413, "quota_exceeded")


def test_an_upload_that_breaks_off_leaves_nothing(url: str, served: tuple[str, Path]) -> None:
    start = (
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    )
    headers = ("content-type: multipart/form-data; boundary=b", f"content-length: {2 * (3 << 20)}")
    with connected(url) as sock:
        sock.sendall(head("POST", "/v1/files", *headers) + start + b"x" * (3 << 20))
    time.sleep(0.3)
    short = (headers[0], f"content-length: {len(start) + 5}", "connection: close")
    answer = speak(url, head("POST", "/v1/files", *short) + start + b"12345")
    assert b"last boundary" in answer
    assert httpx.get(f"{url}/v1/files").json()["data"] == []
    folder = served[1] / "files"
    assert [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"] == []


def test_a_large_file_is_not_held_in_memory(client: openai.OpenAI) -> None:
    """Its bytes come back as they went, in pieces."""
    data = bytes(range(256)) * (LIMIT // 256 - 100)
    made = client.files.create(file=("a.bin", io.BytesIO(data)), purpose="user_data")
    with client.files.with_streaming_response.content(made.id) as answer:
        assert answer.headers["content-length"] == str(len(data))
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"".join(answer.iter_bytes()) == data


def test_other_keys_see_none_of_it(tmp_path: Path) -> None:
    from polyport_gateway.storage.database import Database
    from polyport_gateway.storage.keys import KeyStore

    async def keys() -> list[str]:
        async with Database(f"sqlite:///{tmp_path / 'polyport.sqlite3'}") as database:
            store = KeyStore(database)
            return [
                (await store.create(name, allow, None))[1]
                for name, allow in (("mine", None), ("other", None), ("files", ["files"]), ("little", ["echo"]))
            ]

    import asyncio

    mine, other, files, little = asyncio.run(keys())
    with gateway(App("files"), data_dir=tmp_path) as running:

        def as_(key: str) -> openai.OpenAI:
            return openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0)

        with as_(mine) as me, as_(other) as them, as_(files) as keeper, as_(little) as small:
            made = me.files.create(file=("a.md", b"x"), purpose="user_data")
            assert [file.id for file in me.files.list()] == [made.id]
            for stranger in (them, keeper):
                assert list(stranger.files.list()) == []
                for ask in (stranger.files.retrieve, stranger.files.delete, stranger.files.content):
                    with pytest.raises(openai.NotFoundError):
                        ask(made.id)
                with pytest.raises(openai.BadRequestError):
                    stranger.files.list(after=made.id)
            keeper.files.create(file=("a.md", b"x"), purpose="user_data")
            with pytest.raises(openai.PermissionDeniedError, match="'files'"):
                small.files.create(file=("a.md", b"x"), purpose="user_data")
        answer = httpx.get(f"{running.url}/v1/files", headers=bearer("pp_wrong"))
        assert answer.status_code == 401


def test_a_message_names_a_file_by_its_id(tmp_path: Path) -> None:
    seen: list[Any] = []

    def play(request: Any) -> str:
        seen.extend(part.model_dump(exclude_none=True) for part in request.messages[-1].content)
        return "read"

    app = App("files")
    app.model("model", engine=ScriptedEngine(*[play] * 5))
    with (
        gateway(app, data_dir=tmp_path, max_body_bytes=100_000) as running,
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client,
    ):

        def ask(*parts: Any) -> Any:
            seen.clear()
            return client.responses.create(model="model", input=[{"role": "user", "content": list(parts)}])

        text = client.files.create(file=("手册.md", "茶".encode()), purpose="user_data").id
        picture = client.files.create(file=("a.png", b"\x89PNG"), purpose="vision").id
        large = client.files.create(file=("b.md", b"x" * 200_000), purpose="user_data").id
        answer = ask({"type": "input_file", "file_id": text}, {"type": "input_image", "file_id": picture})
        assert seen[0]["file"] == {"filename": "手册.md", "file_data": "data:text/markdown;base64,6Iy2"}
        assert seen[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
        # What is kept and listed names the file; its bytes are not repeated there.
        (item,) = client.responses.input_items.list(answer.id).data
        assert item.content[0].file_id == text
        ask({"type": "input_file", "file_id": "file-of-upstream"})
        assert seen[0]["file"] == {"file_id": "file-of-upstream"}
        with pytest.raises(openai.BadRequestError, match="file of yours"):
            ask({"type": "input_image", "file_id": "file-none"})
        with pytest.raises(openai.APIStatusError, match="file_search") as caught:
            ask({"type": "input_file", "file_id": large})
        assert caught.value.status_code == 413


@pytest.mark.requires("data")
def test_answers_are_as_openai_describes_them(url: str, client: openai.OpenAI, shared_data: Path) -> None:
    spec = load_openai(shared_data)
    forms = [{"purpose": "user_data"}, {"purpose": "batch"}]
    for form in forms:
        made = httpx.post(f"{url}/v1/files", data=form, files={"file": ("a.jsonl", b"x")}).json()
        spec.check("OpenAIFile", made)
    spec.check("ListFilesResponse", httpx.get(f"{url}/v1/files").json())
    spec.check("DeleteFileResponse", httpx.delete(f"{url}/v1/files/{made['id']}").json())
    missing = httpx.get(f"{url}/v1/files/file-none")
    assert missing.status_code == 404
    spec.check("ErrorResponse", missing.json())
