"""``polyport call``."""

from __future__ import annotations

import asyncio
import difflib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyport.content import Audio, EmbeddedResource, Image
from polyport.errors import NotFoundError
from polyport.events import Log
from polyport_gateway.cli.connection import ApiKey, AppTarget, Url, open_client
from polyport_gateway.cli.output import command, print_json

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.functions import Function

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
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the whole result as JSON: strings quoted, answers with their sources.")
    ] = False,
) -> None:
    """Call a function, pipeline, model or agent, and print its result.

    Text goes to standard output (an answer as it comes), other values as JSON; progress and logs to standard
    error.
    """
    asyncio.run(_call(name, arguments or [], whole, app=app, url=url, api_key=api_key, raw=raw))


async def _call(
    name: str, words: list[str], whole: str | None, *, app: str | None, url: str | None, api_key: str | None, raw: bool
) -> None:
    from polyport_gateway.cli.answer import print_answer
    from polyport_gateway.cli.arguments import parse_arguments

    async with open_client(app=app, url=url, api_key=api_key) as client:
        function = await _find(client, name)
        values = parse_arguments(words, whole, function.function.parameters)
        said = _said(values)
        if function.kind in ("pipeline", "model", "agent") and said is not None and not raw:
            await print_answer(client, name, said)
        else:
            _print_value(await _invoke(client, name, values), raw=raw)


async def _find(client: AsyncClient, name: str) -> Function:
    found = await client.functions.list()
    for function in found:
        if function.function.name == name:
            return function
    near = difflib.get_close_matches(name, [function.function.name for function in found], n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`polyport list` shows what there is."
    raise NotFoundError(f"there is no {name!r} here, or your key may not use it. {hint}")


def _said(values: dict[str, Any]) -> list[Any] | None:
    """Return the messages that arguments stand for; None if they are others, which the gateway then refuses."""
    match values:
        case {"prompt": str() as prompt} if len(values) == 1:
            return [{"role": "user", "content": prompt}]
        case {"messages": [*messages]} if len(values) == 1:
            return list(messages)
        case _:
            return None


async def _invoke(client: AsyncClient, name: str, values: dict[str, Any]) -> Any:
    from polyport_gateway.cli.answer import note
    from polyport_gateway.cli.progress import ProgressLine

    with ProgressLine() as line:

        def log(event: Log) -> None:
            line.clear()
            text = event.data if isinstance(event.data, str) else json.dumps(event.data, ensure_ascii=False)
            note(f"{event.level}: {text}")

        return await client.functions.invoke(name, values, on_progress=line.show, on_log=log)


def _print_value(value: Any, *, raw: bool) -> None:
    shown = _plain(value)
    if raw:
        typer.echo(json.dumps(shown, ensure_ascii=False))
    elif isinstance(shown, str):
        typer.echo(shown)
    else:
        print_json(shown)


def _plain(value: Any) -> Any:
    """Return a value with its pictures, sounds and resources described in words."""
    match value:
        case Image() | Audio():
            return f"[{value.mime_type}, {len(value.data)} bytes]"
        case EmbeddedResource(content=str() as text):
            return text
        case EmbeddedResource():
            return f"[{value.mime_type}, {len(value.content)} bytes at {value.uri}]"
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
