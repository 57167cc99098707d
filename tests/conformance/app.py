"""What the MCP conformance suite expects of a server, registered through the public API alone."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import wave
import zlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polyport import App, Audio, Context, EmbeddedResource, Image, Text
from polyport.context import AskRoots, Elicit, Sample
from polyport.errors import FunctionError, UnsupportedOperationError

app = App("conformance", instructions="Tools for the MCP conformance suite.")


def _png() -> bytes:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
        + chunk(b"IEND", b"")
    )


def _wav() -> bytes:
    """A tenth of a second of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 800)
    return out.getvalue()


PIXEL = Image(_png(), "image/png")
SILENCE = Audio(_wav(), "audio/wav")


@app.function
def test_simple_text() -> str:
    """Return simple text."""
    return "This is a simple text response for testing."


@app.function
def test_image_content() -> Image:
    """Return a picture."""
    return PIXEL


@app.function
def test_audio_content() -> Audio:
    """Return a sound."""
    return SILENCE


@app.function
def test_embedded_resource() -> EmbeddedResource:
    """Return a resource."""
    return EmbeddedResource("test://embedded-resource", "This is an embedded resource content.")


@app.function
def test_multiple_content_types() -> list[Text | Image | EmbeddedResource]:
    """Return several kinds of content."""
    data = json.dumps({"test": "data", "value": 123})
    return [
        Text("Multiple content types test:"),
        PIXEL,
        EmbeddedResource("test://mixed-content-resource", data, "application/json"),
    ]


@app.function
async def test_tool_with_logging(ctx: Context) -> str:
    """Log three times."""
    await ctx.log("Tool execution started")
    await asyncio.sleep(0.05)
    await ctx.log("Tool processing data")
    await asyncio.sleep(0.05)
    await ctx.log("Tool execution completed")
    return "Logged three times."


@app.function
async def test_logging_tool(ctx: Context) -> str:
    """Log once."""
    await ctx.log("A line for whoever asked for it")
    return "Logged."


@app.function
def test_error_handling() -> str:
    """Fail."""
    raise FunctionError("This tool intentionally returns an error for testing")


@app.function
async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress."""
    for done in (0, 50, 100):
        await ctx.progress(done, 100)
        await asyncio.sleep(0.05)
    return "Done."


@app.function
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the client's model."""
    answer = await ctx.sample(prompt, max_tokens=100)
    return f"LLM response: {answer.text}"


class Identity(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


@app.function
async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the person."""
    answer = await ctx.elicit(message, Identity)
    return f"User response: <action: {answer.action}, content: {answer.data}>"


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


@app.function
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask the person, with defaults."""
    answer = await ctx.elicit("Please check these values", Defaults)
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.data)}"


_OPTIONS = ["option1", "option2", "option3"]
_ENUMS = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {
            "type": "string",
            "oneOf": [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]},
        },
    },
}


@app.function
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask the person to choose."""
    answer = await ctx.elicit("Please choose", _ENUMS)
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.data)}"


class address(BaseModel):  # noqa: N801 - the suite looks for it under this name
    model_config = ConfigDict(json_schema_extra={"$anchor": "addressDef"})

    street: str | None = None
    city: str | None = None


@app.function(
    schema_extra={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
    }
)
def json_schema_2020_12_tool(
    name: str | None = None,
    address: address | None = None,
    contactMethod: Literal["phone", "email"] | None = None,  # noqa: N803
    phone: str | None = None,
    email: str | None = None,
) -> str:
    """Tool with JSON Schema 2020-12 features."""
    return f"{name} is reached at {phone or email}"


@app.function
def test_custom_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    query: str = "",  # noqa: PT028 - no test
) -> str:
    """Take an argument that proxies may route by."""
    return f"{region}: {query}"


@app.function
async def test_missing_capability(ctx: Context) -> str:
    """Need the client's model."""
    return (await ctx.sample("Hello")).text


