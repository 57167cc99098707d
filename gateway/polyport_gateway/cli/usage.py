"""``polyport usage``."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyport_gateway.cli.output import command, is_terminal, print_json, print_table
from polyport_gateway.cli.records import open_records, parse_time
from polyport_gateway.cli.serve import Config, DatabaseURL, DataDir

if TYPE_CHECKING:
    from polyport_gateway.storage.usage import UsageTotal

__all__ = ["usage"]


@command
def usage(
    since: Annotated[str, typer.Option(help="From when on: 7d, 12h, or a date such as 2026-12-31.")] = "7d",
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    config: Config = None,
    inner: Annotated[
        bool, typer.Option("--inner", help="Count also what agents called in turn; their own rows contain its tokens.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show calls, errors and tokens by day, key and name."""
    start = parse_time(since, future=False, option="--since")

    async def run() -> tuple[list[UsageTotal], dict[str, str]]:
        from polyport_gateway.storage.keys import KeyStore
        from polyport_gateway.storage.usage import UsageLog

        async with open_records(config, data_dir, database_url) as database:
            names = {record.id: record.name for record in await KeyStore(database).list()}
            return await UsageLog(database).totals(int(start.timestamp() * 1000), top_level=not inner), names

    totals, names = asyncio.run(run())
    if as_json:
        print_json([_shown(total, names) for total in totals])
        return
    if not totals and is_terminal():
        typer.echo(f"No calls since {start:%Y-%m-%d %H:%M}.")
        return
    rows = [
        (
            _day(total.day),
            names.get(total.key_id, total.key_id),
            total.name,
            str(total.calls),
            str(total.errors),
            str(total.prompt_tokens),
            str(total.completion_tokens),
            f"{total.duration_ms / max(1, total.calls):.0f}",
        )
        for total in totals
    ]
    print_table(("DAY", "KEY", "NAME", "CALLS", "ERRORS", "TOKENS IN", "TOKENS OUT", "MEAN MS"), rows)


def _day(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def _shown(total: UsageTotal, names: dict[str, str]) -> dict[str, Any]:
    return {**asdict(total), "day": _day(total.day), "key": names.get(total.key_id, total.key_id)}
