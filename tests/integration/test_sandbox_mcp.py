"""The sandbox seen by an MCP client of another maker, in both revisions: schemas, progress, pictures, cancelling."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
from fastmcp.exceptions import ToolError

from polyport import App
from tests.integration.mcp_serving import BOTH, eventually, serving
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("revision", BOTH),
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]

TOOLS = {
    "run_code", "run_code_with_tools", "create_code_session", "list_code_sessions", "close_code_session",
    "upload_files", "download_file", "list_files", "delete_file",
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32


def make_app(provider: Any, **options: Any) -> App:
    app = App("boxed")
    app.sandbox(provider, code_mode=True, **options)

    @app.function
    def add(a: int, b: int = 1) -> int:
        """Add two integers."""
        return a + b

    return app


@asynccontextmanager
async def connected(revision: str, provider: Any = None, **options: Any) -> AsyncIterator[Any]:
    async with serving(make_app(provider or ScriptedProvider(), **options)) as served, served.client(revision) as mcp:
        yield mcp


async def test_the_tools_describe_themselves(revision: str):
    async with connected(revision) as mcp:
        tools = {tool.name: tool for tool in await mcp.list_tools()}
    assert set(tools) - {"add"} == TOOLS
    run = tools["run_code"]
    for said in ("Languages: bash, python", "/work", "Network: none", "10 s and 256 MiB", "value"):
        assert said in run.description
    properties = run.input_schema["properties"]
    assert properties["language"]["enum"] == ["bash", "python"]
    assert run.input_schema["required"] == ["code"]
    assert "work" not in properties
    assert all(described.get("description") for described in properties.values())
    assert "add(a: int, b: int = 1) -> int  # Add two integers." in tools["run_code_with_tools"].description
    hints = {name: (tool.annotations.read_only_hint, tool.annotations.destructive_hint) for name, tool in tools.items()
             if tool.annotations}  # fmt: skip
    assert hints["run_code"] == (False, False)
    assert hints["run_code_with_tools"] == (False, True)
    assert hints["list_files"] == hints["download_file"] == (True, False)
    assert hints["delete_file"] == hints["close_code_session"] == (False, True)
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)


async def test_a_run_is_told_as_text_and_structure(revision: str):
    async with connected(revision) as mcp:
        tools = {tool.name: tool for tool in await mcp.list_tools()}
        result = await mcp.call_tool("run_code", {"code": "say hi\nerr oops\nfail KeyError k"})
    assert [block.text for block in result.content] == ["hi\n[stderr]\noops\nKeyError: k\n[exit code 1]"]
    told = result.structured_content
    assert (told["status"], told["stdout"], told["error"]["name"]) == ("error", "hi\n", "KeyError")
    jsonschema.validate(told, tools["run_code"].output_schema)


async def test_output_is_told_as_progress(revision: str):
    said: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")

    async with connected(revision) as mcp:
        await mcp.call_tool("run_code", {"code": "say one\nsleep 0.3\nsay two\nsleep 0.3"}, progress_handler=hear)
        await mcp.call_tool("run_code_with_tools", {"code": 'call add {"a": 1}'}, progress_handler=hear)
    assert said[:2] == ["one\n", "two\n"]
    assert "calls add" in said[2]
    assert "add gave 2" in said[3]


async def test_sessions_and_files(revision: str):
    async with connected(revision) as mcp:
        made = (await mcp.call_tool("create_code_session", {"name": "mine", "files": {"in": "1"}})).structured_content
        session = {"session": made["id"]}
        assert made["id"].startswith("cntr_")
        await mcp.call_tool("run_code", {**session, "code": "set x 7"})
        assert (await mcp.call_tool("run_code", {**session, "code": "get x"})).content[0].text == "7"
        files = {"a.txt": "text", "p.png": {"base64": base64.b64encode(PNG).decode()}}
        await mcp.call_tool("upload_files", {**session, "files": files})
        listed = (await mcp.call_tool("list_files", session)).structured_content["data"]
        assert {"in", "a.txt", "p.png"} <= {file["name"] for file in listed}
        text = await mcp.call_tool("download_file", {**session, "name": "a.txt"})
        assert (text.content[0].text, text.structured_content["text"]) == ("text", "text")
        picture = await mcp.call_tool("download_file", {**session, "name": "p.png"})
        assert (picture.content[0].type, base64.b64decode(picture.content[0].data)) == ("image", PNG)
        await mcp.call_tool("delete_file", {**session, "name": "a.txt"})
        with pytest.raises(ToolError, match=r"a\.txt"):
            await mcp.call_tool("download_file", {**session, "name": "a.txt"})
        sessions = (await mcp.call_tool("list_code_sessions", {})).structured_content["data"]
        assert [found["name"] for found in sessions] == ["mine"]
        assert (await mcp.call_tool("close_code_session", session)).structured_content["deleted"] is True
        with pytest.raises(ToolError, match="no session"):
            await mcp.call_tool("run_code", {**session, "code": "get x"})


async def test_a_call_that_is_cancelled_ends_its_run(revision: str):
    provider = ScriptedProvider()
    async with connected(revision, provider) as mcp:
        call = asyncio.create_task(mcp.call_tool("run_code", {"code": "hang"}))
        await eventually(lambda: bool(provider.runs) and provider.runs[0].busy == 1)
        call.cancel()
        await asyncio.wait({call}, timeout=5)
        await asyncio.wait_for(eventually(lambda: provider.runs[0].busy == 0), 1.0)


@pytest.mark.requires("docker", "sandbox")
async def test_pictures_and_files_come_as_content(revision: str):
    shown = (
        "class P:\n    def _repr_png_(self):\n"
        f"        import base64\n        return base64.b64decode('{base64.b64encode(PNG).decode()}')\n"
        "    def __repr__(self):\n        return 'a picture'\nP()"
    )
    async with connected(revision, "docker", pool_size=1) as mcp:
        session = {"session": (await mcp.call_tool("create_code_session", {})).structured_content["id"]}
        result = await mcp.call_tool("run_code", {**session, "code": shown})
        assert [block.type for block in result.content] == ["text", "image"]
        assert result.content[0].text == "a picture"
        assert base64.b64decode(result.content[1].data) == PNG
        assert result.structured_content["displays"][0]["types"] == ["image/png", "text/plain"]
        once = await mcp.call_tool("run_code", {"code": "open('out.csv', 'w').write('a,b\\n')"})
        resource = once.content[-1].resource
        assert (str(resource.uri), resource.text, resource.mime_type) == ("sandbox:///out.csv", "a,b\n", "text/csv")
