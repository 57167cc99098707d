"""``polyport list``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from polyport_gateway.cli.connection import ApiKey, AppTarget, Url, open_client
from polyport_gateway.cli.output import command, is_terminal, print_json, print_table

if TYPE_CHECKING:
    from polyport.types.functions import Function

__all__ = ["list_names"]


@command
def list_names(
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole descriptions, schemas too, as JSON.")
    ] = False,
) -> None:
    """List everything that can be called: name, kind, description."""
    functions = asyncio.run(_functions(app, url, api_key))
    if as_json:
        print_json([entry.model_dump(mode="json", exclude_unset=True) for entry in functions])
        return
    if not functions and is_terminal():
        typer.echo("Nothing is registered, or nothing that this key may use.")
        return
    rows = [
        (entry.function.name, entry.kind or "", (entry.function.description or "").partition("\n")[0])
        for entry in functions
    ]
    print_table(("NAME", "KIND", "DESCRIPTION"), rows)


async def _functions(app: str | None, url: str | None, api_key: str | None) -> list[Function]:
    async with open_client(app=app, url=url, api_key=api_key) as client:
        return list(await client.functions.list())
