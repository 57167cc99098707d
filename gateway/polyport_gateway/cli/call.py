"""``polyport call``."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from contextlib import aclosing
from typing import Annotated, Any

import typer

from polyport.content import Audio, Content, EmbeddedResource, Image
from polyport.errors import NotFoundError, UpstreamError
from polyport.events import Log, Progress, Result, ServerToolCall, TextDelta
from polyport_gateway.cli.output import command, print_json, style
from polyport_gateway.cli.target import ApiKey, AppTarget, Target, Url, open_target

__all__ = ["call"]


@command
def call(
    name: Annotated[str, typer.Argument(help="What to call: see polyport list.", show_default=False)],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Arguments; KEY=@FILE takes a file's text, KEY=- standard input, KEY:=JSON any value.",
            show_default=False,
        ),
    ] = None,
    whole: Annotated[
        str | None, typer.Option("--json", metavar="JSON", help="All arguments as a JSON object, @FILE or -.")
    ] = None,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the result's value as JSON, strings too.")] = False,
) -> None:
    """Call a function, pipeline, model or agent, and print its result.

    Text goes to standard output as it comes; other values as JSON; progress and logs to standard error.
    """
    asyncio.run(_call(name, arguments or [], whole, app=app, url=url, api_key=api_key, raw=raw))


async def _call(
    name: str, words: list[str], whole: str | None, *, app: str | None, url: str | None, api_key: str | None, raw: bool
) -> None:
    from polyport_gateway.cli.arguments import parse_arguments

    async with open_target(app=app, url=url, api_key=api_key) as target:
        schema = await _schema(target, name)
        await _print_events(target, name, parse_arguments(words, whole, schema), raw=raw)


async def _schema(target: Target, name: str) -> dict[str, Any]:
    functions = [entry["function"] for entry in await target.functions()]
    for function in functions:
        if function["name"] == name:
            schema: dict[str, Any] = function["parameters"]
            return schema
    near = difflib.get_close_matches(name, [function["name"] for function in functions], n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`polyport list` shows what there is."
    raise NotFoundError(f"there is no {name!r} here, or your key may not use it. {hint}")


async def _print_events(target: Target, name: str, values: dict[str, Any], *, raw: bool) -> None:
    from polyport_gateway.cli.progress import ProgressLine

    result: Result | None = None
    streamed = ""
    with ProgressLine() as line:
        async with aclosing(target.call(name, values)) as events:
            async for event in events:
                match event:
                    case TextDelta() if not raw:
                        line.clear()
                        typer.echo(event.text, nl=False)
                        sys.stdout.flush()
                        streamed += event.text
                    case Progress():
                        line.show(event)
                    case Log():
                        line.clear()
                        _note(f"{event.level}: {event.data if isinstance(event.data, str) else json.dumps(event.data)}")
                    case ServerToolCall():
                        line.clear()
                        _note(f"→ {event.name} {event.arguments}")
                    case Result():
                        result = event
    if result is None:
        raise UpstreamError(f"{name!r} ended without a result")
    _print_result(result, streamed, raw=raw)


def _print_result(result: Result, streamed: str, *, raw: bool) -> None:
    if raw:
        typer.echo(json.dumps(result.value, ensure_ascii=False))
    elif streamed:
        if not streamed.endswith("\n"):
            typer.echo()
    elif isinstance(result.value, str):
        typer.echo(result.value)
    elif result.value is not None or not result.content:
        print_json(result.value)
    for item in result.content:
        _note(_describe(item))


def _describe(item: Content) -> str:
    match item:
        case Image() | Audio():
            return f"[{item.mime_type}, {len(item.data)} bytes]"
        case EmbeddedResource():
            return f"[{item.mime_type} at {item.uri}]"
        case _:
            return item.text


def _note(text: str) -> None:
    typer.echo(style(text, err=True, dim=True), err=True)
