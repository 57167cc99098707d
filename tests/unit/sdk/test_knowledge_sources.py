"""What a caller hands to a knowledge base, and the form that it is sent as."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_options_header

from polyport.client.forms import AsyncForm, Form, FormFile
from polyport.client.sources import batches, find_sources
from polyport.errors import BadRequestError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("docs/deep/茶.md", "docs/a.md", "docs/.git/config", "docs/.secret", "other/a.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_taken_with_all_in_it_but_what_is_hidden(folder: Path) -> None:
    os.mkfifo(folder / "docs/pipe")
    (folder / "docs/gone").symlink_to(folder / "nowhere")
    found = find_sources(["docs"])
    assert list(found.files) == ["docs/a.md", "docs/deep/茶.md"]
    assert (found.hidden, found.special, [error.source for error in found.errors]) == (2, 1, [str(Path("docs/gone"))])
    assert set(find_sources(["docs"], hidden=True).files) == {
        "docs/a.md", "docs/deep/茶.md", "docs/.git/config", "docs/.secret"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("docs/", ["docs/a.md", "docs/deep/茶.md"]),
        ("./docs/deep/../a.md", ["docs/a.md"]),
        (".", ["docs/a.md", "docs/deep/茶.md", "other/a.md"]),
        ("../{}/other", ["other/a.md"]),
        (Path("docs/a.md"), ["docs/a.md"]),
    ],
)
def test_keys_are_the_paths_as_they_were_named(folder: Path, source: str | Path, keys: list[str]) -> None:
    named = source.format(folder.name) if isinstance(source, str) else source
    assert list(find_sources([named]).files) == keys


def test_absolute_paths_are_known_by_their_last_name(folder: Path) -> None:
    assert list(find_sources([folder / "docs"]).files) == ["docs/a.md", "docs/deep/茶.md"]
    assert list(find_sources([folder / "docs/a.md"]).files) == ["a.md"]


def test_all_that_can_be_handed_over(folder: Path) -> None:
    with (folder / "docs/a.md").open("rb") as file:
        file.read(5)
        found = find_sources(
            [file, {"x.md": "茶", "y.bin": b"\0"}, "https://example.org/a", "HTTP://example.org/b"], text=None
        )
        sent = {key: b"".join(item.pieces()) for key, item in found.files.items()}
        again = {key: b"".join(item.pieces()) for key, item in found.files.items()}
    assert sent == again == {"a.md": b"a.md", "x.md": "茶".encode(), "y.bin": b"\0"}
    assert found.urls == ["https://example.org/a", "HTTP://example.org/b"]
    named = find_sources([io.BytesIO(b"1")], key="one.md")
    assert [(key, item.size) for key, item in named.files.items()] == [("one.md", 1)]
    assert list(find_sources([], text="t", key="t.md").files) == ["t.md"]


class Pipe(io.RawIOBase):
    """A file that can be read once."""

    name = "/dev/fd/9"

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(size)


def test_what_can_not_be_rewound_is_read_at_once() -> None:
    (item,) = find_sources([Pipe(b"tea")], key="t").files.values()  # type: ignore[list-item]
    assert [b"".join(item.pieces()) for _ in range(2)] == [b"tea", b"tea"]


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        (["nowhere.md"], {}, "nowhere.md can't be read: No such file"),
        (["a\0b"], {}, "can't be read"),
        ([], {}, "nothing to add"),
        (["empty"], {}, "empty has no files"),
        ([b"bytes"], {}, "needs a name"),
        ([io.BytesIO(b"")], {}, "needs a name"),
        ([io.StringIO("text")], {"key": "a"}, "binary mode"),
        ([7], {}, "int can't be added"),
        ([{"a": 1}], {}, "the content of 'a' is int"),
        (["docs"], {"key": "a"}, "key is for one document"),
        (["https://example.org"], {"key": "a"}, "key is for one document"),
        (["docs", Path("docs").absolute], {}, "can't be added"),
    ],
)
def test_what_can_not_be_added(folder: Path, sources: list[object], options: dict[str, str], message: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(BadRequestError, match=message):
        find_sources(sources, **options)  # type: ignore[arg-type]


def test_two_files_of_one_key_are_refused_and_one_named_twice_is_not(folder: Path) -> None:
    with pytest.raises(BadRequestError, match=r"would both be 'a\.md'"):
        find_sources([folder / "docs/a.md", folder / "other/a.md"])
    assert list(find_sources(["docs/a.md", "docs"]).files) == ["docs/a.md", "docs/deep/茶.md"]


@given(st.lists(st.integers(0, 20 << 20) | st.just(9), max_size=1200))
def test_batches_hold_every_file_once_and_are_neither_too_large_nor_empty(sizes: list[int]) -> None:
    found = find_sources([], text="", key="x")
    found.files = {str(place): FormFile("", b"", size) for place, size in enumerate(sizes)}
    parts = list(batches(found))
    assert [key for part in parts for key in part] == list(found.files)
    for part in parts:
        assert len(part) <= 256
        assert len(part) <= 1 or sum(file.size for file in part.values()) <= 32 << 20
    assert all(parts) or not sizes


def parsed(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Read a form with a parser that others wrote."""
    _, options = parse_options_header(content_type)
    found: list[tuple[bytearray, bytearray]] = []
    parser = MultipartParser(
        options[b"boundary"],
        {
            "on_part_begin": lambda: found.append((bytearray(), bytearray())),
            "on_header_value": lambda data, start, end: found[-1][0].extend(data[start:end]),
            "on_part_data": lambda data, start, end: found[-1][1].extend(data[start:end]),
        },
    )
    parser.write(body)
    parser.finalize()
    return [(parse_options_header(bytes(head))[1][b"name"].decode(), bytes(data)) for head, data in found]


@given(
    st.lists(st.tuples(st.sampled_from(["url", "tags"]), st.text(st.characters(exclude_categories=["Cs"])))),
    st.lists(st.binary(max_size=2000)),
)
def test_a_form_is_what_others_read_and_as_long_as_it_says(
    fields: list[tuple[str, str]], contents: list[bytes]
) -> None:
    form = Form(fields, [FormFile("", content, len(content)) for content in contents])
    body = b"".join(form)
    assert len(body) == int(form.headers["content-length"])
    assert b"".join(form) == body
    wanted = [(name, value.encode()) for name, value in fields] + [("file", content) for content in contents]
    assert parsed(body, form.headers["content-type"]) == wanted


def test_both_kinds_of_client_send_it_and_say_how_long_it_is(folder: Path) -> None:
    form = Form([("a", "b")], [FormFile("a", folder / "docs/a.md", 9)])

    async def gathered() -> bytes:
        request = httpx.Request("POST", "http://x", content=AsyncForm(form), headers=form.headers)
        assert "transfer-encoding" not in request.headers
        return await request.aread()

    request = httpx.Request("POST", "http://x", content=form, headers=form.headers)
    assert request.read() == asyncio.run(gathered())
    assert request.headers["content-length"] == str(len(request.content))


@pytest.mark.parametrize("size", [3, 30])
def test_a_file_that_changes_meanwhile_is_not_sent_cut(folder: Path, size: int) -> None:
    with pytest.raises(BadRequestError, match="changed while it was sent"):
        list(FormFile("a.md", folder / "docs/a.md", size).pieces())
    (folder / "docs/a.md").unlink()
    with pytest.raises(BadRequestError, match="can't be read"):
        list(FormFile("a.md", folder / "docs/a.md", size).pieces())


def test_any_name_is_a_key() -> None:
    odd = 'a"\r\n茶.md'
    assert list(find_sources([{odd: "x"}]).files) == [odd]
