"""Pipelines: what they are given, and what they may say."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from polyport import App, Context, Message
from polyport.errors import BadRequestError, DeclarationError, InvalidOutputError
from polyport.events import Finish, Log, Progress, TextDelta
from polyport_gateway.call import Call
from polyport_gateway.functions.pipeline import PipelineCapability
from tests.support.calls import chat, make_call

pytestmark = pytest.mark.anyio


def facts(ctx: Context) -> str:
    assert ctx.deadline is not None
    return f"{ctx.request_id} {ctx.caller.id} {ctx.cancelled} {0 < ctx.deadline <= 5}"


async def coroutine(question: str, ctx: Context) -> str:
    await ctx.progress(1, 2, "half")
    await ctx.log({"seen": question}, level="warning")
    return facts(ctx)


def plain(question: str, *, ctx: Context) -> str:
    ctx.progress(1, 2, "half")
    ctx.log({"seen": question}, level="warning")
    return facts(ctx)


def generator(messages: list[Message], ctx: Context) -> Iterator[str]:
    ctx.progress(1, 2, "half")
    ctx.log({"seen": messages[-1].content}, level="warning")
    yield facts(ctx)


async def async_generator(messages: list[Message], ctx: Context) -> AsyncIterator[str]:
    await ctx.progress(1, 2, "half")
    await ctx.log({"seen": messages[-1].content}, level="warning")
    yield facts(ctx)


def capability(function: Any) -> PipelineCapability:
    app = App("t")
    app.pipeline("p")(function)
    return PipelineCapability(app.declarations[0])  # type: ignore[arg-type]


async def run(function: Any, call: Call | None = None) -> list[Any]:
    call = call or make_call(chat("why?"), deadline=time.monotonic() + 5)
    return [event async for event in capability(function).invoke(call)]


@pytest.mark.parametrize("function", [coroutine, plain, generator, async_generator])
async def test_the_context_works_in_every_kind_of_pipeline(function: Any) -> None:
    assert await run(function) == [
        Progress(1, 2, "half"),
        Log("warning", {"seen": "why?"}),
        TextDelta("req_test local False True"),
        Finish(),
    ]


async def test_a_pipeline_in_a_thread_sees_that_its_call_was_cancelled() -> None:
    call = make_call(chat("why?"))

    def looks(question: str, ctx: Context) -> str:
        before = ctx.cancelled
        call.cancel()
        return f"{before} {ctx.cancelled}"

    assert (await run(looks, call))[0] == TextDelta("False True")


async def test_the_question_is_the_last_that_the_user_said() -> None:
    async def tells(question: str) -> str:
        return question

    said = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    assert (await run(tells, make_call(chat(said))))[0] == TextDelta("one")
    with pytest.raises(BadRequestError, match="user message"):
        await run(tells, make_call(chat(said[1:])))


@pytest.mark.parametrize("value", [3, None, ["a"], b"bytes"])
async def test_anything_but_text_is_an_invalid_output(value: Any) -> None:
    async def gives(question: str) -> Any:
        return value

    with pytest.raises(InvalidOutputError, match=type(value).__name__):
        await run(gives)


def test_what_takes_neither_question_nor_messages_is_refused() -> None:
    for function in (lambda: "", lambda text: "", lambda question, k: ""):
        with pytest.raises(DeclarationError, match="pipeline"):
            capability(function)
