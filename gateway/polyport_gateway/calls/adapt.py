"""The two faces of every capability, adapted in one place.

A tool can be chatted with and a chat can be called as a tool, so each wire is written once:

- the chat of a tool: the last user message holds its arguments, as a JSON object, or as plain text if
  the tool takes a single string;
- the tool call of a chat: ``{"prompt": …}`` or ``{"messages": […]}``; its result is the text and its sources.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from polyport.errors import InvalidArgumentsError, UnsupportedOperationError
from polyport.events import CitationAdded, Finish, Result, ServerToolCall, TextDelta
from polyport_gateway.call import Arguments, Call, CallEvent, Chat, Input, Operation
from polyport_gateway.catalog.capability import Capability
from polyport_gateway.errors import invalid_arguments

__all__ = ["TURN_BREAK", "adapt_events", "adapt_input"]

TURN_BREAK = "\n\n"
"""Stands between what an agent says before and after its tool calls, where a wire has one text for both."""


def adapt_input(capability: Capability, given: Input) -> Input:
    """Turn what a wire was given into what the capability takes.

    Raises:
        UnsupportedOperationError: The capability offers nothing of the kind.
        InvalidArgumentsError: The message holds no arguments, or the arguments no message.
    """
    operation = given.operation
    if operation in capability.operations:
        return given
    if isinstance(given, Chat) and Operation.TOOL in capability.operations:
        return _arguments_of(capability, given)
    if isinstance(given, Arguments) and Operation.CHAT in capability.operations:
        return _chat_of(capability.name, given.values)
    offered = ", ".join(sorted(capability.operations))
    raise UnsupportedOperationError(
        f"{capability.name!r} is a {capability.kind} and offers {offered or 'nothing'}, not {operation.value}.",
        param="model",
    )


def _arguments_of(capability: Capability, chat: Chat) -> Arguments:
    text = next((message.content for message in reversed(chat.messages()) if message.role == "user"), None)
    properties: Mapping[str, Any] = capability.tool.input.get("properties") or {}
    if text is None:
        raise InvalidArgumentsError(
            f"{capability.name!r} is a function: it needs a user message with its arguments.", param="messages"
        )
    try:
        values = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict):
        return Arguments(values)
    required = capability.tool.input.get("required") or []
    single = list(required) if required else list(properties)
    if len(single) == 1 and properties[single[0]].get("type") == "string":
        return Arguments({single[0]: text})
    if not text.strip() and not required:
        return Arguments({})
    example = json.dumps({name: _example(schema) for name, schema in properties.items()}, ensure_ascii=False)
    raise InvalidArgumentsError(
        f"{capability.name!r} is a function: the last user message must be a JSON object of its arguments, such as "
        f"{example}",
        param="messages",
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _example(schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    examples = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return examples.get(str(schema.get("type")), "…")


def _chat_of(name: str, values: Mapping[str, Any]) -> Chat:
    unknown = sorted(set(values) - {"prompt", "messages"})
    prompt, messages = values.get("prompt"), values.get("messages")
    if unknown:
        raise InvalidArgumentsError(
            f"Invalid arguments for {name!r}: {', '.join(unknown)} is not taken; it takes prompt or messages.",
            param=unknown[0],
        )
    if (prompt is None) == (messages is None):
        raise InvalidArgumentsError(
            f"Invalid arguments for {name!r}: give either prompt (a string) or messages (a list).", param="prompt"
        )
    if prompt is not None and not isinstance(prompt, str):
        raise InvalidArgumentsError(
            f"Invalid arguments for {name!r}: prompt must be a string, not {type(prompt).__name__}.", param="prompt"
        )
    body = {"model": name, "messages": messages if prompt is None else [{"role": "user", "content": prompt}]}
    try:
        return Chat.from_body(body)
    except ValidationError as error:
        raise invalid_arguments(name, error) from error


async def adapt_events(call: Call, events: AsyncIterator[CallEvent]) -> AsyncIterator[CallEvent]:
    """Give back events in the form of what the wire asked: `Result` for a tool call, text for a chat.

    Args:
        call: As the wire built it.
        events: What the capability gives.
    """
    try:
        async for event in _adapted(call, events):
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _adapted(call: Call, events: AsyncIterator[CallEvent]) -> AsyncIterator[CallEvent]:
    if isinstance(call.input, Chat):
        async for event in events:
            if isinstance(event, Result):
                yield TextDelta(event.text)
            else:
                yield event
        return
    pieces: list[str] = []
    citations: list[dict[str, Any]] = []
    async for event in events:
        match event:
            case ServerToolCall() if pieces and pieces[-1] != TURN_BREAK:
                pieces.append(TURN_BREAK)
                yield event
            case TextDelta(choice=0):
                pieces.append(event.text)
                yield event
            case CitationAdded():
                citations.append({k: v for k, v in asdict(event.citation).items() if v is not None})
                yield event
            case Finish():
                text = "".join(pieces).removesuffix(TURN_BREAK)
                yield Result(value={"text": text, "citations": citations}, text=text)
                yield event
            case _:
                yield event
