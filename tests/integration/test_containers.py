"""`/v1/containers` as the unmodified `openai` package uses it, over a scripted sandbox and over Docker's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.testing import ScriptedEngine, gateway
from tests.support.scripted_sandbox import ScriptedProvider
from tests.support.wires import eventually

SANDBOXES = ["scripted", pytest.param("docker", marks=pytest.mark.requires("docker", "sandbox"))]


@contextmanager
def serving(provider: Any, **options: Any) -> Iterator[str]:
    app = App("house")
    app.sandbox(provider, **options)
    app.model("model", engine=ScriptedEngine(*["hello"] * 10))
    with gateway(app) as running:
        yield running.url


@pytest.fixture(scope="module", params=SANDBOXES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "scripted":
        with serving(ScriptedProvider(), max_limits={"memory_mb": 4096}) as url:
            yield url
    else:
        with serving("docker", pool_size=1, gvisor="never", max_limits={"memory_mb": 4096}) as url:
            yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made
        for container in made.containers.list(limit=100):
            made.containers.delete(container.id)


@pytest.fixture
def alone() -> Iterator[str]:
    """A gateway of one test's own, for what can be shown without Docker."""
    with serving(ScriptedProvider(), allow_hosts=["*.example.org"]) as url:
        yield url


def test_a_container_comes_and_goes(client: openai.OpenAI) -> None:
    made = client.containers.create(
        name="mine", memory_limit="4g", expires_after={"anchor": "last_active_at", "minutes": 5}
    )
    assert made.id.startswith("cntr_")
    assert (made.object, made.name, made.status, made.memory_limit) == ("container", "mine", "running", "4g")
    assert made.expires_after is not None
    assert (made.expires_after.anchor, made.expires_after.minutes) == ("last_active_at", 5)
    assert made.network_policy is not None
    assert made.network_policy.type == "disabled"
    found = client.containers.retrieve(made.id)
    assert (found.id, found.created_at, found.memory_limit) == (made.id, made.created_at, "4g")
    client.containers.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=made.id) as caught:
        client.containers.retrieve(made.id)
    assert caught.value.code == "container_not_found"
    with pytest.raises(openai.NotFoundError):
        client.containers.delete(made.id)


