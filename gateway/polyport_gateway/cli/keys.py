"""``polyport keys``."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyport.errors import BadRequestError, ConfigurationError
from polyport_gateway.cli.output import command, is_terminal, print_json, print_table, style
from polyport_gateway.cli.records import open_records, parse_time
from polyport_gateway.cli.serve import Config, DatabaseURL, DataDir

if TYPE_CHECKING:
    from polyport_gateway.storage.keys import KeyRecord

__all__ = ["app"]

app = typer.Typer(help="Make, list and revoke API keys of the gateway on this machine.", no_args_is_help=True)

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
@command
def create(
    name: Annotated[str, typer.Argument(help="For people; no two live keys share one.", show_default=False)],
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="Names it may use, separated by commas, prefix* among them; all by default. Can be given again."
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it stops working: 30d, 12h, or a date such as 2027-01-31; never by default."),
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Make a key and print its token, which is shown this once."""
    allowed = None if not allow else [part.strip() for part in ",".join(allow).split(",") if part.strip()]
    expiry = None if expires is None else parse_time(expires, future=True, option="--expires")

    async def run() -> tuple[KeyRecord, str]:
        from polyport_gateway.storage.keys import KeyStore

        async with open_records(config, data_dir, database_url) as database:
            return await KeyStore(database).create(name, allowed, expiry)

    try:
        record, token = asyncio.run(run())
    except BadRequestError as error:
        # What was given on the command line can't be used, which is no failed call.
        raise ConfigurationError(error.message) from error
    if as_json:
        print_json({**_shown(record), "token": token})
        return
    if is_terminal():
        typer.echo(f"Key {style(record.name, bold=True)} ({record.id}). Its token is shown this once; keep it safe:\n")
    typer.echo(style(token, fg="green", bold=True))


@app.command("list")
@command
def list_keys(
    data_dir: DataDir = None, database_url: DatabaseURL = None, config: Config = None, as_json: AsJSON = False
) -> None:
    """List every key: id, name, state, what it may use, when it expires."""

    async def run() -> list[KeyRecord]:
        from polyport_gateway.storage.keys import KeyStore

        async with open_records(config, data_dir, database_url) as database:
            return await KeyStore(database).list()

    records = asyncio.run(run())
    if as_json:
        print_json([_shown(record) for record in records])
        return
    if not records and is_terminal():
        typer.echo("There are no keys: only this machine is served. Make one with: polyport keys create NAME")
        return
    rows = [
        (
            record.id,
            record.name,
            record.state,
            ", ".join(record.allow) if record.allow is not None else "everything",
            _date(record.created_at) or "",
            _date(record.expires_at) or "never",
        )
        for record in records
    ]
    print_table(("ID", "NAME", "STATE", "MAY USE", "CREATED", "EXPIRES"), rows)


@app.command()
@command
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id or name.", show_default=False)],
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    config: Config = None,
    as_json: AsJSON = False,
) -> None:
    """Revoke a key for good; a running gateway refuses it within about a second."""

    async def run() -> KeyRecord:
        from polyport_gateway.storage.keys import KeyStore

        async with open_records(config, data_dir, database_url) as database:
            return await KeyStore(database).revoke(key)

    record = asyncio.run(run())
    if as_json:
        print_json(_shown(record))
    else:
        typer.echo(f"Key {record.name} ({record.id}) is revoked.")


def _shown(record: KeyRecord) -> dict[str, Any]:
    shown = asdict(record)
    for field in ("created_at", "expires_at", "revoked_at"):
        shown[field] = _time(shown[field])
    return {**shown, "state": record.state}


def _time(milliseconds: int | None) -> str | None:
    return (
        None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
    )


def _date(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
