"""Searches and questions as calls, answered whole or as events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from polyport.errors import CallError, InternalServerError, NotFoundError
from polyport.events import CitationAdded, Progress, Result, TextDelta
from polyport.types.knowledge import KnowledgeAnswer, SearchRequest
from polyport_gateway.call import Call, CallEvent, Dispatch, KnowledgeWork
from polyport_gateway.errors import to_call_error
from polyport_gateway.wires.http import RequestInfo, Send, send_bytes
from polyport_gateway.wires.json_bodies import to_json

__all__ = ["answer", "event_stream", "knowledge_call", "stream"]

ALL = "ask_knowledge"
"""The name under which several bases are asked at once; each is looked up as its caller sees it."""

_SSE = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


def knowledge_call(dispatcher: Dispatch, info: RequestInfo, request: SearchRequest) -> Call:
    """Return a search or a question as a call, of the one base that it names, or of them all."""
    names = [request.knowledge] if isinstance(request.knowledge, str) else request.knowledge
    return Call(
        name=names[0] if names is not None and len(names) == 1 else ALL,
        input=KnowledgeWork(request),
        caller=info.caller,
        wire="rest",
        request_id=info.request_id,
        traceparent=info.traceparent,
        dispatch=dispatcher,
        granted=frozenset({ALL}),
    )


async def _events(call: Call) -> AsyncGenerator[CallEvent, None]:
    """Run a call; that its name is not there is said of a knowledge base."""
    try:
        async with aclosing(call.run()) as events:
            async for event in events:
                yield event
    except NotFoundError as error:
        if error.code == "model_not_found" and repr(call.name) in error.message:
            raise NotFoundError(
                f"The knowledge base {call.name[:200]!r} does not exist or you do not have access to it.",
                param="knowledge",
                code="knowledge_not_found",
            ) from error
        raise


async def answer(call: Call, send: Send) -> None:
    """Send the whole result."""
    found: Result | None = None
    async with aclosing(_events(call)) as events:
        async for event in events:
            if isinstance(event, Result):
                found = event
    if found is None:
        raise InternalServerError("The search ended without a result.")
    await send_bytes(send, found.value.model_dump_json().encode())


async def stream(call: Call, send: Send) -> None:
    """Send events as they come; what fails before the first is an ordinary error."""
    await event_stream(_pieces(call), send, call.request_id)


async def _pieces(call: Call) -> AsyncGenerator[tuple[str, bytes], None]:
    async with aclosing(_events(call)) as events:
        async for event in events:
            piece = _piece(event)
            if piece is not None:
                yield piece


def _piece(event: CallEvent) -> tuple[str, bytes] | None:
    match event:
        case TextDelta():
            return "text", to_json({"text": event.text})
        case CitationAdded():
            return "citation", to_json({"citation": _given(asdict(event.citation))})
        case Progress():
            return "progress", to_json({"progress": event.progress, "message": event.message})
        case Result(value=KnowledgeAnswer() as whole):
            return "answer", b'{"answer":' + whole.model_dump_json().encode() + b"}"
        case _:
            return None


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


async def event_stream(pieces: AsyncGenerator[tuple[str, bytes], None], send: Send, request_id: str) -> None:
    """Send events of their kinds, each with its data; what fails before the first is an ordinary error.

    Raises:
        CallError: It failed before anything was sent.
    """
    started = False
    try:
        async with aclosing(pieces):
            async for kind, data in pieces:
                if not started:
                    started = True
                    await send({"type": "http.response.start", "status": 200, "headers": list(_SSE)})
                await _write(send, kind, data)
    except CallError as error:
        if not started:
            raise
        await _write(send, "error", to_json({"error": to_call_error(error, request_id=request_id).body()}))
    if not started:
        await send({"type": "http.response.start", "status": 200, "headers": list(_SSE)})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, kind: str, data: bytes) -> None:
    body = b"event: " + kind.encode("ascii") + b"\ndata: " + data + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})
