"""What `call`, `chat` and `list` talk to: a gateway somewhere, or an app run in this process."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from urllib.parse import quote

import typer

from polyport.content import Audio, Content, Image
from polyport.errors import APIConnectionError, CallError, ConfigurationError, UpstreamError, error_from_status
from polyport.events import (
    Event,
    Finish,
    Log,
    Progress,
    ReasoningDelta,
    Result,
    ServerToolCall,
    ServerToolResult,
    TextDelta,
)

if TYPE_CHECKING:
    import httpx

    from polyport_gateway.call import Input
    from polyport_gateway.server import Gateway

__all__ = ["DEFAULT_URL", "ApiKey", "AppTarget", "Target", "Url", "open_target"]

DEFAULT_URL = "http://127.0.0.1:8400"

AppTarget = Annotated[
    str | None, typer.Option("--app", metavar="APP", help="Run this app here instead of asking a gateway.")
]
Url = Annotated[
    str | None,
    typer.Option(help=f"The gateway's address [{DEFAULT_URL}].", envvar="POLYPORT_BASE_URL", show_envvar=True),
]
ApiKey = Annotated[str | None, typer.Option(help="A key of that gateway.", envvar="POLYPORT_API_KEY", show_envvar=True)]


class Target(Protocol):
    """Where calls go."""

    async def functions(self) -> list[dict[str, Any]]:
        """Everything that can be called, as ``GET /v1/functions`` describes it."""
        ...

    def call(self, name: str, arguments: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Call a name as a tool."""
        ...

    def chat(self, name: str, messages: Sequence[dict[str, Any]]) -> AsyncGenerator[Event, None]:
        """Continue a conversation."""
        ...


@asynccontextmanager
async def open_target(*, app: str | None, url: str | None, api_key: str | None) -> AsyncIterator[Target]:
    """Open what the options name.

    Raises:
        ConfigurationError: Both an app and an address are given, or one of them can't be used.
    """
    if app is not None:
        from polyport_gateway.cli.loading import load_app
        from polyport_gateway.server import create_gateway, running
        from polyport_gateway.settings import load_settings
        from polyport_gateway.telemetry import configure_logging

        configure_logging("warning", "text")
        # Nothing of a single call is kept, so it leaves no file behind.
        gateway = create_gateway(load_app(app), load_settings(database_url="sqlite://"))
        async with running(gateway):
            yield LocalTarget(gateway)
        return
    base = (url or DEFAULT_URL).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url!r} is not an address; it must start with http:// or https://")
    import httpx

    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = httpx.Timeout(None, connect=10.0)
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=timeout) as client:
        yield RemoteTarget(client, base)


class LocalTarget:
    """An app run in this process."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def functions(self) -> list[dict[str, Any]]:
        """Describe every capability."""
        return [
            {
                "kind": capability.kind,
                "function": {
                    "name": capability.name,
                    "description": capability.description,
                    "parameters": dict(capability.tool.input),
                },
            }
            for capability in self._gateway.catalog
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Call through the gateway's own dispatcher."""
        from polyport_gateway.call import Arguments

        async with aclosing(self._run(name, Arguments(arguments))) as events:
            async for event in events:
                yield event

    async def chat(self, name: str, messages: Sequence[dict[str, Any]]) -> AsyncGenerator[Event, None]:
        """Chat through the gateway's own dispatcher."""
        from polyport_gateway.call import Chat

        chat = Chat.from_body({"model": name, "messages": list(messages), "stream": True})
        async with aclosing(self._run(name, chat)) as events:
            async for event in events:
                yield event

    async def _run(self, name: str, given: Input) -> AsyncGenerator[Event, None]:
        from polyport_gateway.call import LOCAL, Call, RawFrame
        from polyport_gateway.telemetry import new_request_id

        dispatcher = self._gateway.dispatcher
        call = Call(name=name, input=given, caller=LOCAL, wire="cli", request_id=new_request_id(), dispatch=dispatcher)
        async with aclosing(dispatcher.stream(call)) as events:
            async for event in events:
                if not isinstance(event, RawFrame):
                    yield event


