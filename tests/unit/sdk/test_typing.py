"""What type checkers make of the SDK: the assertions are for them, mypy runs below."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

from polyport import App, AsyncClient, Client
from polyport.client import AsyncChatStream, ChatEvent, ChatStream, CompletionStream, ResponseStream
from polyport.types.chat import ChatCompletion
from polyport.types.completions import Completion
from polyport.types.functions import Function
from polyport.types.knowledge import KnowledgeAnswer, KnowledgeResults
from polyport.types.models import Model
from polyport.types.responses import Response


@dataclass
class Point:
    x: int


def sync_client(client: Client) -> None:
    assert_type(client.chat("m", "hi"), ChatCompletion)
    assert_type(client.chat("m", "hi", temperature=0.5).text, str)
    with client.chat("m", "hi", stream=True) as stream:
        assert_type(stream, ChatStream)
        assert_type(next(stream), ChatEvent)
        assert_type(stream.collect(), ChatCompletion)
    assert_type(client.complete("m", "once"), Completion)
    assert_type(client.complete("m", "once", stream=True), CompletionStream)
    assert_type(client.embed("m", ["a"]).vectors, list[list[float]])
    assert_type(client.functions.list(), list[Function])
    assert_type(client.responses.create("m", "hi"), Response)
    assert_type(client.responses.create("m", "hi", stream=True), ResponseStream)
    assert_type(client.models.get("m"), Model)
    assert_type(client.functions.call("f", a=1), Any)
    assert_type(client.functions.invoke("f", {"a": 1}, returns=Point), Point)
    assert_type(client.functions.invoke("f", {"a": 1}), Any)
    assert_type(client.knowledge.search("q", limit=3), KnowledgeResults)
    assert_type(client.knowledge.ask(["a", "b"], "q"), KnowledgeAnswer)
    assert_type(client.knowledge.ask(None, [{"role": "user", "content": "q"}], model="none"), KnowledgeAnswer)
    with client.knowledge.ask("a", "q", stream=True) as answer:
        assert_type(answer.collect(), KnowledgeAnswer)


async def async_client(client: AsyncClient) -> None:
    assert_type(await client.chat("m", "hi"), ChatCompletion)
    async with await client.chat("m", "hi", stream=True) as stream:
        assert_type(stream, AsyncChatStream)
        async for event in stream:
            assert_type(event, ChatEvent)
    assert_type(await client.functions.invoke("f", returns=Point), Point)
    assert_type(await client.knowledge.search(None, "q"), KnowledgeResults)
    assert_type(await client.knowledge.ask("q"), KnowledgeAnswer)
    assert_type(await (await client.knowledge.ask("a", "q", stream=True)).collect(), KnowledgeAnswer)
    assert_type(await client.models.list(), list[Model])


def declarations(app: App) -> None:
    @app.function
    def add(a: int, b: int) -> int:
        return a + b

    @app.function("other", timeout=1)
    async def named(a: str) -> str:
        return a

    assert_type(add(1, 2), int)


def test_mypy_agrees(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [
        sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent",
        f"--cache-dir={tmp_path}", __file__,
    ]  # fmt: skip
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "MYPYPATH": str(root / "sdk")}
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