@app.function
async def test_streaming_elicitation(ctx: Context) -> str:
    """Report progress, then ask the person."""
    await ctx.progress(1, 2, "about to ask")
    answer = await ctx.elicit("Shall I go on?", {"type": "object", "properties": {"ok": {"type": "boolean"}}})
    return answer.action


def _form(**fields: str) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in fields.items()}
    return {"type": "object", "properties": properties, "required": list(fields)}


@app.function
async def test_input_required_result_elicitation(ctx: Context) -> str:
    """Greet the person by name."""
    answers = await ctx.ask(user_name=Elicit("What is your name?", _form(name="string")))
    return f"Hello, {answers['user_name'].data.get('name', 'stranger')}!"


@app.function
async def test_input_required_result_sampling(ctx: Context) -> str:
    """Ask the client's model something."""
    answers = await ctx.ask(capital_question=Sample("What is the capital of France?", max_tokens=100))
    return str(answers["capital_question"].text)


@app.function
async def test_input_required_result_list_roots(ctx: Context) -> str:
    """List the client's folders."""
    answers = await ctx.ask(client_roots=AskRoots())
    return "\n".join(answers["client_roots"])


@app.function
async def test_input_required_result_request_state(ctx: Context) -> str:
    """Ask for confirmation."""
    await ctx.ask(confirm=Elicit("Please confirm", _form(ok="boolean")))
    return "state-ok"


@app.function
async def test_input_required_result_tampered_state(ctx: Context) -> str:
    """Ask for confirmation too."""
    await ctx.ask(confirm=Elicit("Please confirm", _form(ok="boolean")))
    return "state-ok"


@app.function
async def test_input_required_result_multiple_inputs(ctx: Context) -> str:
    """Ask three things at once."""
    answers = await ctx.ask(
        user_name=Elicit("What is your name?", _form(name="string")),
        greeting=Sample("Generate a greeting", max_tokens=50),
        client_roots=AskRoots(),
    )
    return f"{answers['greeting'].text} {answers['user_name'].data} {answers['client_roots']}"


@app.function
async def test_input_required_result_multi_round(ctx: Context) -> str:
    """Ask two things, one after the other."""
    first = await ctx.ask(step1=Elicit("Step 1: What is your name?", _form(name="string")))
    second = await ctx.ask(step2=Elicit("Step 2: What is your favorite color?", _form(color="string")))
    return f"{first['step1'].data['name']} likes {second['step2'].data['color']}"


@app.function
async def test_input_required_result_capabilities(ctx: Context) -> str:
    """Ask the person, or the client's model where there is nobody to ask."""
    try:
        return (await ctx.elicit("What is your name?", _form(name="string"))).action
    except UnsupportedOperationError:
        return (await ctx.sample("Make up a name")).text


@app.resource("test://static-text")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@app.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return PIXEL.data


@app.resource("test://watched-resource")
def watched_resource() -> str:
    """A text to watch."""
    return "Watch me."


@app.resource("test://template/{id}/data", mime_type="application/json")
def template_data(id: str) -> str:  # noqa: A002
    """The data of one id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@app.prompt
def test_simple_prompt() -> str:
    """A simple prompt."""
    return "This is a simple prompt for testing."


@app.prompt(complete={"arg1": lambda typed: [word for word in ("paris", "park", "test") if word.startswith(typed)]})
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments.

    Args:
        arg1: First test argument.
        arg2: Second test argument.
    """
    return f"Prompt with arguments: arg1={arg1!r}, arg2={arg2!r}"


@app.prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[EmbeddedResource | str]:  # noqa: N803
    """A prompt that carries a resource."""
    return [
        EmbeddedResource(resourceUri, "Embedded resource content for testing."),
        "Please process the embedded resource above.",
    ]


@app.prompt
def test_prompt_with_image() -> list[Image | str]:
    """A prompt that carries a picture."""
    return [PIXEL, "Please analyze the image above."]


@app.prompt
async def test_input_required_result_prompt(ctx: Context) -> str:
    """A prompt that asks first."""
    answers = await ctx.ask(user_context=Elicit("What context should the prompt use?", _form(context="string")))
    return f"Use this context: {answers['user_context'].data.get('context')}"