def test_lists_come_in_pages(client: openai.OpenAI) -> None:
    made = [client.containers.create(name=f"c{number % 2}").id for number in range(5)]
    assert [container.id for container in client.containers.list()] == made[::-1]
    assert [container.id for container in client.containers.list(order="asc", limit=2)] == made
    page = client.containers.list(order="asc", limit=2)
    assert ([container.id for container in page.data], page.has_more) == (made[:2], True)
    assert [container.id for container in client.containers.list(order="asc", after=made[3])] == made[4:]
    assert [container.id for container in client.containers.list(order="asc", name="c1")] == made[1::2]
    for wrong in ({"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "cntr_x"}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.containers.list(**wrong)  # type: ignore[arg-type]
        assert caught.value.param == next(iter(wrong))


def test_files_go_in_and_out(client: openai.OpenAI) -> None:
    container = client.containers.create(name="mine").id
    content = bytes(range(256)) * 10
    file = client.containers.files.create(container, file=("数据 1.bin", content))
    assert file.id.startswith("cfile_")
    assert (file.object, file.container_id, file.bytes) == ("container.file", container, 2560)
    assert (file.path, file.source) == ("/mnt/data/数据 1.bin", "user")
    assert client.containers.files.retrieve(file.id, container_id=container).model_dump() == file.model_dump()
    assert client.containers.files.content.retrieve(file.id, container_id=container).content == content
    other = client.containers.files.create(container, file=("b.txt", b""))
    assert {found.id for found in client.containers.files.list(container)} == {file.id, other.id}
    page = client.containers.files.list(container, limit=1, order="asc")
    assert (len(page.data), page.has_more) == (1, True)
    assert [found.id for found in client.containers.files.list(container, order="asc", after=page.data[0].id)] == [
        ({file.id, other.id} - {page.data[0].id}).pop()
    ]
    # The same name is the same file.
    again = client.containers.files.create(container, file=("b.txt", b"new"))
    assert (again.id, again.bytes) == (other.id, 3)
    client.containers.files.delete(file.id, container_id=container)
    with pytest.raises(openai.NotFoundError) as caught:
        client.containers.files.content.retrieve(file.id, container_id=container)
    assert caught.value.code == "file_not_found"
    assert [found.id for found in client.containers.files.list(container)] == [other.id]


def test_ids_of_files_say_nothing_and_hold_for_one_container(client: openai.OpenAI) -> None:
    one, two = (client.containers.create(name=name).id for name in ("one", "two"))
    files = [client.containers.files.create(container, file=("a", b"x")) for container in (one, two)]
    assert files[0].id != files[1].id
    with pytest.raises(openai.NotFoundError):
        client.containers.files.retrieve(files[0].id, container_id=two)
    with pytest.raises(openai.NotFoundError):
        client.containers.files.retrieve("cfile_é", container_id=two)


def test_content_is_no_page_of_the_gateways(client: openai.OpenAI, url: str) -> None:
    container = client.containers.create(name="mine").id
    file = client.containers.files.create(container, file=("a.html", b"<script>alert(1)</script>"))
    answer = httpx.get(f"{url}/v1/containers/{container}/files/{file.id}/content", timeout=20)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "name", "required"),
        ({"name": ""}, "name", "at least 1"),
        ({"name": "a\nb"}, "name", "printable"),
        ({"name": 1}, "name", "string"),
        ({"name": "x", "memory_limit": "2g"}, "memory_limit", "1g"),
        ({"name": "x", "memory_limit": "16g"}, "memory_limit", "1g or 4g"),
        ({"name": "x", "file_ids": [str(n) for n in range(51)]}, "file_ids", "more than 50"),
        ({"name": "x", "skills": [{"type": "skill_reference"}]}, "skills", "not supported"),
        ({"name": "x", "gpu": True}, "gpu", "not supported"),
        ({"name": "x", "expires_after": {"anchor": "created_at", "minutes": 1}}, "expires_after.anchor", "last_active"),
        ({"name": "x", "expires_after": {"anchor": "last_active_at", "minutes": 0}}, "expires_after.minutes", "1"),
        (
            {"name": "x", "expires_after": {"anchor": "last_active_at", "minutes": 10**6}},
            "expires_after.minutes",
            "1440",
        ),
        ({"name": "x", "network_policy": {"type": "all"}}, "network_policy.type", "allowlist"),
        ({"name": "x", "network_policy": {"type": "allowlist"}}, "network_policy.allowed_domains", "needs"),
        (
            {"name": "x", "network_policy": {"type": "allowlist", "allowed_domains": ["example.org"]}},
            "network_policy.allowed_domains",
            "may not be reached",
        ),
        (
            {"name": "x", "network_policy": {"type": "disabled", "allowed_domains": ["example.org"]}},
            "network_policy.allowed_domains",
            "allowlist",
        ),
        (
            {
                "name": "x",
                "network_policy": {
                    "type": "allowlist",
                    "allowed_domains": ["example.org"],
                    "domain_secrets": [{"domain": "example.org", "name": "k", "value": "hunter2"}],
                },
            },
            "network_policy.domain_secrets",
            "no secrets",
        ),
    ],
)
def test_bad_containers(url: str, body: dict[str, Any], param: str, words: str) -> None:
    answer = httpx.post(f"{url}/v1/containers", json=body, timeout=20)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert "hunter2" not in answer.text


