"""The MCP wire seen by a client of another maker (FastMCP's), over HTTP, in both revisions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from fastmcp.client.elicitation import ElicitResult
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from polyport import Answer, App, Citation, Context, EmbeddedResource, Image, Text
from polyport.errors import FunctionError
from tests.integration.mcp_serving import BOTH, LEGACY, MODERN, eventually, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("revision", BOTH),
    # Of the client: 2026-07-28 deprecates logging and sampling, which are tested all the same.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]


class Point(BaseModel):
    x: int
    y: int = 0


@dataclass
class Contact:
    name: str
    age: int


def make_app() -> App:
    app = App("mcp-tests", instructions="Use add.")

    @app.function(annotations={"read_only": True, "title": "Adder"})
    def add(a: int, b: int) -> int:
        """Add two integers.

        Args:
            a: The first.
            b: The second.
        """
        return a + b

    @app.function
    async def move(point: Point, by: int = 1) -> Point:
        """Move a point."""
        return Point(x=point.x + by, y=point.y)

    @app.function
    def show() -> list[Text | Image | EmbeddedResource]:
        """Show things."""
        return [Text("look"), Image(b"\x89PNG"), EmbeddedResource("note://1", "a note")]

    @app.function
    def fail(kind: Literal["plain", "told"]) -> str:
        """Fail."""
        if kind == "told":
            raise FunctionError("the printer is on fire")
        raise ValueError("secret detail")

    @app.function
    async def work(ctx: Context, steps: int = 3) -> str:
        """Work in steps."""
        for step in range(steps):
            await ctx.progress(step + 1, steps, f"step {step + 1}")
            await ctx.log({"step": step}, level="warning", logger="work")
        return "worked"

    @app.function
    async def greet(ctx: Context) -> str:
        """Ask for a contact, then for the weather."""
        who = await ctx.elicit("Who are you?", Contact)
        if who.action != "accept":
            return f"nobody ({who.action})"
        how = await ctx.sample("How is the weather?", system="Be brief.")
        return f"{who.data['name']} ({who.data['age']}): {how.text}"

    @app.function
    async def swallow(ctx: Context) -> str:
        """Ask, and catch whatever comes."""
        try:
            return (await ctx.elicit("Who?", Contact)).action
        except Exception as error:
            return f"caught {type(error).__name__}"

    @app.pipeline
    def guide(question: str) -> Answer:
        """Answer from the guide."""
        return Answer(f"About {question}: 42", [Citation("Guide", url="https://example.org")])

    @app.resource("note://today", title="Today", mime_type="text/markdown")
    def today() -> str:
        """Today's note."""
        return "# Today"

    @app.resource("note://by-day/{day}", complete={"day": lambda typed: ["monday", "tuesday", "x" + typed]})
    def by_day(day: str) -> bytes:
        """The note of a day."""
        return day.encode()

    @app.function
    def write(ctx: Context) -> str:
        """Change today's note, from a worker thread."""
        ctx.resource_updated("note://today")
        return "written"

    @app.prompt
    def review(code: str, tone: Literal["kind", "harsh"] = "kind") -> str:
        """Review code.

        Args:
            code: What to review.
        """
        return f"Review ({tone}): {code}"

    return app