class RemoteTarget:
    """A gateway over HTTP."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def functions(self) -> list[dict[str, Any]]:
        """Ask for the list."""
        import httpx

        try:
            answer = await self._client.get("/v1/functions")
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code != 200:
            raise _failure(answer, answer.content)
        try:
            data: list[dict[str, Any]] = answer.json()["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise UpstreamError(f"what answers at {self._url} is not a Polyport gateway") from error
        return data

    async def call(self, name: str, arguments: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """Post the arguments, and read what comes of them."""
        async with aclosing(self._post(f"/v1/functions/{quote(name, safe='')}", arguments)) as frames:
            async for kind, data in frames:
                event = _function_event(kind, data)
                if event is not None:
                    yield event

    async def chat(self, name: str, messages: Sequence[dict[str, Any]]) -> AsyncGenerator[Event, None]:
        """Post the conversation, and read the answer."""
        body = {"model": name, "messages": list(messages), "stream": True}
        async with aclosing(self._post("/v1/chat/completions", body)) as frames:
            async for _, data in frames:
                for choice in data.get("choices") or []:
                    delta = choice.get("delta") or {}
                    if text := delta.get("reasoning_content"):
                        yield ReasoningDelta(text)
                    if text := delta.get("content"):
                        yield TextDelta(text)
                    if reason := choice.get("finish_reason"):
                        yield Finish(reason)

    async def _post(self, path: str, body: dict[str, Any]) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Post a body and yield the event stream's frames: their kind and data."""
        import httpx

        try:
            async with self._client.stream("POST", path, json=body, headers={"accept": "text/event-stream"}) as answer:
                if answer.status_code != 200:
                    raise _failure(answer, await answer.aread())
                kind = "message"
                async for line in answer.aiter_lines():
                    if line.startswith("event:"):
                        kind = line[6:].strip()
                    elif line.startswith("data:") and line[5:].strip() != "[DONE]":
                        yield kind, self._checked(line[5:], answer)
                    elif not line:
                        kind = "message"
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _checked(self, text: str, answer: httpx.Response) -> dict[str, Any]:
        """Parse a frame's data.

        Raises:
            CallError: It says that the call failed.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise UpstreamError(f"what answers at {self._url} is not a Polyport gateway") from error
        failure = data.get("error") if isinstance(data, dict) else None
        if isinstance(failure, dict):
            raise _rebuilt(failure, answer)
        return data if isinstance(data, dict) else {}

    def _unreachable(self, error: Exception) -> APIConnectionError:
        return APIConnectionError(
            f"no gateway answers at {self._url} ({error or type(error).__name__}). Start one with "
            "`polyport serve APP`, name another with --url, or run an app here with --app APP."
        )


def _failure(answer: httpx.Response, content: bytes) -> CallError:
    try:
        body = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        body = None
    return error_from_status(
        answer.status_code, body if isinstance(body, dict) else None, request_id=answer.headers.get("x-request-id")
    )


def _rebuilt(failure: dict[str, Any], answer: httpx.Response) -> CallError:
    """Return a failure that came in the middle of a stream, where no status can say what kind it is."""
    error = CallError(str(failure.get("message") or "the call failed"), request_id=answer.headers.get("x-request-id"))
    if isinstance(code := failure.get("code"), str):
        error.code = code
    return error


def _function_event(kind: str, data: dict[str, Any]) -> Event | None:
    match kind:
        case "progress":
            return Progress(data["progress"], data.get("total"), data.get("message"))
        case "log":
            return Log(data["level"], data["data"], data.get("logger"))
        case "delta":
            return TextDelta(data["text"])
        case "tool_call":
            return ServerToolCall(data["id"], data["name"], data["arguments"])
        case "tool_result":
            return ServerToolResult(data["id"], data["name"], data["output"], data["error"])
        case "result":
            value = data.get("result")
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            content = tuple(item for item in map(_content, data.get("content") or []) if item is not None)
            return Result(value, text, content)
        case _:
            return None


def _content(item: dict[str, Any]) -> Content | None:
    match item.get("type"):
        case "image":
            return Image(base64.b64decode(item["data"]), item["mimeType"])
        case "audio":
            return Audio(base64.b64decode(item["data"]), item["mimeType"])
        case _:
            return None
