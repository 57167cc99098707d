"""``/v1/functions``: everything that can be called, in OpenAI's tool format, and calling it with plain JSON."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from polyport.content import Audio, Content, EmbeddedResource, Image
from polyport.errors import CallError, NotFoundError, UpstreamError
from polyport.events import Log, Progress, Result, ServerToolCall, ServerToolResult, TextDelta
from polyport_gateway.call import Arguments, Call, CallEvent, Dispatch
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.errors import to_call_error
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    ClientGoneError,
    Receive,
    Scope,
    Send,
    info_of,
    read_body,
    read_json,
    run_until_disconnect,
    send_error,
    send_json,
)
from polyport_gateway.wires.json_bodies import as_plain, to_json

__all__ = ["FunctionCallEndpoint", "FunctionListEndpoint"]


class FunctionListEndpoint:
    """``GET /v1/functions`` and ``GET /v1/functions/{name}``.

    Args:
        catalog: What there is.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        info = info_of(scope)
        name = scope.get("path_params", {}).get("name")
        if name is None:
            found = [_describe(capability) for capability in self._catalog.visible(info.caller)]
            await send_json(send, {"object": "list", "data": found})
            return
        try:
            capability = self._catalog.resolve(unquote(name), info.caller)
        except NotFoundError as error:
            await send_error(send, error, request_id=info.request_id)
            return
        await send_json(send, _describe(capability))


def _describe(capability: Capability) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": capability.name,
        "description": capability.description,
        "parameters": capability.tool.input,
    }
    if capability.tool.output is not None:
        function["output"] = capability.tool.output
    annotations = {k: v for k, v in asdict(capability.tool.annotations).items() if v is not None}
    if annotations:
        function["annotations"] = annotations
    return {"type": "function", "function": function, "kind": capability.kind}


class FunctionCallEndpoint:
    """``POST /v1/functions/{name}``: the body is the arguments; ``Accept: text/event-stream`` shows progress.

    Args:
        dispatcher: The one way through.
        settings: Limits on bodies.
    """

    def __init__(self, dispatcher: Dispatch, settings: Settings) -> None:
        self._dispatcher = dispatcher
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        info = info_of(scope)
        try:
            values = await self._arguments(scope, receive)
            call = Call(
                name=unquote(scope["path_params"]["name"]),
                input=Arguments(values),
                caller=info.caller,
                wire="rest",
                request_id=info.request_id,
                traceparent=info.traceparent,
                dispatch=self._dispatcher,
            )
            accept = next((value for key, value in scope["headers"] if key == b"accept"), b"")
            answer = _stream if b"text/event-stream" in accept else _answer
            await run_until_disconnect(receive, answer(call, send))
        except ClientGoneError:
            return
        except CallError as error:
            if error.code == "model_not_found":
                error.param = None
            await send_error(send, error, request_id=info.request_id)

    async def _arguments(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        length = next((value for key, value in scope["headers"] if key == b"content-length"), None)
        if length == b"0":
            await read_body(scope, receive, self._settings.max_body_bytes, self._settings.request_timeout_s)
            return {}
        return await read_json(scope, receive, settings=self._settings, exact=True)


async def _answer(call: Call, send: Send) -> None:
    result: Result | None = None
    async with aclosing(call.run()) as events:
        async for event in events:
            if isinstance(event, Result):
                result = event
    if result is None:
        raise UpstreamError(f"{call.name!r} ended without a result.")
    await send_json(send, _result_body(call.name, result))


async def _stream(call: Call, send: Send) -> None:
    started = False

    async def write(kind: str, data: Any) -> None:
        nonlocal started
        if not started:
            started = True
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", b"text/event-stream; charset=utf-8"),
                        (b"cache-control", b"no-cache"),
                    ],
                }
            )
        body = b"event: " + kind.encode("ascii") + b"\ndata: " + to_json(data) + b"\n\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})

    try:
        async with aclosing(call.run()) as events:
            await _write_events(call, events, write)
    except CallError as error:
        if not started:
            raise
        await write("error", {"error": to_call_error(error, request_id=call.request_id).body()})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write_events(call: Call, events: AsyncGenerator[CallEvent, None], write: Any) -> None:
    async for event in events:
        match event:
            case Progress():
                await write("progress", as_plain(asdict(event)))
            case Log():
                await write("log", {"level": event.level, "data": as_plain(event.data), "logger": event.logger})
            case TextDelta():
                await write("delta", {"text": event.text})
            case ServerToolCall():
                await write("tool_call", asdict(event))
            case ServerToolResult():
                await write("tool_result", asdict(event))
            case Result():
                await write("result", _result_body(call.name, event))
            case _:
                await asyncio.sleep(0)


def _result_body(name: str, result: Result) -> dict[str, Any]:
    value = result.value if result.structured or not result.content else result.text
    return {
        "object": "function.result",
        "name": name,
        "result": value,
        "content": [_content_body(item) for item in result.content],
    }


def _content_body(content: Content) -> dict[str, Any]:
    match content:
        case Image():
            return {"type": "image", "data": content.base64(), "mimeType": content.mime_type}
        case Audio():
            return {"type": "audio", "data": content.base64(), "mimeType": content.mime_type}
        case EmbeddedResource():
            body: dict[str, Any] = {"uri": content.uri, "mimeType": content.mime_type}
            if isinstance(content.content, bytes):
                body["blob"] = base64.b64encode(content.content).decode("ascii")
            else:
                body["text"] = content.content
            return {"type": "resource", "resource": body}
        case _:
            return {"type": "text", "text": content.text}