async def test_tools_are_listed_with_schemas_and_hints(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert list(tools)[:2] == ["add", "move"]
        add = tools["add"]
        assert add.description == "Add two integers."
        assert add.input_schema["properties"]["a"]["description"] == "The first."
        assert add.input_schema["required"] == ["a", "b"]
        assert add.output_schema["properties"]["result"]["type"] == "integer"
        assert (add.annotations.read_only_hint, add.title) == (True, "Adder")
        assert tools["move"].output_schema["properties"]["x"]["type"] == "integer"
        assert tools["show"].output_schema is None
        assert "ctx" not in tools["work"].input_schema["properties"]


async def test_calls_give_text_and_structure(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        added = await client.call_tool("add", {"a": 2, "b": 3})
        assert (added.content[0].text, added.structured_content) == ("5", {"result": 5})
        moved = await client.call_tool("move", {"point": {"x": 1}})
        assert moved.structured_content == {"x": 2, "y": 0}
        answered = await client.call_tool("guide", {"prompt": "life"})
        assert answered.content[0].text == "About life: 42"
        assert answered.structured_content["citations"][0]["url"] == "https://example.org"


async def test_pictures_and_resources_are_content(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        shown = await client.call_tool("show")
        assert [block.type for block in shown.content] == ["text", "image", "resource"]
        assert shown.content[1].data == "iVBORw=="
        assert shown.content[2].resource.text == "a note"
        assert shown.structured_content is None


@pytest.mark.parametrize(
    ("name", "arguments", "expected", "code"),
    [
        ("add", {"a": "x", "b": 1}, "a: ", "invalid_arguments"),
        ("add", {"a": 1}, "b: ", "invalid_arguments"),
        ("add", {"a": 1, "b": 2, "c": 3}, "c: ", "invalid_arguments"),
        ("fail", {"kind": "told"}, "the printer is on fire", "function_error"),
        ("fail", {"kind": "plain"}, "raised ValueError", "function_error"),
    ],
)
async def test_failures_are_results_that_a_model_can_read(
    revision: str, name: str, arguments: dict[str, Any], expected: str, code: str
) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        failed = await client.call_tool(name, arguments, raise_on_error=False)
        assert failed.is_error
        assert expected in failed.content[0].text
        assert "secret" not in failed.content[0].text
        assert failed.meta["polyport/error"]["code"] == code
        with pytest.raises(ToolError):
            await client.call_tool(name, arguments)


async def test_an_unknown_tool_is_a_protocol_error(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        with pytest.raises(MCPError, match="'nothing' does not exist or you do not have access") as caught:
            await client.call_tool("nothing")
        assert caught.value.code == -32602


async def test_progress_and_logs_arrive_while_it_runs(revision: str) -> None:
    heard: list[Any] = []
    logs: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async def on_log(message: Any) -> None:
        logs.append((message.level, message.logger, message.data))

    async with serving(make_app()) as served, served.client(revision, log_handler=on_log) as client:
        if revision == LEGACY:
            await client.set_logging_level("warning")
            meta = None
        else:
            meta = {"io.modelcontextprotocol/logLevel": "warning"}
        await client.call_tool("work", progress_handler=on_progress, meta=meta)
        await eventually(lambda: len(heard) == 3 and len(logs) == 3)
    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]
    assert logs[0] == ("warning", "work", {"step": 0})


async def test_logs_below_the_level_are_not_sent(revision: str) -> None:
    logs: list[Any] = []

    async def on_log(message: Any) -> None:
        logs.append(message)

    async with serving(make_app()) as served, served.client(revision, log_handler=on_log) as client:
        if revision == LEGACY:
            await client.set_logging_level("error")
        await client.call_tool("work", meta={"io.modelcontextprotocol/logLevel": "error"})
        await client.list_tools()
    assert logs == []


async def test_a_function_asks_the_person_and_the_model(revision: str) -> None:
    asked: list[Any] = []

    async def on_elicit(message: str, response_type: Any, params: Any, context: Any) -> Any:
        asked.append((message, params.requested_schema["required"]))
        return {"name": "Ada", "age": 36}

    async def on_sample(messages: Any, params: Any, context: Any) -> str:
        asked.append((messages[0].content.text, params.system_prompt))
        return "sunny"

    handlers = {"elicitation_handler": on_elicit, "sampling_handler": on_sample}
    async with serving(make_app()) as served, served.client(revision, **handlers) as client:
        result = await client.call_tool("greet")
    assert result.content[0].text == "Ada (36): sunny"
    assert asked == [("Who are you?", ["name", "age"]), ("How is the weather?", "Be brief.")]


async def test_a_person_may_decline(revision: str) -> None:
    async def on_elicit(message: str, response_type: Any, params: Any, context: Any) -> Any:
        return ElicitResult(action="decline")

    async with serving(make_app()) as served, served.client(revision, elicitation_handler=on_elicit) as client:
        assert (await client.call_tool("greet")).content[0].text == "nobody (decline)"


async def test_a_function_that_swallows_everything_still_gets_its_answer(revision: str) -> None:
    async def on_elicit(message: str, response_type: Any, params: Any, context: Any) -> Any:
        return {"name": "Ada", "age": 36}

    async with serving(make_app()) as served, served.client(revision, elicitation_handler=on_elicit) as client:
        assert (await client.call_tool("swallow")).content[0].text == "accept"


async def test_asking_a_client_that_cannot_is_refused(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        if revision == LEGACY:
            failed = await client.call_tool("greet", raise_on_error=False)
            assert failed.meta["polyport/error"]["code"] == "missing_client_capability"
        else:
            with pytest.raises(MCPError) as caught:
                await client.call_tool("greet")
            assert caught.value.code == -32021
            assert caught.value.data == {"requiredCapabilities": {"elicitation": {}}}


async def test_resources_are_listed_read_and_completed(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        (today,) = await client.list_resources()
        assert (str(today.uri), today.title, today.mime_type) == ("note://today", "Today", "text/markdown")
        (template,) = await client.list_resource_templates()
        assert template.uri_template == "note://by-day/{day}"
        assert (await client.read_resource("note://today"))[0].text == "# Today"
        assert (await client.read_resource("note://by-day/a%20day"))[0].blob == "YSBkYXk="
        with pytest.raises(MCPError) as caught:
            await client.read_resource("note://by-day/..%2Fetc")
        assert caught.value.code == (-32002 if revision == LEGACY else -32602)
        assert caught.value.data == {"uri": "note://by-day/..%2Fetc"}


async def test_prompts_take_arguments_and_complete_them(revision: str) -> None:
    async with serving(make_app()) as served, served.client(revision) as client:
        (prompt,) = await client.list_prompts()
        assert [(a.name, a.required, a.description) for a in prompt.arguments] == [
            ("code", True, "What to review."),
            ("tone", False, None),
        ]
        got = await client.get_prompt("review", {"code": "x = 1", "tone": "harsh"})
        assert got.messages[0].content.text == "Review (harsh): x = 1"
        with pytest.raises(MCPError, match="tone: "):
            await client.get_prompt("review", {"code": "x", "tone": "rude"})
        with pytest.raises(MCPError, match="code: "):
            await client.get_prompt("review")
        reference = {"type": "ref/prompt", "name": "review"}
        found = await client.complete(_reference(reference), {"name": "tone", "value": "ha"})
        assert found.values == ["harsh"]
        template = {"type": "ref/resource", "uri": "note://by-day/{day}"}
        found = await client.complete(_reference(template), {"name": "day", "value": "yz"})
        assert found.values == ["monday", "tuesday", "xyz"]


def _reference(data: dict[str, str]) -> Any:
    from mcp_types import PromptReference, ResourceTemplateReference

    return PromptReference(**data) if data["type"] == "ref/prompt" else ResourceTemplateReference(**data)


async def test_lists_come_in_pages(revision: str) -> None:
    app = App("many")
    for number in range(230):
        app.function(f"tool_{number:03}")(lambda: "x")
    async with serving(app) as served, served.client(revision) as client:
        names = [tool.name for tool in await client.list_tools()]
        assert names == [f"tool_{number:03}" for number in range(230)]
        first = await client.list_tools_mcp()
        assert len(first.tools) == 100
        with pytest.raises(MCPError) as caught:
            await client.list_tools_mcp(cursor="bm9uc2Vuc2U")
        assert caught.value.code == -32602


async def test_cancelling_a_call_stops_the_function(revision: str) -> None:
    app = App("slow")
    states: list[str] = []

    @app.function
    async def slow() -> str:
        """Take for ever."""
        states.append("started")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            states.append("cancelled")
            raise
        return "done"

    async with serving(app) as served, served.client(revision) as client:
        call = asyncio.ensure_future(client.call_tool("slow"))
        await eventually(lambda: states == ["started"], within_s=5)
        call.cancel()
        await asyncio.wait({call})
        await eventually(lambda: states == ["started", "cancelled"])
        await eventually(lambda: served.gateway.dispatcher.running == 0)


async def test_subscribers_hear_of_changes(revision: str) -> None:
    heard: list[str] = []

    async def on_message(message: Any) -> None:
        heard.append(getattr(message, "method", type(message).__name__))

    async with serving(make_app()) as served:
        if revision == MODERN:
            await _listen(served)
            return
        async with served.client(revision, message_handler=on_message) as client:
            session = client.session
            await session.subscribe_resource("note://today")
            await asyncio.sleep(0.2)  # the client opens its listening stream in the background
            await client.call_tool("write")
            await eventually(lambda: "notifications/resources/updated" in heard, within_s=3)
            heard.clear()
            await session.unsubscribe_resource("note://today")
            await client.call_tool("write")
            served.gateway.catalog.changes.tell(_tools_changed())
            await eventually(lambda: "notifications/tools/list_changed" in heard, within_s=3)
            assert "notifications/resources/updated" not in heard


def _tools_changed() -> Any:
    from polyport_gateway.catalog.changes import Change

    return Change("tools")


async def _listen(served: Any) -> None:
    import json

    import httpx

    from tests.integration.mcp_serving import HEADERS, modern

    wanted = {"resourceSubscriptions": ["note://today", "note://none"], "toolsListChanged": True}
    headers = {**HEADERS, "mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}
    body = modern("subscriptions/listen", {"notifications": wanted})
    async with httpx.AsyncClient(timeout=10) as http, http.stream("POST", served.url, headers=headers, json=body) as r:
        lines = r.aiter_lines()

        async def following() -> Any:
            while not (line := await anext(lines)).startswith("data:"):
                pass
            return json.loads(line.removeprefix("data:"))

        acknowledged = await following()
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"]["resourceSubscriptions"] == ["note://today"]
        await served.ask("tools/call", {"name": "write"})
        updated = await following()
        assert (updated["method"], updated["params"]["uri"]) == ("notifications/resources/updated", "note://today")
        served.gateway.catalog.changes.tell(_tools_changed())
        assert (await following())["method"] == "notifications/tools/list_changed"
