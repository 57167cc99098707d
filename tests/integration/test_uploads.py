"""`/v1/uploads`: files in parts, as the unmodified `openai` package sends them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.testing import gateway
from tests.support.openai_spec import load_openai

LIMIT = 4 << 20
DATA = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("uploads")
    with gateway(App("uploads"), data_dir=folder, files_max_bytes=LIMIT, files_quota_bytes=3 * LIMIT) as running:
        yield running.url, folder


@pytest.fixture
def client(served: tuple[str, Path]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served[0]}/v1", api_key="none", max_retries=0) as made:
        yield made
        for file in made.files.list():
            made.files.delete(file.id)
        assert list((served[1] / "files").glob("??/*")) == [], "bytes are left behind"


def begin(client: openai.OpenAI, size: int = len(DATA), **members: Any) -> Any:
    given = {"filename": "手册.bin", "purpose": "user_data", "bytes": size, "mime_type": "text/plain", **members}
    return client.uploads.create(**given)


def test_a_file_comes_in_parts_and_in_any_order(client: openai.OpenAI) -> None:
    upload = begin(client, expires_after={"anchor": "created_at", "seconds": 7200})
    assert (upload.object, upload.status, upload.filename) == ("upload", "pending", "手册.bin")
    assert upload.expires_at == upload.created_at + 3600
    third = len(DATA) // 3
    pieces = [DATA[:third], DATA[third : 2 * third], DATA[2 * third :]]
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda piece: client.uploads.parts.create(upload.id, data=piece), pieces))
    assert {part.upload_id for part in parts} == {upload.id}
    done = client.uploads.complete(upload.id, part_ids=[part.id for part in parts], md5=hashlib.md5(DATA).hexdigest())
    assert done.status == "completed"
    assert done.file is not None
    assert (done.file.bytes, done.file.filename) == (len(DATA), "手册.bin")
    assert done.file.expires_at == done.file.created_at + 7200
    assert client.files.content(done.file.id).content == DATA
    with pytest.raises(openai.BadRequestError, match="completed"):
        client.uploads.parts.create(upload.id, data=b"x")
    with pytest.raises(openai.BadRequestError, match="completed"):
        client.uploads.complete(upload.id, part_ids=[part.id for part in parts])


def test_the_packages_own_way_to_send_a_large_file(client: openai.OpenAI) -> None:
    done = client.uploads.upload_file_chunked(
        file=io.BytesIO(DATA).getvalue(),
        filename="a.bin",
        bytes=len(DATA),
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=100_000,
    )
    assert done.file is not None
    assert client.files.content(done.file.id).content == DATA


def test_what_is_cancelled_leaves_nothing(client: openai.OpenAI) -> None:
    upload = begin(client)
    client.uploads.parts.create(upload.id, data=DATA)
    assert client.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        client.uploads.cancel(upload.id)


def test_parts_that_do_not_make_the_file(client: openai.OpenAI) -> None:
    upload = begin(client, 10)
    part = client.uploads.parts.create(upload.id, data=b"12345")
    other = client.uploads.parts.create(upload.id, data=b"67890")
    with pytest.raises(openai.APIStatusError, match="10 bytes already"):
        client.uploads.parts.create(upload.id, data=b"x")
    for ids, words in (
        ([part.id], "5 bytes together"),
        ([part.id, part.id], "twice"),
        ([part.id, "part_none"], "no part"),
    ):
        with pytest.raises(openai.BadRequestError, match=words):
            client.uploads.complete(upload.id, part_ids=ids)
    for md5, words in (("0" * 32, "MD5"), ("x", "32 hexadecimal")):
        with pytest.raises(openai.BadRequestError, match=words):
            client.uploads.complete(upload.id, part_ids=[part.id, other.id], md5=md5)
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.uploads.parts.create(upload.id, data=b"")
    done = client.uploads.complete(upload.id, part_ids=[other.id, part.id])
    assert done.file is not None
    assert client.files.content(done.file.id).content == b"6789012345"


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ({"size": 0}, 400, "empty"),
        ({"size": -1}, 400, "bytes"),
        ({"size": LIMIT + 1}, 413, "files_max_bytes"),
        ({"purpose": "fun"}, 400, "purpose"),
        ({"purpose": "batch"}, 400, "jsonl"),
        ({"filename": ".."}, 400, "filename|no file"),
    ],
)
def test_what_can_become_no_file(client: openai.OpenAI, members: dict[str, Any], status: int, words: str) -> None:
    with pytest.raises(openai.APIStatusError, match=words) as caught:
        begin(client, **members)
    assert caught.value.status_code == status


def test_what_is_announced_counts_before_it_is_there(client: openai.OpenAI) -> None:
    waiting = [begin(client, LIMIT) for _ in range(3)]
    with pytest.raises(openai.APIStatusError, match="files_quota_bytes"):
        begin(client, 1000)
    for upload in waiting:
        client.uploads.cancel(upload.id)


def test_unknown_uploads(client: openai.OpenAI, served: tuple[str, Path]) -> None:
    for ask in (
        lambda: client.uploads.cancel("upload_none"),
        lambda: client.uploads.complete("upload_none", part_ids=["a"]),
        lambda: client.uploads.parts.create("upload_none", data=b"x"),
    ):
        with pytest.raises(openai.NotFoundError, match="upload_none"):
            ask()
    upload = begin(client, 10)
    answer = httpx.post(f"{served[0]}/v1/uploads/{upload.id}/parts", data={"data": "text"}, files={"x": ("a", b"b")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "data")
    client.uploads.cancel(upload.id)


@pytest.mark.requires("data")
def test_answers_are_as_openai_describes_them(served: tuple[str, Path], shared_data: Path) -> None:
    spec, root = load_openai(shared_data), f"{served[0]}/v1/uploads"
    body = {"filename": "a.md", "purpose": "user_data", "bytes": 1, "mime_type": "text/plain"}
    made = httpx.post(root, json=body).json()
    spec.check("Upload", made)
    part = httpx.post(f"{root}/{made['id']}/parts", files={"data": ("x", b"x")}).json()
    spec.check("UploadPart", part)
    done = httpx.post(f"{root}/{made['id']}/complete", json={"part_ids": [part["id"]]}).json()
    spec.check("Upload", done)
    httpx.delete(f"{served[0]}/v1/files/{done['file']['id']}")