BOUNDARY = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"json": {}}, "file_id", "missing"),
        ({"json": {"file_id": 1}}, "file_id", "string"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, "file", "multipart"),
        ({"content": b""}, "file", "multipart"),
        ({"data": {"file": "text alone"}, "files": {"other": ("a", b"x")}}, "file", "no file"),
        ({"data": {"file_id": "file-1"}, "files": {"file": ("a", b"x")}}, "file_id", "one of"),
        ({"files": {"other": ("a", b"x")}}, "file", "none"),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"x"))]}, "file", "has 2"),
        ({"files": {"file": ("../a", b"x")}}, "file", "a path"),
        ({"files": {"file": ("..", b"x")}}, "file", "a path"),
        ({"files": {"file": ("a" * 300, b"x")}}, "file", "longer"),
        (
            {
                "content": b"\r\n".join(
                    (b"--b", b'content-disposition: form-data; name="file"; filename="a\x07"', b"", b"x", b"--b--", b"")
                ),
                "headers": BOUNDARY,
            },
            "file",
            "printed",
        ),
        ({"files": [("file", (str(n), b"x")) for n in range(20)]}, None, "Too many files"),
        ({"content": b"no multipart at all", "headers": BOUNDARY}, None, "multipart"),
        ({"content": b"--b\r\n\r\n", "headers": {"content-type": "multipart/form-data"}}, None, "boundary"),
    ],
)
def test_bad_uploads(client: openai.OpenAI, url: str, options: dict[str, Any], param: str | None, words: str) -> None:
    container = client.containers.create(name="mine").id
    answer = httpx.post(f"{url}/v1/containers/{container}/files", timeout=20, **options)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param, error
    assert words in error["message"]
    assert list(client.containers.files.list(container)) == []


def test_a_file_over_the_limit(client: openai.OpenAI, url: str) -> None:
    container = client.containers.create(name="mine").id
    with pytest.raises(openai.APIStatusError) as caught:
        client.containers.files.create(container, file=("big", bytes(40 << 20)))
    assert caught.value.status_code == 413
    with pytest.raises(openai.BadRequestError):
        client.containers.files.create(container, file=("big", bytes(20 << 20)))


def test_an_expired_container_is_still_known(client: openai.OpenAI, url: str) -> None:
    container = client.containers.create(name="mine").id
    file = client.containers.files.create(container, file=("a", b"x"))
    # What `expires_after` does, without waiting for a minute: the session ends, by another wire.
    httpx.delete(f"{url}/v1/sandbox/sessions/{container}", timeout=20).raise_for_status()
    eventually(lambda: client.containers.retrieve(container).status == "expired")
    assert [found.status for found in client.containers.list()] == ["expired"]
    for use in (
        lambda: client.containers.files.list(container),
        lambda: client.containers.files.create(container, file=("b", b"x")),
        lambda: client.containers.files.content.retrieve(file.id, container_id=container),
    ):
        with pytest.raises(openai.NotFoundError, match="expired") as caught:
            use()
        assert caught.value.code == "container_expired"
    client.containers.delete(container)
    assert list(client.containers.list()) == []


def test_domains_that_may_be_reached(alone: str) -> None:
    with openai.OpenAI(base_url=f"{alone}/v1", api_key="none", max_retries=0) as client:
        policy: Any = {"type": "allowlist", "allowed_domains": ["data.example.org"]}
        made = client.containers.create(name="mine", network_policy=policy)
        assert made.network_policy is not None
        assert (made.network_policy.type, made.network_policy.allowed_domains) == ("allowlist", ["data.example.org"])


def test_too_many_containers(alone: str) -> None:
    with openai.OpenAI(base_url=f"{alone}/v1", api_key="none", max_retries=0) as client:
        for number in range(16):
            client.containers.create(name=str(number))
        with pytest.raises(openai.InternalServerError) as caught:
            client.containers.create(name="one more")
        assert (caught.value.status_code, caught.value.code) == (503, "sandbox_busy")
        assert caught.value.response.headers["retry-after"]


