"""Documents seen by MCP clients of other makers, in both revisions: schemas, parts, pictures, errors, cancelling."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastmcp.exceptions import ToolError

from polyport import App
from tests.integration.mcp_serving import BOTH, eventually, serving
from tests.support.documents import TEA, docx, install_reader, png, trying

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]
both = pytest.mark.parametrize("revision", BOTH)


@asynccontextmanager
async def connected(revision: str, *folders: Path, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    app = App("library")
    app.documents(folders=folders or None, workers=1, **options)
    async with serving(app) as served, served.client(revision) as mcp:
        yield mcp, served


def sent(data: bytes, name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "base64": base64.b64encode(data).decode(), **options}


async def test_the_tools_describe_themselves(tmp_path: Path):
    (tmp_path / "handbook").mkdir()
    async with connected(BOTH[0], tmp_path / "handbook") as (mcp, _):
        tools = {tool.name: tool for tool in await mcp.list_tools()}
    assert set(tools) == {"read_document", "chunk_document", "list_documents"}
    assert "The folders: handbook." in tools.pop("list_documents").description
    for tool in tools.values():
        assert "in the folders handbook. Addresses on the web are not fetched" in tool.description
        assert str(tmp_path) not in tool.model_dump_json()
        properties = tool.input_schema["properties"]
        assert {"path", "text", "base64", "name"} <= set(properties)
        assert all(described.get("description") for described in properties.values())
        assert "required" not in tool.input_schema
        assert tool.annotations.read_only_hint
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)


async def test_a_document_comes_as_text_and_structure():
    async with connected(BOTH[1]) as (mcp, _):
        result = await mcp.call_tool("read_document", sent(TEA, "tea.md", receipt=True))
    assert [block.text for block in result.content] == [TEA.decode().rstrip("\n")]
    told = result.structured_content
    assert (told["name"], told["format"], told["content"], told["next_offset"]) == (
        "tea.md",
        "markdown",
        TEA.decode(),
        None,
    )
    assert told["receipt"]["blocks"] == 4


@both
async def test_a_long_document_comes_in_parts_that_make_the_whole(revision: str, tmp_path: Path):
    text = "\n\n".join(f"Paragraph {number} tells of tea, 茶 and 🍵." for number in range(400)) + "\n"
    (tmp_path / "long.md").write_text(text)
    parts: list[str] = []
    offset: int | None = 0
    async with connected(revision, tmp_path) as (mcp, served):
        while offset is not None:
            asked = {"path": "long.md", "offset": offset, "max_characters": 5000}
            result = await mcp.call_tool("read_document", asked)
            told = result.structured_content
            assert len(told["content"]) <= 5000
            parts.append(told["content"])
            offset = told["next_offset"]
            more = f"of {len(text)}; go on with offset={offset}]"
            assert (more in result.content[0].text) == (offset is not None)
        assert "polyport_documents_read_total 1\n" in served.gateway.documents.figures()
        beyond = await mcp.call_tool("read_document", {"path": "long.md", "offset": 1 << 20})
    assert len(parts) > 2
    assert "".join(parts) == text
    assert all(part.endswith("\n") for part in parts)
    assert "there is nothing at" in beyond.content[0].text


async def test_the_files_that_there_are(tmp_path: Path):
    for place in ("one/a.pdf", "one/deep/B.PDF", "one/.hidden/x.pdf", "one/.x.pdf", "two/notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"x")
    (tmp_path / "one/link.pdf").symlink_to("/etc/passwd")
    (tmp_path / "one/\udcff.pdf").write_bytes(b"x")  # no text, and so nothing that JSON could ask for
    async with connected(BOTH[0], tmp_path / "one", tmp_path / "two") as (mcp, _):
        every = (await mcp.call_tool("list_documents", {})).structured_content
        first = await mcp.call_tool("list_documents", {"pattern": "*.pdf", "max_files": 1})
        none = await mcp.call_tool("list_documents", {"pattern": "*.docx"})
        read = await mcp.call_tool("read_document", {"path": every["data"][-1]["path"]})
    assert [file["path"] for file in every["data"]] == ["one/a.pdf", "one/deep/B.PDF", "two/notes.txt"]
    assert [file["format"] for file in every["data"]] == ["pdf", "pdf", "text"]
    assert first.content[0].text == "one/a.pdf (1 bytes)\n[2 in all; go on with offset=1]"
    assert (first.structured_content["total"], first.structured_content["next_offset"]) == (2, 1)
    assert none.content[0].text == "there is no such file"
    assert read.structured_content["content"] == "x\n"


async def test_pictures_come_as_pictures():
    file = sent(docx("Look:", picture=True), "harvest.docx")
    async with connected(BOTH[0]) as (mcp, _):
        plain = await mcp.call_tool("read_document", file)
        shown = await mcp.call_tool("read_document", {**file, "pictures": True})
    assert [block.type for block in plain.content] == ["text"]
    assert [block.type for block in shown.content] == ["text", "text", "image"]
    assert base64.b64decode(shown.content[2].data) == png()
    assert shown.content[1].text.rstrip(":") in shown.content[0].text


async def test_what_was_left_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_reader(tmp_path, monkeypatch)
    async with connected(BOTH[0]) as (mcp, _):
        result = await mcp.call_tool("read_document", sent(trying("lossy"), "lossy.rtf"))
        with pytest.raises(ToolError, match=r"lossy\.rtf, page 2: a page was left out: it is torn"):
            await mcp.call_tool("read_document", sent(trying("lossy"), "lossy.rtf", strict=True))
        with pytest.raises(ToolError, match=r"locked\.rtf: a password is needed"):
            await mcp.call_tool("read_document", sent(trying("locked"), "locked.rtf"))
        opened = await mcp.call_tool("read_document", sent(trying("locked"), "locked.rtf", password="sesame"))
        with pytest.raises(ToolError, match="a password is wrong"):
            await mcp.call_tool("read_document", sent(trying("locked"), "locked.rtf", password="simsim"))
    assert result.content[0].text == "lossy\n\n[left out: page (page 2): it is torn.]"
    assert opened.structured_content["content"] == "locked\n"


async def test_chunks():
    async with connected(BOTH[1]) as (mcp, _):
        asked = sent(TEA, "tea.md", chunkers="ByHeading()", max_chunks=1)
        first = await mcp.call_tool("chunk_document", asked)
        second = await mcp.call_tool("chunk_document", {**asked, "offset": 1})
        with pytest.raises(ToolError, match="Did you mean ByHeading"):
            await mcp.call_tool("chunk_document", {**asked, "chunkers": "ByHeadin()"})
    assert "chunks 0 to 1 of 2; go on with offset=1" in first.content[0].text
    assert [chunk["text"] for chunk in second.structured_content["data"]] == [
        "Black\n\nIt is rolled, and then left to itself."
    ]


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({}, "takes one of path, text and base64; 0 were given"),
    ({"text": "a", "base64": "YQ==", "name": "a.txt"}, "2 were given"),
    ({"text": "a"}, "name is missing"),
    ({"base64": "!", "name": "a.txt"}, "can't be decoded"),
    ({"text": "a", "name": "a.txt", "max_characters": 1}, "greater than or equal to 200"),
    ({"text": "a", "name": "a.txt", "url": "http://x"}, "url"),
    ({"text": "a" * 2000, "name": "a.txt"}, r"2,000 bytes; at most 1,024 are read"),
]


async def test_bad_arguments():
    async with connected(BOTH[0], max_bytes=1024) as (mcp, _):
        for arguments, message in BAD_ARGUMENTS:
            with pytest.raises(ToolError, match=message):
                await mcp.call_tool("read_document", arguments)


@both
async def test_a_cancelled_call_ends_in_its_process(revision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_reader(tmp_path, monkeypatch)
    async with connected(revision) as (mcp, served):
        call = asyncio.ensure_future(mcp.call_tool("read_document", sent(trying("sleep"), "sleep.rtf")))
        await eventually(lambda: "polyport_documents_reading 1\n" in served.gateway.documents.figures(), within_s=10)
        call.cancel()
        await eventually(
            lambda: "polyport_documents_killed_total 1\n" in served.gateway.documents.figures(), within_s=10
        )
        result = await mcp.call_tool("read_document", sent(TEA, "tea.md"))
    assert result.structured_content["content"] == TEA.decode()


async def test_the_official_client(tmp_path: Path):
    from mcp import Client

    (tmp_path / "tea.md").write_bytes(TEA)
    app = App("library")
    app.documents(folders=[tmp_path], workers=1)
    async with serving(app) as served, Client(served.url) as session:
        listed = await session.list_tools()
        assert {tool.name for tool in listed.tools} == {"read_document", "chunk_document", "list_documents"}
        result = await session.call_tool("read_document", {"path": "tea.md"})
        assert result.structured_content["content"] == TEA.decode()
        refused = await session.call_tool("read_document", {"path": "../nothing.md"})
    assert refused.is_error
    assert "There is no file '../nothing.md'" in refused.content[0].text
