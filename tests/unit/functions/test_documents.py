from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import pytest

from polyport import App, Context, Image, Message
from polyport.errors import CallError, DeclarationError, FunctionError, InvalidArgumentsError, InvalidOutputError
from polyport_gateway.call import LOCAL, Arguments, Call
from polyport_gateway.catalog.changes import Changes
from polyport_gateway.catalog.documents import Prompt, PromptMessage, Resource
from polyport_gateway.functions.documents import build_prompt, build_resource, match_uri
from polyport_gateway.settings import Settings

pytestmark = pytest.mark.anyio


def resource(uri: str, function: Callable[..., Any], **options: Any) -> Resource:
    app = App("test")
    app.resource(uri, **options)(function)
    return build_resource(app.resources[0], Changes(), Settings())


def prompt(function: Callable[..., Any], **options: Any) -> Prompt:
    app = App("test")
    app.prompt("p", **options)(function)
    return build_prompt(app.prompts[0], Changes(), Settings())


def call(**values: str) -> Call:
    return Call(
        name="x",
        input=Arguments(values),
        caller=LOCAL,
        wire="mcp",
        request_id="req_1",
        dispatch=None,  # type: ignore[arg-type]
    )


async def read(found: Resource, **values: str) -> str | bytes:
    return await found.read(call(**values), asyncio.Queue())


async def get(found: Prompt, **values: str) -> list[PromptMessage]:
    return list(await found.get(call(**values), asyncio.Queue()))


@pytest.mark.parametrize(
    ("template", "uri", "expected"),
    [
        ("a://b", "a://b", {}),
        ("a://b", "a://c", None),
        ("a://{x}/c", "a://1/c", {"x": "1"}),
        ("a://{x}/{y}", "a://1/2", {"x": "1", "y": "2"}),
        ("a://{x}", "a://1/2", None),
        ("a://{x}", "a://", None),
        ("a://{x}", "a://a%20b", {"x": "a b"}),
        ("a://{x}", "a://a%2Fb", {"x": "a/b"}),
        ("a://{x}", "a://..", None),
        ("a://{x}", "a://%2e%2e%2fetc", None),
        ("a://{x}", "a://a%2F..%2Fb", None),
        ("a://{x}", "a://%2Fetc", None),
        ("a://{x}", "a://a%00b", None),
        ("a://x.y/{x}", "a://xzy/1", None),
        ("a://{x}", "a://你好", {"x": "你好"}),
    ],
)
async def test_addresses_are_matched(template: str, uri: str, expected: dict[str, str] | None) -> None:
    def anything(x: str = "", y: str = "") -> str:
        return ""

    assert match_uri(resource(template, anything), uri) == expected


@pytest.mark.parametrize(
    ("uri", "function", "message"),
    [
        ("a://{x}", lambda: "", "which '<lambda>' does not take"),
        ("a://b", lambda x: "", "does not have in braces"),
        ("a://{x}/{x}", lambda x: "", "twice"),
        ("a://{+x}", lambda x: "", "level 1"),
        ("a://{x", lambda x: "", "level 1"),
    ],
)
async def test_templates_that_cannot_work_are_refused(uri: str, function: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        resource(uri, function)


async def test_plain_and_async_functions_are_read() -> None:
    async def later(x: str) -> bytes:
        return x.encode()

    assert await read(resource("a://b", lambda: "text")) == "text"
    assert await read(resource("a://{x}", later), x="1") == b"1"


async def test_values_take_the_type_of_the_parameter() -> None:
    def double(x: int) -> str:
        return str(x * 2)

    found = resource("a://{x}", double)
    assert await read(found, x="21") == "42"
    with pytest.raises(InvalidArgumentsError, match="x: "):
        await read(found, x="one")


async def test_failures_are_masked_unless_meant_for_the_reader() -> None:
    def fail(x: str) -> str:
        raise FunctionError("told") if x == "told" else KeyError("secret")

    found = resource("a://{x}", fail, name="broken")
    with pytest.raises(FunctionError, match=r"^told"):
        await read(found, x="told")
    with pytest.raises(CallError, match="Resource 'broken' raised KeyError") as caught:
        await read(found, x="y")
    assert "secret" not in str(caught.value)


async def test_a_resource_must_give_text_or_bytes() -> None:
    def number() -> int:
        return 7

    with pytest.raises(InvalidOutputError, match="int"):
        await read(resource("a://b", number))


class Tone(Enum):
    KIND = "kind"
    HARSH = "harsh"


async def test_a_prompts_arguments_come_from_its_signature() -> None:
    def review(code: str, times: int = 1, ctx: Context | None = None) -> str:
        """Review.

        Args:
            code: The code.
        """
        return f"{code}" * times

    found = prompt(review)
    assert [(a.name, a.required, a.description) for a in found.arguments] == [
        ("code", True, "The code."),
        ("times", False, None),
    ]
    assert (await get(found, code="x", times="3"))[0].content.text == "xxx"  # type: ignore[union-attr]


async def test_prompts_give_text_messages_and_content() -> None:
    def mixed() -> list[Any]:
        return ["one", Message("assistant", "two"), Message("system", "three"), Image(b"4")]

    messages = await get(prompt(mixed))
    assert [message.role for message in messages] == ["user", "assistant", "user", "user"]
    with pytest.raises(InvalidOutputError, match="int"):
        await get(prompt(lambda: 7))


async def test_closed_types_and_authors_complete() -> None:
    def review(tone: Tone, size: Literal["big", "small"], name: str, other: str) -> str:
        return ""

    async def names(typed: str, others: dict[str, str]) -> list[str]:
        return [f"{others['tone']} {typed}"]

    found = prompt(review, complete={"name": names, "other": lambda typed: [1, typed]})
    assert await found.complete["tone"]("H", {}) == ["harsh"]
    assert await found.complete["size"]("", {}) == ["big", "small"]
    assert await found.complete["name"]("x", {"tone": "kind"}) == ["kind x"]
    assert await found.complete["other"]("x", {}) == ["1", "x"]


async def test_completing_what_is_not_taken_is_refused() -> None:
    with pytest.raises(DeclarationError, match="completes"):
        prompt(lambda code: "", complete={"cod": lambda typed: []})
