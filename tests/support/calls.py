"""Calls without a gateway around them, for testing what a call can reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from polyport.types.completions import CompletionRequest
from polyport.types.embeddings import EmbeddingRequest
from polyport.types.moderations import ModerationRequest
from polyport.types.rerank import RerankRequest
from polyport_gateway.call import LOCAL, Call, CallEvent, Chat, Completion, Embedding, Input, Moderation, Rerank
from polyport_gateway.engines.base import Engine


class NoDispatch:
    """Leads nowhere."""

    def stream(self, call: Call) -> AsyncIterator[CallEvent]:
        raise AssertionError(f"nothing should call {call.name!r} here")


def make_call(given: Input, *, name: str = "m", raw: bool = False, **more: Any) -> Call:
    return Call(
        name=name, input=given, caller=LOCAL, wire="test", request_id="req_test", dispatch=NoDispatch(), raw=raw, **more
    )


def chat(text: str | list[dict[str, Any]] = "hello world", **members: Any) -> Chat:
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return Chat.from_body({"model": "m", "messages": messages, **members})


def completion(prompt: Any = "once upon", **members: Any) -> Completion:
    body = {"model": "m", "prompt": prompt, **members}
    return Completion(CompletionRequest.model_validate(body), body)


def embedding(text: Any = "hello", **members: Any) -> Embedding:
    body = {"model": "m", "input": text, **members}
    return Embedding(EmbeddingRequest.model_validate(body), body)


def moderation(text: str = "hello") -> Moderation:
    body = {"model": "m", "input": text}
    return Moderation(ModerationRequest.model_validate(body), body)


def rerank(query: str = "which?", documents: Any = ("one", "two"), **members: Any) -> Rerank:
    body = {"model": "m", "query": query, "documents": list(documents), **members}
    return Rerank(RerankRequest.model_validate(body), body)


def invoke(engine: Engine, call: Call) -> Any:
    match call.input:
        case Chat() as given:
            return engine.chat(call, given)
        case Completion() as given:
            return engine.complete(call, given)
        case Embedding() as given:
            return engine.embed(call, given)
        case Moderation() as given:
            return engine.moderate(call, given)
        case Rerank() as given:
            return engine.rerank(call, given)
    raise TypeError(call.input)


async def collect(engine: Engine, given: Input, **more: Any) -> list[CallEvent]:
    async with aclosing(invoke(engine, make_call(given, **more))) as events:
        return [event async for event in events]