def test_a_gateway_without_a_sandbox() -> None:
    app = App("house")
    app.model("echo", engine="echo")
    with gateway(app) as running:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/cntr_1"), ("DELETE", "/cntr_1"), ("GET", "/c/files")):
            answer = httpx.request(method, f"{running.url}/v1/containers{path}", json={"name": "x"}, timeout=20)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "sandbox_disabled")
            assert "POLYPORT_SANDBOX=docker" in answer.text
        tool = {"type": "code_interpreter", "container": {"type": "auto"}}
        body = {"model": "echo", "input": "hi", "tools": [tool]}
        answer = httpx.post(f"{running.url}/v1/responses", json=body, timeout=20)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "sandbox_disabled", "tools.0")
        assert "POLYPORT_SANDBOX=docker" in error["message"]


def test_a_sandbox_that_cannot_be_opened(tmp_path: Path) -> None:
    with serving("docker", socket=f"{tmp_path}/none.sock") as url:
        answer = httpx.post(f"{url}/v1/containers", json={"name": "x"}, timeout=20)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "sandbox_unavailable"), answer.text
        assert "To mend it" in error["message"]
        body = {"model": "model", "input": "hi", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}
        for stream in (False, True):
            answer = httpx.post(f"{url}/v1/responses", json={**body, "stream": stream}, timeout=20)
            assert (answer.status_code, answer.json()["error"]) == (503, error)


def test_every_caller_has_containers_of_their_own() -> None:
    app = App("house")
    app.sandbox(ScriptedProvider())
    with gateway(app) as running:

        def key(name: str, allow: list[str] | None = None) -> str:
            made = running.gateway.keys.create(name, allow=allow)
            return str(asyncio.run_coroutine_threadsafe(made, running.loop).result(10)[1])

        one, two, barred = (
            openai.OpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0)
            for token in (key("one"), key("two"), key("barred", ["echo"]))
        )
        with one, two, barred:
            container = one.containers.create(name="mine").id
            file = one.containers.files.create(container, file=("a", b"x"))
            assert list(two.containers.list()) == []
            for use in (
                lambda: two.containers.retrieve(container),
                lambda: two.containers.delete(container),
                lambda: two.containers.files.list(container),
                lambda: two.containers.files.create(container, file=("b", b"x")),
                lambda: two.containers.files.content.retrieve(file.id, container_id=container),
            ):
                with pytest.raises(openai.NotFoundError) as caught:
                    use()
                assert caught.value.code == "container_not_found"
            for use in (lambda: barred.containers.list(), lambda: barred.containers.create(name="x")):
                with pytest.raises(openai.NotFoundError, match="run_code"):
                    use()
            assert one.containers.retrieve(container).status == "running"


def test_files_that_were_kept_before(client: openai.OpenAI) -> None:
    kept = [client.files.create(file=("手册.md", text), purpose="user_data") for text in (b"one", b"two")]
    container = client.containers.create(name="mine", file_ids=[file.id for file in kept]).id
    found = {file.path.rpartition("/")[2]: file for file in client.containers.files.list(container)}
    assert set(found) == {"手册.md", f"{kept[1].id}-手册.md"}
    assert {file.source for file in found.values()} == {"user"}
    content = client.containers.files.content.retrieve(found["手册.md"].id, container_id=container).content
    assert content == b"one"
    later = client.containers.create(name="later").id
    for ask in ({"file_id": kept[0].id}, {"extra_body": {"file_id": kept[1].id}}):
        made = client.containers.files.create(later, **ask)
        assert (made.path, made.source) == ("/mnt/data/手册.md", "user")
    for file in kept:
        client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError, match=kept[0].id):
        client.containers.create(name="x", file_ids=[kept[0].id])
    with pytest.raises(openai.NotFoundError, match=kept[0].id):
        client.containers.files.create(later, file_id=kept[0].id)
    assert {one.id for one in client.containers.list()} == {container, later}
