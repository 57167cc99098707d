"""Forms with files, however they come in pieces."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.errors import BadRequestError, PayloadTooLargeError
from polyport_gateway.wires.forms import Form, content_type_of, open_form, plain_name
from polyport_gateway.wires.http import ClientGoneError

LIMITS = {"limit": 8 << 20, "setting": "files_max_bytes", "timeout_s": 5.0}


def of_httpx(data: dict[str, str], files: dict[str, Any]) -> tuple[bytes, bytes]:
    request = httpx.Request("POST", "http://x", data=data, files=files)
    return request.read(), request.headers["content-type"].encode()


def read(body: bytes, kind: bytes, cuts: list[int] | None = None, *, gone: bool = False, **options: Any) -> Any:
    """Return the fields and files of a form whose body comes cut at these places."""
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or ())})
    pieces = [body[start:end] for start, end in pairwise(places)] or [b""]
    messages = [
        {"type": "http.request", "body": piece, "more_body": gone or at < len(pieces) - 1}
        for at, piece in enumerate(pieces)
    ]
    if gone:
        messages.append({"type": "http.disconnect"})

    async def receive() -> Any:
        return messages.pop(0)

    async def run() -> Any:
        scope = {"type": "http", "headers": [(b"content-type", kind)]}
        async with open_form(scope, receive, **{**LIMITS, **options}) as form:
            return form.fields, [(file.member, file.name, await file.read()) for file in form.files]

    return asyncio.run(run())


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\\%"), min_size=1)


@settings(max_examples=60, deadline=None)
@given(NAMES, st.binary(max_size=3000), st.text(max_size=50), st.lists(st.integers(0, 4000), max_size=30))
def test_what_a_client_writes_is_read_however_it_is_cut(name: str, data: bytes, text: str, cuts: list[int]) -> None:
    text = text.encode("utf-8", "ignore").decode()
    body, kind = of_httpx({"purpose": text}, {"file": (name, data)})
    assert read(body, kind, cuts) == ([("purpose", text)], [("file", name, data)])


def test_a_file_full_of_boundaries_is_read_as_it_is() -> None:
    data = b"\r\n--b\r\n--\r\n-" * 20_000
    head = b'--bound\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + data + b"\r\n--bound--\r\n"
    assert read(body, b"multipart/form-data; boundary=bound", [100, 70_000])[1][0][2] == data


def test_a_large_file_goes_through_the_disk_and_leaves_nothing(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    body, kind = of_httpx({}, {"file": ("a.bin", data)})
    fields, files = read(body, kind, list(range(0, len(body), 65_536)), folder=tmp_path)
    assert (fields, files) == ([], [("file", "a.bin", data)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gone", [True, False])
def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, gone: bool) -> None:
    body, kind = of_httpx({}, {"file": ("a.bin", b"x" * (3 << 20))})
    body = body[: 2 << 20]
    with pytest.raises(ClientGoneError if gone else BadRequestError, match=None if gone else "last boundary"):
        read(body, kind, list(range(0, len(body), 65_536)), gone=gone, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_limit_is_refused() -> None:
    body, kind = of_httpx({}, {"file": ("a.bin", b"x" * 2000)})
    with pytest.raises(PayloadTooLargeError, match="files_max_bytes"):
        read(body, kind, [500, 1000], limit=1500)


def test_a_name_that_is_encoded_as_in_a_header() -> None:
    head = b"--b\r\ncontent-disposition: form-data; name=file; filename*=UTF-8''%E6%89%8B%E5%86%8C.md"
    body = head + b"\r\n\r\nx\r\n--b--\r\n"
    assert read(body, b"multipart/form-data; boundary=b")[1] == [("file", "手册.md", b"x")]


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", b"multipart/form-data; boundary=b", "last boundary"),
        (b"x", b"multipart/form-data", "needs a boundary"),
        (b"x", b"text/plain; boundary=b", "needs a boundary"),
        (b"nothing of the kind", b"multipart/form-data; boundary=b", "no multipart"),
        (b"--b\r\ncontent-type: text/plain\r\n\r\nx\r\n--b--\r\n", b"multipart/form-data; boundary=b", "no name"),
        (b"--b\r\n" + b"a: b\r\n" * 40, b"multipart/form-data; boundary=b", "[Hh]eader"),
        (b"--b\r\na: " + b"b" * 20_000, b"multipart/form-data; boundary=b", "[Hh]eader"),
    ],
)
def test_what_is_no_form(body: bytes, kind: bytes, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        read(body, kind)


def test_too_many_members() -> None:
    body, kind = of_httpx({str(n): "x" for n in range(40)}, {"file": ("a", b"x")})
    with pytest.raises(BadRequestError, match="Too many fields"):
        read(body, kind)
    body, kind = of_httpx({"a": "x" * (2 << 20)}, {"file": ("a", b"x")})
    with pytest.raises(BadRequestError, match="more than"):
        read(body, kind)


def test_a_form_has_one_file_of_a_member() -> None:
    with pytest.raises(BadRequestError, match="has none"):
        Form().file()
    with pytest.raises(BadRequestError, match="one that is no file"):
        Form([("file", "x")]).file()


@pytest.mark.parametrize("name", ["", ".", "..", "a/", "a\\", "a\0", "x" * 256])
def test_what_names_no_file(name: str) -> None:
    for folders in (True, False):
        with pytest.raises(BadRequestError, match="name"):
            plain_name(name, folders=folders)


def test_folders_are_dropped_where_they_are_let_pass() -> None:
    assert plain_name("C:\\docs\\手册.md", folders=True) == "手册.md"
    with pytest.raises(BadRequestError, match="path"):
        plain_name("docs/a.md")


def test_the_content_type_is_plain() -> None:
    scope = {"headers": [(b"content-type", b"Multipart/Form-Data; boundary=B")]}
    assert content_type_of(scope) == "multipart/form-data"
